"""Songs with a DC offset: it is subtracted, told and recorded; clean songs stay as they are, bit for bit."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.ndimage import uniform_filter1d

from cyclegan_audio.corpus.corpus import Clip, Corpus
from cyclegan_audio.corpus.manifest import Row, dc_offset_line
from cyclegan_audio.corpus.preparation.clip_stream import ClipSettings
from cyclegan_audio.corpus.preparation.writer import prepare_corpus
from cyclegan_audio.corpus.screening import DCOffset, ScreeningRules
from cyclegan_audio.corpus.sources import FolderSource
from tests.corpus.folder_state import folder_hashes, folder_state

RATE = 22_050
SECONDS = 6


def noise(seed: int, seconds: float = SECONDS) -> np.ndarray:
    """Stereo noise (T, 2)."""
    return np.random.default_rng(seed).normal(0, 0.1, (round(seconds * RATE), 2))


def prepare(folder: Path, settings, songs: dict[str, np.ndarray], out: str = "out", **changes) -> list[Row]:
    """Prepare folder/out from these trap songs and three clean lofi songs; return its rows."""
    files = {f"trap/{name}": song for name, song in songs.items()} | {f"lofi/{n}": noise(n) for n in range(3)}
    for name, song in files.items():
        path = folder / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():  # a float WAV holds the time of writing
            soundfile.write(path, song, RATE, subtype="FLOAT")
    source = FolderSource({genre: folder / genre for genre in ("lofi", "trap")})
    return prepare_corpus(source, folder / out, settings(**changes))


def reasons(rows: list[Row], name: str) -> list[str]:
    return [row["reason"] for row in rows if row["source"] == f"{name}.wav" and row["genre"] == "trap"]


def kept_clips(corpus: Corpus, name: str) -> list[Clip]:
    clips = [clip for split in ("train", "val", "test") for clip in corpus.clips("trap", split)]
    return sorted((clip for clip in clips if clip.source == f"{name}.wav"), key=lambda clip: clip.start_s)


def offsets(rows: list[Row], name: str) -> list[float | None]:
    return [row["dc_offset"] for row in rows if row["source"] == f"{name}.wav" and row["genre"] == "trap"]


TIME_S = np.arange(SECONDS * RATE)[:, None] / RATE
DEFECTS = {
    "constant": (lambda x: x + 0.02, [0.02] * 6),
    "of one channel": (lambda x: x + np.array([0.0, -0.3]), [-0.3] * 6),
    "of both": (lambda x: x + np.array([0.2, -0.19]), [0.2] * 6),  # the mono mix has nearly none
    "drifting": (
        lambda x: x + 0.1 * TIME_S / SECONDS,
        [0.1 * (n + 0.5) / 6 for n in range(6)],
    ),
}


@pytest.mark.parametrize("kind", DEFECTS)
def test_an_offset_is_subtracted_and_recorded(tmp_path, settings, kind):
    spoil, expected = DEFECTS[kind]
    songs = {"bad": noise(7), "one": noise(8), "two": noise(9)}
    prepare(tmp_path / "clean", settings, songs)
    rows = prepare(tmp_path, settings, songs | {"bad": spoil(songs["bad"])})
    assert reasons(rows, "bad") == [""] * SECONDS
    assert np.abs(np.subtract(offsets(rows, "bad"), expected)).max() < 3e-3
    assert offsets(rows, "one") == [None] * SECONDS
    corpus, clean = Corpus.open(tmp_path / "out"), Corpus.open(tmp_path / "clean" / "out")
    for clip, other in zip(kept_clips(corpus, "bad"), kept_clips(clean, "bad"), strict=True):
        mel_db, clean_db = corpus.mel_db(clip), clean.mel_db(other)
        difference_db = (mel_db - clean_db).abs().where(clean_db > clean_db.max() - 40, 0)
        assert difference_db.mean() < 0.03
        assert difference_db[3:].max() < 1.5  # where noise cancels itself
        assert abs(float(corpus.audio(clip).mean())) < 1e-3
        assert clip.level_db == pytest.approx(other.level_db, abs=0.02)


def test_clean_songs_stay_as_they_are_bit_for_bit(tmp_path, settings):
    songs = {"bad": noise(7) + 0.02, "one": noise(8), "two": noise(9)}
    prepare(tmp_path, settings, songs)
    rules = ScreeningRules(dc_offset=DCOffset(enabled=False))
    rows = prepare(tmp_path / "off", settings, songs, screening=rules)
    assert offsets(rows, "bad") == [None] * SECONDS
    mels = {
        part: {path.name.rpartition("-")[0]: path.read_bytes() for path in (folder / "out/mels").iterdir()}
        for part, folder in (("on", tmp_path), ("off", tmp_path / "off"))
    }
    assert len(mels["on"]) == 6
    assert {name for name in mels["on"] if mels["on"][name] != mels["off"][name]} == {"trap-bad"}


def test_an_offset_that_clips_the_waveform_drops_the_clips(tmp_path, settings):
    music = uniform_filter1d(noise(7) * 2, 16, axis=0)
    songs = {"bad": (music + 0.95).clip(-1, 1), "loud": music + 0.5, "one": noise(8), "two": noise(9)}
    rows = prepare(tmp_path, settings, songs)
    assert reasons(rows, "bad") == ["clipping"] * SECONDS
    assert offsets(rows, "bad")[0] == pytest.approx(0.94, abs=0.02)
    assert reasons(rows, "loud") == [""] * SECONDS
    assert offsets(rows, "loud")[0] == pytest.approx(0.5, abs=0.02)


def test_offsets_of_the_songs_of_a_mix_are_subtracted(tmp_path, settings):
    """The last song has none, the third has one that begins in a clip."""
    parts = [noise(11, 4), noise(12, 4) + 0.05, noise(13, 4.5) - [0.0, 0.2], noise(14, 3.5)]
    rows = prepare(tmp_path, settings, {"mix": np.concatenate(parts)})
    assert reasons(rows, "mix").count("dc offset") == 0
    assert (
        np.abs(np.subtract(offsets(rows, "mix"), [0] * 4 + [0.05] * 4 + [-0.2] * 4 + [-0.1, 0, 0, 0])).max()
        < 5e-3
    )
    corpus = Corpus.open(tmp_path / "out")
    assert max(abs(float(corpus.audio(clip).mean())) for clip in kept_clips(corpus, "mix")) < 0.02


def test_a_late_offset_leaves_no_other_traces(tmp_path, settings):
    """The file begins again when its last clip has an offset."""
    late = noise(7)
    late[5 * RATE :] += 0.1
    songs = {"bad": late, "one": noise(8), "two": noise(9)}
    rows = prepare(tmp_path, settings, songs)
    assert reasons(rows, "bad") == [""] * SECONDS
    assert not list((tmp_path / "out").rglob(".*"))
    (array,) = {row["array"] for row in rows if row["source"] == "bad.wav" and row["genre"] == "trap"}
    assert np.load(tmp_path / "out" / "mels" / f"{array}.npy").shape[0] == SECONDS
    record = json.loads((tmp_path / "out" / "tracks" / f"{array}.json").read_text())
    assert record["rows"] == SECONDS
    before = folder_state(tmp_path / "out")
    prepare(tmp_path, settings, songs)
    assert folder_state(tmp_path / "out") == before
    (tmp_path / "out" / "tracks" / f"{array}.json").unlink()
    prepare(tmp_path, settings, songs)
    prepare(tmp_path, settings, songs, "fresh", workers=2)
    assert folder_hashes(tmp_path / "out") == folder_hashes(tmp_path / "fresh")


@pytest.mark.parametrize(
    ("value", "reason"),
    [(1e20, "samples above 1,000,000"), (np.nan, "non-finite samples"), (3e5, "dc offset")],
)
def test_a_damaged_sample_drops_its_clip_only(tmp_path, settings, value, reason):
    damaged = noise(7)
    damaged[round(2.4 * RATE), 0] = value
    clean = {"one": noise(8), "two": noise(9)}
    rows = prepare(tmp_path, settings, {"bad": damaged} | clean)
    assert reasons(rows, "bad") == ["", "", reason, "", "", ""]
    assert offsets(rows, "bad") == [None] * SECONDS
    rows = prepare(tmp_path / "offset", settings, {"bad": damaged + 0.02} | clean)
    assert reasons(rows, "bad") == ["", "", reason, "", "", ""]
    assert [offset is not None for offset in offsets(rows, "bad")][:2] == [True, True]


def test_music_that_is_only_an_offset_is_silent(tmp_path, settings):
    songs = {"bad": 0 * noise(7) + 0.05, "one": noise(8), "two": noise(9)}
    assert reasons(prepare(tmp_path, settings, songs), "bad") == ["silence"] * SECONDS


def test_skipped_and_overlapping_clips_have_the_same_offset(tmp_path, settings):
    songs = {"bad": noise(7) + 0.02, "one": noise(8), "two": noise(9)}
    clip = ClipSettings(1.0, overlap=0.5, skip_start_s=1.25)
    rows = prepare(tmp_path, settings, songs, clip=clip)
    assert offsets(rows, "bad") == pytest.approx([0.02] * 8, abs=3e-3)
    assert reasons(rows, "bad") == [""] * 8


def row(genre: str, source: str, offset: float | None) -> Row:
    return {"genre": genre, "source": source, "dc_offset": offset}


def test_subtracted_offsets_are_printed_in_one_line():
    rows = [row("lofi", "a.mp3", 0.01), row("lofi", "a.mp3", -0.0213), row("trap", "b.mp3", None)]
    assert dc_offset_line(rows) == "DC offset subtracted from one file: lofi: a.mp3 (-0.021)"
    rows += [row("trap", "b.mp3", 0.3), row("trap", "c.mp3", 0.3), row("trap", "d.mp3", 0.02)]
    assert dc_offset_line(rows, 2) == (
        "DC offset subtracted from 4 files, the largest from trap: b.mp3 (+0.300), trap: c.mp3 (+0.300)"
    )
    assert dc_offset_line(rows[2:3]) == dc_offset_line([{"genre": "of an older corpus"}]) == ""
