"""Check report.json before a comparison reads it: types, ranges and lengths, as the report wrote them."""

from collections.abc import Mapping
from typing import Annotated, Any

from cyclegan_audio.metrics.metric_spec import MODEL, REAL_TARGET, REFERENCES, UNTOUCHED
from cyclegan_audio.reports.evaluation.metric_tables import DISTANCE_LABELS
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.fields import Range, check_value

POSITION = ("clip_id", "track", "source", "start_s")  # columns of a table of clips that are not metrics

Number = Annotated[float, Range(-1e12, 1e12)]  # larger ones overflow


def check_report(report: Any) -> None:
    """Check what a comparison reads.

    Args:
        report: the content of report.json.

    Raises:
        UserError: a part is missing or has another type; the message names it.
    """
    root = _Part("report", report)
    run = root["run"]
    run["checkpoint"].require(str)
    run["corpus"].require(str)
    if not isinstance(run["batches_trained"].value, str):
        run["batches_trained"].require(Number | None)
    run["mel"]["hash"].require(str)
    directions = [numbers for numbers in root["metrics"].parts() if "clips" in numbers.mapping()]
    if not directions:
        raise UserError("no direction has clips")
    for numbers in directions:
        if " to " not in numbers.name:
            raise UserError(f"{numbers.name} is no direction")
        _check_clips(numbers["clips"])
        _check_estimates(numbers["metrics"])
        _check_distances(numbers["distances"])
    for reconstruction in root.get("reconstruction"):
        _check_reconstruction(reconstruction)
    for tagger in root.get("tagger"):
        for direction in tagger.parts():
            _check_tags(direction["tags"])


class _Part:
    """A value of the report with its dotted name."""

    def __init__(self, name: str, value: Any) -> None:
        self.name, self.value = name, value

    def mapping(self) -> Mapping[str, Any]:
        self.require(dict[str, Any])
        return self.value

    def __getitem__(self, key: str) -> "_Part":
        if key not in self.mapping():
            raise UserError(f"{self.name} has no {key}")
        return _Part(f"{self.name}.{key}", self.value[key])

    def get(self, key: str) -> "list[_Part]":
        """Return the part in a list, or an empty list."""
        return [self[key]] if key in self.mapping() else []

    def parts(self) -> "list[_Part]":
        return [self[key] for key in self.mapping()]

    def require(self, annotation: Any) -> None:
        check_value(self.name, self.value, annotation)

    def require_list(self, annotation: Any, length: int) -> None:
        self.require(list[annotation])
        if len(self.value) != length:
            raise UserError(f"{self.name} has {len(self.value)} values instead of {length}")


def _check_clips(clips: _Part) -> None:
    """Check a table of clips and its part `paired`: a list for each column, all of one length."""
    paired = clips["paired"]
    for table, needed in ((clips, ()), (paired, ("error_db", "untouched_error_db"))):
        table["clip_id"].require(list)
        n_clips = len(table["clip_id"].value)
        table["clip_id"].require_list(str, n_clips)
        table["track"].require_list(str, n_clips)
        table["start_s"].require_list(Number, n_clips)
        for name in needed:
            table[name].require_list(Number, n_clips)
        for name in table.mapping().keys() - {*POSITION, *needed, "paired"}:
            table[name].require_list(Number | None, n_clips)


def _check_estimates(metrics: _Part) -> None:
    for metric in metrics.parts():
        ends = metric["ends"]
        for end in ("floor", "ceiling"):
            ends[end].require(str | None)
        for name in metric.mapping().keys() & REFERENCES.keys():
            _check_interval(metric[name])


def _check_distances(distances: _Part) -> None:
    for embedding in distances.parts():
        for kind in embedding.parts():
            if kind.name.rpartition(".")[2] not in DISTANCE_LABELS:
                raise UserError(f"{kind.name} is no distance")
            for name in (MODEL, UNTOUCHED, REAL_TARGET):
                kind[name].require(dict[str, Any])
            for estimate in kind.parts():
                _check_mean(estimate)


def _check_reconstruction(reconstruction: _Part) -> None:
    for errors in reconstruction.get("this_run"):
        for genre in errors.parts():
            for other in genre.get("other_clip"):
                _check_mean(other)


def _check_tags(tags: _Part) -> None:
    for tag in tags.parts():
        for name in (MODEL, UNTOUCHED, REAL_TARGET):
            tag[name].require(Number)


def _check_interval(estimate: _Part) -> None:
    for name in ("mean", "low", "high"):
        estimate[name].require(Number | None)


def _check_mean(estimate: _Part) -> None:
    if estimate.value is not None:
        estimate["mean"].require(Number | None)
