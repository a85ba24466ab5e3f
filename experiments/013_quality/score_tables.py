"""Keep the scores of candidates as JSON lines, and show them as a table and as curves."""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from candidate_scores import BASELINES, EQUALISER, TRUTH, UNTOUCHED

from cyclegan_audio.reports.figures.style import label, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RESULTS = "results.jsonl"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
LANDMARKS = {EQUALISER: "--", UNTOUCHED: ":", TRUTH: "-."}
LANDMARK_COLOUR = "#52525b"
PANEL_INCHES = (4.2, 2.2)
Record = dict[str, Any]


class Column(NamedTuple):
    """How a score is shown: its heading and its decimals."""

    heading: str
    digits: int


COLUMNS = {
    "paired_error_db": Column("paired error, dB", 2),
    "rhythm_db": Column("rhythm > 4 kHz, dB", 2),
    "rhythm_gain_db": Column("gain over the matched mean, dB (sure seeds)", 2),
    "rhythm_over_equaliser_db": Column("over the equaliser, dB (sure seeds)", 2),
    "genre_classifier": Column("genre classifier", 2),
    "classifier_of_real": Column("of its rate on real targets", 2),
    "kernel_distance": Column("kernel distance", 2),
    "kad": Column("KAD", 1),
    "tagger_kad": Column("KAD, tagger", 1),
    "tagger_share": Column("way, tagger", 2),
    "checkerboard_added_db": Column("checkerboard above the input's, dB", 1),
    "onset_f1": Column("onset F1", 2),
    "chroma": Column("chroma", 2),
    "movement": Column("movement", 2),
}
ERRORS = ("paired_error_db", "rhythm_db")  # 0 for the truth, whose line would flatten the curves
WITH_SURE = ("rhythm_gain_db", "rhythm_over_equaliser_db")  # cells say in how many seeds it is above 0
CURVES = (
    "paired_error_db",
    "rhythm_db",
    "kernel_distance",
    "checkerboard_added_db",
    "onset_f1",
    "chroma",
    "movement",
)


def key_of(record: Record) -> tuple[str, str, str, str]:
    """Return what a record is about: corpus, its normalisation, genres and system."""
    return record["scored_on"], record["normalisation"], " ".join(record["genres"]), record["system"]


class Results:
    """The records in a file of JSON lines; the last of a system counts.

    Args:
        out: the folder of the file.
    """

    def __init__(self, out: Path) -> None:
        self.path = out / RESULTS
        lines = self.path.read_text().splitlines() if self.path.is_file() else []
        self.records: dict[tuple[str, str, str, str], Record] = {}
        for record in map(json.loads, lines):
            self.records[key_of(record)] = record

    def add(self, record: Record) -> None:
        """Append a record."""
        with self.path.open("a") as file:
            file.write(json.dumps(record) + "\n")
        self.records[key_of(record)] = record

    def has(self, record: Record) -> bool:
        """Return whether the same system with the same file was scored, with the tagger if it is wanted."""
        known = self.records.get(key_of(record))
        return bool(
            known and known["file_time"] == record["file_time"] and known["tagger"] >= record["tagger"]
        )

    def on(self, corpus: str) -> list[Record]:
        """Return the records of a corpus: baselines, then candidates by budget and name."""
        records = [record for record in self.records.values() if record["scored_on"] == corpus]
        return sorted(records, key=lambda r: (r["seconds"] is not None, r["seconds"] or 0, r["name"]))


def group_seeds(records: Sequence[Record]) -> dict[tuple[str, float | None], list[Record]]:
    """Group records by name and budget."""
    groups: dict[tuple[str, float | None], list[Record]] = {}
    for record in records:
        groups.setdefault((record["name"], record["seconds"]), []).append(record)
    return groups


def seed_means(records: Sequence[Record], direction: str, score: str) -> list[float]:
    """Return the mean of a score of each seed."""
    values = (record["directions"].get(direction, {}).get(score, {}).get("mean") for record in records)
    return [value for value in values if value is not None]


def markdown_table(records: Sequence[Record]) -> str:
    """Return a table of candidates: means over seeds, and their standard deviation, for each direction."""
    directions = list(dict.fromkeys(name for record in records for name in record["directions"]))
    shown = [
        score for score in COLUMNS if any(seed_means(records, direction, score) for direction in directions)
    ]
    header = ["candidate", "CPU s", "seeds", "batches", *(COLUMNS[score].heading for score in shown)]
    lines = [header, ["---"] * len(header)]
    for (name, seconds), seeds in group_seeds(records).items():
        trained = [seed["batches"] for seed in seeds if seed.get("batches")]
        lines.append(
            [
                name,
                f"{seconds:g}" if seconds else "",
                str(len(seeds)) if seconds else "",
                f"{statistics.mean(trained):,.0f}" if trained else "",
                *(" / ".join(_cell(seeds, direction, score) for direction in directions) for score in shown),
            ]
        )
    title = f"Cells: {' / '.join(directions)}; mean over seeds ± standard deviation."
    return "\n".join([title, "", *(f"| {' | '.join(line)} |" for line in lines)])


def _cell(seeds: Sequence[Record], direction: str, score: str) -> str:
    of_direction = [seed for seed in seeds if direction in seed["directions"]]  # others are of another pair
    values, digits = seed_means(of_direction, direction, score), COLUMNS[score].digits
    if not values:
        return "-"
    text = f"{statistics.mean(values):z.{digits}f}"
    if len(values) > 1:
        text += f" ± {statistics.stdev(values):.{digits}f}"
    if score in WITH_SURE:
        lows = [(seed["directions"][direction][score].get("low") or 0.0) for seed in of_direction]
        text += f" ({sum(low > 0 for low in lows)}/{len(lows)})"
    return text


def draw_curves(records: Sequence[Record], names: Sequence[str], scores: Sequence[str] = CURVES) -> "Figure":
    """Draw scores against CPU seconds: a row for each score, a column for each direction.

    Args:
        records: records of one corpus.
        names: candidates to draw; baselines are drawn as horizontal lines.
        scores: scores to draw, of `COLUMNS`.
    """
    directions = list(dict.fromkeys(name for record in records for name in record["directions"]))
    scores = [score for score in scores if any(seed_means(records, one, score) for one in directions)]
    width, height = PANEL_INCHES
    figure = new_figure(width * len(directions), height * len(scores) + 0.5, "constrained")
    axes = figure.subplots(len(scores), len(directions), squeeze=False, sharex=True)
    for row, score in zip(axes, scores, strict=True):
        for ax, direction in zip(row, directions, strict=True):
            _draw_panel(ax, records, names, direction, score)
    for ax, direction in zip(axes[0], directions, strict=True):
        ax.set_title(label(direction), fontsize=10)
    for ax in axes[-1]:
        ax.set_xlabel("CPU seconds")
    handles = {
        name: handle
        for ax in figure.axes
        for handle, name in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3, frameon=False)
    return figure


def _draw_panel(
    ax: "Axes", records: Sequence[Record], names: Sequence[str], direction: str, score: str
) -> None:
    groups = group_seeds(records)
    for name, colour in zip(names, (COLOURS * len(names))[: len(names)], strict=True):
        points = {
            seconds: values
            for (of, seconds), seeds in groups.items()
            if of == name and seconds and (values := seed_means(seeds, direction, score))
        }
        if points:
            means = [statistics.mean(values) for values in points.values()]
            ax.plot(list(points), means, "o-", color=colour, label=label(name), markersize=4)
        for seconds, values in points.items():
            ax.plot([seconds, seconds], [min(values), max(values)], color=colour, linewidth=3, alpha=0.3)
    for (name, _), records_of in groups.items():
        system, values = records_of[0]["system"], seed_means(records_of, direction, score)
        if values and system in LANDMARKS and not (system == TRUTH and score in ERRORS):
            style = LANDMARKS[system]
            ax.axhline(values[0], color=LANDMARK_COLOUR, linestyle=style, linewidth=1, label=label(name))
    budgets = sorted({seconds for name, seconds in groups if name in names and seconds})
    ax.set_xscale("log")
    ax.set_xticks(budgets, [f"{seconds:g}" for seconds in budgets])
    ax.set_xticks([], minor=True)
    ax.set_ylabel(COLUMNS[score].heading, fontsize=8)
    ax.tick_params(labelsize=8)
    ax.grid(alpha=0.3)


def candidate_names(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of the trained candidates."""
    return list(dict.fromkeys(r["name"] for r in records if r["seconds"] and r["name"] not in BASELINES))
