"""The folder of demo songs: what belongs into it, and writing it with several processes."""

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
RECORD_NAME = "songs.json"
MIN_SECONDS = 4.0
MAX_ATTEMPTS = 100


@dataclass(frozen=True)
class DemoSettings:
    """What a folder of demo songs follows from.

    Attributes:
        seed: other seeds give other songs.
        songs_per_genre: songs of each genre's own.
        paired_scores: scores that all genres play.
        seconds: length of each song.
        genres: the genres, some of `GENRES`.

    Raises:
        UserError: no folder can be made from these.
    """

    seed: int
    songs_per_genre: int
    paired_scores: int
    seconds: float
    genres: Sequence[str] = GENRES

    def __post_init__(self) -> None:
        genres = list(self.genres)
        if not genres or set(genres) - set(GENRES) or len(set(genres)) != len(genres):
            raise UserError(
                f"demo genres {genres} are not possible; choose each once from {', '.join(GENRES)}"
            )
        counts = self.songs_per_genre, self.paired_scores
        if min(counts) < 0 or sum(counts) == 0:
            raise UserError(
                "no demo songs are asked for; choose songs_per_genre and paired_scores >= 0, one of them > 0"
            )
        if self.seed < 0:
            raise UserError(f"a demo seed of {self.seed} is not possible; choose 0 or more")
        if not math.isfinite(self.seconds) or self.seconds < MIN_SECONDS:
            raise UserError(f"demo songs of {self.seconds} s are too short; choose {MIN_SECONDS:g} s or more")

    @property
    def n_songs(self) -> int:
        """Files of the folder."""
        return len(self.genres) * (self.songs_per_genre + self.paired_scores)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as kept in the folder."""
        return {**dataclasses.asdict(self), "genres": list(self.genres)}


@dataclass(frozen=True)
class DemoSong:
    """One file to be: where it goes, what is played, and by which band."""

    path: Path
    score: Score
    genre: str
    seconds: float


def plan_demo_songs(folder: Path, settings: DemoSettings) -> list[DemoSong]:
    """Compose every song of a folder: each genre's own, then the paired scores played by all the genres.

    No two scores of a plan share a bar: one that would is drawn again.
    """
    seed, seconds = settings.seed, settings.seconds
    used: set[Any] = set()
    plan = []
    for genre in settings.genres:
        for index in range(settings.songs_per_genre):
            score = _new_score(used, seed, index, genre, seconds)
            plan.append(DemoSong(folder / genre / f"{genre}_{index:03d}.wav", score, genre, seconds))
    for index in range(settings.paired_scores):
        score = _new_score(used, seed, index, None, seconds)
        for genre in settings.genres:
            plan.append(DemoSong(folder / "paired" / genre / f"score_{index:03d}.wav", score, genre, seconds))
    return plan


def make_demo_songs(
    folder: Path,
    settings: DemoSettings,
    workers: int | None = None,
    on_song: Callable[[Path], None] | None = None,
) -> list[Path]:
    """Write made-up songs: `<folder>/<genre>/<genre>_000.wav` and `<folder>/paired/<genre>/score_000.wav`.

    Stereo, 16-bit, 44.1 kHz, each with a `.json` of its events beside it (see `render.describe`). The same
    settings give the same bytes with any number of workers. A complete folder is left alone; an interrupted
    one is completed. With several workers a script needs the usual `if __name__ == "__main__":`.

    Args:
        folder: where they go.
        settings: how many songs, and which.
        workers: processes; None: one a core.
        on_song: called in this process with the path of each song that was written.

    Returns:
        All paths.

    Raises:
        UserError: the folder holds songs of other settings.
    """
    folder = Path(folder)
    plan = plan_demo_songs(folder, settings)
    kept = {"format_version": FORMAT_VERSION, "sample_rate_hz": SAMPLE_RATE_HZ, **settings.to_dict()}
    record = folder / RECORD_NAME
    if record.exists() and _read_json(record) != kept:
        raise _other_parameters(folder)
    missing = [song for song in plan if not _is_done(song, folder)]
    with closing(_write_all(missing, workers)) as finished:
        for path in finished:
            if on_song is not None:
                on_song(path)
    if not record.exists():
        _write_json(record, kept)
    return [song.path for song in plan]


def _new_score(used: set[Any], seed: int, index: int, genre: str | None, seconds: float) -> Score:
    """A score none of whose bars is in `used`; its bars are added."""
    for attempt in range(MAX_ATTEMPTS):
        score = compose_score(seed, index, genre, seconds, attempt)
        bars = set(bar_contents(score))
        if not bars & used:
            used |= bars
            return score
    raise UserError(f"no new {genre or 'paired'} song {index} was found; ask for fewer demo songs")


def _write_all(songs: list[DemoSong], workers: int | None) -> Generator[Path, None, None]:
    """Write songs, yielding each path once it is there; in this process where one worker is enough."""
    count = min(len(songs), workers or os.cpu_count() or 1)
    if count <= 1:
        for song in songs:
            yield _write_song(song)
        return
    context = multiprocessing.get_context("spawn")
    # Ctrl-C reaches every process; only this one answers it, and the song in hand is finished.
    with ProcessPoolExecutor(count, context, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        jobs = [pool.submit(_write_song, song) for song in songs]
        try:
            for job in as_completed(jobs):
                yield job.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _write_song(song: DemoSong) -> Path:
    """Render one song and write it, the record of its events last."""
    import soundfile

    song.path.parent.mkdir(parents=True, exist_ok=True)
    audio, events = render_song(song.score, song.genre, song.seconds)
    with atomic_path(song.path, single_writer=True) as part:
        soundfile.write(part, audio.T, SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")
    _write_json(song.path.with_suffix(".json"), {"format_version": FORMAT_VERSION, **events})
    return song.path


def _is_done(song: DemoSong, folder: Path) -> bool:
    """Whether a song is there whole; UserError if it is another one."""
    record = song.path.with_suffix(".json")
    if not (song.path.exists() and record.exists()):
        return False
    events = _read_json(record)
    expected = (FORMAT_VERSION, song.score.score_id, song.seconds)
    if (
        not isinstance(events, dict)
        or tuple(events.get(k) for k in ("format_version", "score_id", "seconds")) != expected
    ):
        raise _other_parameters(folder)
    return True


def _other_parameters(folder: Path) -> UserError:
    return UserError(
        f"{folder} holds demo songs made with other parameters; choose another folder or delete this one"
    )


def _read_json(path: Path) -> Any:
    """A JSON file's content; None if it is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None


def _write_json(path: Path, content: dict[str, Any]) -> None:
    atomic_write_text(path, json.dumps(content, indent=1) + "\n")
