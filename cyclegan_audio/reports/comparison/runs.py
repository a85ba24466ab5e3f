"""Runs to compare: find their reports, evaluate runs without one, and read metrics from report.json."""

import dataclasses
import json
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from cyclegan_audio.config.allow_list import read_yaml
from cyclegan_audio.inference.checkpoints import load_model, resolve_run
from cyclegan_audio.inference.run_paths import CHECKPOINTS, CONFIG
from cyclegan_audio.metrics.metric_spec import ARTEFACT, CONTENT, GROUPS, STYLE, MetricSpec
from cyclegan_audio.reports.comparison.report_check import check_report
from cyclegan_audio.reports.evaluation.report_files import JSON_FILE, REPORT, report_folder
from cyclegan_audio.reports.evaluation.scoring import SCORE
from cyclegan_audio.training.sweep import RECORD_FILE, evaluate_run, failure_reason, list_jobs
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.fields import check_plain
from cyclegan_audio.utils.printing import echo

SCORE_NAME, CYCLE, IDENTITY, PAIRED = "score", "cycle_db", "identity_db", "paired_error_db"
TRUTH = "truth"
SECTION_METRICS = (  # values by clip that sections of a report compute, in addition to its metrics
    MetricSpec(PAIRED, "error against the ground truth", TRUTH, unit="dB", low=0.0),
    MetricSpec(SCORE_NAME, SCORE.split(":")[0], STYLE, low=0.0, high=1.0),
    MetricSpec(CYCLE, "cycle error", CONTENT, unit="dB", low=0.0),
    MetricSpec(IDENTITY, "identity error", CONTENT, unit="dB", low=0.0),
)


@dataclasses.dataclass(frozen=True)
class EvaluatedRun:
    """A run with its report.

    Attributes:
        name: name of its folder.
        report_folder: folder of report.json.
        report: content of report.json.
        settings: the run's configuration, flat (`model.loss_weights.identity`).
        checkpoint: the checkpoint file or folder that was evaluated; may have been deleted since.
    """

    name: str
    report_folder: Path
    report: dict[str, Any]
    settings: dict[str, Any]
    checkpoint: Path

    @property
    def directions(self) -> list[str]:
        """Its directions: `lofi to trap`."""
        return [name for name, numbers in self.report["metrics"].items() if "clips" in numbers]

    @property
    def as_argument(self) -> Path:
        """The argument that names it on a command line: its folder, or the checkpoint that was evaluated."""
        run = self.report_folder.parent
        is_whole_run = self.report_folder.name == REPORT and self.checkpoint.parent == run / CHECKPOINTS
        return run if is_whole_run else self.checkpoint

    @property
    def seed(self) -> Any:
        """The run's seed; None where it is unknown."""
        return self.settings.get("seed")


def find_runs(
    arguments: Sequence[str | Path],
    corpus: str | Path | None = None,
    trust_packages: Collection[str] = (),
) -> tuple[list[EvaluatedRun], list[str]]:
    """Find the runs that the arguments name; return them with notes on failed jobs and outdated reports.

    Args:
        arguments: run folders, checkpoints, pretrained models, reports (a folder or report.json), or sweeps
            (all their finished jobs). A run without a report is evaluated first.
        corpus: corpus with the held-out clips for such an evaluation; by default the run's corpus.
        trust_packages: installed packages whose generators may be built, in addition to those of `conf/`.

    Raises:
        UserError: there is no such run, a report is damaged, or an evaluation failed.
    """
    runs: dict[Path, EvaluatedRun] = {}
    notes: list[str] = []
    for argument in arguments:
        jobs = list_jobs(Path(argument))
        failed = {
            job: line for job in jobs if not _was_evaluated_later(job) and (line := failure_reason(job))
        }
        notes += failed.values()
        for folder in [job for job in jobs if job not in failed] if jobs else [argument]:
            run = _load_or_evaluate(folder, corpus, trust_packages)
            runs.setdefault(run.report_folder.resolve(), run)
            notes += _outdated_notes(run)
    return list(runs.values()), list(dict.fromkeys(notes))


def _was_evaluated_later(job: Path) -> bool:
    """Return whether a job's report is newer than its record: the job was finished by hand."""
    report, record = job / REPORT / JSON_FILE, job / RECORD_FILE
    return report.is_file() and report.stat().st_mtime > record.stat().st_mtime


def _load_or_evaluate(
    run: str | Path, corpus: str | Path | None, trust_packages: Collection[str]
) -> EvaluatedRun:
    path = Path(run)
    if path.name == JSON_FILE and path.is_file():
        return _load(path.parent, trust_packages)
    for folder in (path, path / REPORT):
        if (folder / JSON_FILE).is_file():
            return _load(folder, trust_packages)
    checkpoint = resolve_run(run)
    folder = report_folder(checkpoint)
    has_report = (folder / JSON_FILE).is_file()
    if path.suffix == ".ckpt":  # the run's report may be of another checkpoint
        folder = folder.with_name(f"{folder.name}_{path.stem}")
        has_report = (folder / JSON_FILE).is_file() and _is_current(folder, checkpoint, corpus)
    if not has_report:
        echo(f"{run} has no report yet; evaluating it first", flush=True)
        options = ["--corpus", str(corpus)] if corpus else []
        options += [f"--trust-package={package}" for package in trust_packages]
        evaluate_run(Path(run), "--out", str(folder), *options)
    return _load(folder, trust_packages)


def _load(folder: Path, trust_packages: Collection[str]) -> EvaluatedRun:
    path = folder / JSON_FILE
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        check_report(report)
    except (OSError, ValueError, RecursionError, UserError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{path} is damaged or of another version ({reason}); evaluate the run again"
        ) from error
    checkpoint = Path(report["run"]["checkpoint"])
    run = folder.parent
    if not checkpoint.exists() and (run / CHECKPOINTS / checkpoint.name).is_file():
        checkpoint = run / CHECKPOINTS / checkpoint.name  # the run has moved
    name = run.absolute().name if folder.name == REPORT else folder.name.removeprefix(f"{REPORT}_")
    return EvaluatedRun(name, folder, report, _settings(run, checkpoint, trust_packages), checkpoint)


def _settings(run: Path, checkpoint: Path, trust_packages: Collection[str]) -> dict[str, Any]:
    """Read the flat configuration from the run's folder, else from its checkpoint; empty without both."""
    for path in (run / CONFIG, checkpoint.parent.parent / CONFIG):
        if path.is_file():
            return _read_settings(path)
    return (
        flatten(load_model(checkpoint, trust_packages=trust_packages).config) if checkpoint.exists() else {}
    )


def _read_settings(path: Path) -> dict[str, Any]:
    """Read the flat configuration from config.yaml.

    Raises:
        UserError: the file is damaged.
    """
    try:
        config = OmegaConf.to_container(read_yaml(path.read_text(encoding="utf-8"), path), resolve=False)
        check_plain("the configuration", config)
    except (OSError, ValueError, UserError) as error:
        raise UserError(f"{path} is damaged ({error}); repair it, or move it away") from error
    return flatten(config)


def _is_current(report_folder: Path, checkpoint: Path, corpus: str | Path | None) -> bool:
    """Return whether a report is newer than its checkpoint, and of the corpus if one is given."""
    of_corpus = _load(report_folder, ()).report["run"]["corpus"]
    same_corpus = corpus is None or Path(corpus).resolve() == Path(of_corpus).resolve()
    return same_corpus and not _is_outdated(report_folder, checkpoint)


def _is_outdated(report_folder: Path, checkpoint: Path) -> bool:
    report = report_folder / JSON_FILE
    return checkpoint.is_file() and checkpoint.stat().st_mtime > report.stat().st_mtime


def _outdated_notes(run: EvaluatedRun) -> list[str]:
    if _is_outdated(run.report_folder, run.checkpoint):
        return [f"the report of {run.name} is older than its checkpoint; evaluate the run again"]
    return []


def flatten(values: Any, prefix: str = "") -> dict[str, Any]:
    """Join nested mappings to one with dots in its keys."""
    if not isinstance(values, Mapping):
        return {prefix: values}
    out: dict[str, Any] = {}
    for key, value in values.items():
        out |= flatten(value, f"{prefix}.{key}" if prefix else str(key))
    return out


def compared_metrics(metrics: Sequence[MetricSpec]) -> list[MetricSpec]:
    """List all metrics of a comparison in its order, those of `SECTION_METRICS` included."""
    truth, score, *reconstruction = SECTION_METRICS
    by_group = {group: [metric for metric in metrics if metric.group == group] for group in GROUPS}
    return [truth, score, *by_group[STYLE], *by_group[CONTENT], *reconstruction, *by_group[ARTEFACT]]


@dataclasses.dataclass(frozen=True)
class ClipValues:
    """Values of one metric of one run.

    Attributes:
        values: values by clip id, without NaN.
        track, start_s: track and start time of each clip, by clip id.
    """

    values: Mapping[str, float]
    track: Mapping[str, str]
    start_s: Mapping[str, float]

    @property
    def mean(self) -> float:
        """Mean over all clips."""
        return float(np.mean(list(self.values.values())))


def read_clip_values(report: Mapping[str, Any], direction: str, name: str) -> ClipValues | None:
    """Read the values of a metric by clip; None where the report has none."""
    table = report["metrics"][direction]["clips"]
    if name == PAIRED:
        table, name = table["paired"], "error_db"
    values = {
        clip: float(value)
        for clip, value in zip(table["clip_id"], table.get(name, ()), strict=False)
        if value is not None
    }
    if not values:
        return None
    return ClipValues(
        values,
        dict(zip(table["clip_id"], table["track"], strict=True)),
        dict(zip(table["clip_id"], table["start_s"], strict=True)),
    )


def read_ends(report: Mapping[str, Any], direction: str, name: str) -> tuple[float, float]:
    """Read (floor, ceiling) of a metric, NaN where there is none.

    The floor of cycle and identity error is the error of another clip, that of the error against the ground
    truth is the untouched input. The ceiling of errors is 0.
    """
    if name == SCORE_NAME:
        return math.nan, 1.0
    if name == PAIRED:
        untouched = report["metrics"][direction]["clips"]["paired"]["untouched_error_db"]
        return float(np.mean(untouched)), 0.0
    if name in (CYCLE, IDENTITY):
        errors = report.get("reconstruction", {}).get("this_run", {})
        return _read_mean(errors.get(direction.split(" to ")[0], {}).get("other_clip")), 0.0
    estimates = report["metrics"][direction]["metrics"].get(name)
    if estimates is None:
        return math.nan, math.nan
    ends = estimates["ends"]
    return _read_mean(estimates.get(ends["floor"])), _read_mean(estimates.get(ends["ceiling"]))


def _read_mean(value: Mapping[str, Any] | None) -> float:
    mean = value.get("mean") if value else None
    return math.nan if mean is None else float(mean)


def read_distances(report: Mapping[str, Any], direction: str) -> dict[tuple[str, str], dict[str, float]]:
    """Read distances to the target by (embedding, kind): `model`, `untouched`, `real_target`."""
    return {
        (embedding, kind): {key: _read_mean(value) for key, value in values.items()}
        for embedding, kinds in report["metrics"][direction]["distances"].items()
        for kind, values in kinds.items()
    }


def shared_clips(runs: Sequence[ClipValues]) -> list[str]:
    """List clips that all runs share, in the order of the first."""
    return [clip for clip in runs[0].values if all(clip in run.values for run in runs)]
