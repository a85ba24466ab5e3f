"""Tests of cutting files into clips in a stream."""

import dataclasses
import itertools

import numpy as np
import pytest
import soundfile
import torch

from cyclegan_audio.audio import io, resampling
from cyclegan_audio.audio.resampling import Resampler, resample
from cyclegan_audio.config import build, compose
from cyclegan_audio.corpus.preparation.beats import ClipInterval
from cyclegan_audio.corpus.preparation.clip_stream import ClipSettings, ClipStream
from cyclegan_audio.utils.errors import UserError

RATE = 12_000  # not the mel's


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    """45 s of stereo noise."""
    path = tmp_path_factory.mktemp("song") / "song.wav"
    noise = np.random.default_rng(0).normal(0, 0.1, (45 * RATE + 17, 2))
    soundfile.write(path, noise, RATE, subtype="FLOAT")
    return path


def test_clips_equal_intervals_of_the_decoded_file(song, hifi):
    stream = ClipStream(song, ClipSettings(4.0, overlap=0.25, skip_start_s=1.5, skip_end_s=2.0), hifi)
    clips = list(stream)
    assert [clip.start_s for clip in clips] == [1.5 + 3 * number for number in range(13)]
    channels, rate = io.decode(song)
    mono, _ = io.decode(song, sample_rate=hifi.sample_rate, mono=True)
    assert stream.info == type(stream.info)(channels.shape[1] / rate, RATE, 2, "pcm_f32le")
    for clip in clips:
        start = round(clip.start_s * hifi.sample_rate)
        assert torch.equal(clip.channels, channels[:, round(clip.start_s * RATE) :][:, : 4 * RATE])
        assert torch.equal(clip.mono, mono[0, start : start + 4 * hifi.sample_rate])
        assert torch.equal(clip.mel_db, hifi.mel_db(clip.mono[None])[0])


@pytest.mark.parametrize(("from_rate", "to_rate"), [(8000, 11025), (44100, 48000), (44101, 48000)])
def test_resampling_does_not_depend_on_block_sizes(from_rate, to_rate):
    rng = np.random.default_rng(0)
    noise = torch.from_numpy(rng.normal(0, 0.1, (1, 43 * from_rate + 5))).float()
    resampler, blocks, start = Resampler(from_rate, to_rate), [], 0
    for size in itertools.chain(rng.integers(1, 9 * from_rate, 5), itertools.repeat(from_rate)):
        if start >= noise.shape[1]:
            break
        blocks.append(resampler.push(noise[:, start : start + size]))
        start += size
    blocks.append(resampler.finish())
    assert torch.equal(torch.cat(blocks, -1), resample(noise, from_rate, to_rate))


@pytest.mark.parametrize(
    ("clip_s", "is_resampled", "subtract_dc"),
    [(1.0, True, False), (0.9, True, False), (0.9, False, False), (0.9, True, True)],
)
def test_memory_does_not_grow_with_the_file(
    song, tmp_path, hifi, monkeypatch, clip_s, is_resampled, subtract_dc
):
    monkeypatch.setattr(resampling, "BLOCK_S", 5)
    path, buffered_s = song, []
    if not is_resampled:
        path = tmp_path / "song.wav"
        soundfile.write(path, io.decode(song, sample_rate=hifi.sample_rate)[0].T.numpy(), hifi.sample_rate)
    stream = ClipStream(path, ClipSettings(clip_s), hifi, subtract_dc)
    for clip in stream:
        rates = {stream._mono: hifi.sample_rate, stream._native: clip.rate, stream._decoded: clip.rate}
        for buffer, rate in rates.items():
            buffered_s.append(sum(block.shape[-1] for block in buffer._blocks) / rate)
    assert len(buffered_s) == 3 * int(45 / clip_s)
    assert max(buffered_s) < clip_s + 2 * (5 + io.READ_BLOCK / RATE)  # two blocks of resampler and file


def test_the_offset_is_subtracted_from_the_whole_stream(song, tmp_path, hifi):
    channels, _ = io.decode(song)
    offset = tmp_path / "offset.wav"
    soundfile.write(offset, (channels + torch.tensor([[0.1], [-0.3]])).T.numpy(), RATE, subtype="FLOAT")
    settings = ClipSettings(4.0, overlap=0.25, skip_start_s=1.5)
    clips = list(ClipStream(offset, settings, hifi, subtract_dc=True))
    expected = list(ClipStream(song, settings, hifi, subtract_dc=True))
    plain = list(ClipStream(song, settings, hifi))
    assert len(clips) == len(plain) == 14
    for clip, other, unchanged in zip(clips, expected, plain, strict=True):
        torch.testing.assert_close(clip.channels, other.channels, atol=1e-6, rtol=0)
        torch.testing.assert_close(clip.mono, other.mono, atol=1e-6, rtol=0)
        assert torch.equal(other.decoded, unchanged.channels)
        assert unchanged.decoded is None


@dataclasses.dataclass(frozen=True)
class Bars(ClipSettings):
    """Clips of other lengths than the stored one."""

    def intervals(self, path):
        return [
            ClipInterval(0.5, 1.2),
            ClipInterval(1.7, 0.8),
            ClipInterval(2.5, 1.0),
            ClipInterval(100.0, 1.0),
        ]


def test_clips_of_other_lengths_are_stretched(tmp_path, hifi):
    time_s = np.arange(4 * RATE) / RATE
    path = tmp_path / "sine.wav"
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * 500 * time_s), RATE)
    clips = list(ClipStream(path, Bars(1.0), hifi))
    assert [(clip.start_s, clip.duration_s) for clip in clips] == [(0.5, 1.2), (1.7, 0.8), (2.5, 1.0)]
    for clip in clips:
        assert clip.mono.shape == (hifi.sample_rate,)
        assert clip.channels.shape == (1, round(clip.duration_s * RATE))
        assert clip.mel_db.shape == (128, hifi.n_frames(hifi.sample_rate))
        spectrum = torch.fft.rfft(clip.mono).abs()
        assert int(spectrum.argmax()) == pytest.approx(500, abs=1)  # the pitch stays
        assert clip.mono.square().mean().sqrt() == pytest.approx(0.354, abs=0.02)


def test_defaults_equal_the_configuration():
    assert build("clip", compose("prepare").clip) == ClipSettings()


@pytest.mark.parametrize(
    ("setting", "value"),
    [("seconds", -1), ("overlap", -0.1), ("overlap", 1.0), ("skip_start_s", -1), ("skip_end_s", -1)],
)
def test_invalid_settings_are_refused(setting, value):
    with pytest.raises(UserError, match=rf"clip\.{setting} must be .*, got {value}"):
        ClipSettings(**{setting: value})
    ClipSettings(overlap=0.99, skip_start_s=0, skip_end_s=0)
    ClipSettings(align="beats", bars=1)


@pytest.mark.parametrize(("skip_end_s", "count"), [(0.0, 5), (0.9, 4), (1.0, 4), (1.01, 3)])
def test_the_last_clip_ends_before_the_skipped_end(tmp_path, hifi, skip_end_s, count):
    soundfile.write(tmp_path / "a.wav", np.full(5 * RATE, 0.1), RATE)
    stream = ClipStream(tmp_path / "a.wav", ClipSettings(1.0, skip_end_s=skip_end_s), hifi)
    assert [clip.start_s for clip in stream] == list(range(count))
    assert stream.info.to_dict() == {
        "duration_s": 5.0,
        "sample_rate": RATE,
        "channels": 1,
        "codec": "pcm_s16le",
    }


def test_info_is_empty_before_reading(tmp_path, hifi):
    assert set(ClipStream(tmp_path / "a.wav", ClipSettings(), hifi).info.to_dict().values()) == {0, ""}
