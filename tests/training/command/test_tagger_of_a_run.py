"""What W&B and TensorBoard get from the independent tagger, and that training does not."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.inference.checkpoints import load_model
from cyclegan_audio.inference.clip_translation import translate_mel_db
from cyclegan_audio.metrics.tagger import TAGS, GenreAxis, MusicTagger, checkpoint, load_tagger
from cyclegan_audio.metrics.tagger.network import Musicnn
from cyclegan_audio.training import runner
from cyclegan_audio.training.callbacks import tagger_logging
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.vocoders import VocoderInput, make_vocoder
from tests.loss_table import rows
from tests.wandb_file import logged, read_run

LINE = "training goes on without the independent tagger: "
ONCE = ("n_epochs=1", "n_epochs_decay=0", "callbacks.tagger.clips=2", "callbacks.tagger.training_clips=3",
        "vocoder=mask", "run_dir=out")  # fmt: skip


@pytest.fixture
def tagger(monkeypatch) -> MusicTagger:
    """Give runs a tagger with random weights, which uses torch's random numbers as it is loaded."""
    network = Musicnn()
    for layer in (network.dense, network.output):
        layer.weight.data.mul_(20)  # else all sounds have nearly the same tags
    untrained = MusicTagger(network)

    def load() -> MusicTagger:
        torch.rand(3)
        return untrained

    monkeypatch.setattr(tagger_logging, "load_tagger", load)
    return untrained


def expected(tagger: MusicTagger, corpus: Path, direction: str) -> dict[str, float]:
    """Return the numbers of a direction, computed from the last checkpoint of the run `out`."""
    opened, model = Corpus.open(corpus), load_model("out/checkpoints/last.ckpt")
    genres = ("low", "high") if direction == "ab" else ("high", "low")
    training = [opened.clips(genre, "train") for genre in genres]
    training_sounds = [
        tagger([opened.audio(clips[n * len(clips) // 3]) for n in range(3)], 44100) for clips in training
    ]
    clips = opened.clips(genres[0], "val")
    clips = [clips[0], clips[len(clips) // 2]]
    vocoder, sounds = make_vocoder("mask"), []
    for clip in clips:
        real_db, sound = opened.mel_db(clip), opened.audio(clip)[None]
        range_db = opened.mel.range_db(real_db)
        fake_db = translate_mel_db(model.generators[direction], real_db, opened.mel, range_db)
        sounds.append(vocoder(VocoderInput(fake_db[None], opened.mel, sound.shape[1], sound, real_db[None])))
    after, before = tagger(sounds, 44100), tagger([opened.audio(clip) for clip in clips], 44100)
    axis = GenreAxis.between(training_sounds[0].embeddings, training_sounds[1].embeddings)
    difference = (training_sounds[1].tags.mean(0) - training_sounds[0].tags.mean(0)).abs()
    names = [TAGS[n].lower().replace(" ", "_") for n in difference.argsort(descending=True)[:3]]
    tags = dict(zip(names, after.tags.mean(0)[difference.argsort(descending=True)[:3]], strict=True))
    return {
        f"tagger/share_{direction}": float(axis.position(after.embeddings).mean()),
        f"tagger/untouched_{direction}": float(axis.position(before.embeddings).mean()),
        **{f"tagger/tag_{name}_{direction}": float(value) for name, value in tags.items()},
    }


def both_directions(tagger: MusicTagger, corpus: Path) -> dict[str, float]:
    return expected(tagger, corpus, "ab") | expected(tagger, corpus, "ba")


def scalars(folder: str = "out") -> dict[str, list[tuple[int, float]]]:
    """Return the numbers of the tagger in TensorBoard, each with its batch."""
    events = EventAccumulator(f"{folder}/tensorboard").Reload()
    names = [name for name in events.Tags()["scalars"] if name.startswith("tagger/")]
    return {name: [(event.step, event.value) for event in events.Scalars(name)] for name in names}


def test_tensorboard_gets_what_the_tagger_hears_and_a_resumed_run_logs_on(run, small, corpus, tagger):
    code, shown = run(*small, *ONCE, "logger=tensorboard")
    assert code == 0, shown
    assert LINE not in shown
    numbers = both_directions(tagger, corpus)
    assert len(numbers) == 10
    logs = scalars()
    assert logs == {name: [(8, pytest.approx(value, abs=1e-4))] for name, value in numbers.items()}
    assert logs["tagger/share_ab"] != logs["tagger/untouched_ab"]
    table = EventAccumulator("out/tensorboard").Reload().Tensors("tagger/tags_ab/text_summary")[-1]
    lines = table.tensor_proto.string_val[0].decode().splitlines()
    assert lines[0] == "| tag | before | after | target genre |"
    assert len(lines) == 2 + 3
    code, shown = run("resume=out", "n_epochs=2")
    assert code == 0, shown
    later = both_directions(tagger, corpus)
    resumed = scalars()
    for name, value in numbers.items():
        assert resumed[name] == [
            (8, pytest.approx(value, abs=1e-4)),
            (16, pytest.approx(later[name], abs=1e-4)),
        ]


def test_a_model_of_one_direction_has_numbers_of_this_direction(run, small, tagger):
    code, shown = run(*small, *ONCE, "model=cut_small", "logger=tensorboard", "callbacks.tagger.tags=1")
    assert code == 0, shown
    (tag,) = [name for name in scalars() if name.startswith("tagger/tag_")]
    assert set(scalars()) == {"tagger/share_ab", "tagger/untouched_ab", tag}
    assert tag.endswith("_ab")


def test_wandb_gets_what_the_tagger_hears(run, small, corpus, tagger, monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "staging"))
    code, shown = run(*small, *ONCE)
    assert code == 0, shown
    logs = logged(read_run(Path("out"))["history"])
    for name, value in both_directions(tagger, corpus).items():
        assert logs[name] == [(8, pytest.approx(value, abs=1e-4))]
    path = next(Path("out").glob("wandb/offline-run-*")) / "files" / logs["tagger/tags_ba/path"][0][1]
    table = json.loads(path.read_text())
    assert table["columns"] == ["tag", "before", "after", "target genre"]
    assert len(table["data"]) == 3


def state_of_a_run(run, monkeypatch, *arguments: str) -> tuple[dict, dict, dict, list, torch.Tensor]:
    """Train; return last.ckpt, best.ckpt, the trainer's metrics, tables and torch's random state."""
    kept = []
    fit = runner.fit

    def fit_and_keep(trainer, *others):
        fit(trainer, *others)
        kept.append(({name: float(value) for name, value in trainer.callback_metrics.items()},
                     torch.get_rng_state()))  # fmt: skip

    monkeypatch.setattr(runner, "fit", fit_and_keep)
    code, shown = run(*arguments)
    assert code == 0, shown
    monkeypatch.setattr(runner, "fit", fit)
    (folder,) = [argument.removeprefix("run_dir=") for argument in arguments if "run_dir=" in argument]
    last, best = (
        torch.load(f"{folder}/checkpoints/{name}.ckpt", weights_only=True) for name in ("last", "best")
    )
    tables = [
        [row | {"elapsed_s": ""} for row in rows(Path(folder), name)]
        for name in ("losses.csv", "validation.csv")
    ]
    return last, best, kept[0][0], tables, kept[0][1]


def test_training_is_the_same_with_and_without_the_tagger(run, small, tagger, monkeypatch):
    """The best checkpoint, the metrics that a search or an early stop can see, weights and random numbers."""
    short = (
        *small, "n_epochs_decay=0", "logger=tensorboard", "callbacks.validation.every_epochs=1",
        "vocoder=mask", "data.gain_db=6", "data.time_shift=true",
    )  # fmt: skip
    heard = state_of_a_run(run, monkeypatch, *short, "callbacks.tagger.every_epochs=1", "run_dir=heard")
    assert [step for step, _ in scalars("heard")["tagger/share_ab"]] == [8, 16]
    deaf = state_of_a_run(run, monkeypatch, *short, "~callbacks.tagger", "run_dir=deaf")
    assert scalars("deaf") == {}
    for with_tagger, without in zip(heard[:2], deaf[:2], strict=True):
        assert with_tagger["cyclegan_audio"]["batches"] == without["cyclegan_audio"]["batches"]
        torch.testing.assert_close(with_tagger["state_dict"], without["state_dict"], rtol=0, atol=0)
        assert with_tagger.get("callbacks", {}).keys() == without.get("callbacks", {}).keys()
    torch.testing.assert_close(heard[0]["optimizer_states"], deaf[0]["optimizer_states"], rtol=0, atol=0)
    assert heard[2] == deaf[2]
    assert not [name for name in heard[2] if "tagger" in name]
    assert heard[3] == deaf[3]
    assert torch.equal(heard[4], deaf[4])


def test_without_musicnn_one_line_says_so(run, small, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(checkpoint, "_installed_folder", lambda: None)
    load_tagger.cache_clear()
    code, shown = run(*small, *ONCE, "logger=tensorboard")
    assert code == 0, shown
    assert shown.count(LINE) == 1
    assert f"{LINE}the package musicnn is not installed; run: pip install --no-deps musicnn\n" in shown
    assert scalars() == {}


def test_a_corpus_without_audio_gets_a_line(run, small, corpus, tagger):
    shutil.copytree(corpus, "silent")
    shutil.rmtree("silent/audio")
    others = [argument for argument in small if not argument.startswith("corpus=")]
    code, shown = run(*others, *ONCE, "corpus=silent", "logger=tensorboard")
    assert code == 0, shown
    assert shown.count(LINE) == 1
    assert "has no audio of low" in shown
    assert scalars() == {}


def test_a_vocoder_that_fails_ends_the_tagger_only(run, small, tagger, monkeypatch):
    def refuse(self, *_):
        raise UserError("no such weights")

    monkeypatch.setattr(tagger_logging.TaggerLog, "_translate", refuse)
    code, shown = run(*small, *ONCE, "n_epochs=2", "callbacks.tagger.every_epochs=1", "logger=tensorboard")
    assert code == 0, shown
    assert shown.count(f"{LINE}no such weights\n") == 1


def test_without_a_logger_the_tagger_is_not_loaded(run, small, monkeypatch):
    loaded = []
    monkeypatch.setattr(tagger_logging, "load_tagger", lambda: loaded.append(1))
    code, shown = run(*small, *ONCE, "logger=none")
    assert code == 0, shown
    assert LINE not in shown
    assert loaded == []
