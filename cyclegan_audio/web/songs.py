"""Translate a song for the page: checks of the song, presets, progress with the time left, and a stop."""

import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from cyclegan_audio.audio.io import stream_blocks
from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.config import slug
from cyclegan_audio.inference.checkpoints import resolve_run
from cyclegan_audio.translation.amounts import Amount
from cyclegan_audio.translation.file_translation import convert_file
from cyclegan_audio.translation.loudness_matching import peak_of
from cyclegan_audio.translation.translator import Translator
from cyclegan_audio.utils.errors import UserError, check_number
from cyclegan_audio.utils.hints import command_line
from cyclegan_audio.utils.progress import format_duration

MAX_MINUTES = 10  # of a song; the browser holds it and its translation whole, to switch between them
SILENCE = 1e-4  # peak, -80 dB
MAX_STEM = 80  # characters of the song's name in that of its translation
MIN_SHARE = 0.01  # of the work, before which the time left is not known
FORMATS = ("wav", "flac", "mp3", "m4a")
VOCODERS = ("hybrid", "mask", "griffin_lim")  # that need no weights
MAX_SHIFTS = 4
QUALITIES = {"Draft": ("mask", 1), "Best": ("hybrid", MAX_SHIFTS)}  # vocoder and shifts
AMOUNTS = {"Subtle": Amount(0.5, 0.5), "Full": Amount()}

ProgressHandler = Callable[[float, str], None]  # with the share that is done and a text


class StoppedError(Exception):
    """The user stopped the translation."""


@dataclass(frozen=True)
class SongSettings:
    """What the page asks for: a model, a target genre, and how.

    Raises:
        UserError: a value is out of range.
    """

    run: str | Path
    to: str
    amount: Amount = field(default_factory=Amount)
    vocoder: str = "hybrid"
    shifts: int = 1

    def __post_init__(self) -> None:
        check_number("shifts", self.shifts, 1, MAX_SHIFTS, integer=True)
        if self.vocoder not in VOCODERS:
            raise UserError(f"there is no vocoder {self.vocoder!r}; choose one of {', '.join(VOCODERS)}")


@dataclass(frozen=True)
class TranslatedSong:
    """A song before and after its translation as files, the model's mel, and notes on what was corrected."""

    before: Path
    after: Path
    mel: MelSpectrogram
    notes: tuple[str, ...]


def check_song(song: Path) -> float:
    """Decode a song up to the longest allowed time; return its seconds.

    Raises:
        UserError: it is no audio, too long, or silent; the message names the file without its folder.
    """
    n_samples, rate, peak = 0, 1, 0.0
    try:
        with closing(stream_blocks(song)) as blocks:  # type: ignore[type-var]
            for block in blocks:
                rate, n_samples = block.rate, n_samples + block.samples.shape[1]
                peak = max(peak, peak_of(block.samples))
                if n_samples > 60 * MAX_MINUTES * rate:
                    command = command_line("translate", "MODEL", song.name, "out.wav", "--to", "GENRE")
                    raise UserError(
                        f"{song.name} is longer than {MAX_MINUTES} minutes; give a shorter song, or use the "
                        f"command, which takes any length: {command}"
                    )
    except UserError as error:
        raise without_folder(error, song) from error
    if peak < SILENCE:
        raise UserError(f"{song.name} is silent; give another song")
    return n_samples / rate


def without_folder(error: UserError, file: Path) -> UserError:
    """Return the error with the name of a file in place of its path, which says nothing to a visitor."""
    return UserError(str(error).replace(str(file), file.name))


def translate_song(
    song: Path,
    settings: SongSettings,
    folder: Path,
    stop: threading.Event,
    on_progress: ProgressHandler,
) -> TranslatedSong:
    """Translate a song to a WAV file in a new folder inside `folder`.

    Args:
        song: the file, as it was dropped.
        settings: what to do.
        folder: where the result goes.
        stop: once it is set, the translation ends within a few seconds.
        on_progress: called with the share that is done and the time left as text.

    Raises:
        UserError: as `check_song` and `Translator.translate_file`.
        StoppedError: `stop` was set; nothing stays.
    """
    on_progress(0.0, "reading the song")
    check_song(song)
    if stop.is_set():
        raise StoppedError
    on_progress(0.0, "loading the model")
    path = resolve_run(settings.run)
    newest = max(file.stat().st_mtime_ns for file in ([*path.iterdir()] if path.is_dir() else [path]))
    translator = _load(str(settings.run), newest, settings.vocoder, settings.shifts)
    notes: list[str] = []
    target = Path(tempfile.mkdtemp(dir=folder)) / f"{song.stem[:MAX_STEM]}_to_{slug(settings.to)}.wav"
    watch = _Watch(stop, on_progress)
    try:
        translator.translate_file(
            song, target, settings.to, amount=settings.amount, on_progress=watch, on_note=notes.append
        )
    except UserError as error:
        raise without_folder(error, song) from error
    finally:
        if not target.exists():
            target.parent.rmdir()
    return TranslatedSong(song, target, translator.mel, tuple(notes))


class _Watch:
    """Report progress with the time left, and end the translation if the user asks for it."""

    def __init__(self, stop: threading.Event, on_progress: ProgressHandler) -> None:
        self.stop, self.on_progress = stop, on_progress
        self.start_s = time.monotonic()
        on_progress(0.0, "measuring the song")

    def __call__(self, fraction: float) -> None:
        if self.stop.is_set():
            raise StoppedError
        left_s = (time.monotonic() - self.start_s) * (1 - fraction) / max(fraction, MIN_SHARE)
        left = f"{format_duration(left_s)} left" if fraction >= MIN_SHARE else "translating"
        self.on_progress(fraction, left)


@lru_cache(maxsize=2)
def _load(run: str, changed_ns: int, vocoder: str, shifts: int) -> Translator:
    """Load a translator; the time of the last change is part of the key, as a run goes on training."""
    return Translator.load(run, vocoder=vocoder, shifts=shifts)


def in_format(song: Path, suffix: str, stem: Path | None = None) -> Path:
    """Return a song in another format, which is written at its first use.

    Args:
        song: the file.
        suffix: one of `FORMATS`.
        stem: path of the result without suffix; None: that of the song.

    Raises:
        UserError: there is no such format, or it does not support the song's rate or channels.
    """
    if suffix not in FORMATS:
        raise UserError(f"there is no format {suffix!r}; choose one of {', '.join(FORMATS)}")
    stem = song.with_suffix("") if stem is None else stem
    target = stem.with_name(f"{stem.name}.{suffix}")
    if not target.exists():
        try:
            convert_file(song, target)
        except UserError as error:
            raise without_folder(without_folder(error, target), song) from error
    return target
