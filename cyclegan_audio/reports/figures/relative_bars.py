"""Where values stand between a floor (0 %) and a ceiling (100 %)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AXIS_LIMITS = (-0.6, 1.6)  # of the way from floor to ceiling; what lies beyond is drawn at the edge
MAX_DIFFERENCE = 1.5  # difference, of that way


def relative_bars(bars: Mapping[str, tuple[float, float, float]], title: str = "") -> "Figure":
    """Draw one row a metric: a bar from the floor to the value, and its interval.

    Args:
        bars: label to (value, low, high), 0 at the floor and 1 at the ceiling.
        title: stands above.

    Raises:
        ValueError: there is nothing to draw.
    """
    if not bars:
        raise ValueError("relative_bars needs at least one bar")
    figure, ax, places = _labelled_rows(list(bars), 0.32, title)
    values = 100 * np.clip(np.array([list(bar) for bar in bars.values()]), *AXIS_LIMITS)
    ax.barh(places, values[:, 0], height=0.6, color="#0072b2", alpha=0.75)
    ax.hlines(places, values[:, 1], values[:, 2], color="#18181b", linewidth=1.5)
    for end in (0, 100):
        ax.axvline(end, color="#52525b", linewidth=1)
    ax.set_xlim(100 * AXIS_LIMITS[0], 100 * AXIS_LIMITS[1])
    ax.set_xlabel("% of the way from floor to ceiling")
    return figure


def forest_plot(
    differences: Mapping[str, tuple[tuple[float, float, float], str]], title: str, colours: Mapping[str, str]
) -> "Figure":
    """Draw one row a metric: a difference with its interval around 0.

    Args:
        differences: label to ((value, low, high), what is said of it), 1 being the way from floor to ceiling.
        title: stands above.
        colours: by what is said, grey where it is not among these.

    Raises:
        ValueError: there is nothing to draw.
    """
    if not differences:
        raise ValueError("forest_plot needs at least one difference")
    figure, ax, places = _labelled_rows(list(differences), 0.3, title)
    for place, ((value, low, high), said) in zip(places, differences.values(), strict=True):
        middle, left, right = 100 * np.clip([value, low, high], -MAX_DIFFERENCE, MAX_DIFFERENCE)
        colour = colours.get(said, "#71717a")
        ax.hlines(place, left, right, color=colour, linewidth=2)
        ax.plot(middle, place, "o", color=colour, markersize=6)
    ax.axvline(0, color="#18181b", linewidth=1)
    ax.set_ylim(-0.7, len(differences) - 0.3)
    ax.set_xlabel("difference, % of the way from floor to ceiling")
    return figure


def _labelled_rows(labels: Sequence[str], row_inches: float, title: str) -> "tuple[Figure, Axes, np.ndarray]":
    """Make an empty figure of labelled rows; returns it with its axes and the rows' places, top down."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, row_inches * len(labels) + 1.0), dpi=100, layout="constrained")
    ax = figure.subplots()
    places = np.arange(len(labels))[::-1]
    ax.set_yticks(places, labels)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0, labelsize=9)
    if title:
        ax.set_title(title, fontsize=11)
    return figure, ax, places
