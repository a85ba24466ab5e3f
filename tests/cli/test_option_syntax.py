"""`--name value` and `name=value` mean the same for every command."""

from pathlib import Path

import pytest

from cyclegan_audio.cli.option_syntax import overrides_among, to_options, to_overrides
from cyclegan_audio.utils.errors import UserError

SWITCHES = ("page", "screening.voice.enabled")
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
        (["--corpus", "--no-page"], ["corpus", "page=false"]),  # Hydra's message says what is missing
        (["--helpp"], ["helpp"]),
        (["--cfg", "job", "--config-dir=x", "+a=1", "~b"],) * 2,
        (["--"], ["--"]),
    ],
)
def test_options_become_overrides(arguments, overrides):
    assert to_overrides(arguments, SWITCHES) == overrides


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-x"], "there is no option -x"),
        (["--cfg", "jb"], "--cfg needs one of job"),
        (["--cfg"], "--cfg needs one of job"),
        (["-c"], "--cfg needs one of job"),
        (["--multirun=1"], "--multirun takes no value"),
        (["-m", "--cfg", "job"], "-m and --cfg do not go together"),
    ],
)
def test_what_hydra_would_answer_with_its_usage_is_one_line(arguments, message):
    with pytest.raises(UserError, match=message):
        to_overrides(arguments, SWITCHES)


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
    assert to_options(arguments, NAMES, ("keep_all",)) == options


def test_a_file_of_that_name_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("to=trap").touch()
    assert to_options(["to=trap", "corpus=x"], NAMES, ()) == ["to=trap", "--corpus=x"]


def test_a_switch_is_true_or_false():
    with pytest.raises(UserError, match="keep_all is either true or false"):
        to_options(["keep_all=2"], NAMES, ("keep_all",))


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
def test_hydras_options_are_no_overrides(arguments, overrides):
    assert overrides_among(arguments) == overrides
