"""Copies are found through gain, codec, rate and shift; other music is not."""

import numpy as np
import pytest
import torch
import torchaudio.functional as AF
from noise_songs import load_mel

from cyclegan_audio.audio.files import decode, write
from cyclegan_audio.data.screening import NearDuplicates
from cyclegan_audio.data.screening.duplicates import Printed
from cyclegan_audio.data.screening.fingerprint import bit_errors, fingerprint, from_text, to_text

RATE = 44_100
MEL = load_mel("hifi")


def song(seed: int, seconds: float = 12.0) -> torch.Tensor:
    """Notes and noise bursts at random times, mono (T,)."""
    rng = np.random.default_rng(seed)
    out = torch.zeros(round(seconds * RATE))
    for _ in range(round(seconds * 8)):
        n = round(rng.uniform(0.1, 0.6) * RATE)
        start = int(rng.integers(len(out) - n))
        t = torch.arange(n) / RATE
        tone = torch.sin(2 * torch.pi * float(rng.uniform(100, 4000)) * t)
        burst = torch.from_numpy(rng.normal(0, 1, n)).float()
        out[start : start + n] += 0.1 * (tone if rng.random() < 0.6 else burst) * torch.exp(-6 * t)
    return out


def words(clip: torch.Tensor) -> np.ndarray:
    return fingerprint(MEL.mel_db(clip[None])[0], len(clip) / RATE)


def printed(name: str, clip: torch.Tensor, content: str, start_s: float = 0.0, **more: bool) -> Printed:
    return Printed(name, content, start_s, len(clip) / RATE, to_text(words(clip)), **more)


def clip_of(whole: torch.Tensor, start_s: float) -> torch.Tensor:
    return whole[round(start_s * RATE) :][: 4 * RATE]


def test_text_holds_the_words_and_unrelated_music_differs_in_half_of_the_bits():
    one, other = words(clip_of(song(1), 0)), words(clip_of(song(2), 0))
    assert 70 <= len(one) <= 80
    assert (from_text(to_text(one)) == one).all()
    assert bit_errors(one, one, 0) == (0.0, 1.0)
    errors, overlap = bit_errors(one, other, 7)
    assert errors == pytest.approx(0.5, abs=0.1)
    assert overlap == pytest.approx(1 - 7 / 87, abs=0.01)


@pytest.mark.parametrize("suffix", [".mp3", ".ogg"])
def test_a_copy_in_another_codec_level_and_rate_is_found(tmp_path, suffix):
    music = song(3)
    write(tmp_path / f"copy{suffix}", AF.resample(0.3 * music, RATE, 48_000), 48_000)
    copy = decode(tmp_path / f"copy{suffix}", sample_rate=RATE, mono=True)[0][0]
    clips = [printed("a", clip_of(music, 4), "x"), printed("b", clip_of(copy, 4), "y")]
    assert NearDuplicates().find(clips) == {"b"}


def test_a_loop_cut_at_other_places_is_found_in_another_file():
    looped = song(4, 3.0).repeat(5)
    clips = [printed("a", clip_of(looped, 0), "x"), printed("b", clip_of(looped, 5.31), "y")]
    assert NearDuplicates().find(clips) == {"b"}


def test_within_a_file_only_whole_repeats_are_dropped():
    music = song(5)
    again = torch.cat([music[: 8 * RATE], music[: 8 * RATE]])
    exact = [printed(str(s), clip_of(again, s), "x", s) for s in (0.0, 4.0, 8.0, 12.0)]
    assert NearDuplicates().find(exact) == {"8.0", "12.0"}
    half = [printed(str(s), clip_of(again, s), "x", s) for s in (0.0, 10.0)]
    assert NearDuplicates().find(half) == set()
    assert NearDuplicates(same_file_overlap=0.45).find(half) == {"10.0"}


def test_clips_that_overlap_by_the_cut_are_no_duplicates():
    music = song(6)
    clips = [printed(str(s), clip_of(music, s), "x", s) for s in (0.0, 0.2, 1.0, 2.0)]
    assert NearDuplicates().find(clips) == set()


def test_the_paired_set_stays_and_order_does_not_matter():
    music = clip_of(song(7), 0)
    clips = [printed(name, music, name, protected=name in "pq") for name in "abpq"]
    assert NearDuplicates().find(clips) == NearDuplicates().find(clips[::-1]) == {"a", "b"}


def test_different_songs_all_stay():
    clips = [
        printed(f"{n} {s}", clip_of(song(n), s), str(n), s) for n in range(20, 26) for s in (0.0, 4.0, 8.0)
    ]
    assert NearDuplicates().find(clips) == set()
