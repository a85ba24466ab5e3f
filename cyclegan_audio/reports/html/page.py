"""Describe the sections of a page and render them as one self-contained HTML file."""

import base64
import dataclasses
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from cyclegan_audio.utils.atomic import atomic_write_files, temporary_path
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.printing import printable_lines

if TYPE_CHECKING:
    from jinja2 import Environment
    from matplotlib.figure import Figure

PACKAGE = "cyclegan_audio.reports.html"
TEMPLATE = "page.html.j2"
MP3_SAMPLE_RATES = (16000, 22050, 24000, 32000, 44100, 48000)


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of text below a header; the first column names the row."""

    caption: str
    header: list[str]
    rows: list[list[str]]


@dataclasses.dataclass(frozen=True)
class Image:
    """A PNG image with its alternative text `alt` and its caption."""

    png: bytes
    alt: str
    caption: str


@dataclasses.dataclass(frozen=True)
class Audio:
    """Encoded audio with its label and media type."""

    label: str
    content: bytes
    media_type: str


@dataclasses.dataclass(frozen=True)
class AudioGroup:
    """Audio players that belong together, in the order in which they are shown."""

    title: str
    clips: list[Audio]


@dataclasses.dataclass
class Section:
    """A section of a page, and its `numbers` (JSON values) for report.json."""

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
    """Encode a mono waveform (T,) as MP3, or as 16-bit WAV if MP3 does not support the sample rate.

    `lossless` encodes 16-bit FLAC: three times the bytes, a twelfth of the time. A waveform that exceeds full
    scale is attenuated as a whole rather than clipped. Samples that are not finite become silence; the MP3
    encoder would end the process.
    """
    import soundfile

    finite = waveform.nan_to_num(0.0, 0.0, 0.0)
    samples = (finite / finite.abs().max().clamp_min(1.0)).to(torch.float32).cpu().numpy()
    buffer = io.BytesIO()
    if lossless:
        soundfile.write(buffer, samples, rate, format="FLAC", subtype="PCM_16")
        return Audio(label, buffer.getvalue(), "audio/flac")
    if rate in MP3_SAMPLE_RATES:
        soundfile.write(buffer, samples, rate, format="MP3", subtype="MPEG_LAYER_III")
        return Audio(label, buffer.getvalue(), "audio/mpeg")
    soundfile.write(buffer, samples, rate, format="WAV", subtype="PCM_16")
    return Audio(label, buffer.getvalue(), "audio/wav")


def render(title: str, summary: str, sections: Sequence[Section]) -> str:
    """Render a page as text with all images and audio embedded; the summary comes first."""
    return (
        template_environment().get_template(TEMPLATE).render(title=title, summary=summary, sections=sections)
    )


def template_environment(package: str = PACKAGE) -> "Environment":
    """Return a Jinja environment for the templates in `package`, which may extend `base.html.j2`."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(name, ".") for name in (package, PACKAGE)]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_uri"] = data_uri
    return environment


def _printable(value: Any) -> Any:
    """Escape control characters, bidi controls and lone surrogates in texts, but not in markup."""
    return printable_lines(value) if type(value) is str else value


def data_uri(content: bytes, media_type: str) -> str:
    """Encode bytes as a data URI."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def to_json(numbers: Mapping[str, Any]) -> str:
    """Encode plain values as JSON text, with null for NaN and infinity."""
    return json.dumps(_replace_nonfinite(numbers), indent=1, allow_nan=False) + "\n"


def _replace_nonfinite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _replace_nonfinite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_replace_nonfinite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def ensure_writable(folder: Path, what: str, remedy: str) -> None:
    """Create the output folder of `what`, so that an invalid path is reported before any work is done.

    Raises:
        UserError: the folder cannot be created or written; the message ends with `remedy`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = temporary_path(folder / "probe")
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"{what} cannot be written to {folder} ({error.strerror}); {remedy}") from error


def write_files(folder: Path, texts: Mapping[str, str], what: str) -> None:
    """Write files (name to text) of `what` into `folder`, each completely or not at all.

    Raises:
        UserError: the folder cannot be written.
    """
    try:
        atomic_write_files({folder / name: text for name, text in texts.items()})
    except OSError as error:
        raise UserError(
            f"{what} cannot be written to {folder} ({error.strerror}); free disk space there"
        ) from error
