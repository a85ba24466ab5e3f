"""Check report.json before a comparison reads it: types, ranges and lengths, as the report wrote them."""

from collections.abc import Callable, Mapping
from typing import Any

from cyclegan_audio.metrics.metric_spec import MODEL, REAL_TARGET, UNTOUCHED
from cyclegan_audio.reports.evaluation.metric_tables import DISTANCE_LABELS

LARGEST = 1e12  # of any metric; larger numbers overflow
POSITION = ("clip_id", "track", "source", "start_s")  # columns of a table of clips that are not metrics

Check = Callable[[Any], bool]


def check_report(report: Any) -> None:
    """Check what a comparison reads.

    Args:
        report: the content of report.json.

    Raises:
        ValueError: a part is missing or has another type; the message names it.
    """
    root = _Part("report", report)
    run = root["run"]
    run["checkpoint"].require(_is_text)
    run["corpus"].require(_is_text)
    run["batches_trained"].require(lambda value: value is None or _is_text(value) or _is_number(value))
    run["mel"]["hash"].require(_is_text)
    directions = [numbers for numbers in root["metrics"].parts() if "clips" in numbers.mapping()]
    if not directions:
        raise ValueError("no direction has clips")
    for numbers in directions:
        if " to " not in numbers.name:
            raise ValueError(f"{numbers.name} is no direction")
        _check_clips(numbers["clips"])
        _check_estimates(numbers["metrics"])
        _check_distances(numbers["distances"])
    for this_run in root.get("reconstruction"):
        for errors in this_run.get("this_run"):
            for genre in errors.parts():
                for other in genre.get("other_clip"):
                    _check_mean(other)


class _Part:
    """A value of the report with its dotted name."""

    def __init__(self, name: str, value: Any) -> None:
        self.name, self.value = name, value

    def mapping(self) -> Mapping[str, Any]:
        self.require(lambda value: isinstance(value, Mapping))
        return self.value

    def __getitem__(self, key: str) -> "_Part":
        if key not in self.mapping():
            raise ValueError(f"{self.name} has no {key}")
        return _Part(f"{self.name}.{key}", self.value[key])

    def get(self, key: str) -> "list[_Part]":
        """Return the part in a list, or an empty list."""
        return [self[key]] if key in self.mapping() else []

    def parts(self) -> "list[_Part]":
        return [self[key] for key in self.mapping()]

    def require(self, check: Check) -> None:
        if not check(self.value):
            raise ValueError(f"{self.name} is {str(self.value)[:40]!r}")

    def require_list(self, check: Check, length: int) -> None:
        self.require(lambda value: isinstance(value, list))
        if len(self.value) != length:
            raise ValueError(f"{self.name} has {len(self.value)} values instead of {length}")
        for index, value in enumerate(self.value):
            _Part(f"{self.name}[{index}]", value).require(check)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST


def _is_number_or_none(value: Any) -> bool:
    return value is None or _is_number(value)


def _check_clips(clips: _Part) -> None:
    """Check a table of clips and its part `paired`: a list for each column, all of one length."""
    paired = clips["paired"]
    for table, needed in ((clips, ()), (paired, ("error_db", "untouched_error_db"))):
        table["clip_id"].require(lambda value: isinstance(value, list))
        n_clips = len(table["clip_id"].value)
        table["clip_id"].require_list(_is_text, n_clips)
        table["track"].require_list(_is_text, n_clips)
        table["start_s"].require_list(_is_number, n_clips)
        for name in needed:
            table[name].require_list(_is_number, n_clips)
        for name in table.mapping().keys() - {*POSITION, *needed, "paired"}:
            table[name].require_list(_is_number_or_none, n_clips)


def _check_estimates(metrics: _Part) -> None:
    for metric in metrics.parts():
        ends = metric["ends"]
        for end in ("floor", "ceiling"):
            ends[end].require(lambda value: value is None or _is_text(value))
            if ends[end].value is not None:
                for estimate in metric.get(ends[end].value):
                    _check_mean(estimate)
        for estimate in metric.get(UNTOUCHED):
            _check_mean(estimate)


def _check_distances(distances: _Part) -> None:
    for embedding in distances.parts():
        for kind in embedding.parts():
            if kind.name.rpartition(".")[2] not in DISTANCE_LABELS:
                raise ValueError(f"{kind.name} is no distance")
            for name in (MODEL, UNTOUCHED, REAL_TARGET):
                kind[name].require(lambda value: value is not None)
            for estimate in kind.parts():
                _check_mean(estimate)


def _check_mean(estimate: _Part) -> None:
    if estimate.value is not None:
        estimate["mean"].require(_is_number_or_none)
