"""Draw mel-spectrograms: grids of clips before and after translation, and contact sheets of many clips."""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.reports.figures.style import label, new_figure
from cyclegan_audio.utils.printing import printable_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

TICKS_HZ = (100, 500, 1000, 2000, 5000, 10000, 20000)
COLOR_RANGE_DB = 80.0
PANEL_INCHES = (3.0, 2.0)
COLORMAP = "magma"
PNG_COLORS = 64
SHEET_WIDTH, ROW_HEIGHT, LABEL_HEIGHT = 12.4, 1.55, 0.4  # inches, of a contact sheet
MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP = 0.9, 1.0, 0.1  # inches
CLIP_GAP = 0.04  # between clips, as a fraction of a clip


def cycle_grid(
    rows: Sequence[Mapping[str, Tensor]],
    mel: MelSpectrogram,
    title: str = "",
    *,
    row_labels: Sequence[str] | None = None,
) -> "Figure":
    """Draw spectrograms in a grid, one row per clip, with a common colour bar in dB.

    Args:
        rows: one mapping per clip from column title to mel in dB (M, F), with the same titles in every row,
            e.g. real, fake, reconstruction, identity.
        mel: settings of the mels, for the axes in Hz and s.
        title: above the grid.
        row_labels: names of the clips, left of each row.

    Returns:
        A figure without a window; `figure.savefig(path)` writes it. The colours span the 80 dB below the
        loudest 0.1 % of the whole grid, so that panels can be compared.

    Raises:
        ValueError: there are no rows, or their columns differ.
    """
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    columns = list(rows[0]) if rows else []
    if not columns or any(list(row) != columns for row in rows):
        raise ValueError("cycle_grid needs at least one row and the same columns in every row")
    width, height = PANEL_INCHES
    size = (width * len(columns) + 1.6, height * len(rows) + (0.9 if title else 0.6))
    figure = new_figure(*size, ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06))
    axes = figure.subplots(len(rows), len(columns), sharex=True, sharey=True, squeeze=False)
    low_db, high_db = color_limits_db([values for row in rows for values in row.values()])
    for row_axes, row in zip(axes, rows, strict=True):
        for ax, values in zip(row_axes, row.values(), strict=True):
            image = draw_mel(ax, values, mel, low_db, high_db)
    for ax, name in zip(axes[0], columns, strict=True):
        ax.set_title(label(name), fontsize=10)
    for ax in axes[-1]:
        ax.set_xlabel("Time (s)")
    for index, ax in enumerate(axes[:, 0]):
        name = f"{label(row_labels[index])}\n" if row_labels else ""
        ax.set_ylabel(f"{name}Frequency (Hz)")
    figure.colorbar(image, ax=axes, label="Level (dB)", extend="min", fraction=0.03, pad=0.01)
    if title:
        figure.suptitle(printable_lines(title), fontsize=12)
    return figure


def mel_image(mels: Sequence[Tensor]) -> np.ndarray:
    """Render mels in dB (M, F) side by side with common colours, without axes; (M, frames, 3) uint8."""
    from matplotlib import colormaps

    values = torch.cat([mel.detach().float().cpu() for mel in mels], 1).flip(0).numpy()
    low_db, high_db = color_limits_db(mels)
    return colormaps[COLORMAP]((values - low_db) / (high_db - low_db), bytes=True)[..., :3]


def mel_pngs(mels: Sequence[Tensor], width: int = 720, height: int = 128) -> list[bytes]:
    """Encode mels in dB (M, F) as PNG pictures of equal size with common colours, without axes.

    The whole width is the whole duration. 64 colours keep a picture of 4 to 8 s at 30 to 40 kB.
    """
    from matplotlib import colormaps
    from PIL import Image

    low_db, high_db = color_limits_db(mels)
    palette = colormaps[COLORMAP](np.linspace(0, 1, PNG_COLORS), bytes=True)[:, :3].tobytes()
    pngs = []
    for mel in mels:
        values = mel.detach().float().cpu().flip(0).nan_to_num(low_db)[None, None]
        resized = interpolate(values, (height, width), mode="bilinear", antialias=True)[0, 0]
        scaled = ((resized - low_db) / (high_db - low_db)).clamp(0, 1) * (PNG_COLORS - 1)
        image = Image.fromarray(scaled.round().to(torch.uint8).numpy())
        image.putpalette(palette)
        buffer = io.BytesIO()
        image.save(buffer, "PNG", optimize=True)
        pngs.append(buffer.getvalue())
    return pngs


def draw_mel(ax: "Axes", mel_db: Tensor, mel: MelSpectrogram, low_db: float, high_db: float) -> "AxesImage":
    """Draw one mel in dB (M, F) with ticks in Hz and s, and return the image for a colour bar."""
    values = mel_db.detach().float().cpu().numpy()
    n_mels, n_frames = values.shape
    duration_s = n_frames * mel.frame_s
    image = ax.imshow(
        values,
        origin="lower",
        aspect="auto",
        cmap=COLORMAP,
        vmin=low_db,
        vmax=high_db,
        extent=(0.0, duration_s, -0.5, n_mels - 0.5),
        interpolation="nearest",
    )
    ax.set_yticks(*band_ticks(mel))
    ax.tick_params(labelsize=8)
    return image


def band_ticks(mel: MelSpectrogram) -> tuple[np.ndarray, list[str]]:
    """Return positions (in bands from 0) and labels of ticks at round frequencies in Hz."""
    band_hz = mel.band_hz.numpy()
    ticks = [hz for hz in TICKS_HZ if band_hz[0] <= hz <= band_hz[-1]]
    return np.interp(ticks, band_hz, np.arange(len(band_hz))), [str(hz) for hz in ticks]


def color_limits_db(mels: Sequence[Tensor]) -> tuple[float, float]:
    """Return colour limits: 80 dB up to the loudest 0.1 % of all panels, less if nothing is so quiet."""
    values = np.concatenate([m.detach().float().cpu().numpy().ravel() for m in mels])
    values = values[np.isfinite(values)]
    if not values.size:
        return -COLOR_RANGE_DB, 0.0
    high_db = float(np.percentile(values, 99.9))
    low_db = max(float(values.min()), high_db - COLOR_RANGE_DB)
    return min(low_db, high_db - 1.0), high_db


class ClipRow(NamedTuple):
    """A row of clips: mels in dB (M, F) of equal shape, and a label below each."""

    name: str
    mels_db: Sequence[Tensor]
    labels: Sequence[str]


def contact_sheet(rows: Sequence[ClipRow], mel: MelSpectrogram) -> "Figure":
    """Draw rows of clips with common colours (see `cycle_grid`), much faster than with one panel per clip.

    Raises:
        ValueError: there are no clips, or a clip has no label.
    """
    mels = [mel_db for row in rows for mel_db in row.mels_db]
    if not mels or any(len(row.mels_db) != len(row.labels) for row in rows):
        raise ValueError("contact_sheet needs at least one clip and one label per clip")
    height = MARGIN_TOP + len(rows) * (ROW_HEIGHT + LABEL_HEIGHT)
    figure = new_figure(SHEET_WIDTH, height)
    low_db, high_db = color_limits_db(mels)
    n_clips, n_frames = max(len(row.mels_db) for row in rows), mels[0].shape[1]
    step = n_frames + round(CLIP_GAP * n_frames)
    for index, row in enumerate(rows):
        bottom = height - MARGIN_TOP - ROW_HEIGHT - index * (ROW_HEIGHT + LABEL_HEIGHT)
        box = (
            MARGIN_LEFT / SHEET_WIDTH,
            bottom / height,
            1 - (MARGIN_LEFT + MARGIN_RIGHT) / SHEET_WIDTH,
            ROW_HEIGHT / height,
        )
        ax = figure.add_axes(box)
        image = ax.imshow(
            _concatenate(row.mels_db, n_clips, step), origin="lower", aspect="auto", cmap=COLORMAP,
            vmin=low_db, vmax=high_db, interpolation="nearest",
        )  # fmt: skip
        centres = np.arange(len(row.labels)) * step + n_frames / 2
        ax.set_xticks(centres, [label(text) for text in row.labels], fontsize=9)
        ax.set_yticks(*band_ticks(mel), fontsize=7)
        ax.tick_params(axis="x", length=0)
        ax.spines[:].set_visible(False)
        ax.set_ylabel(label(row.name), fontsize=11)
    bar = figure.add_axes(
        (
            1 - 0.8 * MARGIN_RIGHT / SHEET_WIDTH,
            bottom / height,
            0.15 / SHEET_WIDTH,
            1 - (MARGIN_TOP + bottom) / height,
        )
    )
    figure.colorbar(image, cax=bar, label="Level (dB)", extend="min").ax.tick_params(labelsize=8)
    return figure


def _concatenate(mels_db: Sequence[Tensor], n_clips: int, step: int) -> np.ndarray:
    """Concatenate clips `step` columns apart, with NaN between and after them."""
    n_mels, n_frames = mels_db[0].shape
    sheet = np.full((n_mels, n_clips * step - (step - n_frames)), np.nan, dtype=np.float32)
    for index, mel_db in enumerate(mels_db):
        sheet[:, index * step : index * step + n_frames] = mel_db.detach().float().cpu().numpy()
    return sheet
