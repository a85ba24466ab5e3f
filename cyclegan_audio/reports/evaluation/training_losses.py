"""Section of training losses: curves, and whether each loss exploded or fell by the paper's rule."""

import csv
import math
from pathlib import Path

from cyclegan_audio.inference.run_paths import LOSSES
from cyclegan_audio.metrics.loss_trends import RULE, LossTrend, loss_trend
from cyclegan_audio.reports.evaluation.translations import EvaluationData
from cyclegan_audio.reports.figures import loss_curves
from cyclegan_audio.reports.html import Section, Table, encode_figure
from cyclegan_audio.utils.errors import UserError

NOT_LOSSES = ("batch", "epoch", "elapsed_s", "lr")
GAN_NOTE = "Adversarial and discriminator losses work against each other, so they need not fall."


def read_losses(path: Path) -> tuple[list[float], dict[str, list[float]]]:
    """Read batches and losses by name, without losses that were not trained (empty columns).

    Raises:
        UserError: the file is damaged.
    """
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        batches = [float(row["batch"]) for row in rows]
        names = [
            name
            for name in (rows[0] if rows else ())
            if name not in NOT_LOSSES and any(r[name] for r in rows)
        ]
        return batches, {name: [float(row[name] or math.nan) for row in rows] for name in names}
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is not a valid table of losses ({error}); repair or delete it") from error


def losses_section(evaluated: EvaluationData) -> Section:
    """Return the loss curves and a table with a row for each loss."""
    section = Section("losses", "Training losses")
    path = evaluated.run_folder / LOSSES if evaluated.run_folder else None
    if path is None or not path.is_file():
        section.paragraphs.append(f"There are no loss curves: no {LOSSES} lies beside this checkpoint.")
        return section
    batches, losses = read_losses(path)
    if not losses:
        section.paragraphs.append(f"{LOSSES} is empty: the run ended before it logged a row.")
        return section
    trends = {name: loss_trend(values) for name, values in losses.items()}
    exploded = [name for name, trend in trends.items() if trend.exploded]
    fell = [name for name, trend in trends.items() if trend.fell]
    summary = f"{', '.join(exploded) or 'None'} exploded; {len(fell)} of {len(trends)} losses fell."
    section.paragraphs += [summary, f"{RULE} {GAN_NOTE}"]
    section.numbers = {name: trend.to_dict() for name, trend in trends.items()}
    header = ["loss", "mean of first tenth", "mean of last tenth", "exploded", "fell"]
    section.tables.append(Table("Trend of each loss", header, [_row(n, t) for n, t in trends.items()]))
    section.images.append(
        encode_figure(
            loss_curves(losses, batches, terms=evaluated.model.loss_terms),
            "Loss curves",
            "Means between log rows, and smoothed curves.",
        )
    )
    return section


def _row(name: str, trend: LossTrend) -> list[str]:
    flags = ["yes" if flag else "no" for flag in (trend.exploded, trend.fell)]
    return [name, f"{trend.first:.3f}", f"{trend.last:.3f}", *flags]
