"""Hints in messages: next commands, and names, settings and paths that were probably meant."""

import subprocess
import sys

import pytest

from cyclegan_audio.utils import hints
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.hints import (
    command_line,
    match_name,
    print_next_commands,
    setting_names,
    suggest_path,
    suggest_setting,
)

GENRES = ("jazz", "House", "LoFi", "lofi", "Straße")


def test_command_line_quotes_arguments(tmp_path):
    assert (
        command_line("train", "corpus=data/mine", tmp_path)
        == f"cyclegan-audio train corpus=data/mine {tmp_path}"
    )
    odd = command_line("translate", "my run", "it's.mp3", "$x [1].wav", "--to", "r&b")
    assert odd == """cyclegan-audio translate 'my run' 'it'"'"'s.mp3' '$x [1].wav' --to 'r&b'"""


@pytest.mark.parametrize(
    ("typed", "suggestion"),
    [
        ("runs/mime", "runs/mine"),
        ("runs/MINE", "runs/mine"),
        ("run/mine", "runs/mine"),  # the first missing part
        ("run/other", "runs"),
        ("runs/mine/last.ckp", "runs/mine/last.ckpt"),
        ("runs/entirely_else", None),
        ("zzz/mine", None),
        ("runs/mine", None),  # exists
        ("", None),
    ],
)
def test_suggest_path_names_the_most_similar_path(tmp_path, monkeypatch, typed, suggestion):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    (tmp_path / "runs" / "mine" / "last.ckpt").touch()
    assert suggest_path(typed) == (f"; did you mean {suggestion}?" if suggestion else "")
    assert suggest_path(tmp_path / typed) == (
        f"; did you mean {tmp_path / suggestion}?" if suggestion else ""
    )


def test_next_commands_are_not_printed_within_another_command(monkeypatch, capsys):
    print_next_commands("one", "two")
    monkeypatch.setenv(hints.NO_HINTS, "1")
    print_next_commands("three")
    assert capsys.readouterr().out == "next: one\nnext: two\n"


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("jazz", "jazz"),
        ("JAZZ", "jazz"),
        ("house", "House"),
        ("lofi", "lofi"),  # two names differ in case only
        ("LoFi", "LoFi"),
        ("STRASSE", "Straße"),
    ],
)
def test_match_name_prefers_the_exact_name_and_else_ignores_case(name, match):
    assert match_name(name, GENRES, "genre") == match


@pytest.mark.parametrize(
    ("name", "known", "message"),
    [
        ("jaz", ("jazz", "house"), "there is no genre 'jaz'; did you mean 'jazz'? There are: jazz, house"),
        ("HOUS", ("jazz", "House"), "there is no genre 'HOUS'; did you mean 'House'? There are: jazz, House"),
        ("polka", ("jazz", "house"), "there is no genre 'polka'. There are: jazz, house"),
        (
            "LOFI",
            ("LoFi", "lofi", "jazz"),
            "there is no genre 'LOFI'; did you mean 'LoFi' or 'lofi'? There are: LoFi, lofi, jazz",
        ),
        ("", ("jazz",), "there is no genre ''. There are: jazz"),
        ("jazz", (), "there is no genre 'jazz'. There are none"),
    ],
)
def test_match_name_refuses_an_unknown_name_and_suggests_one(name, known, message):
    with pytest.raises(UserError) as error_info:
        match_name(name, known, "genre")
    assert str(error_info.value) == message


def test_match_name_names_the_place():
    with pytest.raises(UserError, match=r"no genre 'x' in the corpus data/mine\. There are: jazz"):
        match_name("x", ["jazz"], "genre", "in the corpus data/mine")


def test_hints_import_no_heavy_library():
    code = "import sys, cyclegan_audio.utils.hints; print({'torch', 'hydra'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("n_epoch", "; did you mean n_epochs?"),
        ("lr", "; did you mean model.lr?"),
        ("modle.lr", "; did you mean model.lr?"),
        ("model.lrr", "; did you mean model.lr?"),
        ("seed", "; did you mean seed?"),
        ("model.l", "; did you mean model.lr?"),
        ("weather", ""),
    ],
)
def test_suggest_setting_compares_the_full_name_and_its_last_part(name, suggestion):
    config = {"n_epochs": 1, "seed": 0, "model": {"_target_": "x", "lr": 1e-3, "seed": "${seed}"}}
    assert list(setting_names(config)) == ["n_epochs", "seed", "model.lr"]
    assert suggest_setting(name, list(setting_names(config))) == suggestion
