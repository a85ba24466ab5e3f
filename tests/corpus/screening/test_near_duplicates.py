"""Tests of near-duplicates: copies with other gain, codec, rate and shift are found; other music is not."""

import numpy as np
import pytest
import torch
import torchaudio.functional as AF

from cyclegan_audio.audio.io import decode, save
from cyclegan_audio.corpus.screening import NearDuplicates
from cyclegan_audio.corpus.screening.near_duplicates import (
    FingerprintedClip,
    compare_fingerprints,
    decode_fingerprint,
    encode_fingerprint,
    fingerprint,
)
from tests.corpus.noise_songs import load_mel

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


def fingerprinted(
    name: str, clip: torch.Tensor, content: str, start_s: float = 0.0, **more: bool
) -> FingerprintedClip:
    return FingerprintedClip(
        name, content, start_s, len(clip) / RATE, encode_fingerprint(words(clip)), **more
    )


def cut_clip(whole: torch.Tensor, start_s: float) -> torch.Tensor:
    return whole[round(start_s * RATE) :][: 4 * RATE]


def test_unrelated_music_differs_in_half_of_the_bits():
    one, other = words(cut_clip(song(1), 0)), words(cut_clip(song(2), 0))
    assert 70 <= len(one) <= 80
    assert (decode_fingerprint(encode_fingerprint(one)) == one).all()
    assert compare_fingerprints(one, one, 0) == (0.0, 1.0)
    errors, overlap = compare_fingerprints(one, other, 7)
    assert errors == pytest.approx(0.5, abs=0.1)
    assert overlap == pytest.approx(1 - 7 / 87, abs=0.01)


@pytest.mark.parametrize("suffix", [".mp3", ".ogg"])
def test_copies_in_another_codec_level_and_rate_are_found(tmp_path, suffix):
    music = song(3)
    save(tmp_path / f"copy{suffix}", AF.resample(0.3 * music, RATE, 48_000), 48_000)
    copy = decode(tmp_path / f"copy{suffix}", sample_rate=RATE, mono=True)[0][0]
    clips = [fingerprinted("a", cut_clip(music, 4), "x"), fingerprinted("b", cut_clip(copy, 4), "y")]
    assert NearDuplicates().find(clips) == {"b"}


def test_a_shifted_loop_is_found_in_another_file():
    looped = song(4, 3.0).repeat(5)
    clips = [fingerprinted("a", cut_clip(looped, 0), "x"), fingerprinted("b", cut_clip(looped, 5.31), "y")]
    assert NearDuplicates().find(clips) == {"b"}


def test_only_complete_repeats_are_dropped_in_a_file():
    music = song(5)
    repeated = torch.cat([music[: 8 * RATE], music[: 8 * RATE]])
    exact = [fingerprinted(str(s), cut_clip(repeated, s), "x", s) for s in (0.0, 4.0, 8.0, 12.0)]
    assert NearDuplicates().find(exact) == {"8.0", "12.0"}
    half = [fingerprinted(str(s), cut_clip(repeated, s), "x", s) for s in (0.0, 10.0)]
    assert NearDuplicates().find(half) == set()
    assert NearDuplicates(same_file_overlap=0.45).find(half) == {"10.0"}


def test_overlapping_clips_are_no_duplicates():
    music = song(6)
    clips = [fingerprinted(str(s), cut_clip(music, s), "x", s) for s in (0.0, 0.2, 1.0, 2.0)]
    assert NearDuplicates().find(clips) == set()


def test_protected_clips_stay_and_order_does_not_matter():
    music = cut_clip(song(7), 0)
    clips = [fingerprinted(name, music, name, protected=name in "pq") for name in "abpq"]
    assert NearDuplicates().find(clips) == NearDuplicates().find(clips[::-1]) == {"a", "b"}


def test_different_songs_stay():
    clips = [
        fingerprinted(f"{n} {s}", cut_clip(song(n), s), str(n), s)
        for n in range(20, 26)
        for s in (0.0, 4.0, 8.0)
    ]
    assert NearDuplicates().find(clips) == set()


def random_words(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**16, 80, dtype=np.uint16)


def pair_of(
    one: np.ndarray, other: np.ndarray, contents: str = "xy", start_s: float = 4.0
) -> list[FingerprintedClip]:
    return [
        FingerprintedClip("a", contents[0], 0.0, 4.0, encode_fingerprint(one)),
        FingerprintedClip("b", contents[1], start_s, 4.0, encode_fingerprint(other)),
    ]


@pytest.mark.parametrize(("n_bits", "repeats"), [(256, True), (257, False)])
def test_at_most_a_fifth_of_the_bits_may_differ(n_bits, repeats):
    one = random_words(0)
    other = one.copy()
    for bit in range(n_bits):  # of 1280; sixteen words stay as they are
        other[16 + bit % 64] ^= np.uint16(1 << bit // 64)
    assert bool(NearDuplicates().find(pair_of(one, other))) is repeats


@pytest.mark.parametrize(("n_equal", "repeats"), [(2, False), (3, True)])
def test_three_equal_words_make_a_candidate(n_equal, repeats):
    one = random_words(1)
    other = one.copy()
    other[n_equal:] ^= 1
    assert bool(NearDuplicates().find(pair_of(one, other))) is repeats


@pytest.mark.parametrize(("n_others", "repeats"), [(7, True), (8, False)])
def test_only_eight_candidates_are_compared(n_others, repeats):
    """Others have four words of the last clip, and its copy, with a bit more or less a word, has three."""
    last = random_words(5)
    copy = last.copy()
    copy[3:] ^= 1
    clips = [
        FingerprintedClip("copy", "0", 0.0, 4.0, encode_fingerprint(copy)),
        FingerprintedClip("last", "9", 0.0, 4.0, encode_fingerprint(last)),
    ]
    for number in range(n_others):
        other = random_words(100 + number)
        place = 10 + 4 * number
        other[place : place + 4] = last[place : place + 4]
        clips.append(FingerprintedClip(f"{number}", f"1 {number}", 0.0, 4.0, encode_fingerprint(other)))
    assert NearDuplicates().find(clips) == ({"last"} if repeats else set())


@pytest.mark.parametrize(
    ("contents", "shift", "start_s", "repeats"),
    [
        ("xy", 44, 4.0, True),  # half of the 88 frames in common
        ("xy", 45, 4.0, False),
        ("xy", -44, 0.0, True),
        ("xx", 8, 4.0, True),  # 0.909 of them
        ("xx", 9, 4.0, False),
        ("xx", 0, 3.9, False),  # they overlap
    ],
)
def test_overlap_thresholds(contents, shift, start_s, repeats):
    one, other = random_words(2), random_words(3)
    n = 80 - abs(shift)
    other[max(-shift, 0) :][:n] = one[max(shift, 0) :][:n]
    assert bool(NearDuplicates().find(pair_of(one, other, contents, start_s))) is repeats


@pytest.mark.parametrize(
    ("starts_s", "repeats"), [((40.0, 43.9), False), ((43.9, 40), False), ((40, 44), True)]
)
def test_cuts_overlap_by_the_distance_of_their_starts(starts_s, repeats):
    words = encode_fingerprint(random_words(2))
    clips = [FingerprintedClip(f"{start_s}", "x", start_s, 4.0, words) for start_s in starts_s]
    assert bool(NearDuplicates().find(clips)) is repeats


@pytest.mark.parametrize("shift", [-3, 0, 5])
def test_compare_fingerprints_with_an_offset_by_hand(shift):
    one = random_words(4)
    other = np.roll(one, -shift)
    errors, overlap = compare_fingerprints(one, other, shift)
    assert (errors, overlap) == (0, pytest.approx(1 - abs(shift) / 88))
    other[40] ^= 0b111
    assert compare_fingerprints(one, other, shift)[0] == 3 / (16 * (80 - abs(shift)))
    assert compare_fingerprints(one, other, 80)[1] == compare_fingerprints(one, other, -80)[1] == 0
    assert compare_fingerprints(one, other, 79)[1] == pytest.approx(9 / 88)


def test_fingerprint_bits_by_hand():
    """One band of the 17 rises by 20 dB half way: the bit below it turns 0, the one above turns 1."""
    n_mels, n_frames = 100, 87
    edges = np.linspace(4, 85, 18).round().astype(int)
    mel_db = torch.zeros(n_mels, n_frames)
    mel_db[edges[6] : edges[7], 40:] = 20.0
    actual = fingerprint(mel_db, 4.0)
    assert len(actual) == 87 - 7 - 1
    changing = actual[32:40]
    assert ((changing >> 5) & 1 == 0).all()  # its step from band 5 to 6 grows
    assert ((changing >> 6) & 1 == 1).all()
    assert fingerprint(mel_db[:, :8], 0.368).shape == (0,)
    assert fingerprint(mel_db[:, :10], 0.46).shape == (2,)
    assert len(fingerprint(mel_db.repeat(1, 3), 4.0)) == 87 - 8  # three frames a word
