import pytest

from cyclegan_audio.utils import hints
from cyclegan_audio.utils.hints import command_line, say_next, suggest_path


def test_commands_are_quoted_for_a_shell(tmp_path):
    assert (
        command_line("train", "corpus=data/mine", tmp_path)
        == f"cyclegan-audio train corpus=data/mine {tmp_path}"
    )
    odd = command_line("translate", "my run", "it's.mp3", "$x [1].wav", "--to", "r&b")
    assert odd == """cyclegan-audio translate 'my run' 'it'"'"'s.mp3' '$x [1].wav' --to 'r&b'"""


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("runs/mime", "runs/mine"),
        ("runs/MINE", "runs/mine"),
        ("run/mine", "runs/mine"),  # the first part that is missing
        ("run/other", "runs"),
        ("runs/mine/last.ckp", "runs/mine/last.ckpt"),
        ("runs/entirely_else", None),
        ("zzz/mine", None),
        ("runs/mine", None),  # is there
        ("", None),
    ],
)
def test_near_names_are_suggested(tmp_path, monkeypatch, typed, meant):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    (tmp_path / "runs" / "mine" / "last.ckpt").touch()
    assert suggest_path(typed) == (f"; did you mean {meant}?" if meant else "")
    assert suggest_path(tmp_path / typed) == (f"; did you mean {tmp_path / meant}?" if meant else "")


def test_a_part_of_another_command_does_not_say_what_comes_next(monkeypatch, capsys):
    say_next("one", "two")
    monkeypatch.setenv(hints.PART, "1")
    say_next("three")
    assert capsys.readouterr().out == "next: one\nnext: two\n"
