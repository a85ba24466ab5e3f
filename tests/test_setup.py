"""What `make setup` says where it cannot go on: one line, and nothing is left half made."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "setup.sh"
REAL = sys.executable


def python(path: Path, body: str) -> Path:
    """Write an executable shell script in the place of an interpreter."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def setup(tmp_path):
    """Runs the script in an empty folder with a path that holds only what the test puts there."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("sh", "cat", "grep", "sed", "tail"):
        (tools / tool).symlink_to(str(shutil.which(tool)))

    def run(**variables: str) -> tuple[int, str]:
        environment = {"PATH": str(tools), **variables}
        line = [str(tools / "sh"), str(SCRIPT)]
        done = subprocess.run(
            line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    return run


def test_no_python_at_all(setup, tmp_path):
    code, said = setup()
    assert code == 1
    assert said == (
        "error: found no Python 3.11 or newer with venv; install one (Debian: python3 and python3-venv), "
        "or name one: make setup PYTHON=/path/to/python3\n"
    )
    assert not (tmp_path / ".venv").exists()


def test_a_shim_and_an_old_python_are_passed_over_for_the_newest_that_works(setup, tmp_path):
    tools = tmp_path / "bin"
    python(tools / "python3.14", "exit 127")
    python(tools / "python3.12", f'case "$1" in -m) echo made by 3.12 >&2; exit 1;; esac; exec {REAL} "$@"')
    python(tools / "python3.11", "exit 99")
    code, said = setup()
    assert (code, said) == (1, "made by 3.12\n")


@pytest.mark.parametrize("body", ["exit 127", f'exec {REAL} -c "import sys; sys.exit(1)"'])
def test_an_unsuitable_python_that_is_named(setup, tmp_path, body):
    named = python(tmp_path / "named", body)
    code, said = setup(PYTHON=str(named))
    assert code == 1
    assert said == f"error: PYTHON={named} is not a working Python 3.11 or newer with venv; name another\n"


def test_an_environment_of_a_python_that_is_gone(setup, tmp_path):
    python(tmp_path / ".venv" / "bin" / "python", "exit 127")
    code, said = setup()
    assert code == 1
    assert said == "error: .venv has no working Python 3.11 or newer; run make clean, then make setup\n"


def test_an_environment_is_not_turned_into_another_one(setup, tmp_path):
    python(tmp_path / ".venv" / "bin" / "python", f'exec {REAL} "$@"')
    other = python(tmp_path / "other", f'case "$2" in *platform*) echo 3.99;; *) exec {REAL} "$@";; esac')
    code, said = setup(PYTHON=str(other))
    assert code == 1
    assert said.endswith(f"to change it run make clean setup PYTHON={other}\n")
    (tmp_path / ".venv" / "installed").write_text("pypi\n")
    code, said = setup(TORCH="cpu")
    assert code == 1
    assert said == "error: .venv has the build 'pypi' of torch; to change it run make clean setup TORCH=cpu\n"


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("error: Request failed after 3 retries\n  cause: Failed to fetch: https://x\n  cause: dns error",
         "packages cannot be fetched; check the network, then run make setup again"),
        ("Failed to build x==1\nerror: command gcc failed: No such file",
         "a package has no wheel for this Python and does not build here; install a C compiler (Debian: "
         "build-essential), or take another Python: make clean setup PYTHON=python3.13"),
        ("error: write: No space left on device", "the disk is full; make room"),
        ("warning: a\nerror: invalid value 'gpu'\n\nFor more, try --help", "invalid value 'gpu'"),
    ],
)  # fmt: skip
def test_a_failing_installer_is_reported_in_one_line(setup, tmp_path, printed, shown):
    """The environment's Python stands in for pip, and prints what pip or uv print."""
    (tmp_path / "printed").write_text(printed)
    stand_in = f'case "$1" in -m) cat printed; exit 1;; *) exec {REAL} "$@";; esac'
    python(tmp_path / ".venv" / "bin" / "python", stand_in)
    code, said = setup()
    assert code == 1
    size, error = said.splitlines()
    assert "takes 7 GB" in size
    assert "TORCH=cpu" in size
    assert error.startswith(f"error: {shown}")
    assert error.endswith("(details: .venv/setup.log)")


def test_the_chosen_build_of_torch_is_asked_for_and_kept(setup, tmp_path):
    stand_in = f'case "$1" in -m) exit 0;; *) exec {REAL} "$@";; esac'
    python(tmp_path / ".venv" / "bin" / "python", stand_in)
    python(tmp_path / ".venv" / "bin" / "uv", 'echo "$@"')
    for variables in ({"TORCH": "cpu"}, {}):
        code, _ = setup(**variables)
        assert code == 0
        arguments = (tmp_path / ".venv" / "setup.log").read_text()
        assert "--torch-backend cpu -e .[dev]" in arguments
