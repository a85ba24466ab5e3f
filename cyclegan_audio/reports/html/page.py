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

from cyclegan_audio.reports.html.glossary import Glossary
from cyclegan_audio.utils.atomic import atomic_write_files, temporary_path
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.printing import printable_lines

if TYPE_CHECKING:
    from jinja2 import Environment
    from matplotlib.figure import Figure

PACKAGE = "cyclegan_audio.reports.html"
TEMPLATE = "page.html.j2"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
FIGURE_COLORS = 128
MAX_PAGE_BYTES = 8_000_000
MARKUP_BYTES = 500_000  # texts, styles and scripts of a page, at most
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

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height in pixels; it is never shown larger."""
        return png_size(self.png)


@dataclasses.dataclass(frozen=True)
class Audio:
    """Encoded audio with its label and media type."""

    label: str
    content: bytes
    media_type: str


@dataclasses.dataclass(frozen=True)
class Version:
    """One version of a piece of music.

    Attributes:
        label: what the switch says, e.g. before.
        sound: the encoded audio.
        media_type: of the sound, e.g. audio/mpeg.
        spectrogram_png: a picture whose width is the whole duration, without axes.
    """

    label: str
    sound: bytes
    media_type: str
    spectrogram_png: bytes

    @classmethod
    def of(cls, audio: Audio, spectrogram_png: bytes) -> "Version":
        """Return a version of encoded audio, whose label it takes."""
        return cls(audio.label, audio.content, audio.media_type, spectrogram_png)

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height of the picture in pixels; it is never shown larger."""
        return png_size(self.spectrogram_png)


@dataclasses.dataclass(frozen=True)
class Player:
    """A player that switches between versions of the same music, which should be equally loud.

    Attributes:
        title: text above; may be empty.
        versions: at least one; the first is heard first.
        seconds: duration of the versions.
        loop: whether the music starts again at its end, for short clips.
        note: a line under the title, such as the file of the clip.
    """

    title: str
    versions: tuple[Version, ...]
    seconds: float
    loop: bool = False
    note: str = ""


GOOD, FAIR, POOR, UNKNOWN = "good", "fair", "poor", "unknown"


@dataclasses.dataclass(frozen=True)
class Score:
    """A line of a scorecard.

    Attributes:
        name: what is judged, e.g. "Drums stay".
        verdict: a few words, e.g. yes.
        tone: `GOOD`, `FAIR`, `POOR` or `UNKNOWN`; sets the colour only.
        definition: sentences that appear on hover or tap.
        place: (value, low, high), 0 at the floor and 1 at the ceiling, NaN for unknown ends of the interval;
            None without a bar.
        ends: words at the floor and at the ceiling.
        limit: the place from which the verdict is yes.
        value: the place in words, e.g. "64 % (58 to 70)".
    """

    name: str
    verdict: str
    tone: str
    definition: str
    place: tuple[float, float, float] | None = None
    ends: tuple[str, str] = ("", "")
    limit: float | None = None
    value: str = ""


@dataclasses.dataclass(frozen=True)
class View:
    """What the first screen of a page shows; several views are behind one switch, as of two directions.

    Attributes:
        name: on the switch.
        headline: one sentence.
        players: sounds.
        note: a line under the players, which says how their clips were chosen.
        scores: the scorecard.
    """

    name: str
    headline: str
    players: list[Player] = dataclasses.field(default_factory=list)
    note: str = ""
    scores: list[Score] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Section:
    """A section of a page, and its `numbers` (JSON values) for report.json.

    A page folds it unless it `is_open`, and leaves it out if it has nothing to show; `missing` is the reason.
    """

    name: str
    title: str
    paragraphs: list[str] = dataclasses.field(default_factory=list)
    tables: list[Table] = dataclasses.field(default_factory=list)
    images: list[Image] = dataclasses.field(default_factory=list)
    players: list[Player] = dataclasses.field(default_factory=list)
    numbers: dict[str, Any] = dataclasses.field(default_factory=dict)
    is_open: bool = False
    missing: str = ""

    @property
    def is_empty(self) -> bool:
        """Return whether there is nothing to show."""
        return bool(self.missing) or not (self.paragraphs or self.tables or self.images or self.players)


def encode_figure(figure: "Figure", alt: str, caption: str) -> Image:
    """Encode a matplotlib figure as PNG with a palette: a third of the bytes, and no visible difference."""
    from PIL import Image as Picture

    buffer, small = io.BytesIO(), io.BytesIO()
    figure.savefig(buffer, format="png")
    picture = Picture.open(buffer).convert("RGB")
    picture.quantize(FIGURE_COLORS, dither=Picture.Dither.NONE).save(small, "PNG", optimize=True)
    return Image(small.getvalue(), alt, caption)


def encode_audio(label: str, waveform: Tensor, rate: int) -> Audio:
    """Encode a mono waveform (T,) as MP3, or as 16-bit WAV if MP3 does not support the sample rate.

    A waveform that exceeds full scale is attenuated as a whole rather than clipped. Samples that are not
    finite become silence; the MP3 encoder would end the process.
    """
    import soundfile

    finite = waveform.nan_to_num(0.0, 0.0, 0.0)
    samples = (finite / finite.abs().max().clamp_min(1.0)).to(torch.float32).cpu().numpy()
    buffer = io.BytesIO()
    if rate in MP3_SAMPLE_RATES:
        soundfile.write(buffer, samples, rate, format="MP3", subtype="MPEG_LAYER_III")
        return Audio(label, buffer.getvalue(), "audio/mpeg")
    soundfile.write(buffer, samples, rate, format="WAV", subtype="PCM_16")
    return Audio(label, buffer.getvalue(), "audio/wav")


def render(
    title: str, lead: str, sections: Sequence[Section], views: Sequence[View] = (), summary: str = ""
) -> str:
    """Render a page as text with all images and audio embedded.

    Args:
        title: of the page.
        lead: its first sentence.
        sections: those that are open come first, then the folded ones; empty ones are left out.
        views: the first screen, after the lead.
        summary: lines of a folded section before all others.
    """
    shown, n_left_out = fit_players([section for section in sections if not section.is_empty], views)
    return (
        template_environment()
        .get_template(TEMPLATE)
        .render(
            title=title,
            lead=lead,
            views=views,
            summary=summary,
            open_sections=[section for section in shown if section.is_open],
            folded_sections=[section for section in shown if not section.is_open],
            missing={section.title: section.missing for section in sections if section.missing},
            n_left_out=n_left_out,
            glossary=Glossary(),
        )
    )


def fit_players(sections: Sequence[Section], views: Sequence[View]) -> tuple[list[Section], int]:
    """Leave out players of the sections that would make a page larger than `MAX_PAGE_BYTES`; count them."""
    room = MAX_PAGE_BYTES - MARKUP_BYTES
    room -= sum(_encoded(image.png) for section in sections for image in section.images)
    room -= sum(_player_bytes(player) for view in views for player in view.players)
    out, n_left_out = [], 0
    for section in sections:
        kept = []
        for player in section.players:
            size = _player_bytes(player)
            if size <= room:
                kept.append(player)
                room -= size
            else:
                n_left_out += 1
        out.append(dataclasses.replace(section, players=kept))
    return out, n_left_out


def _player_bytes(player: Player) -> int:
    return sum(_encoded(one.sound) + _encoded(one.spectrogram_png) for one in player.versions)


def _encoded(content: bytes) -> int:
    """Return the length of a data URI's content."""
    return 4 * -(-len(content) // 3)


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


def png_size(png: bytes) -> tuple[int, int]:
    """Return width and height of a PNG image in pixels.

    Raises:
        ValueError: these bytes are no PNG image.
    """
    if png[:8] != PNG_SIGNATURE or png[12:16] != b"IHDR":
        raise ValueError("not a PNG image")
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


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
