"""Trainings that begin with the networks of another model."""

import re
import shutil
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.config import build, compose
from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.leakage import training_intervals
from cyclegan_audio.inference import start_pair
from cyclegan_audio.inference.checkpoints import load_model, read_discriminators, save_pretrained
from cyclegan_audio.inference.start_pair import START_PAIR
from cyclegan_audio.training.head_start import choose_start, load_networks

NO_STEPS = ("model.optimizer.lr=0", "n_epochs=1", "n_epochs_decay=0", "logger=none", "~callbacks.tagger")
ONCE = ("n_epochs=1", "n_epochs_decay=0", "logger=none")


def weights_of(run):
    """Generators and discriminators of the last checkpoint."""
    last = Path(run) / "checkpoints" / "last.ckpt"
    networks = {f"gen_{d}": g.state_dict() for d, g in load_model(last).generators.items()}
    return networks | {f"disc_{d}": weights for d, weights in read_discriminators(last).items()}


def assert_equal(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.fixture
def first(run, one_epoch):
    """Puts a copy of a run in the folder `first`; returns its weights."""
    shutil.copytree(one_epoch, "first")
    return weights_of("first")


def test_all_networks_begin_as_those_of_the_run(run, small, first):
    code, shown = run(*small, *NO_STEPS, "run_dir=out", "init_from=first", "model.ema_decay=0.9", "seed=3")
    assert code == 0, shown
    assert (
        "from first (low and high): the generator to high, the generator to low, "
        "the discriminator of low, the discriminator of high\n"
    ) in shown
    for name, weights in weights_of("out").items():
        assert_equal(weights, first[name])
    assert load_model("out").training_intervals == load_model("first").training_intervals


def test_a_genre_that_both_have_decides_which_generator_is_which(run, small, first):
    content = torch.load("first/checkpoints/last.ckpt", weights_only=True)
    content["cyclegan_audio"]["genres"] = ["Low", "something else"]
    torch.save(content, "first/checkpoints/best.ckpt")
    swapped = ("genre_pair.a=high", "genre_pair.b=low")
    code, shown = run(*small, *swapped, *NO_STEPS, "run_dir=out", "init_from=first")
    assert code == 0, shown
    now = weights_of("out")
    for name, before in (
        ("gen_ab", "gen_ba"),
        ("gen_ba", "gen_ab"),
        ("disc_a", "disc_b"),
        ("disc_b", "disc_a"),
    ):
        assert_equal(now[name], first[before])


def test_a_pretrained_model_gives_its_generators(run, small, first):
    save_pretrained(load_model("first"), Path("pretrained"))
    code, shown = run(*small, *NO_STEPS, "run_dir=out", "init_from=pretrained")
    assert code == 0, shown
    assert "the generator to high, the generator to low\n" in shown
    rounded = {name: value.half().float() for name, value in first["gen_ab"].items()}
    assert_equal(weights_of("out")["gen_ab"], rounded)


def test_one_direction_is_enough(run, small, first):
    cut = [word for word in small if not word.startswith("model=")]
    code, shown = run(
        *cut, "model=cut_small", "generator=resnet_6", *NO_STEPS, "run_dir=out", "init_from=first"
    )
    assert code == 0, shown
    assert "the generator to high, the discriminator of high\n" in shown
    assert_equal(weights_of("out")["gen_ab"], first["gen_ab"])


@pytest.mark.usefixtures("first")
def test_the_clips_that_the_run_heard_are_no_held_out_clips_later(run, small):
    heard = {**load_model("first").training_intervals, "another song": [[0.0, 4.0]]}
    content = torch.load("first/checkpoints/last.ckpt", weights_only=True)
    content["cyclegan_audio"]["training_intervals"] = heard
    torch.save(content, "heard.ckpt")
    assert run(*small, *ONCE, "run_dir=out", "init_from=heard.ckpt")[0] == 0
    assert load_model("out").training_intervals == heard
    Path("heard.ckpt").unlink()  # is not needed any more
    code, shown = run("resume=out", "n_epochs=2")
    assert code == 0, shown
    assert "have changed" not in shown
    assert load_model("out").training_intervals == heard


@pytest.mark.usefixtures("first")
def test_clips_that_the_run_heard_are_warned_of_if_they_validate(run, small):
    content = torch.load("first/checkpoints/last.ckpt", weights_only=True)
    corpus = Corpus.open(content["cyclegan_audio"]["config"]["corpus"])
    heard = training_intervals([*corpus.clips("low", "val"), *corpus.clips("high", "train")])
    content["cyclegan_audio"]["training_intervals"] = heard
    torch.save(content, "heard.ckpt")
    code, shown = run(*small, *ONCE, "run_dir=out", "init_from=heard.ckpt")
    assert code == 0
    n_val = len(corpus.clips("low", "val"))
    assert re.search(
        rf"heard\.ckpt was trained on {n_val} of the \d+ validation clips, so the held-out", shown
    )


@pytest.fixture
def ships(first, monkeypatch):
    """Lets the pair that ships as a start have the networks of the first run; returns these."""
    save_pretrained(load_model("first"), Path("shipped"))
    monkeypatch.setattr(start_pair, "FOLDER", Path("shipped").resolve())
    return first


def test_auto_begins_with_the_pair_that_ships_as_a_start(run, small, ships):
    Path(START_PAIR).mkdir()  # what a user calls by its name does not count
    code, shown = run(*small, *NO_STEPS, "run_dir=out", "init_from=auto")
    assert code == 0, shown
    assert f"from {START_PAIR} (low and high): the generator to high, the generator to low\n" in shown
    rounded = {name: value.half().float() for name, value in ships["gen_ab"].items()}
    assert_equal(weights_of("out")["gen_ab"], rounded)
    assert OmegaConf.load("out/config.yaml").init_from == START_PAIR  # which a resumed run keeps


@pytest.mark.usefixtures("ships")
@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (["model.generator.n_filters=6"], f"its generators are others than those of {START_PAIR}"),
        (
            ["pretrain_minutes=0.01", "model.loss_weights.restoration=1"],
            "pretrain_minutes= is another head start",
        ),
    ],
)
def test_auto_begins_from_scratch_where_that_pair_does_not_fit(run, small, overrides, reason):
    code, shown = run(*small, *NO_STEPS, "run_dir=out", "init_from=auto", *overrides)
    assert code == 0, shown
    assert f"this training begins from scratch: {reason}\n" in shown
    assert OmegaConf.load("out/config.yaml").init_from is None


def mel_of(name: str) -> MelSpectrogram:
    return build("mel", compose("prepare", [f"mel={name}"]).mel)


def test_the_pair_that_ships_as_a_start_fits_the_small_model(capsys):
    cfg = compose("train", ["model=cyclegan_small"])
    assert cfg.init_from == "auto"
    assert choose_start(cfg, mel_of("hifi")) == START_PAIR
    assert choose_start(cfg, mel_of("paper")) is None
    assert "from scratch: its mel is not hifi, that of demo_trap\n" in capsys.readouterr().out
    assert load_model(START_PAIR).card.license == "mit"  # so that what begins with it is free


@pytest.mark.parametrize(
    ("override", "advice"),
    [
        ("init_from=demo", "leave out init_from=, or choose another model="),
        ("pretrain_minutes=1", "leave out pretrain_minutes="),
    ],
)
def test_an_equaliser_refuses_a_head_start(run, corpus, override, advice):
    genres = ("genre_pair.a=low", "genre_pair.b=high")
    code, shown = run("model=equaliser", f"corpus={corpus}", *genres, "run_dir=out", override)
    assert code == 2
    assert f"an equaliser is not trained; {advice}" in shown
    assert not Path("out").exists()


@pytest.mark.usefixtures("first")
def test_resume_refuses_a_head_start(run):
    code, shown = run("resume=first", "n_epochs=2", "init_from=demo")
    assert code == 2
    assert "resume= goes on with the networks of the run; leave out init_from=" in shown


def test_a_path_may_have_any_characters(run, small, first):
    Path("first").rename("lo-fi (2), [trap]")
    code, shown = run(*small, *NO_STEPS, "run_dir=out", "init_from=lo-fi (2), [trap]")
    assert code == 0, shown
    assert_equal(weights_of("out")["gen_ab"], first["gen_ab"])


def test_the_average_begins_as_the_networks(tiny_model, run, small, first):
    model = tiny_model("model.ema_decay=0.9")
    mel = load_model("first").mel
    load_networks(model, "first", ("LOW", "HIGH"), mel)
    assert_equal(model.inference_generator("ab").state_dict(), first["gen_ab"])


@pytest.mark.usefixtures("first")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "model.generator.n_filters=6",
            "init_from=first has another generator than this training (the weights",
        ),
        ("model.discriminator.n_filters=6", "init_from=first has another discriminator than this training"),
        ("init_from=nothing", "no run 'nothing'"),
        ("init_from=lofi_trap", "the corpus (mel"),
        ("init_from=model.onnx", "init_from=model.onnx is an exported model, which cannot be trained"),
    ],
)
def test_other_networks_and_other_mels_are_refused(run, small, change, message):
    code, shown = run(*small, *ONCE, "run_dir=out", "init_from=first", change)
    assert code == 2
    assert message in shown
    assert not Path("out").exists()


def test_early_stop_without_a_score_is_refused(run, small):
    code, shown = run(*small, *ONCE, "run_dir=out", "early_stop=true", "~callbacks.validation")
    assert (code, Path("out").exists()) == (2, False)
    assert "early_stop=true needs callbacks.validation" in shown
