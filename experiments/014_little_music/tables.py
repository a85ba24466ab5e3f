r"""Tables and curves of all trainings of this experiment, from scores.csv beside this file.

python experiments/014_little_music/tables.py --add OUT

adds the records that `experiments/013_quality/search.py score` wrote to OUT/results.jsonl, prints a line for
each candidate, in Markdown, draws curves.png, and writes the tables from which reports quote: runs named mNN
began from scratch without help, runs named dNN as model=cyclegan_small does, with NN minutes a genre.
"""

import argparse
import csv
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

sys.path.append(str(Path(__file__).parents[1] / "013_quality"))
from score_tables import COLOURS, COLUMNS, Results

from cyclegan_audio.inference.start_pair import START_PAIR
from cyclegan_audio.reports.evaluation.more_music import SCORES as POOLED
from cyclegan_audio.reports.evaluation.more_music import TABLES, Measured
from cyclegan_audio.reports.figures.style import label, new_figure
from cyclegan_audio.statistics.estimates import estimate
from cyclegan_audio.utils.csv_table import CSVTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HERE = Path(__file__).parent
SCORES = (
    "paired_error_db",
    "rhythm_gain_db",
    "kernel_distance",
    "checkerboard_added_db",
    "onset_f1",
    "chroma",
    "movement",
)
GENRES = ["lofi", "rnb"]
DRAWN = ("paired_error_db", "kernel_distance", "onset_f1", "chroma")
STARTS = {"m": (None, "o-", "from scratch"), "d": (START_PAIR, "s:", f"from {START_PAIR}")}  # by first letter
MINUTES = re.compile(r"([md])(\d\d)$")  # of a run whose scores go into the package


class Training(NamedTuple):
    """What a row is about: a run, or a checkpoint of one; `seconds` or `batches` is its budget."""

    name: str
    seconds: int
    batches: int
    seed: int
    direction: str


Rows = dict[Training, list[float]]  # scores in the order of SCORES


def main() -> None:
    """Add records, print tables and draw curves."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--add", type=Path, metavar="OUT", help="folder of results.jsonl, to add")
    parser.add_argument("--name", default="report", help="name of the corpus that was scored")
    options = parser.parse_args()
    path = HERE / "scores.csv"
    rows = read_rows(path)
    if options.add:
        rows |= read_records(Results(options.add).on(options.name))
        write_csv(path, [*Training._fields, *SCORES], [[*key, *rows[key]] for key in sorted(rows)])
    print(*markdown_table(rows), sep="\n")
    for letter, (start, *_) in STARTS.items():
        write_package_table(rows, letter, TABLES[start])
        print("", *pooled_table(Measured(TABLES[start])), sep="\n")
    draw_curves(rows).savefig(HERE / "curves.png")


def read_rows(path: Path) -> Rows:
    """Read the scores of earlier trainings."""
    table = CSVTable(path, (*Training._fields, *SCORES))
    numbers = zip(*(table.numbers(score) for score in SCORES), strict=True)
    keys = (
        Training(r["name"], int(r["seconds"]), int(r["batches"]), int(r["seed"]), r["direction"])
        for r in table.rows
    )
    return dict(zip(keys, map(list, numbers), strict=True))


def read_records(records: Iterable[dict[str, Any]]) -> Rows:
    """Convert records of lo-fi and R&B; the checkpoint of the last batch is the run itself."""
    rows: Rows = {}
    for record in records:
        name, seconds = record["name"].partition(" at ")[0], int(record["seconds"] or 0)
        batches = 0 if seconds else record.get("batches") or 0  # baselines have neither
        for direction, scores in record["directions"].items() if record["genres"] == GENRES else ():
            key = Training(name, seconds, batches, record.get("seed") or 0, direction)
            rows[key] = [round(scores[score]["mean"], 4) for score in SCORES]
    return rows


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table of rows."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([columns, *rows])


def markdown_table(rows: Rows) -> list[str]:
    """Return the lines of a table: means over seeds, with 95 % intervals where there are several."""
    groups: dict[tuple[str, int, int], dict[str, list[list[float]]]] = defaultdict(lambda: defaultdict(list))
    for key in sorted(rows):
        groups[key[:3]][key.direction].append(rows[key])
    header = [" / ".join(sorted({key.direction for key in rows})), "budget", "seeds"]
    header += [COLUMNS[score].heading for score in SCORES]
    lines = [header, ["---"] * len(header)]
    for (name, seconds, batches), directions in groups.items():
        budget = f"{seconds} CPU s" if seconds else f"{batches:,} batches" if batches else ""
        n_seeds = len(next(iter(directions.values())))
        cells = [
            _cell([[scores[i] for scores in seeds] for seeds in directions.values()], score)
            for i, score in enumerate(SCORES)
        ]
        lines.append([name, budget, str(n_seeds), *cells])
    return [f"| {' | '.join(line)} |" for line in lines]


def _cell(values: Sequence[Sequence[float]], score: str) -> str:
    """Return the means of a score over the seeds of each direction."""
    texts, digits = [], COLUMNS[score].digits
    for of_direction in values:
        value = estimate(of_direction, [str(seed) for seed in range(len(of_direction))])
        interval = f" ({value.low:z.{digits}f} to {value.high:z.{digits}f})" if value.n > 1 else ""
        texts.append(f"{value.mean:z.{digits}f}{interval}")
    return " / ".join(texts)


def runs_of(rows: Rows, letter: str) -> dict[tuple[int, Training], list[float]]:
    """Return the runs of a letter by minutes of music a genre."""
    return {
        (int(match[2]), key): scores
        for key, scores in rows.items()
        if (match := MINUTES.match(key.name)) and match[1] == letter and not key.seconds
    }


def write_package_table(rows: Rows, letter: str, path: Path) -> None:
    """Write the scores of the runs of a letter: a row for each run, seed and direction."""
    runs = runs_of(rows, letter)
    lines = [[minutes, *key[2:], *scores] for (minutes, key), scores in sorted(runs.items())]
    write_csv(path, ["minutes", "batches", "seed", "direction", *SCORES], lines)


def pooled_table(measured: Measured) -> list[str]:
    """Return the lines of a table as in reports: means over directions, with the spread of all rows."""
    header = ["minutes a genre", "batches", "seeds", *(COLUMNS[score].heading for score in POOLED)]
    lines = [header, ["---"] * len(header)]
    for row in measured.rows:
        means = [measured.mean(row, score) for score in POOLED]
        lines.append([str(row[0]), f"{row[1]:,}", str(means[0].n), *map(str, means)])
    return [f"| {' | '.join(line)} |" for line in lines]


def draw_curves(rows: Rows) -> "Figure":
    """Draw scores against batches: a row a direction, a column a score, a colour for each amount of music."""
    directions = sorted({key.direction for key in rows})
    figure = new_figure(3.2 * len(DRAWN), 2.6 * len(directions) + 0.4, "constrained")
    axes = figure.subplots(len(directions), len(DRAWN), squeeze=False, sharex=True)
    for row, direction in zip(axes, directions, strict=True):
        for ax, score in zip(row, DRAWN, strict=True):
            for letter, (_, style, start) in STARTS.items():
                _draw_lines(ax, runs_of(rows, letter), direction, score, style, start)
            ax.set_title(f"{COLUMNS[score].heading}, {label(direction)}", fontsize=9)
    for ax in axes[-1]:
        ax.set_xlabel("batches")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return figure


def _draw_lines(
    ax: Any, runs: dict[tuple[int, Training], list[float]], direction: str, score: str, style: str, start: str
) -> None:
    """Draw a line for each amount of music, with the range over seeds."""
    lines: dict[int, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (minutes, key), scores in sorted(runs.items()):
        if key.direction == direction:
            lines[minutes][key.batches].append(scores[SCORES.index(score)])
    for minutes, points in sorted(lines.items()):
        colour = COLOURS[(5, 10, 20, 40).index(minutes)]
        means = [sum(values) / len(values) for values in points.values()]
        ax.plot(list(points), means, style, color=colour, markersize=4, label=f"{minutes} minutes, {start}")
        for batches, values in points.items():
            ax.plot([batches, batches], [min(values), max(values)], color=colour, linewidth=3, alpha=0.3)


if __name__ == "__main__":
    main()
