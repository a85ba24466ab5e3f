"""Models that the page offers, shipped and trained, and the card that says what to expect of each."""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cyclegan_audio.inference.checkpoints import PRETRAINED, list_pretrained, load_model, resolve_run
from cyclegan_audio.inference.pair_card import README
from cyclegan_audio.inference.run_paths import BEST, CHECKPOINTS, LAST
from cyclegan_audio.reports.evaluation.report_files import JSON_FILE, REPORT
from cyclegan_audio.utils.checked_json import DamagedFileError, parse_object
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.printing import printable
from cyclegan_audio.utils.regular_files import check_file
from cyclegan_audio.web.markdown import as_text

MAX_DEPTH = 3  # folders between `--runs` and a run: runs/NAME, runs/GENRES/DATE, runs/SWEEP/GENRES/JOB
MAX_REPORT_BYTES = 64 << 20
EXPECTATION = (
    "Timbre, tone and drums move; melody, tempo and most of the harmony stay. No model here knows words, so "
    "give it music without singing."
)


@dataclass(frozen=True)
class ModelChoice:
    """A model of the list: `value` is a shipped name or the path of a run, `label` the text of the list."""

    label: str
    value: str


@dataclass(frozen=True)
class ModelInfo:
    """The genres to which a model translates, and its card as Markdown."""

    targets: tuple[str, ...]
    card: str


def list_runs(runs: Path) -> list[Path]:
    """List the folders below `runs` that have a checkpoint of a translation, the newest first."""
    folders = [
        checkpoints.parent
        for depth in range(1, MAX_DEPTH + 1)
        for checkpoints in runs.glob("/".join(["[!.]*"] * depth + [CHECKPOINTS]))
        if any((checkpoints / name).is_file() for name in (BEST, LAST))
    ]
    inside = [folder for folder in folders if folder.resolve().is_relative_to(runs.resolve())]
    return sorted(inside, key=lambda folder: (-folder.stat().st_mtime_ns, folder))


def list_models(runs: Path) -> list[ModelChoice]:
    """List the models that ship with the package, then the runs on the disk."""
    shipped = sorted(list_pretrained(), key=lambda name: (name != "lofi_trap", name))
    choices = [ModelChoice(f"{name} (ships with the program)", name) for name in shipped]
    names = [(folder.relative_to(runs), folder) for folder in list_runs(runs)]
    return choices + [ModelChoice(f"{printable(str(name))} (your run)", str(path)) for name, path in names]


def check_model(runs: Path, value: str | None) -> str:
    """Return `value` if it is in the list; a page can send any text.

    Raises:
        UserError: it is not.
    """
    if value is not None and value in {choice.value for choice in list_models(runs)}:
        return value
    raise UserError("there is no such model; choose one of the list, or reload the page")


def describe_model(runs: Path, value: str | None) -> ModelInfo:
    """Return a model's targets and card.

    Raises:
        UserError: there is no such model, or it is damaged or no model of translation.
    """
    path = resolve_run(check_model(runs, value))
    if path.parent == PRETRAINED:
        return ModelInfo(_read_facts(path, 0)[1], shipped_card(path.name))
    introduction, targets = _read_facts(path, path.stat().st_mtime_ns)
    card = f"{introduction} {EXPECTATION}\n\n{as_text(report_line(path.parent.parent))}"
    return ModelInfo(targets, card)


@lru_cache(maxsize=16)
def _read_facts(path: Path, changed_ns: int) -> tuple[str, tuple[str, ...]]:
    """Return a model's genres and batches as text, and its targets; a run changes while it trains."""
    model = load_model(path)
    one, other = map(as_text, model.genres)
    return f"**{one} and {other}**, after {model.batches:,} training batches.", tuple(model.targets)


def shipped_card(name: str) -> str:
    """Return the card of a shipped model and its measured numbers, from the README.md of the pair."""
    page = (PRETRAINED / name / README).read_text(encoding="utf-8")
    card, _, measured = page.partition("\n## Card\n")[2].partition("\n## Measured\n")
    rows = re.findall(r"^\| (\S[^|]*) \| (.*) \|$", card, re.MULTILINE)
    lines = [f"* **{key}**: {value}" for key, value in rows]
    return "\n".join([f"**{as_text(name)}**. {EXPECTATION}", "", *lines, measured])


def report_line(run: Path) -> str:
    """Return the verdict of a run's report, or how to get one."""
    file = run / REPORT / JSON_FILE
    try:
        check_file(file, MAX_REPORT_BYTES)
        verdict = parse_object(file.read_bytes()).get("verdict")
    except (OSError, UserError, DamagedFileError):
        verdict = None
    if not isinstance(verdict, str) or not verdict:
        return "It has no report yet: measure it in the tab Runs."
    return f"Its report: {verdict}"
