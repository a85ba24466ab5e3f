"""A wrong override is refused in one line that suggests the correct one."""

import builtins
import shutil
from pathlib import Path

import pytest

from cyclegan_audio.cli.override_errors import PLUGIN_EXTRAS, check_overrides, clean_message
from cyclegan_audio.config import compose
from cyclegan_audio.config.overrides import quote_values
from cyclegan_audio.training.arguments import genre_hint
from cyclegan_audio.utils.errors import UserError


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("n_epoch=3", r"there is no setting n_epoch; did you mean n_epochs\?"),
        ("lr=1e-3", r"did you mean model.optimizer.lr\?"),
        ("optimizer.lr=1e-3", r"did you mean model.optimizer.lr\?"),
        ("data.cropframes=1", r"did you mean data.crop_frames\?"),
        ("trainer.max_epochs=4", r"did you mean n_epochs\?"),
        ("generater=unet", r"there is no setting generater; did you mean generator\?"),
        ("source=demo", r"there is no setting source \("),
        ("~n_epoch", r"did you mean n_epochs\?"),
        ("+n_epoch=3", r"nothing reads \+n_epoch=3; did you mean n_epochs\?"),
        ("++n_epoch=3", r"nothing reads \+\+n_epoch=3"),
        ("+genre_pair.c=x", r"nothing reads \+genre_pair.c=x"),
        ("+model.loss_weights.cycel=2", r"did you mean model.loss_weights.cycle\?"),
        ("+data.crop_frame=2", r"did you mean \+data.crop_frames\?"),
        ("+trainer.max_tim=3", r"did you mean \+trainer.max_time\?"),
        ("model=cycelgan", r"no model=cycelgan; did you mean cyclegan\?; the choices are cut, .*fastcut"),
        ("logger=abacus", r"there is no logger=abacus; the choices are none, tensorboard, wandb"),
        ("lofi_rnb", r"there is no setting lofi_rnb; did you mean genre_pair=lofi_rnb\?"),
        ("music", r"there is no setting music; write NAME=VALUE or --NAME VALUE"),
        ("corpus", r"cannot read the value of corpus; write corpus=VALUE"),
        ("n_epochs=[", r"cannot read the value of n_epochs; put its value in quotes"),
        ("epochs=[", r"there is no setting epochs; did you mean n_epochs\?"),
        ("seed=0,1", r"seed=0,1 names several values; add -m to run each of them"),
        ("+genre_pair=lofi_rnb", r"write genre_pair=lofi_rnb, without \+"),
    ],
)
def test_a_wrong_override_is_refused_in_one_line(argument, message):
    with pytest.raises(UserError, match=message) as error_info:
        check_overrides("train", ["seed=1", argument])
    message = str(error_info.value)
    assert "\n" not in message
    assert not any(word in message for word in ("struct", "provider", "hydra.cc", "To append"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["+trainer.max_time=00:01:00:00", "trainer=ddp"],
        ["+model.optimizer.weight_decay=0.1"],
        ["+logger.entity=me", "+logger.tags=[a]"],
        ["+hydra.job.name=x"],
        ["+callbacks.mine._target_=pytorch_lightning.callbacks.Timer"],
        ["++n_epochs=3", "n_epochs_decay=1,2", "-m", "genre_pair=lofi_rnb,trap_rnb", "~callbacks.artifacts"],
        ["experiment=identity_ablation", "model.acceleration.compile=true", "launcher=joblib"],
        ["run_dir='a=b, [c]'", "corpus=null", "mel=null"],
        ["-m", "--cfg", "job", "--package", "model", "seed=0,1", "--info", "defaults"],
        ["seed=0,1", "hydra.mode=MULTIRUN"],
        ["-m", "genre_pair=glob(lofi*)", "model.optimizer.lr=interval(1e-5,1e-3)", "seed=range(3)"],
        ["-m", "genre_pair='lofi_rnb',trap_rnb", "model=choice(cut,cyclegan)"],
        ["--config-dir", "mine", "experiment=mine", "-m"],
        ["-cd", "mine", "experiment=mine"],
    ],
)
def test_valid_overrides_pass(arguments):
    check_overrides("train", arguments)


def test_sources_accept_genres_of_any_name():
    check_overrides("prepare", ["+source.genres.jazz=music/jazz", "source=folders"])
    with pytest.raises(UserError, match=r"nothing reads \+source.genre.jazz"):
        check_overrides("prepare", ["+source.genre.jazz=music/jazz"])


@pytest.mark.parametrize("verb", ["train", "train_vocoder", "prepare", "classify"])
def test_every_setting_of_a_command_passes(verb):
    names = [key for key in compose(verb) if key not in ("optimized_metric", "genre_folders")]
    check_overrides(verb, [f"{name}=null" for name in names if name not in ("source", "mel")])


def test_an_unknown_genre_pair_lists_the_genres_of_the_corpus(corpus):
    arguments = ["genre_pair=jazz_house", f"corpus='{corpus}'"]
    with pytest.raises(UserError, match=r"genre_pair.a=NAME genre_pair.b=NAME \(.* has high, low\)"):
        check_overrides("train", arguments, {"genre_pair": genre_hint})
    odd = corpus.with_name("it's, a corpus")
    shutil.copytree(corpus, odd)
    (argument,) = quote_values([f"corpus={odd}"], ["corpus"])
    with pytest.raises(UserError, match=r"it's, a corpus has high, low\)"):
        check_overrides("train", ["genre_pair=jazz_house", argument], {"genre_pair": genre_hint})
    with pytest.raises(UserError, match=r"genre_pair.b=NAME$"):
        check_overrides("train", ["genre_pair=jazz_house", "corpus=nowhere"], {"genre_pair": genre_hint})


def test_a_missing_plugin_names_its_extra():
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    for name, extra in PLUGIN_EXTRAS.items():
        assert f"\n{extra} = [" in project
        message = f"In 'hydra/config': Could not find 'hydra/launcher/{name}'\n\nAvailable options: basic"
        assert clean_message(ValueError(message)) == (
            f"the launcher {name} is not installed; run pip install 'cyclegan-audio[{extra}]'"
        )


def test_clean_message_removes_hydra_internals():
    message = "Value 'x' of type 'str' could not be converted\n    full_key: a.b\n    object_type=dict"
    assert clean_message(ValueError(message)) == "Value 'x' of type 'str' could not be converted"


def test_checking_overrides_imports_no_training_code(monkeypatch):
    original_import = builtins.__import__

    def watched(name, *args, **kwargs):
        assert name.split(".")[0] not in ("torch", "pytorch_lightning"), name
        return original_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", watched)
    with pytest.raises(UserError, match="nothing reads"):
        check_overrides("train", ["+n_epoch=3"])
