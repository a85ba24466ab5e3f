"""Draw loss curves: one panel per loss term, one line per domain."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cyclegan_audio.reports.figures.style import label, new_figure
from cyclegan_audio.utils.printing import printable_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINE_COLOURS = ("#0072b2", "#d55e00", "#009e73")  # distinguishable with colour blindness
SMOOTHED_SHARE = 0.02


def loss_curves(
    columns: Mapping[str, Sequence[float]],
    x: Sequence[float] | None = None,
    *,
    x_label: str = "Batches",
    title: str = "",
    labels: Mapping[str, str] | None = None,
    terms: Mapping[str, str] | None = None,
) -> "Figure":
    """Draw losses; losses of the same term (`cycle_a`, `cycle_b`) share a panel.

    Args:
        columns: loss name to its values in order of training; NaN and infinity leave a gap.
        x: x coordinate of each value (batches); 1, 2, ... by default.
        x_label: label of the x axis.
        title: above the panels.
        labels: legend label by loss name; the name by default.
        terms: term by loss name; a loss without a term has a separate panel.

    Returns:
        A figure without a window: values in pale, a running mean over 2 % of the curve in full colour.

    Raises:
        ValueError: there are no losses, or a curve and `x` differ in length.
    """
    if not columns:
        raise ValueError("loss_curves needs at least one loss")
    panels: dict[str, list[str]] = {}
    for name in columns:
        panels.setdefault((terms or {}).get(name, name), []).append(name)
    n_columns = min(3, len(panels))
    n_rows = -(-len(panels) // n_columns)
    figure = new_figure(3.6 * n_columns, 2.5 * n_rows + 0.4, "constrained")
    axes = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for ax, (term, names) in zip(axes, panels.items(), strict=False):
        for name, colour in zip(names, _colours(len(names)), strict=True):
            _draw_curve(ax, columns[name], x, colour, label((labels or {}).get(name, name)))
        ax.set_title(label((term if len(names) > 1 else names[0]).replace("_", " ")), fontsize=10)
        ax.set_xlabel(x_label)
        ax.set_ylabel("Loss")
        ax.set_ylim(bottom=0)
        ax.tick_params(labelsize=8)
        ax.grid(alpha=0.3)
        ax.legend(fontsize=8)
    for ax in axes[len(panels) :]:
        ax.remove()
    if title:
        figure.suptitle(printable_lines(title), fontsize=12)
    return figure


def _draw_curve(
    ax: "Axes", values: Sequence[float], x: Sequence[float] | None, colour: str, name: str
) -> None:
    positions = np.arange(1, len(values) + 1) if x is None else np.asarray(x, dtype=float)
    if len(positions) != len(values):
        raise ValueError(
            f"{name}: got {len(values)} values and {len(positions)} x coordinates; pass one per value"
        )
    numbers = np.asarray(values, dtype=float)
    numbers = np.where(np.isfinite(numbers), numbers, np.nan)
    ax.plot(positions, numbers, color=colour, alpha=0.25, linewidth=0.7, zorder=1)
    marker = "o" if len(numbers) == 1 else None
    ax.plot(positions, _running_mean(numbers), color=colour, marker=marker, label=name, zorder=2)


def _colours(count: int) -> list[str]:
    return [LINE_COLOURS[i % len(LINE_COLOURS)] for i in range(count)]


def _running_mean(values: np.ndarray) -> np.ndarray:
    """Compute the mean over a centred window, shorter at both ends, ignoring NaN."""
    width = max(1, round(len(values) * SMOOTHED_SHARE)) | 1
    kernel = np.ones(width)
    known = np.isfinite(values)
    half = width // 2
    totals = np.convolve(np.where(known, values, 0.0), kernel)[half : half + len(values)]
    counts = np.convolve(known.astype(float), kernel)[half : half + len(values)]
    return np.where(counts > 0, totals / np.maximum(counts, 1), np.nan)
