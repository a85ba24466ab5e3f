r"""Tables and curves, from the records that `experiments/013_quality/search.py score` wrote.

python experiments/014_little_music/tables.py OUT --name report

prints a line for each candidate, in Markdown, and draws OUT/little_music_NAME.png.
With --package it writes the scores of the runs without any help to the table from which reports quote.
"""

import argparse
import csv
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.append(str(Path(__file__).parents[1] / "013_quality"))
from score_tables import COLOURS, COLUMNS, Record, Results, seed_means

from cyclegan_audio.reports.evaluation.more_music import SCORES as POOLED
from cyclegan_audio.reports.evaluation.more_music import TABLE, Measured
from cyclegan_audio.reports.figures.style import label, new_figure
from cyclegan_audio.statistics.estimates import estimate
from cyclegan_audio.utils.printing import echo

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCORES = (
    "paired_error_db",
    "rhythm_gain_db",
    "kernel_distance",
    "checkerboard_added_db",
    "onset_f1",
    "chroma",
    "movement",
)
DRAWN = ("paired_error_db", "kernel_distance", "onset_f1", "chroma")
PLAIN_RUN = re.compile(r"m(\d\d)$")  # its minutes of music a genre
Key = tuple[str, float, int]  # name, CPU seconds or 0, batches (0 where seconds are given)


def main() -> None:
    """Print a table and draw curves."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of results.jsonl")
    parser.add_argument("--name", default="report", help="name of the corpus that was scored")
    parser.add_argument("--package", action="store_true", help=f"write {TABLE.name}")
    options = parser.parse_args()
    groups = group_runs(Results(options.out).on(options.name))
    print(*markdown_table(groups), sep="\n")
    path = options.out / f"little_music_{options.name}.png"
    draw_curves(groups).savefig(path)
    echo(str(path))
    if options.package:
        write_table(groups, TABLE)
        print(*pooled_table(groups, Measured(TABLE)), sep="\n")
        echo(str(TABLE))


def group_runs(records: Sequence[Record]) -> dict[Key, list[Record]]:
    """Group records that differ in their seed only; the checkpoint of the last batch is the run itself."""
    groups: dict[Key, list[Record]] = {}
    for record in records:
        seconds, batches = record["seconds"] or 0, record.get("batches") or 0
        name = record["name"].partition(" at ")[0]
        members = groups.setdefault((name, seconds, 0 if seconds else batches), [])
        if record["seed"] not in {member["seed"] for member in members}:
            members.append(record)
    return dict(sorted(groups.items()))


def markdown_table(groups: dict[Key, list[Record]]) -> list[str]:
    """Return the lines of a table: means over seeds, with 95 % intervals where there are several."""
    header = ["candidate", "budget", "seeds", *(COLUMNS[score].heading for score in SCORES)]
    lines = [header, ["---"] * len(header)]
    for (name, seconds, batches), records in groups.items():
        budget = f"{seconds:g} CPU s" if seconds else f"{batches:,} batches" if batches else ""
        n_seeds = str(len(records)) if budget else ""
        lines.append([name, budget, n_seeds, *(_cell(records, score) for score in SCORES)])
    return [f"| {' | '.join(line)} |" for line in lines]


def _cell(records: Sequence[Record], score: str) -> str:
    texts, digits = [], COLUMNS[score].digits
    for direction in directions_of(records):
        values = seed_means(records, direction, score)
        value = estimate(values, [str(seed) for seed in range(len(values))])
        text = f"{value.mean:z.{digits}f}"
        interval = f" ({value.low:z.{digits}f} to {value.high:z.{digits}f})" if len(values) > 1 else ""
        texts.append(text + interval)
    return " / ".join(texts)


def directions_of(records: Sequence[Record]) -> list[str]:
    """Return the directions that were scored."""
    return list(dict.fromkeys(direction for record in records for direction in record["directions"]))


def plain_runs(groups: dict[Key, list[Record]]) -> dict[tuple[int, int], list[Record]]:
    """Return the runs without any help, by minutes of music a genre and batches."""
    return {
        (int(match[1]), batches): records
        for (name, _, batches), records in groups.items()
        if batches and (match := PLAIN_RUN.match(name))
    }


def write_table(groups: dict[Key, list[Record]], path: Path) -> None:
    """Write the scores of the runs without any help as CSV: a row for each run, seed and direction."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["minutes", "batches", "seed", "direction", *SCORES])
        for (minutes, batches), records in sorted(plain_runs(groups).items()):
            for record in sorted(records, key=lambda one: one["seed"]):
                for direction, scores in record["directions"].items():
                    values = [round(scores[name]["mean"], 4) for name in SCORES]
                    writer.writerow([minutes, batches, record["seed"], direction, *values])


def pooled_table(groups: dict[Key, list[Record]], measured: Measured) -> list[str]:
    """Return the lines of a table of the runs without any help: means over directions, as in reports."""
    header = ["minutes a genre", "batches", "seeds", *(COLUMNS[score].heading for score in POOLED)]
    lines = [header, ["---"] * len(header)]
    for row, records in sorted(plain_runs(groups).items()):
        cells = [str(measured.mean(row, score)) for score in POOLED]
        lines.append([str(row[0]), f"{row[1]:,}", str(len(records)), *cells])
    return [f"| {' | '.join(line)} |" for line in lines]


def draw_curves(groups: dict[Key, list[Record]]) -> "Figure":
    """Draw scores against batches: a row a direction, a column a score, a colour for each amount of music."""
    runs = plain_runs(groups)
    directions = directions_of([record for records in groups.values() for record in records])
    figure = new_figure(3.2 * len(DRAWN), 2.6 * len(directions) + 0.4, "constrained")
    axes = figure.subplots(len(directions), len(DRAWN), squeeze=False, sharex=True)
    for row, direction in zip(axes, directions, strict=True):
        for ax, score in zip(row, DRAWN, strict=True):
            for minutes, colour in zip(sorted({of for of, _ in runs}), COLOURS, strict=False):
                _draw_line(ax, runs, minutes, direction, score, colour)
            ax.set_title(f"{COLUMNS[score].heading}, {label(direction)}", fontsize=9)
    for ax in axes[-1]:
        ax.set_xlabel("batches")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return figure


def _draw_line(
    ax: Any, runs: dict[tuple[int, int], list[Record]], minutes: int, direction: str, score: str, colour: str
) -> None:
    points = {
        batches: seed_means(records, direction, score)
        for (of, batches), records in sorted(runs.items())
        if of == minutes
    }
    means = [sum(values) / len(values) for values in points.values()]
    ax.plot(list(points), means, "o-", color=colour, markersize=4, label=f"{minutes} minutes of music")
    for batches, values in points.items():
        ax.plot([batches, batches], [min(values), max(values)], color=colour, linewidth=3, alpha=0.3)


if __name__ == "__main__":
    main()
