"""Errors end in one line and the right exit code."""

import os

import pytest

from cyclegan_audio.cli.error_reporting import handle_user_errors
from cyclegan_audio.cli.options import VerbParser
from cyclegan_audio.utils.errors import ReportedError, ReportedInterrupt, UserError


@pytest.mark.parametrize(
    ("error", "code", "stderr"),
    [
        (UserError("no such song; check the path"), 2, "error: no such song; check the path\n"),
        (KeyboardInterrupt(), 130, "stopped\n"),
        (ReportedError("another process has printed it"), 2, ""),
        (ReportedInterrupt(), 130, ""),
        (UserError("no such song \x1b[2J\n"), 2, "error: no such song \\x1b[2J\\n\n"),
    ],
)
def test_an_early_end_prints_at_most_one_line(error, code, stderr, capsys, monkeypatch):
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)

    @handle_user_errors()
    def main() -> None:
        raise error

    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == code
    assert capsys.readouterr().err == stderr


def test_other_exceptions_pass():
    @handle_user_errors()
    def main() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        main()


def test_debug_shows_the_stack_trace(capsys, monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")

    @handle_user_errors()
    def main() -> None:
        raise UserError("wrong")

    with pytest.raises(SystemExit):
        main()
    assert "Traceback" in capsys.readouterr().err


def test_verb_parser_accepts_debug(monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "")
    parser = VerbParser("export", ("demo demo.onnx",))
    parser.add_argument("run")
    assert vars(parser.parse_args(["demo"])) == {"run": "demo"}
    assert os.environ["HYDRA_FULL_ERROR"] == ""
    assert vars(parser.parse_args(["demo", "--debug"])) == {"run": "demo"}
    assert os.environ["HYDRA_FULL_ERROR"] == "1"
