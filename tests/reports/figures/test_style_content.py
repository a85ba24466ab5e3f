"""The figure of style over content: points, landmarks, the legend, and values beyond the axes."""

import math

import pytest

from cyclegan_audio.reports.figures.style_content import Interval, Panel, Point, style_content_figure

RUN = Point(Interval(0.8, 0.7, 0.9), Interval(0.6, 0.4, 0.8))
SOURCE = Point(Interval(1.0, 1.0, 1.0), Interval(0.0, -0.1, 0.1))
BEYOND = Point(Interval(0.5, math.nan, math.nan), Interval(9.0, math.nan, math.nan))


def test_points_and_landmarks_are_drawn_in_per_cent() -> None:
    panel = Panel("a to b", "harmony", {"run $x$": [RUN, BEYOND]}, {"input untouched": SOURCE})
    figure = style_content_figure([panel, panel, panel], "style")
    axes = [ax for ax in figure.axes if ax.get_visible()]
    assert len(axes) == 3
    markers = [line for line in axes[0].get_lines() if line.get_marker() in "os"]
    points = {(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in markers}
    assert points == {(100.0, 0.0), (80.0, 60.0), (50.0, 150.0)}
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["input untouched", "run $x$"]
    figure.canvas.draw()


def test_no_panels_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one panel"):
        style_content_figure([], "style")
