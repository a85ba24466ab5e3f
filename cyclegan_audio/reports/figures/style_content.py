"""Draw how far translations move in style over how much of the content they keep."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cyclegan_audio.reports.figures.style import label, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
LANDMARK_COLOUR, LANDMARK_MARKERS = "#52525b", "sD^v"
PANEL_INCHES = (5.0, 3.6)
CONTENT_LIMITS, STYLE_LIMITS = (-0.05, 1.05), (-0.5, 1.5)  # points beyond are drawn at the edge


class Interval(NamedTuple):
    """A mean with the ends of its interval, NaN where they are unknown."""

    mean: float
    low: float
    high: float


class Point(NamedTuple):
    """A run or a landmark: content kept (1: all of it) and style moved (1: to the target genre)."""

    content: Interval
    style: Interval


class Panel(NamedTuple):
    """One panel: points of runs by the label of their series, and landmarks by label."""

    title: str
    content_label: str
    series: Mapping[str, Sequence[Point]]
    landmarks: Mapping[str, Point]


def style_content_figure(panels: Sequence[Panel], style_label: str) -> "Figure":
    """Draw panels in rows of two, with one legend.

    Raises:
        ValueError: there are no panels.
    """
    if not panels:
        raise ValueError("style_content_figure needs at least one panel")
    n_rows = -(-len(panels) // 2)
    n_columns = min(len(panels), 2)
    width, height = PANEL_INCHES
    figure = new_figure(width * n_columns, height * n_rows + 0.4, "constrained")
    axes = list(figure.subplots(n_rows, n_columns, squeeze=False).flat)
    for panel, ax in zip(panels, axes, strict=False):
        _draw_panel(ax, panel, style_label)
    for ax in axes[len(panels) :]:
        ax.set_visible(False)
    handles = {
        name: handle
        for ax in figure.axes
        for handle, name in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=4, frameon=False, fontsize=9
    )
    return figure


def _draw_panel(ax: "Axes", panel: Panel, style_label: str) -> None:
    for end in (0, 100):
        ax.axhline(end, color="#d4d4d8", linewidth=1, zorder=0)
    for marker, (name, point) in zip(LANDMARK_MARKERS, panel.landmarks.items(), strict=False):
        _draw_point(ax, point, LANDMARK_COLOUR, marker, name)
    for number, (name, points) in enumerate(panel.series.items()):
        for first, point in zip([name, *[""] * len(points)], points, strict=False):
            _draw_point(ax, point, COLOURS[number % len(COLOURS)], "o", first)
    ax.set_xlim(*(100 * np.array(CONTENT_LIMITS)))
    ax.set_ylim(*(100 * np.array(STYLE_LIMITS)))
    ax.set_title(label(panel.title), fontsize=11)
    ax.set_xlabel(f"content kept: {panel.content_label}, %")
    ax.set_ylabel(style_label)
    ax.spines[["top", "right"]].set_visible(False)


def _draw_point(ax: "Axes", point: Point, colour: str, marker: str, name: str) -> None:
    x, y = (
        100 * np.clip(np.array(interval), *limits)
        for interval, limits in zip(point, (CONTENT_LIMITS, STYLE_LIMITS), strict=True)
    )
    ax.hlines(y[0], x[1], x[2], color=colour, linewidth=1.5, alpha=0.6)
    ax.vlines(x[0], y[1], y[2], color=colour, linewidth=1.5, alpha=0.6)
    hollow = marker != "o"
    ax.plot(
        x[0], y[0], marker, color=colour, markersize=8, markerfacecolor="white" if hollow else colour,
        label=label(name) if name else None, linestyle="none", clip_on=False,
    )  # fmt: skip
