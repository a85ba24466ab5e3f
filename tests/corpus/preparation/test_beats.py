"""Tests of clips from downbeat to downbeat, on music with known downbeats."""

import json
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
import torch

from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.preparation import beats
from cyclegan_audio.corpus.preparation.clip_stream import ClipSettings, ClipStream
from cyclegan_audio.corpus.preparation.track_processor import TrackProcessor
from cyclegan_audio.corpus.preparation.writer import prepare_corpus
from cyclegan_audio.corpus.sources import FolderSource, SourceFile
from cyclegan_audio.corpus.sources.paper_npz import PaperNpzRecording
from cyclegan_audio.utils.errors import UserError
from tests.corpus.noise_songs import write_genres

RATE = 22_050
BPM = 96.0
BAR_S = 4 * 60 / BPM
FIRST_S = 0.4  # of the first downbeat


def drums(seconds: float, bpm: float = BPM) -> np.ndarray:
    """A kick on the first beat of each bar, clicks on all beats, over a quiet hiss."""
    rng = np.random.default_rng(0)
    sound = rng.normal(0, 0.002, round(seconds * RATE))
    time_s = np.arange(RATE // 5) / RATE
    kick = 0.6 * np.sin(2 * np.pi * 60 * time_s) * np.exp(-time_s / 0.06)
    click = rng.normal(0, 0.2, len(time_s)) * np.exp(-time_s / 0.01)
    for beat, at_s in enumerate(np.arange(FIRST_S, seconds - 0.2, 60 / bpm)):
        start = round(at_s * RATE)
        sound[start : start + len(time_s)] += click + (kick if beat % 4 == 0 else 0)
    return sound


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    """45 s of drums, and blocks of 20 s, so two of them."""
    path = tmp_path_factory.mktemp("song") / "song.wav"
    soundfile.write(path, drums(45).clip(-1, 1), RATE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(beats, "BLOCK_S", 20.0)
        yield path


def distance_to_downbeats(times_s) -> np.ndarray:
    """Return the distances of times to the nearest true downbeat."""
    bars = (np.asarray(times_s) - FIRST_S) / BAR_S
    return np.abs(bars - bars.round()) * BAR_S


@pytest.mark.parametrize(("bars", "overlap", "n_bars", "step"), [(None, 0.0, 2, 2), (3, 0.5, 3, 2)])
def test_clips_are_whole_bars_from_downbeat_to_downbeat(song, bars, overlap, n_bars, step):
    intervals = list(ClipSettings(4.0, overlap, skip_start_s=5.0, align="beats", bars=bars).intervals(song))
    starts = np.array([interval.start_s for interval in intervals])
    assert starts[0] == pytest.approx(FIRST_S + 2 * BAR_S, abs=0.05)  # the first one after 5 s
    assert distance_to_downbeats(starts).max() < 0.05
    assert [interval.length_s for interval in intervals] == pytest.approx(
        [n_bars * BAR_S] * len(intervals), abs=0.05
    )
    assert np.diff(starts) == pytest.approx(
        [step * BAR_S] * (len(intervals) - 1), abs=0.05
    )  # none is left out
    assert starts[-1] + (n_bars + step) * BAR_S > 45 - BAR_S


def test_memory_does_not_grow_with_the_file(song, monkeypatch):
    lengths = []
    downbeats_s = beats.downbeats_s
    monkeypatch.setattr(beats, "downbeats_s", lambda mono: lengths.append(len(mono)) or downbeats_s(mono))
    intervals = beats.bar_intervals(song, 4.0, None, 0.0, 0.0)
    next(intervals)
    assert lengths == [32 * RATE]  # the second block is not read before the clips of the first are taken
    list(intervals)
    assert lengths == [32 * RATE, 29 * RATE]


@pytest.fixture
def time_coded_file(tmp_path, monkeypatch):
    """Write files whose samples encode their time; downbeats are every 2 s from 0.3 s on."""

    def fake_downbeats_s(mono: np.ndarray) -> np.ndarray:
        start_s, end_s = 100 * mono[0], 100 * mono[-1]
        bars = np.arange(0.3, 200, 2.0)
        return bars[(bars >= start_s) & (bars <= end_s)] - start_s

    def write_file(seconds: float) -> Path:
        path = tmp_path / "marked.wav"
        time_s = np.arange(round(seconds * RATE)) / RATE
        soundfile.write(path, time_s / 100, RATE, subtype="FLOAT")
        return path

    monkeypatch.setattr(beats, "downbeats_s", fake_downbeats_s)
    return write_file


@pytest.mark.parametrize(
    ("given", "first_s", "step_s", "length_s", "count"),
    [
        ((4.0, None, 0.0, 0.0), 0.3, 4, 4, 11),  # two bars; those at 44.3 s end nowhere
        ((4.0, None, 0.5, 0.0), 0.3, 2, 4, 21),
        ((4.0, 3, 0.5, 0.0), 0.3, 4, 6, 10),  # a step of 1.5 bars is two
        ((0.5, None, 0.9, 0.0), 0.3, 2, 2, 22),  # at least one bar, and a step of one
        ((4.0, None, 0.0, 5.0), 6.3, 4, 4, 9),
        ((4.0, None, 0.0, 4.34), 4.3, 4, 4, 10),  # nearer than 0.05 s is the same
        ((4.0, None, 0.0, 4.36), 6.3, 4, 4, 9),
    ],
)
@pytest.mark.parametrize("block_s", [60.0, 20.0])
def test_bars_do_not_depend_on_block_length(
    time_coded_file, monkeypatch, given, first_s, step_s, length_s, count, block_s
):
    monkeypatch.setattr(beats, "BLOCK_S", block_s)
    intervals = list(beats.bar_intervals(time_coded_file(45), *given))
    assert [interval.start_s for interval in intervals] == pytest.approx(
        [first_s + step_s * number for number in range(count)], abs=1e-3
    )
    assert [interval.length_s for interval in intervals] == pytest.approx([length_s] * count, abs=1e-3)
    assert {interval.reason for interval in intervals} == {""}


@pytest.mark.parametrize(
    ("seconds", "skip_s", "count"), [(12.0, 0, 3), (11.9, 0, 2), (45, 0, 11), (45, 2, 10)]
)
@pytest.mark.parametrize("block_s", [60.0, 20.0])
def test_clips_without_a_beat_have_a_reason(time_coded_file, monkeypatch, seconds, skip_s, count, block_s):
    path = time_coded_file(seconds)
    monkeypatch.setattr(beats, "BLOCK_S", block_s)
    monkeypatch.setattr(beats, "downbeats_s", lambda mono: np.array([1.0]))
    intervals = list(beats.bar_intervals(path, 4.0, None, 0.0, skip_s))
    assert intervals == [(skip_s + 4.0 * number, 4.0, beats.NO_STEADY_BEAT) for number in range(count)]


def test_two_downbeats_make_a_bar(time_coded_file, monkeypatch):
    monkeypatch.setattr(beats, "downbeats_s", lambda mono: np.array([1.0, 3.0]))
    (interval,) = beats.bar_intervals(time_coded_file(6), 2.0, None, 0.0, 0.0)
    assert interval == (1.0, 2.0, "")


def test_chord_changes_locate_downbeats_of_equal_beats():
    """Equal clicks on all beats; every fourth changes the chord, the second of them first."""
    sound, time_s = drums(24)[: 24 * RATE] * 0, np.arange(24 * RATE) / RATE
    bar = np.floor((time_s - FIRST_S - 60 / BPM) / BAR_S).astype(int)
    for shift, notes in enumerate([(220, 277, 330), (196, 247, 294), (262, 330, 392)]):
        sound += (bar % 3 == shift) * sum(0.05 * np.sin(2 * np.pi * hz * time_s) for hz in notes)
    click = np.random.default_rng(0).normal(0, 0.3, RATE // 5) * np.exp(-np.arange(RATE // 5) / RATE / 0.01)
    for at_s in np.arange(FIRST_S, 23.7, 60 / BPM):
        sound[round(at_s * RATE) :][: RATE // 5] += click
    actual = beats.downbeats_s(sound.astype(np.float32))
    assert len(actual) >= 9
    assert distance_to_downbeats(actual - 60 / BPM).max() < 0.06


def test_downbeats_end_with_the_last_complete_bar():
    actual = beats.downbeats_s(drums(21).astype(np.float32))
    assert np.diff(actual)[1:] == pytest.approx([BAR_S] * (len(actual) - 2), abs=0.05)
    assert 21 - BAR_S < actual[-1] <= 21
    assert len(beats.downbeats_s(np.zeros(2047, np.float32))) == 0
    assert len(beats.downbeats_s(drums(4).astype(np.float32)[: 4 * RATE])) == 0  # under eight beats


@pytest.mark.parametrize(("seconds", "end_frame"), [(20.5, 1762), (20.45, 1761.4), (20.44, 1546)])
def test_the_last_bar_ends_at_most_a_frame_after_the_music(monkeypatch, seconds, end_frame):
    """Eight bars of four beats, 54 frames apart: the last downbeat is frame 1546, its bar ends at 1762."""
    frames = 34 + 54 * np.arange(32)
    monkeypatch.setattr(librosa.beat, "beat_track", lambda **_: (0, frames))
    music = drums(seconds, bpm=60 * RATE / 256 / 54)
    actual = beats.downbeats_s(music.astype(np.float32)) * RATE / 256
    expected = frames[::4] if end_frame == 1546 else [*frames[::4], end_frame]
    assert actual == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize(("frames", "count"), [(-3, 0), (-2, 8), (2, 8), (4, 0)])
def test_beats_are_steady_with_an_onset_within_two_frames(monkeypatch, frames, count):
    """Beats that are tracked too early or too late."""
    beat_track = librosa.beat.beat_track
    monkeypatch.setattr(
        librosa.beat, "beat_track", lambda **settings: (0, beat_track(**settings)[1][1:-1] + frames)
    )
    actual = beats.downbeats_s(drums(21).astype(np.float32))
    assert len(actual) == count
    assert all(distance_to_downbeats(actual - frames * 256 / RATE) < 0.03)


@pytest.mark.parametrize("kind", ["silence", "noise", "tone"])
def test_music_without_a_steady_beat_has_no_downbeats(kind):
    time_s = np.arange(20 * RATE) / RATE
    sound = {
        "silence": 0 * time_s,
        "noise": np.random.default_rng(0).normal(0, 0.1, len(time_s)),
        "tone": 0.3 * np.sin(2 * np.pi * 220 * time_s),
    }[kind]
    assert len(beats.downbeats_s(sound.astype(np.float32))) == 0


def test_clips_are_bars_stretched_to_one_length(song, hifi):
    clips = list(ClipStream(song, ClipSettings(4.0, align="beats"), hifi))
    assert len(clips) >= 8
    for clip in clips[1:-1]:  # a file's first and last beats are less sure
        assert clip.mono.shape == (4 * hifi.sample_rate,)
        assert clip.channels.shape[1] == pytest.approx(2 * BAR_S * RATE, abs=0.05 * RATE)
        power = clip.mono.square()
        assert power[: round(0.15 * hifi.sample_rate)].mean() > 3 * power.mean()  # begins with the kick


def test_a_corpus_drops_clips_without_a_beat(tmp_path, settings):
    genres = write_genres(tmp_path, ("noise", "drums"), tracks=3, seconds=8.5)
    for number in range(3):
        soundfile.write(tmp_path / "drums" / f"song {number}.wav", drums(12, 90 + number).clip(-1, 1), RATE)
    soundfile.write(tmp_path / "noise" / "song 0.wav", drums(12, 99).clip(-1, 1), RATE)
    aligned = settings(clip=ClipSettings(2.0, align="beats"))
    rows = prepare_corpus(FolderSource(genres), tmp_path / "out", aligned)
    unsteady = [row for row in rows if row["reason"] == beats.NO_STEADY_BEAT]
    assert {row["source"] for row in unsteady} == {"song 1.wav", "song 2.wav"}
    assert [row["start_s"] for row in unsteady[:4]] == [0.0, 2.0, 4.0, 6.0]
    kept = [row for row in rows if row["kept"]]
    assert np.median([row["duration_s"] for row in kept]) == pytest.approx(4 * 60 / 91, abs=0.1)  # a bar
    corpus = Corpus.open(tmp_path / "out")
    clip = corpus.clips("drums", "train")[0]
    assert corpus.mel_db(clip).shape == (128, corpus.clip_frames)
    assert json.loads((tmp_path / "out" / "corpus.json").read_text())["clip"]["align"] == "beats"


def test_paired_files_are_not_aligned_and_mels_are_refused(tmp_path, song, settings):
    (tmp_path / "mels").mkdir()
    (tmp_path / "audio").mkdir()
    (tmp_path / "tracks").mkdir()
    corpus_settings = settings(clip=ClipSettings(4.0, align="beats"))
    processor = TrackProcessor(tmp_path, corpus_settings.mel, corpus_settings.clip, corpus_settings.screening)
    record = processor.process(processor.hash(SourceFile("drums", song, "song.wav", score="one")), True)
    assert [clip["start_s"] for clip in record.clips] == [4.0 * number for number in range(11)]
    arrays = {"drums": torch.zeros(2, 128, 189).byte().numpy(), "drums_start_s": np.array([0.0, 4.0])}
    np.savez(tmp_path / "mels.npz", **arrays)
    refused = processor.process(
        processor.hash(PaperNpzRecording("drums", tmp_path / "mels.npz", "mels.npz")), True
    )
    assert (refused.reason, refused.clips) == ("has no audio for clip.align=beats", [])


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"align": "bars"}, "choose one of none, beats"), ({"bars": 2}, "needs clip.align=beats"),
     ({"align": "beats", "bars": 0}, "clip.bars must be an integer >= 1, got 0")],
)  # fmt: skip
def test_invalid_settings_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        ClipSettings(4.0, **settings)
