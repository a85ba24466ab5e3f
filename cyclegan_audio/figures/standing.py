"""Where values stand between a floor (0 %) and a ceiling (100 %)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = (-0.6, 1.6)  # of the way from floor to ceiling; what lies beyond is drawn at the edge
WIDEST = 1.5  # difference, of that way


def standing_figure(bars: Mapping[str, tuple[float, float, float]], title: str = "") -> "Figure":
    """One row a measure: a bar from the floor to the value, and its interval.

    Args:
        bars: label to (value, low, high), 0 at the floor and 1 at the ceiling.
        title: stands above.

    Raises:
        ValueError: there is nothing to draw.
    """
    from matplotlib.figure import Figure

    if not bars:
        raise ValueError("standing_figure needs at least one bar")
    figure = Figure(figsize=(9.0, 0.32 * len(bars) + 1.0), dpi=100, layout="constrained")
    ax = figure.subplots()
    places = np.arange(len(bars))[::-1]
    values = 100 * np.clip(np.array([list(bar) for bar in bars.values()]), *SHOWN)
    ax.barh(places, values[:, 0], height=0.6, color="#0072b2", alpha=0.75)
    ax.hlines(places, values[:, 1], values[:, 2], color="#18181b", linewidth=1.5)
    for end in (0, 100):
        ax.axvline(end, color="#52525b", linewidth=1)
    ax.set_yticks(places, list(bars))
    ax.set_xlim(100 * SHOWN[0], 100 * SHOWN[1])
    ax.set_xlabel("% of the way from floor to ceiling")
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0, labelsize=9)
    if title:
        ax.set_title(title, fontsize=11)
    return figure


def difference_figure(
    differences: Mapping[str, tuple[tuple[float, float, float], str]], title: str, colours: Mapping[str, str]
) -> "Figure":
    """One row a measure: a difference with its interval around 0.

    Args:
        differences: label to ((value, low, high), what is said of it), 1 being the way from floor to ceiling.
        title: stands above.
        colours: by what is said, grey where it is not among these.

    Raises:
        ValueError: there is nothing to draw.
    """
    from matplotlib.figure import Figure

    if not differences:
        raise ValueError("difference_figure needs at least one difference")
    figure = Figure(figsize=(9.0, 0.3 * len(differences) + 1.0), dpi=100, layout="constrained")
    ax = figure.subplots()
    places = range(len(differences))[::-1]
    for place, ((value, low, high), said) in zip(places, differences.values(), strict=True):
        middle, left, right = 100 * np.clip([value, low, high], -WIDEST, WIDEST)
        colour = colours.get(said, "#71717a")
        ax.hlines(place, left, right, color=colour, linewidth=2)
        ax.plot(middle, place, "o", color=colour, markersize=6)
    ax.axvline(0, color="#18181b", linewidth=1)
    ax.set_yticks(list(places), list(differences))
    ax.set_ylim(-0.7, len(differences) - 0.3)
    ax.set_xlabel("difference, % of the way from floor to ceiling")
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0, labelsize=9)
    ax.set_title(title, fontsize=11)
    return figure


def probability_histogram(groups: Mapping[str, Sequence[float]], title: str, x_label: str) -> "Figure":
    """Histograms of probabilities, one outline a group, in shares of the group.

    Raises:
        ValueError: there is nothing to draw.
    """
    from matplotlib.figure import Figure

    if not groups or not all(len(values) for values in groups.values()):
        raise ValueError("probability_histogram needs groups with values")
    figure = Figure(figsize=(7.0, 3.0), dpi=100, layout="constrained")
    ax = figure.subplots()
    edges = np.linspace(0, 1, 21)
    for (name, values), colour in zip(groups.items(), ("#52525b", "#0072b2", "#d55e00"), strict=False):
        counts, _ = np.histogram(values, edges)
        ax.stairs(100 * counts / len(values), edges, label=name, color=colour, linewidth=2)
    ax.set_xlabel(x_label)
    ax.set_ylabel("% of clips")
    ax.set_xlim(0, 1)
    ax.set_title(title, fontsize=11)
    ax.legend(fontsize=9)
    return figure
