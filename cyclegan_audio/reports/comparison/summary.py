"""The comparison in plain words, by thresholds that stand in `contrasts` and `metrics.differences`."""

from collections.abc import Sequence

from cyclegan_audio.reports.comparison.differences import (
    ALPHA,
    BETTER,
    NONE,
    OTHER,
    SEEDS,
    SLIGHT,
    SMALL,
    WORSE,
    Contrast,
    Row,
)
from cyclegan_audio.reports.comparison.grouping import Column
from cyclegan_audio.reports.comparison.runs import EvaluatedRun
from cyclegan_audio.statistics.significance import MIN_GROUPS, SEGMENT_S
from cyclegan_audio.utils.errors import UserError

HOW = (
    "Each column is compared with the first one, clip by clip where the same held-out clips were judged. A "
    "difference is said to be better or worse if it would come by chance in fewer than "
    f"{100 * ALPHA:g} of 100 such comparisons: sign-flip tests over tracks, corrected for all measures of "
    "the comparison together (Holm's step-down on joint flips, Westfall and Young; by Holm's bound where "
    "clips are not shared), and for the number of columns. Where both columns hold several seeds, the 95 % "
    "interval of the difference over seeds must leave zero out too. Less than "
    f"{100 * SMALL:g} % of the way from floor to ceiling is called slight. Better means nearer to the "
    "ceiling, or, of faults in the sound, less. Distances have no values by clip, so that no p stands beside "
    f"them. With fewer than {MIN_GROUPS} tracks, stretches of {SEGMENT_S:g} s stand for tracks: what is "
    "then said holds for these songs, not for others. Intervals are not corrected."
)
MOST_NAMED = 6
PHRASES = {
    BETTER: "better in",
    WORSE: "worse in",
    OTHER: "different in",
    SEEDS: "sure for these runs but within the spread of seeds in",
    SLIGHT: "sure but slight in",
}


def conclusion(rows: Sequence[Row], columns: Sequence[Column]) -> str:
    """Write a line for each other column and direction."""
    if len(columns) == 1:
        return "One configuration alone: its numbers stand below; name runs that differ to compare them."
    lines = []
    for column in columns[1:]:
        for way in dict.fromkeys(row.way for row in rows):
            own = [(r, r.contrasts[column.name]) for r in rows if r.way == way and column.name in r.contrasts]
            tested = [(row, contrast) for row, contrast in own if contrast.corrected == contrast.corrected]
            if own:
                lines.append(
                    f"{way}, {column.name} against {columns[0].name}: {_line(tested, column, columns[0])}"
                )
    return "\n".join(lines)


def _line(tested: Sequence[tuple[Row, Contrast]], column: Column, first: Column) -> str:
    if not tested:
        return "nothing can be tested, there are too few clips."
    groups = max(contrast.difference.groups for _, contrast in tested)
    if all(contrast.is_paired for _, contrast in tested) and groups < MIN_GROUPS:
        return (
            f"nothing can be said for certain from {groups} tracks or stretches; prepare more held-out music."
        )
    parts = []
    for said, phrase in PHRASES.items():
        found = [f"{row.label} ({_size(row, c)})" for row, c in tested if c.said == said]
        if found:
            more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
            parts.append(f"{phrase} {'; '.join(found[:MOST_NAMED])}{more}")
    rest = sum(contrast.said == NONE for _, contrast in tested)
    if rest:
        others = f"the {rest} other" if parts else str(rest)
        parts.append(f"no significant difference in {others} measure{'s' * (rest > 1)}")
    return f"{'. '.join(part[0].upper() + part[1:] for part in parts)} ({_of_what(tested, column, first)})."


def _size(row: Row, contrast: Contrast) -> str:
    """The difference with its sign and unit."""
    sign = "+" if contrast.difference.mean > 0 else "\N{MINUS SIGN}"
    unit = f" {row.measure.unit}" if row.measure.unit else ""
    value = row.measure.format_value(abs(contrast.difference.mean))
    return f"{sign}{value}{unit}"


def _of_what(tested: Sequence[tuple[Row, Contrast]], column: Column, first: Column) -> str:
    contrast = max((c for _, c in tested), key=lambda c: c.difference.n)
    way = tested[0][0].way
    seeds = [len(c.of(way)) for c in (first, column)]
    over = f"{contrast.difference.n} clips in {contrast.difference.groups} groups"
    if not contrast.is_paired:
        over = "different clips"
    if min(seeds) < 2:
        return f"{over}; one run in a column, so that a difference may be its seed's luck"
    return f"{over}; {seeds[0]} and {seeds[1]} seeds"


def warnings(columns: Sequence[Column]) -> list[str]:
    """Warn of what makes the comparison less than it should be.

    Raises:
        UserError: nothing in common, or runs that cannot be compared at all.
    """
    runs = [run for column in columns for run in column.runs]
    if len(runs) < 2:
        raise UserError("one run alone cannot be compared; name two or more, or the folder of a sweep")
    mels = {run.report["run"]["mel"]["hash"]: run for run in runs}
    if len(mels) > 1:
        a, b = list(mels.values())[:2]
        raise UserError(
            f"{a.name} and {b.name} were judged on different mels, whose numbers do not compare; "
            "name runs on corpora of one mel"
        )
    ways = [set(way for run in column.runs for way in run.ways) for column in columns]
    if len(columns) > 1 and not any(ways[0] & own for own in ways[1:]):
        raise UserError(
            f"{columns[0].name} translates {' and '.join(sorted(ways[0]))}, which no other run does; "
            "name runs between the same genres"
        )
    return [text for way in dict.fromkeys(w for r in runs for w in r.ways) for text in _of_way(runs, way)]


def _of_way(runs: Sequence[EvaluatedRun], way: str) -> list[str]:
    own = [run for run in runs if way in run.ways]
    clips = [set(run.report["measures"][way]["clips"]["clip_id"]) for run in own]
    out = []
    if not set.intersection(*clips):
        out.append(
            f"{way}: the runs were judged on different clips, and are compared unpaired where they were"
        )
    elif any(other != clips[0] for other in clips):
        out.append(
            f"{way}: not all runs were judged on the same clips; those that two columns share are compared"
        )
    out += [
        f"{way}: {run.name} and {own[0].name} give the untouched input different numbers (another classifier, "
        "data.normalise or version): measures by the genre classifier do not compare; evaluate both again"
        for run, other in zip(own[1:], clips[1:], strict=True)
        if other == clips[0] and _floors(run, way) != _floors(own[0], way)
    ]
    few = {len(set(run.report["measures"][way]["clips"]["track"])) for run in own}
    if min(few) < MIN_GROUPS:
        out.append(f"{way}: {min(few)} tracks only, so that stretches of {SEGMENT_S:g} s stand for tracks")
    return out


def _floors(run: EvaluatedRun, way: str) -> dict[str, float]:
    found = run.report["measures"][way]["measures"]
    return {
        name: round(value["untouched"]["mean"], 3) for name, value in found.items() if "untouched" in value
    }
