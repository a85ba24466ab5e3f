"""The player of a song before and after its translation, as a frame of the page."""

import html
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import torch
from torch import Tensor

from cyclegan_audio.audio.io import decode
from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.reports.figures.spectrograms import mel_pngs
from cyclegan_audio.reports.html import Player, Version, player_page
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.printing import printable
from cyclegan_audio.web.songs import in_format

PICTURE_PX = (1000, 128)
HEIGHT_PX = 315
PART_S = 30
SOUNDS = {"mp3": "audio/mpeg", "flac": "audio/flac"}  # the first that takes the rate and the channels


def player_frame(before: Path, after: Path, title: str, mel: MelSpectrogram, folder: Path) -> str:
    """Return a frame that switches between two equally long songs at the same place, over their spectrograms.

    Args:
        before: a song.
        after: its translation.
        title: the text above; it is escaped.
        mel: defines the spectrograms.
        folder: where the sounds for the browser go.

    Raises:
        UserError: a file cannot be read.
    """
    waveforms = [decode(song, sample_rate=mel.sample_rate, mono=True)[0] for song in (before, after)]
    pictures = mel_pngs([_mel_db(waveform, mel) for waveform in waveforms], *PICTURE_PX)
    versions = tuple(
        Version(label, *_encode(song, folder / f"{label}_{song.stem[:40]}"), picture)
        for label, song, picture in zip(("before", "after"), (before, after), pictures, strict=True)
    )
    seconds = min(waveform.shape[-1] for waveform in waveforms) / mel.sample_rate
    return frame(title, srcdoc=player_page(Player(printable(title), versions, seconds)), height_px=HEIGHT_PX)


def _mel_db(waveform: Tensor, mel: MelSpectrogram) -> Tensor:
    """Compute the mel (M, F) of a song (1, T) in parts, as the spectrum of all would need much memory."""
    parts = waveform.split(PART_S * mel.sample_rate, -1)
    return torch.cat([mel.mel_db(part)[0] for part in parts if part.shape[-1] >= mel.n_fft], -1)


def _encode(song: Path, target: Path) -> tuple[bytes, str]:
    """Return a song in a format that browsers decode, and its media type."""
    for suffix, media_type in SOUNDS.items():
        try:
            sound = in_format(song, suffix, target)
        except UserError as error:
            failure = error
        else:
            content = sound.read_bytes()
            sound.unlink()
            return content, media_type
    raise failure


def frame(title: str, *, srcdoc: str = "", file: Path | None = None, height_px: int) -> str:
    """Return a frame with a document or a file of `--runs`, whose scripts cannot use the page around it."""
    source = f'srcdoc="{html.escape(srcdoc)}"' if file is None else f'src="{file_address(file)}"'
    return (
        f'<iframe title="{html.escape(printable(title))}" {source} sandbox="allow-scripts" '
        f'style="height: {height_px}px"></iframe>'
    )


def pictures(files: Sequence[Path]) -> str:
    """Return pictures of `--runs`, one below the other; a click shows one alone."""
    return "".join(
        f'<a href="{(address := file_address(file))}" target="_blank"><img src="{address}" '
        f'alt="{html.escape(printable(file.stem))}"></a>'
        for file in files
    )


def file_address(file: Path) -> str:
    """Return the address of a file of `--runs` for an attribute of HTML."""
    return f"gradio_api/file={quote(str(file))}"
