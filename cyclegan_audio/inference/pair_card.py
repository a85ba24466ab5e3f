"""The card of a trained pair: its data, rights, training and measured numbers, and the README.md from it."""

import html
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.fields import Length, Range, check_fields, from_mapping
from cyclegan_audio.utils.hints import command_line
from cyclegan_audio.utils.printing import printable

README = "README.md"
PICTURE = "picture.jpg"
SOUNDS = "sounds"  # a folder
EXTRA_FILE = re.compile(rf"{re.escape(PICTURE)}|{SOUNDS}/[a-z0-9_\-]{{1,60}}\.(mp3|wav)")
MAX_SENTENCES = 4000  # characters of a text of the card
LICENSE = re.compile(r"[a-z0-9][a-z0-9.\-]{0,60}")  # identifiers of the Hub: mit, cc-by-4.0, other
NOT_STATED = "not stated"

Text = Annotated[str, Length(0, MAX_SENTENCES)]
Number = Annotated[float, Range(-1e9, 1e9)]


@dataclass(frozen=True)
class Measurement:
    """A metric of the translations in one direction, averaged over held-out clips.

    Attributes:
        direction: such as `lofi to trap`.
        metric: what was measured, with its unit.
        translation: the mean of the translations.
        low, high: its 95 % interval; None if unknown.
        untouched: the mean of the untranslated clips; None if it has none.
        equaliser: the mean of the clips after an equaliser that matches mean and spread of each band.
        target: the mean of real clips of the target genre.
    """

    direction: Annotated[str, Length(1, 300)]
    metric: Annotated[str, Length(1, 300)]
    translation: Number
    low: Number | None = None
    high: Number | None = None
    untouched: Number | None = None
    equaliser: Number | None = None
    target: Number | None = None

    def __post_init__(self) -> None:
        check_fields(self, "card.measured")


@dataclass(frozen=True)
class Card:
    """What a person should know before using a pair; texts are plain, empty where nothing was stated.

    Attributes:
        license: identifier of the weights' licence, as the Hub lists them.
        data: the music that the pair learnt from.
        rights: the rights in that music.
        limits: what the pair does badly.
        training_minutes: duration of the training.
        measured_on: the clips of `measured`.
        measured: the fields of a `Measurement` each; `measurements` returns them.
    """

    license: Text = ""
    data: Text = ""
    rights: Text = ""
    limits: Text = ""
    training_minutes: Annotated[float, Range(0, 1e9)] | None = None
    measured_on: Text = ""
    measured: Annotated[list[dict[str, Any]], Length(0, 100)] = field(default_factory=list)

    def __post_init__(self) -> None:
        check_fields(self, "card")
        if self.license and not LICENSE.fullmatch(self.license):
            raise UserError(
                f"the licence must be an identifier such as mit, cc-by-nc-4.0 or other, got {self.license!r}"
            )
        self.measurements()

    def measurements(self) -> list[Measurement]:
        """Return the rows of `measured`."""
        return [from_mapping(Measurement, row, "card.measured") for row in self.measured]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, without empty fields."""
        return {key: value for key, value in asdict(self).items() if value not in ("", None, [])}


@dataclass(frozen=True)
class PairFacts:
    """What the README says of a pair beside its card.

    Attributes:
        run: the RUN that names the pair on a command line.
        genres: names of A and B.
        targets: the genres that it translates to.
        network: class and settings of the generators.
        n_parameters: of one generator.
        mel: the mel-spectrogram, in words.
        batches: batches of the training.
        intervals: the times of the training clips by recording.
        start: the model with which the training began; None: from scratch.
        package: the package that must be trusted to load it; None for the networks of this package.
    """

    run: str
    genres: tuple[str, str]
    targets: Sequence[str]
    network: str
    n_parameters: int
    mel: str
    batches: int
    intervals: Mapping[str, Sequence[Sequence[float]]]
    start: str | None
    package: str | None


def write_readme(facts: PairFacts, card: Card, files: Collection[str]) -> str:
    """Write the README.md of a pair: the head that the Hub reads, a picture, the use, tables and sounds.

    Args:
        facts: what the weights and their training say.
        card: what people say.
        files: names of the pictures and sounds in the folder of the pair.
    """
    lines = [*_head(facts, card), *_introduction(facts, files), *_use(facts)]
    lines += ["## Card", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {_inline(text)} |" for name, text in _rows(facts, card)]
    lines += _measured(card) + _sounds(facts, files)
    lines += [
        "",
        "The weights were learnt from recordings. The licence is what their uploader states; it gives no "
        "rights in the recordings.",
        "The checksums in `pair.json` prove that the files are whole, not whom they come from.",
    ]
    return "\n".join(lines) + "\n"


def _head(facts: PairFacts, card: Card) -> list[str]:
    """Return the front matter; JSON's strings are YAML's, too."""
    tags = ["music", "audio-to-audio", "cyclegan", "genre-transfer", *facts.genres]
    return [
        "---",
        *([f"license: {card.license}"] if card.license else []),
        "library_name: cyclegan-audio",
        "pipeline_tag: audio-to-audio",
        "tags:",
        *(f"- {json.dumps(printable(tag))}" for tag in tags),
        "---",
        "",
    ]


def _introduction(facts: PairFacts, files: Collection[str]) -> list[str]:
    both, names = len(facts.targets) > 1, " and ".join(map(_inline, facts.genres))
    directions = f"between {names}" if both else f"to {_inline(facts.targets[0])}"
    lines = [f"# {names}", "", f"Translates music {directions}, with cyclegan-audio.", ""]
    if PICTURE in files:
        lines += [
            f"![Mel-spectrograms of clips before and after the translation]({PICTURE})",
            "",
            "*Held-out clips: real, translated" + (", and translated back." if both else ".") + "*",
            "",
        ]
    return lines


def _use(facts: PairFacts) -> list[str]:
    options = [] if facts.package is None else ["--trust-package", facts.package]
    command = command_line("translate", facts.run, "song.mp3", "out.wav", "--to", facts.targets[0], *options)
    lines = ["## Use", ""]
    if facts.run.startswith("hf:"):
        lines += ['After `pip install "cyclegan-audio[hub]"`:', ""]
    return [*lines, "```bash", printable(command), "```", ""]


def _rows(facts: PairFacts, card: Card) -> list[tuple[str, str]]:
    """Return names and texts of the table."""
    minutes = sum(end - start for times in facts.intervals.values() for start, end in times) / 60
    amount = f"{len(facts.intervals)} recordings, {minutes:.0f} min of them in training clips"
    duration = "unknown" if card.training_minutes is None else f"{card.training_minutes:.0f} min"
    start = f"; it began with {facts.start}" if facts.start else ""
    rows = [
        ("data", f"{card.data or NOT_STATED}{f' ({amount})' if facts.intervals else ''}"),
        ("rights in the data", card.rights or NOT_STATED),
        ("licence of the weights", card.license or NOT_STATED),
        ("training", f"{duration}, {facts.batches:,} batches{start}"),
        ("network", f"{facts.network}, {facts.n_parameters / 1e6:.2f} M parameters a direction"),
        ("mel-spectrogram", facts.mel),
    ]
    if facts.package is not None:
        rows.append(("needs", f"the package {facts.package}, whose code runs (--trust-package)"))
    return rows + ([("limits", card.limits)] if card.limits else [])


def _measured(card: Card) -> list[str]:
    rows = card.measurements()
    if not rows:
        return ["", "No measured numbers come with this pair."]
    clips = f"Means over {_inline(card.measured_on)}; brackets hold 95 % intervals."
    lines = ["", "## Measured", "", clips, ""]
    lines += ["| | translation | untouched input | equaliser | real target |", "|---|---|---|---|---|"]
    for row in rows:
        numbers = (row.translation, row.low, row.high, row.untouched, row.equaliser, row.target)
        translation, low, high, *others = _same_decimals(numbers)
        interval = f" ({low} to {high})" if low and high else ""
        cells = [_inline(f"{row.direction}: {row.metric}"), translation + interval, *others]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _same_decimals(numbers: Sequence[float | None]) -> list[str]:
    """Format numbers with the decimals of the one that has most; "" for None."""
    texts = ["" if number is None else f"{number:g}" for number in numbers]
    if any("e" in text for text in texts):  # very large or very small
        return texts
    digits = max(len(text.partition(".")[2]) for text in texts)
    return ["" if number is None else f"{number:.{digits}f}" for number in numbers]


def _sounds(facts: PairFacts, files: Collection[str]) -> list[str]:
    names = sorted(name for name in files if name.startswith(f"{SOUNDS}/"))
    if not names:
        return []
    links = [f"* [{name.removeprefix(f'{SOUNDS}/')}]({name})" for name in names]
    return ["", "## Sounds", "", "Held-out clips before and after the translation:", "", *links]


def _inline(text: str) -> str:
    """Return a text as one line of Markdown without markup, so that it cannot break a table or a page."""
    plain = html.escape(printable(" ".join(str(text).split())), quote=False)
    return re.sub(r"([\\`*_{}\[\]|#~])", r"\\\1", plain)
