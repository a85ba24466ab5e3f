"""The verbs: how they start, their help, and their errors."""

import json
import os
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import cyclegan_audio
from cyclegan_audio.cli.verbs import VERBS, main, overview
from cyclegan_audio.translate import parser as translate_parser

ROOT = Path(__file__).parents[2]
HEAVY_MODULES = {"hydra", "omegaconf", "numpy", "torch", "pytorch_lightning", "rich", "yaml"}
SCRIPT = """
import json, sys
from cyclegan_audio.cli.verbs import main
try:
    main(sys.argv[1:])
finally:
    print(json.dumps(sorted(name for name in sys.modules if "." not in name)))
"""


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_verbs_are_the_modules_with_a_main():
    modules = [path.stem for path in (ROOT / "cyclegan_audio").glob("*.py") if path.stem != "__main__"]
    sources = {name: (ROOT / "cyclegan_audio" / f"{name}.py").read_text() for name in modules}
    assert {name for name, source in sources.items() if "\ndef main(" in source} == set(VERBS)


def test_overview_names_every_verb_and_fits_a_terminal(capsys):
    for arguments in ([], ["--help"], ["-h"], ["help"]):
        main(arguments)
        assert capsys.readouterr().out == overview() + "\n"
    lines = overview().splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines if line.startswith("  ")][: len(VERBS)] == list(VERBS)


def test_version(capsys):
    main(["--version"])
    assert capsys.readouterr().out == f"cyclegan-audio {cyclegan_audio.__version__}\n"


def test_an_unknown_verb_is_one_line(capsys):
    with pytest.raises(SystemExit) as completed:
        main(["trian", "corpus=x"])
    assert completed.value.code == 2
    stderr = capsys.readouterr().err
    assert (
        stderr
        == "error: there is no command 'trian'; did you mean train? (cyclegan-audio --help lists them)\n"
    )


@pytest.mark.parametrize("verb", VERBS)
def test_help_imports_nothing_heavy_and_fits_a_terminal(verb):
    completed = python("-c", SCRIPT, verb.replace("_", "-"), "--help")
    *lines, modules = completed.stdout.splitlines()
    assert HEAVY_MODULES & set(json.loads(modules)) == set()
    assert lines[0].startswith(f"usage: cyclegan-audio {verb} ")
    assert sum(line.startswith(f"  cyclegan-audio {verb} ") for line in lines) == 3  # examples
    assert max(len(line) for line in lines if "conf" not in line) <= 80


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_prints_the_version(verb):
    assert python("-m", "cyclegan_audio", verb, "--version").stdout.startswith("cyclegan-audio ")


def test_a_verb_runs_as_its_module_does():
    """Lightning starts the main module again for further processes, so that must be the verb's."""
    arguments = ("train", "--cfg", "job", "--max-minutes", "7")
    by_command, by_module = (
        python("-m", "cyclegan_audio", *arguments),
        python("-m", f"cyclegan_audio.{arguments[0]}", *arguments[1:]),
    )
    assert by_command.stdout == by_module.stdout
    assert "max_minutes: 7" in by_command.stdout


@pytest.mark.parametrize("arguments", [["--info", "defaults"], ["--hydra-help"], ["--cfg", "job"]])
def test_hydra_options_work(arguments):
    completed = python("-m", "cyclegan_audio.prepare", *arguments)
    assert completed.returncode == 0
    assert len(completed.stdout.splitlines()) > 10
    assert completed.stderr == ""


@pytest.mark.parametrize("verb", ["translate", "evaluate", "compare", "listening_test", "export"])
def test_an_unknown_option_is_one_line(verb, capsys):
    parser = import_module(f"cyclegan_audio.{verb}").parser()
    with pytest.raises(SystemExit) as completed:
        parser.parse_args(["demo", "x", "y", "--debog", *(["--to", "a"] if verb == "translate" else [])])
    assert completed.value.code == 2
    stderr = capsys.readouterr().err
    assert stderr.startswith("error: there is no option --debog; did you mean --debug?")
    assert stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["demo", "s.wav", "o.wav", "--too", "rnb"], "there is no option --too; did you mean --to?"),
        (["demo", "s.wav", "o.wav", "too=rnb"], "there is no option too; did you mean to?"),
        (["demo", "a", "b", "amuont=0.5", "--to", "rnb"], "there is no option amuont; did you mean amount?"),
        (
            ["demo", "-dash.wav", "o.wav", "--to", "rnb"],
            "no option -dash.wav; write ./-dash.wav for the file",
        ),
        (["demo", "s.wav", "o.wav", "-to", "rnb"], "there is no option -to"),
        (["demo", "s.wav", "o.wav", "--to", "rnb", "--amount", "half"], "must be a number, got 'half'"),
        (
            ["demo", "s.wav", "o.wav", "--to", "rnb", "shifts=0"],
            "must be an integer >= 1, got '0'",
        ),
        (["demo", "s.wav", "o.wav"], "the following arguments are required: --to"),
    ],
)
def test_a_wrong_option_of_translate_is_one_line(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("-dash.wav").touch()
    with pytest.raises(SystemExit) as completed:
        translate_parser().parse_args(words)
    assert completed.value.code == 2
    stderr = capsys.readouterr().err
    assert stderr.startswith("error: ")
    assert message in stderr
    assert stderr.count("\n") == 1


def test_values_that_look_like_options_are_values(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("too=1.wav").touch()
    options = translate_parser().parse_args(
        ["demo", "too=1.wav", "x=y", "--vocoder", "vocos=runs/a", "--to", "rnb", "--amount", "-1"]
    )
    assert (options.inputs, options.output) == (["too=1.wav"], "x=y")
    assert (options.vocoder, options.amount) == ("vocos=runs/a", -1.0)


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["translate", "--help"]])
def test_help_into_a_closed_pipe_prints_no_error(arguments):
    script = f"{shlex.quote(sys.executable)} -m cyclegan_audio {' '.join(arguments)} | true"
    completed = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, cwd=ROOT, check=False, timeout=60
    )
    assert completed.stderr == ""


def test_an_error_in_a_hydra_command_is_one_line():
    for options in (["page=no"], ["--page=maybe"], ["--pages"], ["--cfg"]):
        completed = python("-m", "cyclegan_audio", "prepare", "source=demo", "corpus=x", *options)
        assert completed.returncode == 2
        assert completed.stderr.startswith("error: ")
        assert completed.stderr.count("\n") == 1


def test_help_lists_the_vocoders_in_conf_and_those_with_weights(tmp_path, monkeypatch):
    folder = tmp_path / "vocoder"
    folder.mkdir()
    (folder / "plain.yaml").write_text("_target_: a.Plain\nseed: 0\n")
    (folder / "network.yaml").write_text("_target_: a.Network\ncheckpoint: null # a run\n")
    monkeypatch.setattr("cyclegan_audio.cli.conf_reader.CONF_DIR", tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    text = translate_parser().format_help()
    assert "converts the mel to audio: network, plain; network=CHECKPOINT (default: hybrid)" in text
