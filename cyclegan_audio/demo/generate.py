"""Generate the folder of demo songs: plan, compose, render and write them with several processes."""

from __future__ import annotations

import dataclasses
import json
import math
import multiprocessing
import os
import signal
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cyclegan_audio.demo.composition import compose_score
from cyclegan_audio.demo.render import render_song
from cyclegan_audio.demo.score import GENRES, SAMPLE_RATE_HZ, Score, bar_contents
from cyclegan_audio.utils.atomic import atomic_path, atomic_write_text
from cyclegan_audio.utils.errors import UserError

FORMAT_VERSION = 1
SETTINGS_FILE = "songs.json"
MIN_SECONDS = 4.0
MAX_ATTEMPTS = 100


@dataclass(frozen=True)
class DemoSettings:
    """Settings of a folder of demo songs.

    Attributes:
        seed: other seeds give other songs.
        songs_per_genre: number of unpaired songs per genre.
        paired_scores: number of scores that all genres play.
        seconds: length of each song.
        genres: some of `GENRES`.

    Raises:
        UserError: the settings are invalid.
    """

    seed: int
    songs_per_genre: int
    paired_scores: int
    seconds: float
    genres: Sequence[str] = GENRES

    def __post_init__(self) -> None:
        genres = list(self.genres)
        if not genres or set(genres) - set(GENRES) or len(set(genres)) != len(genres):
            raise UserError(f"invalid demo genres {genres}; choose each once from {', '.join(GENRES)}")
        counts = self.songs_per_genre, self.paired_scores
        if min(counts) < 0 or sum(counts) == 0:
            raise UserError(
                "no demo songs requested; choose songs_per_genre and paired_scores >= 0, one of them > 0"
            )
        if self.seed < 0:
            raise UserError(f"invalid demo seed {self.seed}; choose 0 or more")
        if not math.isfinite(self.seconds) or self.seconds < MIN_SECONDS:
            raise UserError(f"demo songs of {self.seconds} s are too short; choose {MIN_SECONDS:g} s or more")

    @property
    def n_songs(self) -> int:
        """Return the number of songs in the folder."""
        return len(self.genres) * (self.songs_per_genre + self.paired_scores)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as stored in the folder."""
        return {**dataclasses.asdict(self), "genres": list(self.genres)}


@dataclass(frozen=True)
class DemoSong:
    """A planned song: its path, score, genre of the band, and length."""

    path: Path
    score: Score
    genre: str
    seconds: float


def plan_demo_songs(folder: Path, settings: DemoSettings) -> list[DemoSong]:
    """Compose all songs of a folder: those of each genre, then paired scores that all genres play.

    No two scores of a plan share a bar; a score that does is composed again.
    """
    seed, seconds = settings.seed, settings.seconds
    used_bars: set[Any] = set()
    plan = []
    for genre in settings.genres:
        for index in range(settings.songs_per_genre):
            score = _compose_new_score(used_bars, seed, index, genre, seconds)
            plan.append(DemoSong(folder / genre / f"{genre}_{index:03d}.wav", score, genre, seconds))
    for index in range(settings.paired_scores):
        score = _compose_new_score(used_bars, seed, index, None, seconds)
        for genre in settings.genres:
            plan.append(DemoSong(folder / "paired" / genre / f"score_{index:03d}.wav", score, genre, seconds))
    return plan


def make_demo_songs(
    folder: Path,
    settings: DemoSettings,
    workers: int | None = None,
    on_song: Callable[[Path], None] | None = None,
) -> list[Path]:
    """Write the demo songs: `<folder>/<genre>/<genre>_000.wav` and `<folder>/paired/<genre>/score_000.wav`.

    Stereo, 16-bit, 44.1 kHz, each with its events in a `.json` file (see `render.describe_song`). The same
    settings give the same bytes with any number of workers. A complete folder stays unchanged; an interrupted
    one is completed. With several workers a script needs `if __name__ == "__main__":`.

    Args:
        folder: folder to write.
        settings: which songs to generate.
        workers: number of processes; None: one per core.
        on_song: called in this process with the path of each song written.

    Returns:
        The paths of all songs.

    Raises:
        UserError: the folder has songs with other settings.
    """
    folder = Path(folder)
    plan = plan_demo_songs(folder, settings)
    stored = {"format_version": FORMAT_VERSION, "sample_rate_hz": SAMPLE_RATE_HZ, **settings.to_dict()}
    record = folder / SETTINGS_FILE
    if record.exists() and _read_json(record) != stored:
        raise _settings_conflict(folder)
    missing = [song for song in plan if not _is_complete(song, folder)]
    with closing(_write_all(missing, workers)) as paths:
        for path in paths:
            if on_song is not None:
                on_song(path)
    if not record.exists():
        _write_json(record, stored)
    return [song.path for song in plan]


def _compose_new_score(
    used_bars: set[Any], seed: int, index: int, genre: str | None, seconds: float
) -> Score:
    """Compose a score without bars in `used_bars`, and add its bars."""
    for attempt in range(MAX_ATTEMPTS):
        score = compose_score(seed, index, genre, seconds, attempt)
        bars = set(bar_contents(score))
        if not bars & used_bars:
            used_bars |= bars
            return score
    raise UserError(f"found no new {genre or 'paired'} song {index}; request fewer demo songs")


def _write_all(songs: list[DemoSong], workers: int | None) -> Generator[Path, None, None]:
    """Write songs and yield each finished path; in this process if one worker is enough."""
    n_processes = min(len(songs), workers or os.cpu_count() or 1)
    if n_processes <= 1:
        for song in songs:
            yield _write_song(song)
        return
    context = multiprocessing.get_context("spawn")
    # Ctrl-C reaches every process; only this one handles it, and workers finish their song.
    with ProcessPoolExecutor(n_processes, context, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        futures = [pool.submit(_write_song, song) for song in songs]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _write_song(song: DemoSong) -> Path:
    """Render a song and write it, then its events."""
    import soundfile

    song.path.parent.mkdir(parents=True, exist_ok=True)
    audio, events = render_song(song.score, song.genre, song.seconds)
    with atomic_path(song.path, single_writer=True) as part:
        soundfile.write(part, audio.T, SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")
    _write_json(song.path.with_suffix(".json"), {"format_version": FORMAT_VERSION, **events})
    return song.path


def _is_complete(song: DemoSong, folder: Path) -> bool:
    """Return whether a song is complete.

    Raises:
        UserError: its path has another song.
    """
    record = song.path.with_suffix(".json")
    if not (song.path.exists() and record.exists()):
        return False
    events = _read_json(record)
    expected = (FORMAT_VERSION, song.score.score_id, song.seconds)
    if (
        not isinstance(events, dict)
        or tuple(events.get(k) for k in ("format_version", "score_id", "seconds")) != expected
    ):
        raise _settings_conflict(folder)
    return True


def _settings_conflict(folder: Path) -> UserError:
    return UserError(f"{folder} has demo songs with other settings; choose another folder or delete this one")


def _read_json(path: Path) -> Any:
    """Read a JSON file; None if it is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None


def _write_json(path: Path, content: dict[str, Any]) -> None:
    atomic_write_text(path, json.dumps(content, indent=1) + "\n")
