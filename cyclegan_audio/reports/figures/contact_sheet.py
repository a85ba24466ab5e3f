"""Many small mel-spectrograms in one picture."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.reports.figures.spectrograms import COLORMAP, band_ticks, color_limits_db

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, HEIGHT, LABELS = 12.4, 1.55, 0.4  # inches: of the sheet, of a strip, of what stands below a strip
LEFT, RIGHT, TOP = 0.9, 1.0, 0.1  # inches around the strips
GAP = 0.04  # between clips, share of a clip


class ClipRow(NamedTuple):
    """Clips in a row: their mels in dB (M, F), all of one shape, and what stands below each."""

    name: str
    mels_db: Sequence[Tensor]
    labels: Sequence[str]


def contact_sheet(strips: Sequence[ClipRow], mel: MelSpectrogram) -> "Figure":
    """Draw strips of clips, one above the other, in common colours (see `cycle_grid`) with their bar.

    Far quicker to draw than a panel a clip.

    Raises:
        ValueError: there is no clip, or not one label for each.
    """
    from matplotlib.figure import Figure

    mels = [mel_db for strip in strips for mel_db in strip.mels_db]
    if not mels or any(len(strip.mels_db) != len(strip.labels) for strip in strips):
        raise ValueError("contact_sheet needs at least one clip, and a label for each")
    height = TOP + len(strips) * (HEIGHT + LABELS)
    figure = Figure(figsize=(WIDTH, height), dpi=100)
    low_db, high_db = color_limits_db(mels)
    n_clips, n_frames = max(len(strip.mels_db) for strip in strips), mels[0].shape[1]
    step = n_frames + round(GAP * n_frames)
    for place, strip in enumerate(strips):
        bottom = height - TOP - HEIGHT - place * (HEIGHT + LABELS)
        box = (LEFT / WIDTH, bottom / height, 1 - (LEFT + RIGHT) / WIDTH, HEIGHT / height)
        ax = figure.add_axes(box)
        image = ax.imshow(
            _concatenate(strip.mels_db, n_clips, step), origin="lower", aspect="auto", cmap=COLORMAP,
            vmin=low_db, vmax=high_db, interpolation="nearest",
        )  # fmt: skip
        centres = np.arange(len(strip.labels)) * step + n_frames / 2
        ax.set_xticks(centres, strip.labels, fontsize=9, parse_math=False)
        ax.set_yticks(*band_ticks(mel), fontsize=7)
        ax.tick_params(axis="x", length=0)
        ax.spines[:].set_visible(False)
        ax.set_ylabel(strip.name, fontsize=11, parse_math=False)
    bar = figure.add_axes(
        (1 - 0.8 * RIGHT / WIDTH, bottom / height, 0.15 / WIDTH, 1 - (TOP + bottom) / height)
    )
    figure.colorbar(image, cax=bar, label="Level (dB)", extend="min").ax.tick_params(labelsize=8)
    return figure


def _concatenate(mels_db: Sequence[Tensor], n_clips: int, step: int) -> np.ndarray:
    """The clips side by side, `step` columns apart, NaN between and after them."""
    n_mels, n_frames = mels_db[0].shape
    whole = np.full((n_mels, n_clips * step - (step - n_frames)), np.nan, dtype=np.float32)
    for place, mel_db in enumerate(mels_db):
        whole[:, place * step : place * step + n_frames] = mel_db.detach().float().cpu().numpy()
    return whole
