"""Errors end in one line and the right exit code."""

import errno
import os
import re
import sys
from contextlib import suppress
from importlib import import_module

import pytest
from omegaconf import OmegaConf

from cyclegan_audio.cli.error_reporting import LESS_MEMORY, handle_user_errors, user_message
from cyclegan_audio.cli.options import VerbParser
from cyclegan_audio.cli.verbs import VERBS
from cyclegan_audio.config import compose
from cyclegan_audio.utils.errors import ReportedError, ReportedInterrupt, UserError
from cyclegan_audio.utils.hints import setting_names
from cyclegan_audio.utils.paths import CONF_DIR


@pytest.mark.parametrize(
    ("error", "code", "stderr"),
    [
        (UserError("no such song; check the path"), 2, "error: no such song; check the path\n"),
        (KeyboardInterrupt(), 130, "stopped\n"),
        (ReportedError("another process has printed it"), 2, ""),
        (ReportedInterrupt(), 130, ""),
        (UserError("no such song \x1b[2J\n"), 2, "error: no such song \\x1b[2J\\n\n"),
        (
            OSError(errno.ENOSPC, "No space left on device", "out.json"),
            2,
            "error: the disk is full (out.json: No space left on device); "
            "free disk space, then run the same command again\n",
        ),
        (
            MemoryError(),
            2,
            "error: not enough memory; close other programs, or export one direction (--to GENRE)\n",
        ),
        (
            RuntimeError("can't start new thread"),
            2,
            "error: the system allows no more threads or processes (see ulimit -u); "
            "close other programs, or set OMP_NUM_THREADS=1 in the environment\n",
        ),
    ],
)
def test_an_early_end_prints_at_most_one_line(error, code, stderr, capsys, monkeypatch):
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)

    @handle_user_errors("export")
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


def test_a_lack_of_memory_has_priority_over_the_error_that_it_caused():
    damaged = UserError("last.ckpt is damaged; use another checkpoint")
    damaged.__cause__ = RuntimeError(
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"
    )
    assert str(user_message(damaged, "evaluate")).startswith("not enough memory; ")
    full = UserError("the page cannot be written; free disk space there")
    full.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert user_message(full, "evaluate") == str(full)


@pytest.mark.parametrize("verb", VERBS)
def test_the_advice_against_a_lack_of_memory_names_options_that_exist(verb, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", [verb, "--help"])
    with suppress(SystemExit):
        import_module(f"cyclegan_audio.{verb}").main()
    help_text = capsys.readouterr().out
    if (CONF_DIR / f"{verb}.yaml").is_file():
        config = OmegaConf.to_container(compose(verb, []), resolve=False)
        help_text += "".join(f"{name}=" for name in setting_names(config))
    options = re.findall(r"--\w+|[a-z][\w.]*(?==1)|\w*\.\w+|n_train", LESS_MEMORY[verb])
    assert options or verb in ("compare", "app")
    assert all(option in help_text for option in options)


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
