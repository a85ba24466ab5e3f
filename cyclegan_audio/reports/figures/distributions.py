"""Draw distributions: histograms of quantities and probabilities, and mean spectra, by genre."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.reports.figures.loss_curves import LINE_COLOURS
from cyclegan_audio.reports.figures.spectrograms import band_ticks
from cyclegan_audio.reports.figures.style import label, new_figure
from cyclegan_audio.utils.printing import printable_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BINS = 30
MARGINS = {"left": 0.06, "right": 0.985, "bottom": 0.15, "top": 0.96}  # a layout engine takes seconds
LINE_STYLES = ("-", "--", ":")  # for more genres than colours


def histograms(panels: Mapping[str, Mapping[str, Sequence[float]]], y_label: str) -> "Figure":
    """Draw histograms: one panel per quantity, one outline per genre in % of its values, medians as lines.

    Args:
        panels: label of the x axis to the values by genre.
        y_label: label of the y axis.

    Raises:
        ValueError: there are no panels, or a genre has no values.
    """
    if not panels or not all(len(values) for groups in panels.values() for values in groups.values()):
        raise ValueError("histograms needs at least one panel, and values for every genre in it")
    figure = new_figure(6.2 * len(panels), 3.4)
    axes = figure.subplots(1, len(panels), squeeze=False, gridspec_kw=MARGINS | {"wspace": 0.15})[0]
    for ax, (x_label, groups) in zip(axes, panels.items(), strict=True):
        edges = np.histogram_bin_edges(
            np.concatenate([np.asarray(values) for values in groups.values()]), BINS
        )
        for index, (genre, values) in enumerate(groups.items()):
            counts, _ = np.histogram(values, edges)
            ax.stairs(
                100 * counts / len(values), edges, label=label(genre), linewidth=2, **_line_style(index)
            )
            ax.axvline(float(np.median(values)), linewidth=1, alpha=0.7, **_line_style(index))
        _label_axes(ax, x_label, y_label)
    return figure


def probability_histogram(groups: Mapping[str, Sequence[float]], title: str, x_label: str) -> "Figure":
    """Draw histograms of probabilities, one outline per group in % of its values.

    Raises:
        ValueError: there are no groups, or a group has no values.
    """
    if not groups or not all(len(values) for values in groups.values()):
        raise ValueError("probability_histogram needs at least one group, and values in every group")
    figure = new_figure(7.0, 3.0, "constrained")
    ax = figure.subplots()
    edges = np.linspace(0, 1, 21)
    for (name, values), colour in zip(groups.items(), ("#52525b", "#0072b2", "#d55e00"), strict=False):
        counts, _ = np.histogram(values, edges)
        ax.stairs(100 * counts / len(values), edges, label=label(name), color=colour, linewidth=2)
    ax.set_xlabel(label(x_label))
    ax.set_ylabel("% of clips")
    ax.set_xlim(0, 1)
    ax.set_title(printable_lines(title), fontsize=11)
    ax.legend(fontsize=9)
    return figure


def mean_spectra(spectra: Mapping[str, np.ndarray], mel: MelSpectrogram) -> "Figure":
    """Draw the mean spectrum of each genre as a line with a shaded range.

    Args:
        spectra: (3, M) in dB by genre: the mean, and the lower and upper edge of the range.
        mel: settings of the mels, for the axis in Hz.

    Raises:
        ValueError: there are no genres.
    """
    if not spectra:
        raise ValueError("mean_spectra needs at least one genre")
    figure = new_figure(12.4, 4.0)
    ax = figure.subplots(gridspec_kw=MARGINS)
    bands = np.arange(mel.n_mels)
    for index, (genre, (mean, low, high)) in enumerate(spectra.items()):
        ax.plot(bands, mean, label=label(genre), linewidth=2, **_line_style(index))
        ax.fill_between(bands, low, high, color=_line_style(index)["color"], alpha=0.12, linewidth=0)
    ax.set_xticks(*band_ticks(mel))
    ax.set_xlim(0, mel.n_mels - 1)
    _label_axes(ax, "Frequency (Hz)", "Level (dB)")
    return figure


def _line_style(index: int) -> dict[str, Any]:
    """Return the colour and style of the line of a genre."""
    cycle, colour = divmod(index, len(LINE_COLOURS))
    return {"color": LINE_COLOURS[colour], "linestyle": LINE_STYLES[cycle % len(LINE_STYLES)]}


def _label_axes(ax: "Axes", x_label: str, y_label: str) -> None:
    ax.set_xlabel(printable_lines(x_label))
    ax.set_ylabel(printable_lines(y_label))
    ax.grid(alpha=0.3)
    ax.legend(fontsize=9)
