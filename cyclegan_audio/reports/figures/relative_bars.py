"""Draw metrics relative to their floor (0 %) and ceiling (100 %), and forest plots of differences."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cyclegan_audio.reports.figures.style import label, new_figure
from cyclegan_audio.utils.printing import printable_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AXIS_LIMITS = (-0.6, 1.6)  # 0 is the floor, 1 the ceiling; values beyond are drawn at the edge
MAX_DIFFERENCE = 1.5  # in the same unit


def relative_bars(bars: Mapping[str, tuple[float, float, float]], title: str = "") -> "Figure":
    """Draw one row per metric: a bar from the floor to the value, and its interval.

    Args:
        bars: label to (value, low, high), 0 at the floor and 1 at the ceiling.
        title: above the bars.

    Raises:
        ValueError: there are no bars.
    """
    if not bars:
        raise ValueError("relative_bars needs at least one bar")
    figure, ax, positions = _labelled_rows(list(bars), 0.32, title)
    values = 100 * np.clip(np.array([list(bar) for bar in bars.values()]), *AXIS_LIMITS)
    ax.barh(positions, values[:, 0], height=0.6, color="#0072b2", alpha=0.75)
    ax.hlines(positions, values[:, 1], values[:, 2], color="#18181b", linewidth=1.5)
    for end in (0, 100):
        ax.axvline(end, color="#52525b", linewidth=1)
    ax.set_xlim(100 * AXIS_LIMITS[0], 100 * AXIS_LIMITS[1])
    ax.set_xlabel("% of the range from floor to ceiling")
    return figure


def forest_plot(
    differences: Mapping[str, tuple[tuple[float, float, float], str]], title: str, colours: Mapping[str, str]
) -> "Figure":
    """Draw one row per metric: a difference with its interval.

    Args:
        differences: label to ((value, low, high), category); 1 is the range from floor to ceiling.
        title: above the plot.
        colours: colours by category; others are grey.

    Raises:
        ValueError: there are no differences.
    """
    if not differences:
        raise ValueError("forest_plot needs at least one difference")
    figure, ax, positions = _labelled_rows(list(differences), 0.3, title)
    for y, ((value, low, high), category) in zip(positions, differences.values(), strict=True):
        middle, left, right = 100 * np.clip([value, low, high], -MAX_DIFFERENCE, MAX_DIFFERENCE)
        colour = colours.get(category, "#71717a")
        ax.hlines(y, left, right, color=colour, linewidth=2)
        ax.plot(middle, y, "o", color=colour, markersize=6)
    ax.axvline(0, color="#18181b", linewidth=1)
    ax.set_ylim(-0.7, len(differences) - 0.3)
    ax.set_xlabel("difference, % of the range from floor to ceiling")
    return figure


def _labelled_rows(labels: Sequence[str], row_inches: float, title: str) -> "tuple[Figure, Axes, np.ndarray]":
    """Return an empty figure with labelled rows, its axes, and the y positions of the rows from the top."""
    figure = new_figure(9.0, row_inches * len(labels) + 1.0, "constrained")
    ax = figure.subplots()
    positions = np.arange(len(labels))[::-1]
    ax.set_yticks(positions, [label(name) for name in labels])
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0, labelsize=9)
    if title:
        ax.set_title(printable_lines(title), fontsize=11)
    return figure, ax, positions
