"""Damaged text files of runs, reports and listening tests: one line with the file, or a whole result."""

import copy
import json
import os
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cyclegan_audio.listening.listening_test import analyse
from cyclegan_audio.listening.page import FORMAT
from cyclegan_audio.reports.comparison import compare as comparison
from cyclegan_audio.reports.evaluation.provenance import _validation_score
from cyclegan_audio.reports.evaluation.training_losses import losses_section
from cyclegan_audio.reports.html import Section
from cyclegan_audio.training.loggers import CSVLog
from cyclegan_audio.utils.errors import UserError
from tests.reports.comparison.conftest import make_report  # noqa: F401

WRONG: tuple[Any, ...] = (
    None, True, -1, 0, 1e300, float("nan"), float("inf"), "", "x" * 10_000, "\udcff\x1b[2J", [], {},
    [None], [[]], {"a": 1}, 10**400,
)  # fmt: skip
COLUMNS = ("batch", "epoch", "elapsed_s", "lr", "cycle_a", "disc_a")
SCORES = ("batch", "epoch", "elapsed_s", "score")


def damage_bytes(content: bytes, rng: random.Random) -> bytes:
    """Damage a file as disks, editors and other programs do."""
    place = rng.randrange(len(content) + 1)
    lines = content.splitlines(keepends=True)
    line = rng.randrange(len(lines))
    kinds: list[Callable[[], bytes]] = [
        lambda: b"",
        lambda: content[:place],
        lambda: rng.randbytes(200),
        lambda: (
            content[:place] + rng.choice((b"\0", b"\xff", b"\r", b'"', b",", b"x", b"\n")) + content[place:]
        ),
        lambda: bytes(byte ^ (1 << rng.randrange(8)) if rng.random() < 0.01 else byte for byte in content),
        lambda: b"".join([*lines[:line], *lines[line + 1 :]]),
        lambda: b"".join([*lines[: line + 1], *lines[line:]]),
        lambda: content.decode().encode("utf-16"),
        lambda: content.replace(b",", b";"),
        lambda: content.replace(b",", b"," * 2000, 1),
        lambda: content + b"\0" * 100,
    ]
    return rng.choice(kinds)()


def damage_values(value: Any, rng: random.Random) -> Any:
    """Set a random part of a JSON value to a wrong value, or remove it."""
    root = copy.deepcopy(value)
    part = root
    while True:
        keys = list(part) if isinstance(part, dict) else range(len(part))
        key = rng.choice(keys)
        if isinstance(part[key], dict | list) and part[key] and rng.random() < 0.8:
            part = part[key]
            continue
        if rng.random() < 0.2:
            del part[key]
        else:
            part[key] = rng.choice(WRONG)
        return root


def damage_json(content: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.3:
        return damage_bytes(content, rng)
    return json.dumps(damage_values(json.loads(content), rng)).encode()


def refused(action: Callable[[], object], seed: int, *names: object) -> bool:
    """Return whether the action refuses a file, in one line with a name; it must not fail otherwise."""
    try:
        action()
    except UserError as error:
        message = str(error)
    except Exception as error:
        raise AssertionError(f"seed {seed}: {error!r}") from error
    else:
        return False
    assert any(str(name) in message for name in names), f"seed {seed}: {message}"
    assert "\n" not in message, f"seed {seed}: {message!r}"
    return True


def table(columns: tuple[str, ...]) -> bytes:
    rows = [[10 * batch, *(batch + index / 8 for index in range(1, len(columns)))] for batch in range(1, 9)]
    return "".join(",".join(map(str, row)) + "\r\n" for row in [columns, *rows]).encode()


def few_or_many(few: int, many: range) -> pytest.MarkDecorator:
    """Parametrise a test by its seeds: the first few, and many in the slow part."""
    return pytest.mark.parametrize("seeds", [range(few), pytest.param(many, marks=pytest.mark.slow)])


class Evaluated:
    """What the sections of losses and of provenance read of an evaluation."""

    class model:
        batches = 40
        loss_terms: dict[str, str] = {}  # noqa: RUF012

    def __init__(self, run_folder: Path) -> None:
        self.run_folder = run_folder


def attack_tables(folder: Path, seeds: range) -> dict[str, int]:
    """Damage losses.csv and validation.csv; report, provenance and a resumed run must bear it."""
    counts = {"refused": 0, "read": 0}
    for seed in seeds:
        rng = random.Random(seed)
        (folder / "losses.csv").write_bytes(damage_bytes(table(COLUMNS), rng))
        (folder / "validation.csv").write_bytes(damage_bytes(table(SCORES), rng))
        before = (folder / "losses.csv").read_bytes()
        section = losses_section(Evaluated(folder))  # type: ignore[arg-type]
        assert section.images or section.missing, f"seed {seed}"
        assert _validation_score(Evaluated(folder)), f"seed {seed}"  # type: ignore[arg-type]
        log = CSVLog(folder / "losses.csv")
        if refused(lambda log=log: log.start(COLUMNS, 40), seed, folder / "losses.csv"):  # type: ignore[misc]
            assert (folder / "losses.csv").read_bytes() == before, f"seed {seed}"
            counts["refused"] += 1
        else:
            counts["read"] += 1
    return counts


@few_or_many(16, range(1000, 1300))
def test_damaged_tables_end_in_a_line_or_a_report(tmp_path, seeds):
    counts = attack_tables(tmp_path, seeds)
    assert min(counts.values()) > 0, counts


@pytest.fixture
def compare_runs(make_report, monkeypatch):  # noqa: F811
    """Return two runs with reports; a comparison of them translates nothing and draws nothing."""
    monkeypatch.setattr(comparison, "side_by_side_section", lambda *args: (Section("side", "Side"), {}))
    monkeypatch.setattr("cyclegan_audio.reports.comparison.sections._pictures", lambda *args: [])
    return make_report("one"), make_report("two", identity=0.0)


def attack_reports(runs: tuple[Path, Path], seeds: range) -> dict[str, int]:
    """Damage report.json or config.yaml of one of two runs, and compare them."""
    counts = {"refused": 0, "read": 0}
    for seed in seeds:
        rng = random.Random(seed)
        path = runs[1] / rng.choice(("report/report.json", "report/report.json", "config.yaml"))
        content = path.read_bytes()
        damage = damage_json if path.suffix == ".json" else damage_bytes
        path.write_bytes(damage(content, rng))
        is_refused = refused(lambda: comparison.compare(runs, out=runs[0].parent / "out"), seed, path, "two")
        counts["refused" if is_refused else "read"] += 1
        path.write_bytes(content)
    return counts


@few_or_many(12, range(1000, 1200))
def test_damaged_reports_end_in_a_line_or_a_comparison(compare_runs, seeds):
    counts = attack_reports(compare_runs, seeds)
    assert min(counts.values()) > 0, counts


RESPONSES = {
    "format": FORMAT, "test": "abc", "listener": "me", "finished": "2026-01-01", "runs": ["a", "b"],
    "questions": {
        "genre": {"hidden": "real", "anchor": "low", "baselines": ["untouched"], "is_screened": True},
    },
    "ratings": [
        {"question": "genre", "direction": "a to b", "item": str(item), "system": system, "score": score}
        for item in range(4) for system, score in (("real", 95), ("low", 10), ("untouched", 30), ("a", 60))
    ],
    "abx": [{"a": "a", "b": "b", "x": "a", "answer": "a"}, {"a": "a", "b": "b", "x": "b", "answer": "a"}],
}  # fmt: skip


def attack_responses(folder: Path, seeds: range) -> dict[str, int]:
    """Damage a listener's file, and analyse it."""
    counts = {"refused": 0, "read": 0}
    path = folder / "me.json"
    for seed in seeds:
        rng = random.Random(seed)
        path.write_bytes(damage_json(json.dumps(RESPONSES, indent=1).encode(), rng))
        is_refused = refused(lambda: analyse([path], out=folder / "out", keep_all=True), seed, path)
        counts["refused" if is_refused else "read"] += 1
    return counts


@few_or_many(60, range(1000, 2000))
def test_damaged_responses_end_in_a_line_or_an_analysis(tmp_path, seeds):
    counts = attack_responses(tmp_path, seeds)
    assert min(counts.values()) > 0, counts


@pytest.mark.parametrize("is_pipe", [True, False])
def test_responses_in_place_of_which_is_a_pipe_or_a_huge_file_are_refused(tmp_path, is_pipe):
    path = tmp_path / "me.json"
    if is_pipe:
        os.mkfifo(path)
    else:
        with path.open("wb") as file:
            file.truncate(1 << 40)
    assert refused(lambda: analyse([path], out=tmp_path), 0, path)


@pytest.mark.parametrize(
    ("lines", "is_refused"),
    [
        (f"seed: 1{'0' * 400}", False),
        (f"other: 1{'0' * 400}", False),
        ("_target_: x", False),
        ("other: !!binary aGVsbG8=", True),
    ],
)
def test_odd_values_of_a_configuration_end_in_a_line_or_a_comparison(compare_runs, lines, is_refused):
    path = compare_runs[1] / "config.yaml"
    others = [line for line in path.read_text().splitlines() if not line.startswith("seed:")]
    path.write_text("\n".join([*others, lines]))
    action = partial(comparison.compare, compare_runs, out=compare_runs[0].parent / "out")
    assert refused(action, 0, path) == is_refused
