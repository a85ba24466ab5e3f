"""The folder of demo songs: what belongs into it, and writing it with several processes."""

from __future__ import annotations

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

from cyclegan_audio.data.demo.composition import compose_score
from cyclegan_audio.data.demo.render import render_song
from cyclegan_audio.data.demo.score import GENRES, SAMPLE_RATE_HZ, Score, bar_contents
from cyclegan_audio.errors import UserError

FORMAT_VERSION = 1
RECORD_NAME = "songs.json"
MIN_SECONDS = 4.0
MAX_ATTEMPTS = 100


@dataclass(frozen=True)
class DemoSong:
    """One file to be: where it goes, what is played, and by which band."""

    path: Path
    score: Score
    genre: str
    seconds: float


def plan_demo_songs(
    folder: Path,
    *,
    seed: int,
    songs_per_genre: int,
    paired_scores: int,
    seconds: float,
    genres: Sequence[str] = GENRES,
) -> list[DemoSong]:
    """Every song of a folder: each genre's own, then the paired scores played by all the genres.

    No two scores of a plan share a bar: one that would is drawn again.
    """
    _check(seed, songs_per_genre, paired_scores, seconds, genres)
    used: set[Any] = set()
    plan = []
    for genre in genres:
        for index in range(songs_per_genre):
            score = _new_score(used, seed, index, genre, seconds)
            plan.append(DemoSong(folder / genre / f"{genre}_{index:03d}.wav", score, genre, seconds))
    for index in range(paired_scores):
        score = _new_score(used, seed, index, None, seconds)
        for genre in genres:
            plan.append(DemoSong(folder / "paired" / genre / f"score_{index:03d}.wav", score, genre, seconds))
    return plan


def count_demo_songs(*, songs_per_genre: int, paired_scores: int, genres: Sequence[str] = GENRES) -> int:
    """How many files a folder will have."""
    return len(genres) * (songs_per_genre + paired_scores)


def make_demo_songs(
    folder: Path,
    *,
    seed: int,
    songs_per_genre: int,
    paired_scores: int,
    seconds: float,
    genres: Sequence[str] = GENRES,
    workers: int | None = None,
    on_song: Callable[[Path], None] | None = None,
) -> list[Path]:
    """Write made-up songs: `<folder>/<genre>/<genre>_000.wav` and `<folder>/paired/<genre>/score_000.wav`.

    Stereo, 16-bit, 44.1 kHz, each with a `.json` of its events beside it (see `render.describe`). The same
    parameters give the same bytes with any number of `workers` (processes; None: one a core). A complete
    folder is left alone, an interrupted one is gone on with. `on_song` is called in this process with the
    path of each song that was written. Returns all paths. Raises UserError for impossible parameters and
    for a folder made with other ones. With several workers a script needs the usual `if __name__ ==
    "__main__":`.
    """
    folder = Path(folder)
    choice: dict[str, Any] = {
        "seed": seed,
        "songs_per_genre": songs_per_genre,
        "paired_scores": paired_scores,
        "seconds": seconds,
        "genres": list(genres),
    }
    plan = plan_demo_songs(folder, **choice)
    settings = {"format_version": FORMAT_VERSION, "sample_rate_hz": SAMPLE_RATE_HZ, **choice}
    record = folder / RECORD_NAME
    if record.exists() and _read_json(record) != settings:
        raise _other_parameters(folder)
    missing = [song for song in plan if not _is_done(song, folder)]
    with closing(_write_all(missing, workers)) as finished:
        for path in finished:
            if on_song is not None:
                on_song(path)
    if not record.exists():
        _write_json(record, settings)
    return [song.path for song in plan]


def _check(
    seed: int, songs_per_genre: int, paired_scores: int, seconds: float, genres: Sequence[str]
) -> None:
    """Refuse parameters that make no folder."""
    unknown = [genre for genre in genres if genre not in GENRES]
    if unknown or not genres or len(set(genres)) != len(genres):
        raise UserError(
            f"demo genres {list(genres)} are not possible; choose each once from {', '.join(GENRES)}"
        )
    if songs_per_genre < 0 or paired_scores < 0 or songs_per_genre + paired_scores == 0:
        raise UserError(
            "no demo songs asked for; songs_per_genre and paired_scores must be 0 or more, one of them more"
        )
    if seed < 0:
        raise UserError(f"a demo seed of {seed} is not possible; choose 0 or more")
    if not math.isfinite(seconds) or seconds < MIN_SECONDS:
        raise UserError(f"demo songs of {seconds} s are too short; choose {MIN_SECONDS:g} s or more")


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
    partial = song.path.with_name(song.path.stem + ".part")
    soundfile.write(partial, audio.T, SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")
    os.replace(partial, song.path)
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
    """Write JSON so that the file is there whole or not at all."""
    partial = path.with_name(path.name + ".part")
    partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    os.replace(partial, path)
