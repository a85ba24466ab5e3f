"""Models from strangers work or are refused in one line: no trace, hang, code, file, or huge memory."""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from cyclegan_audio.utils.errors import USER_ERROR_EXIT_CODE
from tests.attack.hostile_models import (
    CANARY,
    Mutation,
    byte_mutations,
    field_mutations,
    make_hostile,
    runs_of,
    write_base_models,
)
from tests.attack.special_models import SPECIAL

ROOT = Path(__file__).parents[2]
MAX_BYTES = 400 << 20  # of memory that one hostile model takes


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """Return a folder with one model in three forms."""
    folder = tmp_path_factory.mktemp("base") / "model"
    write_base_models(folder)
    return folder


def try_models(runs: list[Path], cwd: Path) -> dict[str, dict[str, Any]]:
    """Try models one by one in a process of limited memory and time; return how each ended, by its path."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.attack.hostile_models"],
        input="".join(f"{run}\n" for run in runs),
        capture_output=True, text=True, cwd=cwd, env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    ends = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(ends) == len(runs), (
        f"{runs[len(ends)]} ended the process ({done.returncode}): {done.stderr[-500:]}"
    )
    return {end["run"]: end for end in ends}


def attack(
    base: Path, tmp_path: Path, mutations: Mapping[str, Mutation], others: Iterable[Path] = ()
) -> dict[str, dict[str, Any]]:
    """Try the models of all mutations and other runs, and check how they end; return the ends by name."""
    runs = {
        name: make_hostile(base, tmp_path / str(number), mutation)
        for number, (name, mutation) in enumerate(mutations.items())
    }
    runs |= {str(run): run for run in others}
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    files = sorted(tmp_path.rglob("*"))
    by_run = try_models(list(runs.values()), cwd)
    assert sorted(tmp_path.rglob("*")) == files, "a hostile model wrote a file"
    assert not list(tmp_path.rglob(CANARY))
    ends = {name: by_run[str(run)] for name, run in runs.items()}
    for name, end in ends.items():
        assert end["end"] in ("translated", "refused"), f"{name}: {end['end']} {end['line']}"
        assert end["n_bytes"] < MAX_BYTES, f"{name} took {end['n_bytes'] >> 20} MB"
        assert len(end["line"]) < 1000, f"{name}: {end['line']}"
        assert end["line"].isprintable(), f"{name}: {end['line']!r}"
    return ends


def sample(base: Path, seed: int, n_fields: int, n_bytes: int) -> dict[str, Mutation]:
    rng = np.random.default_rng(seed)
    fields = field_mutations(base)
    chosen = rng.choice(list(fields), n_fields, replace=False)
    return {name: fields[name] for name in chosen} | byte_mutations(rng, n_bytes)


@pytest.fixture(scope="module")
def ends(base, tmp_path_factory) -> dict[str, dict[str, Any]]:
    """Return how special models, a few mutated ones and the models themselves end; one process tries all."""
    mutations = {name: mutation for name, (mutation, _) in SPECIAL.items()}
    mutations |= sample(base, seed=0, n_fields=20, n_bytes=10)
    return attack(base, tmp_path_factory.mktemp("attack"), mutations, runs_of(base))


def test_bombs_and_traps_are_refused_in_a_line_that_names_them(ends):
    for name, (_, words) in SPECIAL.items():
        assert ends[name]["end"] == "refused", name
        assert words in ends[name]["line"], f"{name}: {ends[name]['line']}"


def test_the_models_themselves_translate(base, ends):
    assert [ends[str(run)]["end"] for run in runs_of(base)] == ["translated"] * 3, ends


@pytest.mark.parametrize("verb", ["translate", "evaluate", "export", "listening_test"])
def test_every_command_prints_the_line(base, tmp_path, capsys, monkeypatch, verb):
    mutation, words = SPECIAL["mel.n_fft"]
    arguments = {"translate": ["song.wav", "out.wav", "--to", "rnb"], "export": ["out.onnx"]}
    run = make_hostile(base, tmp_path / "model", mutation)
    (tmp_path / "song.wav").write_bytes(b"RIFF")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        import_module(f"cyclegan_audio.{verb}").main([str(run), *arguments.get(verb, [])])
    errors = capsys.readouterr().err.splitlines()
    assert caught.value.code == USER_ERROR_EXIT_CODE
    assert errors[-1].startswith(f"error: {run}/pair.json: ")
    assert words in errors[-1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "song.wav"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_many_mutated_models(base, tmp_path, seed):
    attack(base, tmp_path, sample(base, seed, n_fields=150, n_bytes=50))
