"""The metadata of a stored model, checked field by field, and reading it from JSON."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal
from zlib import crc32

from torch import nn

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.corpus.normalisation import CorpusNormalisation
from cyclegan_audio.inference.pair_card import Card
from cyclegan_audio.inference.translation_model import METADATA_FORMAT, TranslationModel
from cyclegan_audio.utils.checked_json import DamagedFileError, parse_object
from cyclegan_audio.utils.errors import FileError, UserError, shortened
from cyclegan_audio.utils.fields import Length, Range, check_fields, check_plain, check_value, from_mapping

MAX_TEXT_BYTES = 16 << 20  # of JSON, and of the pickled part of a checkpoint
MAX_WINDOW_FRAMES = 1 << 14  # 3 min of `mel=hifi`
MAX_FRAME_MULTIPLE = 1 << 10
NO_CHECKSUM = "00000000"

StoredIntervals = dict[str, list[Annotated[list[float], Length(2, 2)]]]
Count = Annotated[int, Range(0, 1e15)]


@dataclass(frozen=True)
class ModelMetadata:
    """What a checkpoint, the folder of a pair or an ONNX file says of its model; see `TranslationModel`.

    Attributes:
        format: the version of the format.
        directions: the directions of the generators; old metadata, always of both, does not list them.
        elapsed_s: in a checkpoint, seconds of training.
        card: in the folder of a pair, the fields of its `Card`.
        checksums: in the folder of a pair, the SHA-256 of each other file but README.md, by name.
        frame_multiple: in ONNX, the number of which the generators' frames must be a multiple.
        outputs: in ONNX, the names of the translations.
        statistics: in ONNX, the channels of all norms of a generator.
    """

    format: int
    genres: Annotated[list[Annotated[str, Length(1, 100)]], Length(2, 2)]
    mel: dict[str, Any]
    window_frames: Annotated[int, Range(1, MAX_WINDOW_FRAMES)]
    config: dict[str, Any]
    batches: Count
    directions: Annotated[list[Literal["ab", "ba"]], Length(1, 2)] = field(
        default_factory=lambda: ["ab", "ba"]
    )
    training_intervals: StoredIntervals = field(default_factory=dict)
    normalisation: dict[str, float | None] = field(default_factory=dict)
    loss_terms: dict[str, str] = field(default_factory=dict)
    elapsed_s: Annotated[float, Range(0, 1e9)] | None = None
    card: dict[str, Any] = field(default_factory=dict)
    checksums: dict[str, str] = field(default_factory=dict)
    frame_multiple: Annotated[int, Range(1, MAX_FRAME_MULTIPLE)] | None = None
    outputs: Annotated[list[Literal["fake_a", "fake_b"]], Length(1, 2)] | None = None
    statistics: Annotated[int, Range(1, 1 << 20)] | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.format != METADATA_FORMAT:
            raise UserError(
                f"it was written by another version of cyclegan_audio (format {shortened(self.format)}, "
                f"not {METADATA_FORMAT})"
            )
        for name in ("genres", "directions", "outputs"):
            values = [value.casefold() for value in getattr(self, name) or []]
            if len(set(values)) < len(values):
                raise UserError(f"{name} must differ, got {shortened(values)}")
        from_mapping(Card, self.card, "card")
        check_value("config.data", self.config.get("data", {}), dict[str, Any])
        check_value("config.data.corpus", self.config.get("data", {}).get("corpus"), str | None)

    def part_of_config(self, *path: str) -> Mapping[str, Any]:
        """Return the mapping at `path` in the configuration, such as `model`, `generator`.

        Raises:
            UserError: there is none.
        """
        part: Any = self.config
        for depth, key in enumerate(path, 1):
            part = part.get(key)
            check_value(".".join(("config", *path[:depth])), part, dict[str, Any])
        return part

    def build_model(self, generators: dict[str, nn.Module], mel: MelSpectrogram) -> TranslationModel:
        """Build the model of these generators.

        Raises:
            UserError: the normalisation is invalid or does not fit the mel.
        """
        CorpusNormalisation.from_dict(self.normalisation).check_fits(mel)
        minutes = {} if self.elapsed_s is None else {"training_minutes": self.elapsed_s / 60}
        return TranslationModel(
            genres=(self.genres[0], self.genres[1]),
            mel=mel,
            generators=generators,
            window_frames=self.window_frames,
            config=self.config,
            batches=self.batches,
            training_intervals=self.training_intervals,
            normalisation={key: value for key, value in self.normalisation.items() if value is not None},
            loss_terms=self.loss_terms,
            card=from_mapping(Card, minutes | self.card, "card"),
        )


def parse_metadata(text: str | bytes) -> ModelMetadata:
    """Parse the JSON of metadata and check it.

    Raises:
        UserError: it is no JSON object, or describes no model.
    """
    if len(text) > MAX_TEXT_BYTES:
        raise UserError(f"its metadata is larger than {MAX_TEXT_BYTES >> 20} MB")
    try:
        values = parse_object(text)
    except DamagedFileError as error:
        raise UserError(str(error)) from error
    check_plain("the metadata", values)
    return from_mapping(ModelMetadata, values)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name the file, and what to do, in an `OSError` or a `UserError` of the block that names none."""
    try:
        yield
    except FileError:
        raise
    except (UserError, OSError) as error:
        reason = f"it cannot be read ({error.strerror})" if isinstance(error, OSError) else error
        raise FileError(f"{path}: {reason}; the file is damaged or no model of this version") from error


def checksum(content: bytes) -> str:
    """Return the checksum of a file of a pair: its SHA-256, 64 hexadecimal digits, as the Hub shows it.

    It proves that the file is the one of which `pair.json` speaks, not whom both are from: who changes a file
    can change `pair.json`.
    """
    return sha256(content).hexdigest()


def sign_content(content: bytes) -> bytes:
    """Write the CRC-32 of the rest of a file in place of `NO_CHECKSUM`; it finds accidents."""
    _, start, end = _find_checksum(content)
    return content[:start] + f"{crc32(content):08x}".encode() + content[end:]


def check_signed(content: bytes) -> None:
    """Check a file that `sign_content` wrote.

    Raises:
        UserError: the content has changed, or has no checksum.
    """
    stored, start, end = _find_checksum(content)
    if stored != f"{crc32(content[:start] + NO_CHECKSUM.encode() + content[end:]):08x}":
        raise UserError("its content does not match its checksum")


def _find_checksum(content: bytes) -> tuple[str, int, int]:
    match = re.search(rb'"checksum": "([0-9a-f]{8})"', content)
    if match is None:
        raise UserError("its metadata has no checksum, as those of older versions")
    return match[1].decode(), match.start(1), match.end(1)
