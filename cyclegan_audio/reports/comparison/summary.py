"""First lines of a comparison: its differences as sentences, the rule behind them, and warnings."""

from collections.abc import Sequence

from cyclegan_audio.reports.comparison.differences import (
    ALPHA,
    BETTER,
    DIFFERENT,
    NOT_SIGNIFICANT,
    SMALL,
    SMALL_EFFECT,
    WITHIN_SEEDS,
    WORSE,
    Contrast,
    MetricComparison,
)
from cyclegan_audio.reports.comparison.grouping import Column
from cyclegan_audio.reports.comparison.runs import EvaluatedRun
from cyclegan_audio.statistics.significance import MIN_GROUPS, SEGMENT_S
from cyclegan_audio.utils.errors import UserError

RULE = (
    "Each column is compared with the first one, clip by clip where both were evaluated on the same "
    f"held-out clips. A difference is significant if its corrected p is below {ALPHA:g}: sign-flip tests "
    "over tracks, corrected for all metrics together (Holm's step-down on joint flips, Westfall and Young; "
    "Holm's bound where clips are not shared) and for the number of columns. Where both columns have "
    "several seeds, the 95 % interval of the difference over seeds must exclude 0 too. A difference below "
    f"{100 * SMALL_EFFECT:g} % of the range from floor to ceiling is called small. Better means nearer to "
    "the ceiling; for artefacts it means less. Distances have no values by clip, so they have no p. With "
    f"fewer than {MIN_GROUPS} tracks, sections of {SEGMENT_S:g} s are used in place of tracks; the result "
    "then holds for these songs, not for others. Intervals are not corrected."
)
MAX_NAMED = 6
SINGLE_CONFIGURATION = "There is a single configuration. To compare, name runs with different settings."
PHRASES = {
    BETTER: "better in",
    WORSE: "worse in",
    DIFFERENT: "different in",
    WITHIN_SEEDS: "significant for these runs but within the spread of seeds in",
    SMALL: "significant but small in",
}


def conclusion(rows: Sequence[MetricComparison], columns: Sequence[Column]) -> str:
    """Return a line for each column but the first and each direction."""
    if len(columns) == 1:
        return SINGLE_CONFIGURATION
    return "\n".join(f"{direction}, {text}" for direction, text in conclusions(rows, columns))


def conclusions(rows: Sequence[MetricComparison], columns: Sequence[Column]) -> list[tuple[str, str]]:
    """Return (direction, sentence) for each column but the first and each direction."""
    lines = []
    for column in columns[1:]:
        for direction in dict.fromkeys(row.direction for row in rows):
            contrasts = [
                (row, row.contrasts[column.name])
                for row in rows
                if row.direction == direction and column.name in row.contrasts
            ]
            tested = [(row, one) for row, one in contrasts if one.p_corrected == one.p_corrected]
            if contrasts:
                against = f"{column.name} against {columns[0].name}"
                lines.append((direction, f"{against}: {_line(tested, column, columns[0])}"))
    return lines


def _line(tested: Sequence[tuple[MetricComparison, Contrast]], column: Column, first: Column) -> str:
    if not tested:
        return "no test is possible, there are too few clips."
    groups = max(contrast.difference.groups for _, contrast in tested)
    if all(contrast.is_paired for _, contrast in tested) and groups < MIN_GROUPS:
        return (
            f"{groups} tracks or sections are too few for a significant result; prepare more held-out music."
        )
    parts = []
    for verdict, phrase in PHRASES.items():
        named = [f"{row.label} ({_size(row, c)})" for row, c in tested if c.verdict == verdict]
        if named:
            more = f" and {len(named) - MAX_NAMED} more" if len(named) > MAX_NAMED else ""
            parts.append(f"{phrase} {'; '.join(named[:MAX_NAMED])}{more}")
    rest = sum(contrast.verdict == NOT_SIGNIFICANT for _, contrast in tested)
    if rest:
        others = f"the {rest} other" if parts else str(rest)
        parts.append(f"no significant difference in {others} metric{'s' * (rest > 1)}")
    return f"{'. '.join(part[0].upper() + part[1:] for part in parts)} ({_basis(tested, column, first)})."


def _size(row: MetricComparison, contrast: Contrast) -> str:
    """Format the difference with its sign and unit."""
    sign = "+" if contrast.difference.mean > 0 else "\N{MINUS SIGN}"
    unit = f" {row.metric.unit}" if row.metric.unit else ""
    value = row.metric.format_value(abs(contrast.difference.mean))
    return f"{sign}{value}{unit}"


def _basis(tested: Sequence[tuple[MetricComparison, Contrast]], column: Column, first: Column) -> str:
    contrast = max((c for _, c in tested), key=lambda c: c.difference.n)
    direction = tested[0][0].direction
    seeds = [len(c.runs_in(direction)) for c in (first, column)]
    over = f"{contrast.difference.n} clips in {contrast.difference.groups} groups"
    if not contrast.is_paired:
        over = "different clips"
    if min(seeds) < 2:
        return f"{over}; a column has a single run, so a difference may be due to the random seed"
    return f"{over}; {seeds[0]} and {seeds[1]} seeds"


def comparability_warnings(columns: Sequence[Column]) -> list[str]:
    """Return warnings on what limits the comparison.

    Raises:
        UserError: the runs cannot be compared.
    """
    runs = [run for column in columns for run in column.runs]
    if len(runs) < 2:
        raise UserError(
            "a comparison needs two or more runs, got 1; name more runs, or the folder of a sweep"
        )
    mels = {run.report["run"]["mel"]["hash"]: run for run in runs}
    if len(mels) > 1:
        a, b = list(mels.values())[:2]
        raise UserError(
            f"{a.name} and {b.name} were evaluated with different mel settings; "
            "name runs on corpora with the same mel settings"
        )
    directions = [set(direction for run in column.runs for direction in run.directions) for column in columns]
    if len(columns) > 1 and not any(directions[0] & others for others in directions[1:]):
        raise UserError(
            f"no other run translates {' and '.join(sorted(directions[0]))} as {columns[0].name} does; "
            "name runs between the same genres"
        )
    return [
        text
        for direction in dict.fromkeys(w for r in runs for w in r.directions)
        for text in _direction_warnings(runs, direction)
    ]


def _direction_warnings(runs: Sequence[EvaluatedRun], direction: str) -> list[str]:
    runs = [run for run in runs if direction in run.directions]
    clips = [set(run.report["metrics"][direction]["clips"]["clip_id"]) for run in runs]
    out = []
    if not set.intersection(*clips):
        out.append(f"{direction}: runs that were evaluated on different clips are compared unpaired")
    elif any(other != clips[0] for other in clips):
        out.append(
            f"{direction}: not all runs were evaluated on the same clips; only shared clips are compared"
        )
    out += [
        f"{direction}: {run.name} and {runs[0].name} have different numbers for the untouched input "
        "(another classifier, data.normalise or version), so metrics by the genre classifier are not "
        "comparable; evaluate both again"
        for run, other in zip(runs[1:], clips[1:], strict=True)
        if other == clips[0] and not _same_untouched_means(run, runs[0], direction)
    ]
    n_tracks = {len(set(run.report["metrics"][direction]["clips"]["track"])) for run in runs}
    if min(n_tracks) < MIN_GROUPS:
        out.append(
            f"{direction}: there are fewer than {MIN_GROUPS} tracks, so sections of {SEGMENT_S:g} s "
            "replace them"
        )
    return out


def _same_untouched_means(run: EvaluatedRun, other: EvaluatedRun, direction: str) -> bool:
    """Return whether the metrics that both runs have agree for the untouched input."""
    means, others = _untouched_means(run, direction), _untouched_means(other, direction)
    return all(means[name] == others[name] for name in means.keys() & others.keys())


def _untouched_means(run: EvaluatedRun, direction: str) -> dict[str, float]:
    metrics = run.report["metrics"][direction]["metrics"]
    return {
        name: round(mean, 3)
        for name, value in metrics.items()
        if (mean := value.get("untouched", {}).get("mean")) is not None
    }
