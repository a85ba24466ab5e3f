"""Section of training losses: curves, and whether each loss exploded or fell by the paper's rule."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from cyclegan_audio.inference.run_paths import LOSSES
from cyclegan_audio.metrics.loss_trends import RULE, LossTrend, loss_trend
from cyclegan_audio.reports.evaluation.translations import EvaluationData
from cyclegan_audio.reports.figures import loss_curves
from cyclegan_audio.reports.html import Section, Table, encode_figure
from cyclegan_audio.utils.csv_table import CSVTable
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.printing import get_logger

log = get_logger(__name__)

NOT_LOSSES = ("batch", "epoch", "elapsed_s", "lr")
TOTAL = "gen_total"  # the weighted sum of the generators' losses
GAN_NOTE = "Adversarial and discriminator losses work against each other, so they need not fall."


def read_losses(path: Path) -> tuple[list[float], dict[str, list[float | None]]]:
    """Read batches and losses by name, without losses that were not computed (empty columns).

    A row of batches that did not compute the loss, as in a warm-up, has None.

    Raises:
        UserError: the file is damaged.
    """
    table = CSVTable(path, ("batch",))
    if not table.rows:
        return [], {}
    names = [
        name for name in table.columns if name not in NOT_LOSSES and any(row[name] for row in table.rows)
    ]
    losses: dict[str, list[float | None]] = {}
    for name in names:
        numbers = zip(table.numbers(name, allow_gaps=True), table.rows, strict=True)
        losses[name] = [number if row[name] else None for number, row in numbers]
    return table.numbers("batch"), losses


def loss_trends(losses: Mapping[str, Sequence[float | None]]) -> dict[str, LossTrend]:
    """Compute the trend of each loss over the rows that have a value.

    That of `TOTAL` starts with the first row by which every loss has had one: a warm-up computes a part of
    its terms, so that the sum rises at its end although no term does.

    Args:
        losses: values in order of training, of equal length and each with at least one number, by name.
    """
    starts = [next(i for i, x in enumerate(values) if x is not None) for values in losses.values()]
    values = {name: rows[max(starts) :] if name == TOTAL else rows for name, rows in losses.items()}
    return {name: loss_trend([x for x in rows if x is not None]) for name, rows in values.items()}


def losses_section(evaluated: EvaluationData) -> Section:
    """Return the loss curves and a table with a row for each loss."""
    section = Section("losses", "Training losses")
    path = evaluated.run_folder / LOSSES if evaluated.run_folder else None
    if path is None or not path.is_file():
        section.missing = f"There are no loss curves: no {LOSSES} lies beside this checkpoint."
        return section
    try:
        batches, losses = read_losses(path)
    except UserError as error:
        log.warning("warning: the report has no loss curves: %s", error)
        section.missing = f"There are no loss curves: {error}."
        return section
    if not losses:
        section.missing = f"{LOSSES} is empty: the run logged no losses."
        return section
    trends = loss_trends(losses)
    exploded = [name for name, trend in trends.items() if trend.exploded]
    fell = [name for name, trend in trends.items() if trend.fell]
    summary = f"{', '.join(exploded) or 'None'} exploded; {len(fell)} of {len(trends)} losses fell."
    section.paragraphs += [summary, f"{RULE} {GAN_NOTE}"]
    curves = {name: [math.nan if x is None else x for x in values] for name, values in losses.items()}
    section.numbers = {name: trend.to_dict() for name, trend in trends.items()}
    header = ["loss", "mean of first tenth", "mean of last tenth", "exploded", "fell"]
    section.tables.append(Table("Trend of each loss", header, [_row(n, t) for n, t in trends.items()]))
    section.images.append(
        encode_figure(
            loss_curves(curves, batches, terms=evaluated.model.loss_terms),
            "Loss curves",
            "Means between log rows, and smoothed curves.",
        )
    )
    return section


def _row(name: str, trend: LossTrend) -> list[str]:
    flags = ["yes" if flag else "no" for flag in (trend.exploded, trend.fell)]
    return [name, f"{trend.first:.3f}", f"{trend.last:.3f}", *flags]
