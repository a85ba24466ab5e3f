"""From what the user names to runs with their reports; a sweep stands for its jobs."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from cyclegan_audio.inference.checkpoints import load_model, resolve_run
from cyclegan_audio.inference.run_paths import CHECKPOINTS, CONFIG
from cyclegan_audio.reports.evaluation.report import JSON_FILE, REPORT, report_folder
from cyclegan_audio.training.sweep import RECORD_FILE, evaluate_run, failure_reason, list_jobs
from cyclegan_audio.utils.errors import UserError


@dataclasses.dataclass(frozen=True)
class EvaluatedRun:
    """A run with its report.

    Attributes:
        name: its folder's.
        report_folder: where report.json lies.
        report: what stands in it.
        settings: the run's configuration, flat (`model.loss_weights.identity`).
        checkpoint: the file or folder that was judged; may have gone since.
    """

    name: str
    report_folder: Path
    report: dict[str, Any]
    settings: dict[str, Any]
    checkpoint: Path

    @property
    def ways(self) -> list[str]:
        """Its directions: `lofi to trap`."""
        return [way for way, numbers in self.report["measures"].items() if "clips" in numbers]

    @property
    def as_argument(self) -> Path:
        """What stands for it on a command line: its folder, or the checkpoint that was judged."""
        run = self.report_folder.parent
        whole = self.report_folder.name == REPORT and self.checkpoint.parent == run / CHECKPOINTS
        return run if whole else self.checkpoint

    @property
    def seed(self) -> Any:
        """The run's seed; None where not known."""
        return self.settings.get("seed")


def gather(
    arguments: Sequence[str | Path], corpus: str | Path | None = None
) -> tuple[list[EvaluatedRun], list[str]]:
    """Find the runs behind the arguments, with lines on jobs that failed and on reports that are old.

    Args:
        arguments: run folders, checkpoints, shipped pairs, reports (a folder or report.json), or sweeps,
            which stand for their finished jobs. A run without a report is evaluated first.
        corpus: where such an evaluation finds the held-out clips; the run's own by default.

    Raises:
        UserError: there is no such run, a report is damaged, or an evaluation failed.
    """
    found: dict[Path, EvaluatedRun] = {}
    notes: list[str] = []
    for argument in arguments:
        jobs = list_jobs(Path(argument))
        failed = {job: line for job in jobs if not _judged_since(job) and (line := failure_reason(job))}
        notes += failed.values()
        for run in [job for job in jobs if job not in failed] if jobs else [argument]:
            judged = _judged(run, corpus)
            found.setdefault(judged.report_folder.resolve(), judged)
            notes += _old(judged)
    return list(found.values()), list(dict.fromkeys(notes))


def _judged_since(job: Path) -> bool:
    """Whether a job has a report that is newer than its record: it was finished by hand."""
    report, record = job / REPORT / JSON_FILE, job / RECORD_FILE
    return report.is_file() and report.stat().st_mtime > record.stat().st_mtime


def _judged(run: str | Path, corpus: str | Path | None) -> EvaluatedRun:
    path = Path(run)
    if path.name == JSON_FILE and path.is_file():
        return _read(path.parent)
    for folder in (path, path / REPORT):
        if (folder / JSON_FILE).is_file():
            return _read(folder)
    checkpoint = resolve_run(run)
    folder = report_folder(checkpoint)
    if path.suffix == ".ckpt":  # the run's own report may be of another checkpoint
        folder = folder.with_name(f"{folder.name}_{path.stem}")
    if not (folder / JSON_FILE).is_file():
        print(f"{run} has no report yet: it is evaluated first", flush=True)
        evaluate_run(Path(run), "--out", str(folder), *(["--corpus", str(corpus)] if corpus else []))
    return _read(folder)


def _read(folder: Path) -> EvaluatedRun:
    path = folder / JSON_FILE
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        checkpoint = Path(report["run"]["checkpoint"])
        if not [numbers["clips"]["paired"] for numbers in report["measures"].values() if "clips" in numbers]:
            raise ValueError("no clips")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is damaged or of another version ({error!r}); evaluate the run again"
        ) from error
    run = folder.parent
    if not checkpoint.exists() and (run / CHECKPOINTS / checkpoint.name).is_file():
        checkpoint = run / CHECKPOINTS / checkpoint.name  # the run has moved
    name = run.name if folder.name == REPORT else folder.name
    return EvaluatedRun(name, folder, report, _settings(run, checkpoint), checkpoint)


def _settings(run: Path, checkpoint: Path) -> dict[str, Any]:
    """The flat configuration from the run's folder, else from its checkpoint; empty where both are gone."""
    for path in (run / CONFIG, checkpoint.parent.parent / CONFIG):
        if path.is_file():
            return flat(OmegaConf.to_container(OmegaConf.load(path)))
    return flat(load_model(checkpoint).config) if checkpoint.exists() else {}


def _old(judged: EvaluatedRun) -> list[str]:
    report, checkpoint = judged.report_folder / JSON_FILE, judged.checkpoint
    if checkpoint.is_file() and checkpoint.stat().st_mtime > report.stat().st_mtime:
        return [f"the report of {judged.name} is older than its checkpoint; evaluate it again"]
    return []


def flat(values: Any, prefix: str = "") -> dict[str, Any]:
    """Join nested mappings to one, with dots in its keys."""
    if not isinstance(values, Mapping):
        return {prefix: values}
    out: dict[str, Any] = {}
    for key, value in values.items():
        out |= flat(value, f"{prefix}.{key}" if prefix else str(key))
    return out
