"""`--name value` and `name=value` mean the same for every verb."""

from pathlib import Path

import pytest

from cyclegan_audio.cli.options import extract_overrides, to_options, to_overrides
from cyclegan_audio.utils.errors import UserError

FLAGS = ("page", "screening.voice.enabled")
NAMES = ("corpus", "keep_all", "to")


@pytest.mark.parametrize(
    ("arguments", "overrides"),
    [
        (["--corpus", "data/a=b"], ["corpus=data/a=b"]),
        (["--corpus=data/mine"], ["corpus=data/mine"]),
        (["--max-minutes", "5", "seed=1"], ["max_minutes=5", "seed=1"]),
        (["--model.optimizer.lr", "1e-3"], ["model.optimizer.lr=1e-3"]),
        (["--page", "seed=1"], ["page=true", "seed=1"]),
        (["--no-page"], ["page=false"]),
        (["--page=false"], ["page=false"]),
        (["--screening.voice.enabled"], ["screening.voice.enabled=true"]),
        (["--page", "FALSE", "seed=1"], ["page=false", "seed=1"]),
        (["--seed", "-1"], ["seed=-1"]),
        (["--corpus", "--no-page"], ["corpus", "page=false"]),  # Hydra reports the missing value
        (["--trust-package", "a"], ["trust_package=a"]),
        (["--helpp"], ["helpp"]),
        (["--cfg", "job", "--config-dir=x", "+a=1", "~b"],) * 2,
        (["--"], ["--"]),
    ],
)
def test_options_become_overrides(arguments, overrides):
    assert to_overrides(arguments, FLAGS) == overrides


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-x"], "there is no option -x"),
        (["--cfg", "jb"], "--cfg needs one of job"),
        (["--cfg"], "--cfg needs one of job"),
        (["-c"], "--cfg needs one of job"),
        (["--multirun=1"], "--multirun takes no value"),
        (["--experimental-rerun", "config.pickle"], "--experimental-rerun loads a pickle"),
        (["--experimental-rerun=config.pickle"], "--experimental-rerun loads a pickle"),
        (["-m", "--cfg", "job"], "-m and --cfg exclude each other"),
    ],
)
def test_errors_in_hydra_options_are_one_line(arguments, message):
    with pytest.raises(UserError, match=message):
        to_overrides(arguments, FLAGS)


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["run", "corpus=data/a=b"], ["run", "--corpus=data/a=b"]),
        (["to=trap", "song=1.wav"], ["--to=trap", "song=1.wav"]),
        (["keep_all=true"], ["--keep-all"]),
        (["keep-all=True"], ["--keep-all"]),
        (["keep_all=false"], []),
        (["--keep_all"], ["--keep-all"]),
        (["--keep-all", "--to", "x"], ["--keep-all", "--to", "x"]),
        (["--other=1", "corpus", "-"], ["--other=1", "corpus", "-"]),
        (["--keep-all", "true", "x"], ["--keep-all", "x"]),
        (["--no-keep-all", "x"], ["x"]),
        (["x", "--", "to=trap"], ["x", "--", "to=trap"]),
    ],
)
def test_overrides_become_options(arguments, options):
    assert list(to_options(arguments, NAMES, ("keep_all",))) == options


def test_an_existing_file_is_not_an_option(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("to=trap").touch()
    assert list(to_options(["to=trap", "corpus=x"], NAMES, ())) == ["to=trap", "--corpus=x"]


def test_a_flag_is_true_or_false():
    with pytest.raises(UserError, match="keep_all must be true or false, got '2'"):
        list(to_options(["keep_all=2"], NAMES, ("keep_all",)))


@pytest.mark.parametrize(
    ("arguments", "overrides"),
    [
        (["a=1", "-m", "--cfg", "job", "b=2", ""], ["a=1", "b=2"]),
        (["--info", "a=1"], ["a=1"]),
        (["--info", "defaults", "a=1"], ["a=1"]),
        (["-p", "model", "--hydra-help", "~b"], ["~b"]),
        (["a=1", "--config-name=x"], None),
        (["a=1", "-cp", "x"], None),
        (["hydra.searchpath=[x]"], None),
    ],
)
def test_hydra_options_are_not_overrides(arguments, overrides):
    assert extract_overrides(arguments) == overrides
