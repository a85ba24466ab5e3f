"""The analysis as plain values, and as tables in the terminal."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from cyclegan_audio.listening.analysis import ALL, contrasts, means, told_apart
from cyclegan_audio.listening.responses import RULE, Answers, miss_rate
from cyclegan_audio.statistics.significance import format_p

FEW = 6
HOW = (
    "Intervals (95 %) hold for other listeners and other clips: errors over whole listeners and over whole "
    "clips together, Student's t by the fewer of both. p is corrected by Holm over all rows of its table."
)


def numbers(answers: Sequence[Answers], notes: Sequence[str]) -> dict[str, Any]:
    """Turn the analysis into plain values for analysis.json."""
    listeners = {one.listener: {"hidden_reference_missed": miss_rate(one)} for one in answers}
    count = len(answers)
    few = f"from {count} listener{'s' * (count > 1)}, which is few: intervals are rough"
    few += ", and over clips only" * (count == 1)
    return {
        "test": answers[0].test,
        "listeners": listeners,
        "screening": RULE,
        "notes": [*notes, *([few] if count < FEW else [])],
        "how": HOW,
        "means": [dataclasses.asdict(mean) for mean in means(answers)],
        "contrasts": [dataclasses.asdict(contrast) for contrast in contrasts(answers)],
        "abx": [dataclasses.asdict(told) for told in told_apart(answers)],
    }


def show(found: dict[str, Any]) -> None:
    """Print the tables of `numbers`."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for note in found["notes"]:
        console.print(note, markup=False, highlight=False)
    table = Table("question", "system", "", "mean (95 %)", title="Scores, 0 to 100")
    for mean in (m for m in found["means"] if m["way"] == ALL):
        table.add_row(mean["question"], mean["system"], mean["role"], _interval(mean["score"]))
    console.print(table)
    table = Table("question", "system", "against", "difference (95 %)", "p", title="Differences")
    for row in found["contrasts"]:
        table.add_row(
            row["question"],
            row["second"],
            row["first"],
            _interval(row["difference"], "+"),
            format_p(row["corrected"]),
        )
    if found["contrasts"]:
        console.print(table)
    table = Table("systems", "right", "share (95 %, exact)", "p", title="Told apart (ABX)")
    for row in found["abx"]:
        share = f"{100 * row['right'] / row['n']:.0f} % ({100 * row['low']:.0f} to {100 * row['high']:.0f})"
        table.add_row(
            " and ".join(row["systems"]), f"{row['right']} of {row['n']}", share, format_p(row["corrected"])
        )
    if found["abx"]:
        console.print(table)
    console.print(found["how"], markup=False, highlight=False)


def _interval(value: dict[str, Any], sign: str = "") -> str:
    known = value["low"] == value["low"]
    ends = f" ({value['low']:{sign}.1f} to {value['high']:{sign}.1f})" if known else ""
    return f"{value['mean']:{sign}.1f}{ends}"
