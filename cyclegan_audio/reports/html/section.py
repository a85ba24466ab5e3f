"""What a part of a page is made of; plain values that know nothing of HTML."""

import dataclasses
import io
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MP3_SAMPLE_RATES = (16000, 22050, 24000, 32000, 44100, 48000)


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of text below a header; the first column names the row."""

    caption: str
    header: list[str]
    rows: list[list[str]]


@dataclasses.dataclass(frozen=True)
class Image:
    """A PNG with its words: `alt` for who does not see it, `caption` for who does."""

    png: bytes
    alt: str
    caption: str


@dataclasses.dataclass(frozen=True)
class Audio:
    """Encoded audio with its media type."""

    label: str
    content: bytes
    media_type: str


@dataclasses.dataclass(frozen=True)
class AudioGroup:
    """Sounds that belong to one clip, in the order in which one hears them."""

    title: str
    clips: list[Audio]


@dataclasses.dataclass
class Section:
    """One part of a page: what a reader sees, and `numbers` (JSON values) for a report to keep."""

    name: str
    title: str
    paragraphs: list[str] = dataclasses.field(default_factory=list)
    tables: list[Table] = dataclasses.field(default_factory=list)
    images: list[Image] = dataclasses.field(default_factory=list)
    audio_groups: list[AudioGroup] = dataclasses.field(default_factory=list)
    numbers: dict[str, Any] = dataclasses.field(default_factory=dict)


def encode_figure(figure: "Figure", alt: str, caption: str) -> Image:
    """Encode a matplotlib figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return Image(buffer.getvalue(), alt, caption)


def encode_audio(label: str, waveform: Tensor, rate: int, *, lossless: bool = False) -> Audio:
    """Encode a mono waveform (T,) as MP3, or as 16-bit WAV where MP3 lacks the sample rate.

    `lossless` takes 16-bit FLAC: three times the bytes, a twelfth of the time. A waveform that exceeds full
    scale is turned down whole rather than clipped.
    """
    import soundfile

    samples = (waveform / waveform.abs().max().clamp_min(1.0)).to(torch.float32).cpu().numpy()
    buffer = io.BytesIO()
    if lossless:
        soundfile.write(buffer, samples, rate, format="FLAC", subtype="PCM_16")
        return Audio(label, buffer.getvalue(), "audio/flac")
    if rate in MP3_SAMPLE_RATES:
        soundfile.write(buffer, samples, rate, format="MP3", subtype="MPEG_LAYER_III")
        return Audio(label, buffer.getvalue(), "audio/mpeg")
    soundfile.write(buffer, samples, rate, format="WAV", subtype="PCM_16")
    return Audio(label, buffer.getvalue(), "audio/wav")
