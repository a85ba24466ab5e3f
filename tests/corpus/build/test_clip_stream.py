import dataclasses
import itertools

import numpy as np
import pytest
import soundfile
import torch

from cyclegan_audio.audio import io, resampling
from cyclegan_audio.audio.resampling import Resampler, resample
from cyclegan_audio.config import build, compose
from cyclegan_audio.corpus.build.beats import Span
from cyclegan_audio.corpus.build.clip_stream import ClipSettings, ClipStream
from cyclegan_audio.utils.errors import UserError

RATE = 12_000  # not the mel's


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    """45 s of stereo noise."""
    path = tmp_path_factory.mktemp("song") / "song.wav"
    noise = np.random.default_rng(0).normal(0, 0.1, (45 * RATE + 17, 2))
    soundfile.write(path, noise, RATE, subtype="FLOAT")
    return path


def test_pieces_are_the_parts_of_the_whole(song, hifi):
    stream = ClipStream(song, ClipSettings(4.0, overlap=0.25, skip_start_s=1.5, skip_end_s=2.0), hifi)
    pieces = list(stream)
    assert [piece.start_s for piece in pieces] == [1.5 + 3 * number for number in range(13)]
    own, rate = io.decode(song)
    mono, _ = io.decode(song, sample_rate=hifi.sample_rate, mono=True)
    assert stream.info == type(stream.info)(own.shape[1] / rate, RATE, 2, "pcm_f32le")
    for piece in pieces:
        start = round(piece.start_s * hifi.sample_rate)
        assert torch.equal(piece.channels, own[:, round(piece.start_s * RATE) :][:, : 4 * RATE])
        assert torch.equal(piece.mono, mono[0, start : start + 4 * hifi.sample_rate])
        assert torch.equal(piece.mel_db, hifi.mel_db(piece.mono[None])[0])


@pytest.mark.parametrize(("from_rate", "to_rate"), [(8000, 11025), (44100, 48000), (44101, 48000)])
def test_a_stream_is_resampled_as_the_whole_however_it_is_cut(from_rate, to_rate):
    rng = np.random.default_rng(0)
    noise = torch.from_numpy(rng.normal(0, 0.1, (1, 43 * from_rate + 5))).float()
    resampler, done, place = Resampler(from_rate, to_rate), [], 0
    for size in itertools.chain(rng.integers(1, 9 * from_rate, 5), itertools.repeat(from_rate)):
        if place >= noise.shape[1]:
            break
        done.append(resampler.push(noise[:, place : place + size]))
        place += size
    done.append(resampler.finish())
    assert torch.equal(torch.cat(done, -1), resample(noise, from_rate, to_rate))


@pytest.mark.parametrize(("clip_s", "is_resampled"), [(1.0, True), (0.9, True), (0.9, False)])
def test_memory_does_not_grow_with_the_file(song, tmp_path, hifi, monkeypatch, clip_s, is_resampled):
    monkeypatch.setattr(resampling, "BLOCK_S", 5)
    path, held_s = song, []
    if not is_resampled:
        path = tmp_path / "song.wav"
        soundfile.write(path, io.decode(song, sample_rate=hifi.sample_rate)[0].T.numpy(), hifi.sample_rate)
    stream = ClipStream(path, ClipSettings(clip_s), hifi)
    for piece in stream:
        for tape, rate in ((stream._mono, hifi.sample_rate), (stream._own, piece.rate)):
            held_s.append(sum(block.shape[-1] for block in tape._blocks) / rate)
    assert len(held_s) == 2 * int(45 / clip_s)
    assert max(held_s) < clip_s + 2 * (5 + io.READ_BLOCK / RATE)  # two blocks of resampler and file


@dataclasses.dataclass(frozen=True)
class Bars(ClipSettings):
    """Clips of other lengths than the stored one."""

    def spans(self, path):
        return [Span(0.5, 1.2), Span(1.7, 0.8), Span(2.5, 1.0), Span(100.0, 1.0)]


def test_clips_of_other_lengths_are_stretched_to_one(tmp_path, hifi):
    time_s = np.arange(4 * RATE) / RATE
    path = tmp_path / "sine.wav"
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * 500 * time_s), RATE)
    pieces = list(ClipStream(path, Bars(1.0), hifi))
    assert [(piece.start_s, piece.duration_s) for piece in pieces] == [(0.5, 1.2), (1.7, 0.8), (2.5, 1.0)]
    for piece in pieces:
        assert piece.mono.shape == (hifi.sample_rate,)
        assert piece.channels.shape == (1, round(piece.duration_s * RATE))
        assert piece.mel_db.shape == (128, hifi.n_frames(hifi.sample_rate))
        spectrum = torch.fft.rfft(piece.mono).abs()
        assert int(spectrum.argmax()) == pytest.approx(500, abs=1)  # the pitch stays
        assert piece.mono.square().mean().sqrt() == pytest.approx(0.354, abs=0.02)


def test_clips_by_default_are_those_of_the_configuration():
    assert build("clip", compose("prepare").clip) == ClipSettings()


@pytest.mark.parametrize(
    ("setting", "value"),
    [("seconds", -1), ("overlap", -0.1), ("overlap", 1.0), ("skip_start_s", -1), ("skip_end_s", -1)],
)
def test_numbers_that_are_no_setting_are_refused(setting, value):
    with pytest.raises(UserError, match=rf"clip\.{setting}={value}"):
        ClipSettings(**{setting: value})
    ClipSettings(overlap=0.99, skip_start_s=0, skip_end_s=0)
    ClipSettings(align="beats", bars=1)


@pytest.mark.parametrize(("skip_end_s", "count"), [(0.0, 5), (0.9, 4), (1.0, 4), (1.01, 3)])
def test_the_last_clip_ends_with_the_file_or_before_what_is_left_out(tmp_path, hifi, skip_end_s, count):
    soundfile.write(tmp_path / "a.wav", np.full(5 * RATE, 0.1), RATE)
    stream = ClipStream(tmp_path / "a.wav", ClipSettings(1.0, skip_end_s=skip_end_s), hifi)
    assert [piece.start_s for piece in stream] == list(range(count))
    assert stream.info.to_dict() == {
        "duration_s": 5.0,
        "sample_rate": RATE,
        "channels": 1,
        "codec": "pcm_s16le",
    }


def test_of_what_was_never_read_nothing_is_known(tmp_path, hifi):
    assert set(ClipStream(tmp_path / "a.wav", ClipSettings(), hifi).info.to_dict().values()) == {0, ""}
