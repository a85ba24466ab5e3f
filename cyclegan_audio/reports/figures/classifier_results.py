"""Draw the results of classifiers: misclassified clips, ROC curves, confusion matrices and weights."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.reports.figures.loss_curves import LINE_COLOURS
from cyclegan_audio.reports.figures.spectrograms import band_ticks, draw_mel
from cyclegan_audio.reports.figures.style import label, new_figure
from cyclegan_audio.utils.printing import printable_lines

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS_PER_ROW = 4
LIMIT_PERCENTILE = 99.5  # of |weight|, at the ends of the colour map


def misclassified(
    mels_db: Sequence[Tensor], titles: Sequence[str], mel: MelSpectrogram, title: str = ""
) -> "Figure":
    """Draw mels in dB (M, F) of misclassified clips, each with its full colour range (figure 1.1).

    Raises:
        ValueError: there are no clips, or the lengths differ.
    """
    if not mels_db or len(mels_db) != len(titles):
        raise ValueError(
            f"got {len(mels_db)} clips and {len(titles)} titles; pass one title per clip, at least one"
        )
    n_rows = -(-len(mels_db) // PANELS_PER_ROW)
    figure = new_figure(3.1 * PANELS_PER_ROW, 2.3 * n_rows + 0.4, "constrained")
    axes = figure.subplots(n_rows, PANELS_PER_ROW, sharex=True, sharey=True, squeeze=False).ravel()
    for ax, values, name in zip(axes, mels_db, titles, strict=False):
        draw_mel(ax, values, mel, float(values.min()), float(values.max()))
        ax.set_title(label(name), fontsize=9)
    for ax in axes[len(mels_db) :]:
        ax.set_axis_off()
    figure.supxlabel("Time (s)", fontsize=10)
    figure.supylabel("Frequency (Hz)", fontsize=10)
    if title:
        figure.suptitle(printable_lines(title), fontsize=12)
    return figure


def roc_curves(curves: Mapping[str, tuple[np.ndarray, np.ndarray]], positive: str) -> "Figure":
    """Draw ROC curves from labels (N,) of 0 and 1 and scores (N,) by name; `positive` has label 1."""
    from sklearn.metrics import roc_auc_score, roc_curve

    figure = new_figure(5.6, 4.8, "constrained")
    ax = figure.subplots()
    for index, (name, (labels, scores)) in enumerate(curves.items()):
        false_positive, true_positive, _ = roc_curve(labels, scores)
        colour = LINE_COLOURS[index // 2 % len(LINE_COLOURS)]
        style = ("-", "--")[index % 2]
        text = label(f"{name}: AUC {roc_auc_score(labels, scores):.3f}")
        ax.plot(false_positive, true_positive, style, color=colour, label=text)
    ax.plot([0, 1], [0, 1], ":", color="grey", label="chance: AUC 0.500")
    genre = label(positive)
    ax.set(xlabel=f"False positive rate of {genre}", ylabel=f"True positive rate of {genre}")
    ax.set_aspect("equal")
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8, loc="lower right")
    return figure


def confusion_matrices(matrices: Mapping[str, np.ndarray], genres: tuple[str, str]) -> "Figure":
    """Draw confusion matrices (2, 2) of counts by name: true genre by row, predicted genre by column."""
    figure = new_figure(2.9 * len(matrices), 3.6, "constrained")
    axes, names = figure.subplots(1, len(matrices), squeeze=False)[0], [label(genre) for genre in genres]
    for ax, (name, counts) in zip(axes, matrices.items(), strict=True):
        shares = counts / counts.sum(1, keepdims=True).clip(min=1)
        ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if shares[row, column] > 0.5 else "black"
            text = f"{count}\n{shares[row, column]:.1%}"
            ax.text(column, row, text, ha="center", va="center", color=colour, fontsize=10)
        ax.set_xticks([0, 1], names)
        ax.set_yticks([0, 1], names, rotation=90, va="center")
        ax.set(xlabel="Predicted genre", ylabel="True genre")
        ax.set_title(label(name), fontsize=9)
    return figure


def weight_spectrogram(
    weights: np.ndarray, mel: MelSpectrogram, seconds: float, genres: tuple[str, str]
) -> "Figure":
    """Draw the weights of mel points (bands, frames), low bands first; red is for the second genre."""
    figure = new_figure(7.5, 3.8, "constrained")
    ax = figure.subplots()
    limit = float(np.percentile(np.abs(weights), LIMIT_PERCENTILE)) or 1.0
    image = ax.imshow(
        weights, origin="lower", aspect="auto", cmap="RdBu_r", vmin=-limit, vmax=limit,
        extent=(0.0, seconds, -0.5, mel.n_mels - 0.5),
    )  # fmt: skip
    ax.set_yticks(*band_ticks(mel))
    ax.set(xlabel="Time (s)", ylabel="Frequency (Hz)")
    figure.colorbar(
        image, label=f"Weight: {label(genres[0])} below 0, {label(genres[1])} above", extend="both"
    )
    return figure


def weight_table(
    weights: np.ndarray, names: Sequence[str], mel: MelSpectrogram, genres: tuple[str, str]
) -> "Figure":
    """Draw the weights of band statistics (statistics, bands), one row per statistic, low bands left."""
    figure = new_figure(9.0, 0.28 * len(names) + 1.2, "constrained")
    ax = figure.subplots()
    limit = float(np.percentile(np.abs(weights), LIMIT_PERCENTILE)) or 1.0
    image = ax.imshow(weights, aspect="auto", cmap="RdBu_r", vmin=-limit, vmax=limit)
    ax.set_xticks(*band_ticks(mel))
    ax.set_yticks(range(len(names)), names, fontsize=8)
    ax.set_xlabel("Frequency (Hz)")
    figure.colorbar(
        image, label=f"Weight: {label(genres[0])} below 0,\n{label(genres[1])} above", extend="both"
    )
    return figure
