"""`--name value` and `name=value` mean the same for every command."""

from pathlib import Path

import pytest

from cyclegan_audio.cli.dialects import to_options, to_overrides
from cyclegan_audio.errors import UserError

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
        (["--genre-pair.a", "--x"], ["genre_pair.a=--x"]),
        (["-m", "--multirun", "--cfg", "job", "--config-dir=x", "+a=1", "~b"],) * 2,
        (["--"], ["--"]),
    ],
)
def test_options_become_overrides(arguments, overrides):
    assert to_overrides(arguments, SWITCHES) == overrides


@pytest.mark.parametrize("arguments", [["--corpus"], ["--corpus", ""], ["a=1", "--no-corpus"]])
def test_an_option_without_its_value_is_refused(arguments):
    with pytest.raises(UserError, match=r"needs a value; write --.*corpus VALUE or .*corpus=VALUE"):
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
