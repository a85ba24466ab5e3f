"""Run the tests with other Pythons and packages: `make matrix OLDEST=/path/python3.11 NEWEST=python3.14`.

Each environment is made in a temporary folder, tested and deleted before the next. One is left out where its
interpreter is `none` or does not run. In the one named CPU torchaudio cannot load: many tests fail there. It
passes if it trains on a corpus that this script's own interpreter prepares, and translates.
"""

import argparse
import dataclasses
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
UV = Path(sys.executable).with_name("uv")
COLAB = ("torch==2.11.0", "torchaudio==2.11.0", "numpy==2.1.3", "pyarrow==18.1.0", "librosa==0.11.0",
         "omegaconf==2.3.1", "wandb==0.28.1", "gradio==6.24.0")  # fmt: skip
SHOWN_PACKAGES = ("torch", "torchaudio", "numpy", "librosa", "av", "pyarrow", "wandb")
NO_TORCHAUDIO = "torchaudio"  # somewhere in a test's report


@dataclasses.dataclass(frozen=True)
class Environment:
    """One row of the matrix.

    Attributes:
        title: its name in the table.
        python: the interpreter where none is named.
        installs: arguments of `uv pip install`, one call after the other; `{torch}` is the CPU build.
    """

    title: str
    python: str
    installs: tuple[tuple[str, ...], ...]


PROJECT = ("-r", "pyproject.toml", "--extra", "dev")
ENVIRONMENTS = {
    "OLDEST": Environment("lowest versions", "python3.11", ((*PROJECT, "--resolution", "lowest-direct"),)),
    "NEWEST": Environment("newest versions", "python3.14", ((*PROJECT,),)),
    "COLAB": Environment("Colab's versions", "python3.13", ((*PROJECT, *COLAB),)),
    "CPU": Environment("CPU build of torch, PyPI's torchaudio", "python3.11", (("{torch}",), (*PROJECT,))),
}


def main() -> None:
    """Test each environment and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("pythons", nargs="*", metavar="NAME=PYTHON", help=f"of {', '.join(ENVIRONMENTS)}")
    parser.add_argument(
        "--cpu-torch",
        nargs="+",
        default=["torch==2.13.0", "--index-url", "https://download.pytorch.org/whl/cpu"],
        help="what installs the CPU build of torch, a wheel for example",
    )
    options = parser.parse_args()
    pythons = dict(argument.split("=", 1) for argument in options.pythons)
    if unknown := set(pythons) - set(ENVIRONMENTS):
        parser.error(f"unknown environment {', '.join(unknown)}; choose from {', '.join(ENVIRONMENTS)}")
    rows, is_clean = [], True
    for name, environment in ENVIRONMENTS.items():
        python = pythons.get(name, environment.python)
        if python == "none":
            print(f"{name} skipped, as you asked")
        elif version_of(python) is None:
            print(f"{name} skipped: {python} does not run; name one: make matrix {name}=/path/to/python3")
        else:
            with tempfile.TemporaryDirectory(prefix="matrix_") as folder:
                row, passed = test(name, environment, python, Path(folder), options.cpu_torch)
            rows.append(row)
            is_clean &= passed
            print(row, flush=True)
    print("\n" + "\n".join([*header(), *rows]))
    sys.exit(not is_clean)


def version_of(python: str, package: str | None = None) -> str | None:
    """Return the version of an interpreter or of one of its packages; None if it does not run."""
    code = "import platform; print(platform.python_version())"
    if package:
        code = f"import importlib.metadata; print(importlib.metadata.version({package!r}))"
    command = [python, "-c", code]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def test(
    name: str, environment: Environment, python: str, folder: Path, cpu_torch: list[str]
) -> tuple[str, bool]:
    """Return the row of an environment, and whether everything passed that must pass."""
    start = time.monotonic()
    env = folder / "env"
    uv("venv", "--python", python, env)
    for arguments in environment.installs:
        words = [w for word in arguments for w in (cpu_torch if word == "{torch}" else [word])]
        uv("pip", "install", "--compile-bytecode", "--python", env / "bin" / "python", *words)
    uv("pip", "install", "--no-deps", "--python", env / "bin" / "python", "-e", CHECKOUT)
    installed_s = time.monotonic() - start
    gigabytes = int(subprocess.check_output(["du", "-sm", env], text=True).split()[0]) / 1000
    counts, failed = run_tests(env / "bin" / "python", folder)
    if name == "CPU":
        n_told = sum(NO_TORCHAUDIO in report for report in failed)
        counts += f" ({n_told} say that torchaudio does not load, the others need what those make)"
    is_good = use_corpus(env / "bin" / "python", folder) if name == "CPU" else not failed
    cells = [environment.title, str(version_of(str(env / "bin" / "python")))]
    cells += [version_of(str(env / "bin" / "python"), package) or "" for package in SHOWN_PACKAGES]
    cells += [counts, f"{gigabytes:.1f}", f"{installed_s / 60:.1f}", f"{(time.monotonic() - start) / 60:.1f}"]
    for report in failed:
        print(f"{name} failed: {report[-2000:]}")
    return "| " + " | ".join(cells) + " |", is_good


def run_tests(python: Path, folder: Path) -> tuple[str, list[str]]:
    """Run the tests; return the counts as text, and the report of each failed test, its name last."""
    report = folder / "report.xml"
    command = [
        python,
        "-m",
        "pytest",
        "-q",
        "-n",
        "2",
        "--dist",
        "loadfile",
        "-m",
        "not slow and not gpu and not browser",
    ]
    with (folder / "tests.log").open("w") as log:
        subprocess.run(
            [*command, f"--junitxml={report}", "-p", "no:cacheprovider"],
            cwd=CHECKOUT, env=variables(), stdout=log, stderr=log, check=False,
        )  # fmt: skip
    if not report.exists():
        return "none ran", [(folder / "tests.log").read_text()[-2000:]]
    passed = skipped = 0
    failed = []
    for case in ET.parse(report).iter("testcase"):
        problems = [*case.findall("failure"), *case.findall("error")]
        if case.find("skipped") is not None:
            skipped += 1
        elif not problems:
            passed += 1
        else:
            failed.append(f"{''.join(case.itertext())}\n{case.get('classname')}::{case.get('name')}")
    return f"{passed} passed, {len(failed)} failed, {skipped} skipped", failed


def use_corpus(python: Path, folder: Path) -> bool:
    """Prepare with this interpreter; then train, and translate a file at the mel's rate, with `python`."""
    prepare = ("source=demo", "source.songs_per_genre=4", "source.paired_scores=1", "source.seconds=8",
               "clip.seconds=2", "corpus=corpus")  # fmt: skip
    train = ("corpus=corpus", "genre_pair=lofi_rnb", "experiment=demo", "max_minutes=0.5", "run_dir=run")
    steps = (
        (sys.executable, "prepare", *prepare),
        (python, "train", *train),
        (python, "translate", "run", "data/demo/songs/paired/lofi", "out", "--to", "rnb"),
    )
    for interpreter, verb, *arguments in steps:
        done = subprocess.run(
            [interpreter, "-m", f"cyclegan_audio.{verb}", *arguments],
            cwd=folder, env=variables(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            print(f"CPU failed: {verb}: {done.stdout[-1000:]}{done.stderr[-1000:]}")
            return False
    n_files = len(list((folder / "out").glob("*.wav")))
    print(f"CPU: trained on a corpus of another environment, translated {n_files} file(s)")
    return n_files > 0


def uv(*arguments: object) -> str:
    """Run uv and return what it printed on standard output.

    Raises:
        SystemExit: it failed.
    """
    done = subprocess.run(
        [str(UV), *map(str, arguments)], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"error: uv {' '.join(map(str, arguments))}\n{done.stderr}")
    return done.stdout


def variables() -> dict[str, str]:
    """Return environment variables for the tests: one thread each, nothing from outside on Python's path."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return {**kept, "OMP_NUM_THREADS": "1"}


def header() -> list[str]:
    """Return the first two lines of the table."""
    cells = ["environment", "Python", *SHOWN_PACKAGES, "tests", "GB", "minutes to install", "minutes in all"]
    return ["| " + " | ".join(cells) + " |", "|---" * len(cells) + "|"]


if __name__ == "__main__":
    main()
