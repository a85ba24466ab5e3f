"""Tests of near-duplicates: copies with other gain, codec, rate and shift are found; other music is not."""

import itertools

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
from cyclegan_audio.utils.errors import UserError
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


def clip_of(
    name: str,
    content: str,
    start_s: float,
    duration_s: float,
    fingerprint: str,
    split: str = "test",
    genre: str = "lofi",
    **more,
) -> FingerprintedClip:
    return FingerprintedClip(
        name, genre, split, more.pop("array", content), content, start_s, duration_s, fingerprint, **more
    )


def fingerprinted(
    name: str, clip: torch.Tensor, content: str, start_s: float = 0.0, **more
) -> FingerprintedClip:
    return clip_of(name, content, start_s, len(clip) / RATE, encode_fingerprint(words(clip)), **more)


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
        clip_of("a", contents[0], 0.0, 4.0, encode_fingerprint(one)),
        clip_of("b", contents[1], start_s, 4.0, encode_fingerprint(other)),
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
    other[n_equal:] ^= 0b11  # two bits; words with one other bit vote too
    assert bool(NearDuplicates().find(pair_of(one, other))) is repeats


@pytest.mark.parametrize(("n_others", "repeats"), [(7, True), (8, False)])
def test_only_eight_candidates_are_compared(n_others, repeats):
    """Others have four words of the last clip, and its copy, with two other bits in each word, has three."""
    last = random_words(5)
    copy = last.copy()
    copy[3:] ^= 0b11
    clips = [
        clip_of("copy", "0", 0.0, 4.0, encode_fingerprint(copy)),
        clip_of("last", "9", 0.0, 4.0, encode_fingerprint(last)),
    ]
    for number in range(n_others):
        other = random_words(100 + number)
        place = 10 + 4 * number
        other[place : place + 4] = last[place : place + 4]
        clips.append(clip_of(f"{number}", f"1 {number}", 0.0, 4.0, encode_fingerprint(other)))
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
    clips = [clip_of(f"{start_s}", "x", start_s, 4.0, words) for start_s in starts_s]
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


def copies(splits: dict[str, int], genres: tuple[str, ...] = ("lofi",), **more) -> list[FingerprintedClip]:
    """Return clips with equal fingerprints, so many in each split of each genre, each of another file."""
    fingerprint = encode_fingerprint(random_words(9))
    return [
        clip_of(f"{genre} {split} {n}", f"{genre} {split} {n}", 0.0, 4.0, fingerprint, split, genre, **more)
        for genre in genres
        for split, count in splits.items()
        for n in range(count)
    ]


@pytest.mark.parametrize("max_alike", [1, 2, 3, 9])
def test_training_keeps_some_of_alike_clips(max_alike):
    clips = copies({"train": 5})
    expected = {f"lofi train {n}" for n in range(max_alike, 5)}
    assert NearDuplicates(max_alike=max_alike).find(clips) == expected
    assert NearDuplicates(max_alike=max_alike).find(clips[::-1]) == expected
    others = [
        clip_of(f"{n}", f"{n}", 0.0, 4.0, encode_fingerprint(random_words(n)), "train") for n in range(9)
    ]
    assert NearDuplicates(max_alike=max_alike).find(others[:-1] + clips) == expected


@pytest.mark.parametrize(
    ("splits", "kept"),
    [
        ({"train": 3, "val": 2, "test": 2}, {"test 0"}),
        ({"train": 3, "val": 2}, {"val 0"}),
        ({"val": 2, "test": 2}, {"test 0"}),
        ({"train": 3, "val": 1, "test": 1, "paired": 1}, {"paired 0"}),
        ({"test": 3}, {"test 0"}),
        ({"val": 3}, {"val 0"}),
    ],
)
def test_alike_clips_are_in_one_split_only(splits, kept):
    clips = copies(splits)
    assert {clip.clip_id for clip in clips} - NearDuplicates().find(clips) == {
        f"lofi {name}" for name in kept
    }


def test_scores_of_the_paired_set_all_stay():
    clips = copies({"train": 2, "test": 1}) + copies({"paired": 3}, ("trap",), protected=True)
    assert NearDuplicates().find(clips) == {"lofi train 0", "lofi train 1", "lofi test 0"}


def test_each_genre_keeps_its_own_training_clips():
    in_training = copies({"train": 3}, ("lofi", "trap"))
    assert NearDuplicates().find(in_training) == {"lofi train 2", "trap train 2"}
    held_out = copies({"test": 2}, ("lofi", "trap"))
    assert NearDuplicates().find(held_out) == {"lofi test 1", "trap test 0", "trap test 1"}
    across = copies({"test": 1}) + copies({"train": 2}, ("trap",))
    assert NearDuplicates().find(across) == {"trap train 0", "trap train 1"}


@pytest.mark.parametrize(("split", "dropped"), [("train", {"2"}), ("test", {"1", "2"})])
def test_copies_of_a_file_are_alike(split, dropped):
    words = encode_fingerprint(random_words(3))
    clips = [clip_of(f"{n}", "x", 0.0, 4.0, words, split, array=f"copy {n}") for n in range(3)]
    assert NearDuplicates().find(clips) == dropped
    assert NearDuplicates().find([clip_of(f"{n}", "x", 0.0, 4.0, words, split) for n in range(3)]) == set()


@pytest.mark.parametrize("n_words", [2, 5, 20])
def test_short_loops_fill_no_more_than_their_share(n_words):
    """All clips are one loop, so their words are soon as often in the index as it allows."""
    words = np.tile(random_words(7)[:n_words], 80 // n_words)
    clips = [
        clip_of(f"{n:02d}", f"{n:02d}", 0.0, 4.0, encode_fingerprint(np.roll(words, n)), "train")
        for n in range(12)
    ]
    assert NearDuplicates().find(clips) == {f"{n:02d}" for n in range(2, 12)}
    held_out = [clip_of("t", "t", 0.0, 4.0, encode_fingerprint(np.roll(words, 1)), "test"), *clips]
    assert NearDuplicates().find(held_out) == {clip.clip_id for clip in clips}


@pytest.mark.parametrize("gain", [1.0, 0.5, 0.05])
@pytest.mark.parametrize("shift_s", [0.0, 0.37, 1.3])
def test_loops_at_another_level_and_time_are_alike(gain, shift_s):
    looped = song(8, 4.0).repeat(3)
    clips = [fingerprinted("a", cut_clip(looped, 0), "a", split="test")]
    clips += [fingerprinted(name, gain * cut_clip(looped, shift_s), name, split="train") for name in "bc"]
    assert NearDuplicates().find(clips) == {"b", "c"}
    assert NearDuplicates(max_alike=1).find(clips[1:]) == {"c"}
    assert NearDuplicates(max_alike=2).find(clips[1:]) == set()


@pytest.mark.parametrize("seed", range(3))
def test_no_two_splits_share_a_clip(seed):
    """Versions of 10 recordings, with up to a fifth of their bits wrong, in 3 splits among 20 other clips."""
    rng = np.random.default_rng(seed)
    clips, all_words = [], {}
    for number in range(100):
        words = random_words(int(rng.integers(10)) if number < 80 else 1000 * seed + number)
        flips = rng.random((80, 16)) < rng.uniform(0, 0.2)
        words = np.roll(words ^ (flips << np.arange(16)).sum(1).astype(np.uint16), int(rng.integers(-9, 9)))
        split = str(rng.choice(["train", "val", "test"], p=[0.6, 0.2, 0.2]))
        all_words[f"{number}"] = words
        clips.append(clip_of(f"{number}", f"{number}", 0.0, 4.0, encode_fingerprint(words), split))
    dropped = NearDuplicates().find(clips)
    split_of = {clip.clip_id: clip.split for clip in clips if clip.clip_id not in dropped}
    for one, other in itertools.combinations(split_of, 2):
        if split_of[one] == split_of[other] == "train":
            continue
        offsets = ((all_words[one], all_words[other], offset) for offset in range(-44, 45))
        assert min(compare_fingerprints(*pair)[0] for pair in offsets) > 0.2, f"seed {seed}: {one}, {other}"
    assert len(dropped) > 40
    assert not {f"{number}" for number in range(80, 100)} & dropped


def test_the_number_of_alike_clips_is_checked():
    assert NearDuplicates(max_alike=1).max_alike == 1
    for value in (0, -1, 1.5, "two"):
        with pytest.raises(UserError, match=r"screening\.near_duplicates\.max_alike must be an integer >= 1"):
            NearDuplicates(max_alike=value)


@pytest.mark.parametrize(
    ("n_words", "shift", "repeats"),
    [
        (13, 0, True),  # all words of a clip of a second
        (13, 1, False),
        (35, 19, True),  # 16 words
        (35, 20, False),
        (80, 44, True),  # half of the clip
        (80, 45, False),
    ],
)
def test_at_least_16_words_are_compared(n_words, shift, repeats):
    """Single clips next to each other: near offsets cannot help, as their words differ."""
    rng = np.random.default_rng(0)
    one, other = (rng.integers(0, 2**16, n_words, dtype=np.uint16) for _ in range(2))
    other[: n_words - shift] = one[shift:]
    assert bool(NearDuplicates().find(pair_of(one, other))) is repeats


def test_short_clips_of_other_music_stay():
    """Eight words of unrelated music are often equal to a fifth of their bits."""
    music = song(30, 60.0)
    clips = [fingerprinted(f"{n}", music[n * RATE : (n + 1) * RATE], f"{n}", split="test") for n in range(60)]
    assert NearDuplicates().find(clips) == set()


@pytest.mark.parametrize(
    ("splits", "shift", "dropped"),
    [
        (("test", "train"), 20, {"b"}),  # a loop that returns elsewhere in a clip of another split
        (("test", "train"), 45, set()),
        (("train", "train"), 20, set()),
        (("val", "val"), 20, set()),
    ],
)
def test_a_passage_of_a_file_is_in_one_split(splits, shift, dropped):
    one, other = random_words(2), random_words(3)
    other[: 80 - shift] = one[shift:]
    clips = [
        clip_of(name, "x", 4.0 * n, 4.0, encode_fingerprint(words), splits[n])
        for n, (name, words) in enumerate((("a", one), ("b", other)))
    ]
    assert NearDuplicates(max_alike=1).find(clips) == dropped
