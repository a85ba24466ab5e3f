"""Loss curves of the run with the paper's rule: did a loss explode, did it fall."""

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
OPPONENTS = "Adversarial and discriminator losses pull against each other, so that these need not fall."


def read_losses(path: Path) -> tuple[list[float], dict[str, list[float]]]:
    """Read batches and losses by name; a loss that was not trained (an empty column) is left out.

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
        raise UserError(
            f"{path} cannot be read as a table of losses ({error}); delete it or mend it"
        ) from error


def losses_section(evaluated: EvaluationData) -> Section:
    """Show curves and a row a loss."""
    section = Section("losses", "Training losses")
    path = evaluated.run_folder / LOSSES if evaluated.run_folder else None
    if path is None or not path.is_file():
        section.paragraphs.append(
            f"No {LOSSES} lies beside this checkpoint, so that there are no curves to show."
        )
        return section
    batches, losses = read_losses(path)
    if not losses:
        section.paragraphs.append(f"{LOSSES} is empty: the run ended before its first row.")
        return section
    trends = {name: loss_trend(values) for name, values in losses.items()}
    exploded = [name for name, trend in trends.items() if trend.exploded]
    fell = [name for name, trend in trends.items() if trend.fell]
    summary = f"{', '.join(exploded) or 'None'} exploded; {len(fell)} of {len(trends)} losses fell."
    section.paragraphs += [summary, f"{RULE} {OPPONENTS}"]
    section.numbers = {name: trend.to_dict() for name, trend in trends.items()}
    header = ["loss", "mean of first tenth", "mean of last tenth", "exploded", "fell"]
    section.tables.append(Table("The rule, loss by loss", header, [_row(n, t) for n, t in trends.items()]))
    section.images.append(
        encode_figure(
            loss_curves(losses, batches, terms=evaluated.pair.loss_terms),
            "Loss curves",
            "Means between log rows, and smoothed.",
        )
    )
    return section


def _row(name: str, trend: LossTrend) -> list[str]:
    said = ["yes" if trend.exploded else "no", "yes" if trend.fell else "no"]
    return [name, f"{trend.first:.3f}", f"{trend.last:.3f}", *said]
