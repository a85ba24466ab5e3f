"""`setup.sh` reports each error in one line and leaves no incomplete environment."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "setup.sh"
REAL = sys.executable


def python(path: Path, body: str) -> Path:
    """Write an executable shell script that replaces an interpreter."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def setup(tmp_path):
    """Return a function that runs the script in an empty folder, with only the test's programs on PATH."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("sh", "cat", "grep", "sed", "tail"):
        (tools / tool).symlink_to(str(shutil.which(tool)))

    def run(**variables: str) -> tuple[int, str]:
        environment = {"PATH": str(tools), **variables}
        line = [str(tools / "sh"), str(SCRIPT)]
        completed = subprocess.run(
            line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        return completed.returncode, completed.stdout + completed.stderr

    return run


def test_no_python(setup, tmp_path):
    code, output = setup()
    assert code == 1
    assert output == (
        "error: found no Python 3.11 or newer with venv; install one (Debian: python3 and python3-venv), "
        "or name one: make setup PYTHON=/path/to/python3\n"
    )
    assert not (tmp_path / ".venv").exists()


def test_the_newest_working_python_is_used(setup, tmp_path):
    tools = tmp_path / "bin"
    python(tools / "python3.14", "exit 127")
    python(tools / "python3.12", f'case "$1" in -m) echo made by 3.12 >&2; exit 1;; esac; exec {REAL} "$@"')
    python(tools / "python3.11", "exit 99")
    code, output = setup()
    assert (code, output) == (1, "made by 3.12\n")


@pytest.mark.parametrize("body", ["exit 127", f'exec {REAL} -c "import sys; sys.exit(1)"'])
def test_an_unsuitable_named_python_is_refused(setup, tmp_path, body):
    named = python(tmp_path / "named", body)
    code, output = setup(PYTHON=str(named))
    assert code == 1
    assert output == f"error: PYTHON={named} is not a working Python 3.11 or newer with venv; name another\n"


def test_an_environment_without_its_python_is_refused(setup, tmp_path):
    python(tmp_path / ".venv" / "bin" / "python", "exit 127")
    code, output = setup()
    assert code == 1
    assert output == "error: .venv has no working Python 3.11 or newer; run make clean, then make setup\n"


def test_an_environment_does_not_change_python_or_torch(setup, tmp_path):
    python(tmp_path / ".venv" / "bin" / "python", f'exec {REAL} "$@"')
    other = python(tmp_path / "other", f'case "$2" in *platform*) echo 3.99;; *) exec {REAL} "$@";; esac')
    code, output = setup(PYTHON=str(other))
    assert code == 1
    assert output.endswith(f"to change it run make clean setup PYTHON={other}\n")
    (tmp_path / ".venv" / "installed").write_text("pypi\n")
    code, output = setup(TORCH="cpu")
    assert code == 1
    assert (
        output == "error: .venv has the build 'pypi' of torch; to change it run make clean setup TORCH=cpu\n"
    )


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("error: Request failed after 3 retries\n  cause: Failed to fetch: https://x\n  cause: dns error",
         "packages cannot be fetched; check the network, then run make setup again"),
        ("Failed to build x==1\nerror: command gcc failed: No such file",
         "a package has no wheel for this Python and does not build here; install a C compiler (Debian: "
         "build-essential), or use another Python: make clean setup PYTHON=python3.13"),
        ("error: write: No space left on device", "the disk is full; free space"),
        ("warning: a\nerror: invalid value 'gpu'\n\nFor more, try --help", "invalid value 'gpu'"),
    ],
)  # fmt: skip
def test_a_failing_installer_is_reported_in_one_line(setup, tmp_path, printed, expected):
    """The environment's Python is a script that prints messages of pip or uv."""
    (tmp_path / "printed").write_text(printed)
    script = f'case "$1" in -m) cat printed; exit 1;; *) exec {REAL} "$@";; esac'
    python(tmp_path / ".venv" / "bin" / "python", script)
    code, output = setup()
    assert code == 1
    size, error = output.splitlines()
    assert "takes 7 GB" in size
    assert "TORCH=cpu" in size
    assert error.startswith(f"error: {expected}")
    assert error.endswith("(details: .venv/setup.log)")


def test_the_build_of_torch_is_passed_on_and_kept(setup, tmp_path):
    script = f'case "$1" in -m) exit 0;; *) exec {REAL} "$@";; esac'
    python(tmp_path / ".venv" / "bin" / "python", script)
    python(tmp_path / ".venv" / "bin" / "uv", 'echo "$@"')
    for variables in ({"TORCH": "cpu"}, {}):
        code, _ = setup(**variables)
        assert code == 0
        arguments = (tmp_path / ".venv" / "setup.log").read_text()
        assert "--torch-backend cpu -e .[dev]" in arguments
