"""Tests of the comparison of genres and its warnings."""

import dataclasses

import pytest

from cyclegan_audio.config import build, compose
from cyclegan_audio.corpus.bias import bias_warnings, genre_comparison, genre_stats, total_variation
from cyclegan_audio.utils.errors import UserError

LIMITS = build("bias", compose("prepare").bias)


def clip(genre: str, number: int, **changes) -> dict:
    row = {
        "genre": genre,
        "kept": True,
        "split": "train",
        "array": f"{genre}-{number // 2}",
        "start_s": 4.0 * (number % 2),
        "duration_s": 4.0,
        "loudness_lufs": -14.0,
        "bandwidth_hz": 16000.0,
        "codec": "mp3float",
        "sample_rate": 44100,
    }
    return row | changes


def genre(name: str, count: int = 4, **changes) -> list[dict]:
    return [clip(name, number, **changes) for number in range(count)]


def test_statistics_count_kept_clips_of_a_genre():
    rows = genre("lofi")
    for row, lufs, codec in zip(
        rows, (-20, -18, -10, -13), ("flac", "pcm_s16le", "opus", "opus"), strict=True
    ):
        row |= {"loudness_lufs": lufs, "codec": codec}
    rows += [clip("lofi", 8, kept=False, split="", loudness_lufs=0.0), clip("lofi", 9, split="paired")]
    (stats,) = genre_stats(rows)
    assert (stats.clips, stats.loudness_lufs, stats.bandwidth_hz) == (4, -15.5, 16000)
    assert stats.minutes == pytest.approx(16 / 60)
    assert stats.file_s == 8
    assert stats.codecs == {"lossless": 0.5, "opus": 0.5}
    assert stats.sample_rates == {"44100": 1.0}


def test_similar_genres_give_no_warning():
    assert bias_warnings(genre_stats(genre("lofi") + genre("trap", loudness_lufs=-11.0)), LIMITS) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loudness_lufs": -10.9}, "trap is 3.1 LU louder than lofi (medians -10.9 and -14.0 LUFS)"),
        ({"bandwidth_hz": 20000.0}, "lofi ends at 16.0 kHz and trap at 20.0 kHz"),
        ({"bandwidth_hz": 20_060.0}, "lofi ends at 16.0 kHz and trap at 20.1 kHz"),
        ({"bandwidth_hz": 10_060.0}, "trap ends at 10.1 kHz and lofi at 16.0 kHz"),
        ({"codec": "pcm_s24le"}, "lofi is 100% mp3, trap 100% lossless"),
        ({"sample_rate": 48000}, "lofi is 100% 44100 Hz, trap 100% 48000 Hz"),
        ({"count": 9}, "trap has 0.6 minutes of music and lofi 0.3"),
    ],
)
def test_each_difference_gives_one_line(changes, message):
    (line,) = bias_warnings(genre_stats(genre("lofi") + genre("trap", **changes)), LIMITS)
    assert message in line
    assert "\n" not in line


def test_the_two_most_different_genres_are_named():
    rows = genre("lofi") + genre("rnb", loudness_lufs=-20.0) + genre("trap", loudness_lufs=-9.0)
    (line,) = bias_warnings(genre_stats(rows), LIMITS)
    assert line.startswith("trap is 11.0 LU louder than rnb")


def test_mels_without_audio_compare_in_length_only():
    unknown = {"loudness_lufs": None, "bandwidth_hz": None, "codec": None, "sample_rate": None}
    stats = genre_stats(genre("lofi", **unknown) + genre("trap", **unknown))
    assert bias_warnings(stats, LIMITS) == []
    table = {row[0]: row[1:] for row in genre_comparison(stats)}
    assert table["median loudness (LUFS)"] == table["codec"] == ["-", "-"]
    assert table["clips"] == ["4", "4"]


@pytest.mark.parametrize(
    "changes",
    [
        {"loudness_lufs": -11.0},
        {"bandwidth_hz": 32000.0},
        {"count": 8},
    ],
)
def test_differences_at_the_threshold_give_no_warning(changes):
    limits = dataclasses.replace(LIMITS, bandwidth_octaves=1.0)
    assert bias_warnings(genre_stats(genre("lofi") + genre("trap", **changes)), limits) == []


def test_shares_at_the_threshold_give_no_warning_and_the_largest_difference_is_named():
    limits = dataclasses.replace(LIMITS, codec_share=0.5, sample_rate_share=0.75)
    mixed = [*genre("trap", 2), *genre("trap", 2, codec="opus", sample_rate=48000)]
    assert bias_warnings(genre_stats(genre("lofi") + mixed), limits) == []
    (line,) = bias_warnings(
        genre_stats(genre("lofi") + mixed + genre("x", codec="opus", sample_rate=44100)), limits
    )
    assert line == "lofi is 100% mp3, x 100% opus; encode all files with the same codec"
    (line,) = bias_warnings(
        genre_stats(genre("a") + genre("b", codec="opus") + genre("trap", 2) + mixed[2:]), limits
    )
    assert line.startswith("a is 100% mp3, b 100% opus;")  # in their order
    lines = bias_warnings(genre_stats(mixed + genre("x", codec="aac")), limits)
    assert lines == ["trap is 50% mp3, 50% opus, x 100% aac; encode all files with the same codec"]


def test_the_table_has_all_numbers_in_their_units():
    stats = genre_stats([*genre("lofi", 30), *genre("trap", 3, bandwidth_hz=20060.0, codec="opus")])
    assert genre_comparison(stats) == [
        ["clips", "30", "3"],
        ["minutes of music", "2.0", "0.2"],
        ["median length of a file (s)", "8", "6"],
        ["median loudness (LUFS)", "-14.0", "-14.0"],
        ["median bandwidth (kHz)", "16.0", "20.1"],
        ["codec", "100% mp3", "100% opus"],
        ["sample rate (Hz)", "100% 44100", "100% 44100"],
    ]


def test_the_median_ignores_unknown_values():
    rows = genre("lofi", 5)
    for row, value in zip(rows, (None, 1000.0, None, 3000.0, 8000.0), strict=True):
        row["bandwidth_hz"] = value
    (stats,) = genre_stats(rows)
    assert stats.bandwidth_hz == 3000


def test_total_variation_by_hand():
    assert total_variation({"mp3": 0.75, "opus": 0.25}, {"mp3": 0.5, "flac": 0.5}) == pytest.approx(0.5)
    assert total_variation({"mp3": 1.0}, {"flac": 1.0}) == 1
    assert total_variation({"mp3": 1.0}, {"mp3": 1.0}) == 0


def test_negative_thresholds_are_refused():
    with pytest.raises(UserError, match=r"bias\.loudness_lu must be a number >= 0, got -1"):
        build("bias", compose("prepare", ["bias.loudness_lu=-1"]).bias)
