"""Compare genres in loudness, bandwidth, codec, sample rate and length, which a model would learn first."""

import dataclasses
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from cyclegan_audio.utils.errors import check_number

LOSSLESS = "lossless"
LOSSLESS_CODECS = ("flac", "alac", "wavpack", "ape", "tta", "pcm_")  # prefixes of FFmpeg's names


@dataclasses.dataclass(frozen=True)
class BiasThresholds:
    """The largest differences between genres without a warning.

    Attributes:
        loudness_lu: difference of median loudness.
        bandwidth_octaves: difference of median bandwidth.
        codec_share: share of clips that would need another codec to make two genres alike; PCM and other
            lossless codecs count as one.
        sample_rate_share: the same share for sample rates.
        minutes_ratio: ratio of the genres' minutes of music.
    """

    loudness_lu: float
    bandwidth_octaves: float
    codec_share: float
    sample_rate_share: float
    minutes_ratio: float

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            check_number(f"bias.{name}", value, low=0)


@dataclasses.dataclass(frozen=True)
class GenreStats:
    """Statistics of a genre's kept clips without the paired set; a median is None if nothing was measured.

    Attributes:
        minutes: minutes of music.
        file_s: median length of its files in seconds, up to the end of the last clip.
        loudness_lufs: median over clips.
        bandwidth_hz: median over clips of the highest frequency with content.
        codecs: share of the clips by codec.
        sample_rates: share of the clips by sample rate in Hz.
    """

    genre: str
    clips: int
    minutes: float
    file_s: float
    loudness_lufs: float | None
    bandwidth_hz: float | None
    codecs: Mapping[str, float]
    sample_rates: Mapping[str, float]


def genre_stats(rows: Sequence[Mapping[str, Any]]) -> list[GenreStats]:
    """Compute the statistics of each genre from the rows of a manifest, sorted by genre."""
    by_genre = defaultdict(list)
    for row in rows:
        if row["kept"] and row["split"] != "paired":
            by_genre[row["genre"]].append(row)
    return [_genre_stats(genre, genre_rows) for genre, genre_rows in sorted(by_genre.items())]


def _genre_stats(genre: str, rows: Sequence[Mapping[str, Any]]) -> GenreStats:
    ends_s: dict[str, float] = defaultdict(float)
    for row in rows:
        ends_s[row["array"]] = max(ends_s[row["array"]], row["start_s"] + row["duration_s"])
    return GenreStats(
        genre,
        len(rows),
        sum(row["duration_s"] for row in rows) / 60,
        median(ends_s.values()),
        median_of(row["loudness_lufs"] for row in rows),
        median_of(row["bandwidth_hz"] for row in rows),
        _shares(_codec_kind(row["codec"]) for row in rows if row["codec"]),
        _shares(str(row["sample_rate"]) for row in rows if row["sample_rate"]),
    )


def median_of(values: Any) -> float | None:
    """Return the median of the values that are not None; None if there are none."""
    known = [value for value in values if value is not None]
    return float(median(known)) if known else None


def _codec_kind(codec: str) -> str:
    return LOSSLESS if codec.startswith(LOSSLESS_CODECS) else codec.removesuffix("float")


def _shares(values: Any) -> dict[str, float]:
    """Return the share of each value, the most frequent first."""
    counts = Counter(values)
    return {value: count / counts.total() for value, count in counts.most_common()}


def bias_warnings(stats: Sequence[GenreStats], thresholds: BiasThresholds) -> list[str]:
    """Describe each difference above its threshold in a line, with its remedy."""
    return [line for check in _CHECKS for line in check(stats, thresholds)]


def _loudness(stats: Sequence[GenreStats], thresholds: BiasThresholds) -> list[str]:
    known = {genre.genre: genre.loudness_lufs for genre in stats if genre.loudness_lufs is not None}
    low, high = _lowest_and_highest(known)
    if not known or known[high] - known[low] <= thresholds.loudness_lu:
        return []
    return [
        f"{high} is {known[high] - known[low]:.1f} LU louder than {low} (medians {known[high]:.1f} and "
        f"{known[low]:.1f} LUFS); train with data.normalise=[loudness]"
    ]


def _bandwidth(stats: Sequence[GenreStats], thresholds: BiasThresholds) -> list[str]:
    known = {genre.genre: genre.bandwidth_hz for genre in stats if genre.bandwidth_hz}
    low, high = _lowest_and_highest(known)
    if not known or math.log2(known[high] / known[low]) <= thresholds.bandwidth_octaves:
        return []
    return [
        f"{low} ends at {known[low] / 1000:.1f} kHz and {high} at {known[high] / 1000:.1f} kHz (medians); "
        "train with data.normalise=[bandwidth]"
    ]


def _minutes(stats: Sequence[GenreStats], thresholds: BiasThresholds) -> list[str]:
    known = {genre.genre: genre.minutes for genre in stats}
    low, high = _lowest_and_highest(known)
    if not known or known[high] <= thresholds.minutes_ratio * known[low]:
        return []
    return [
        f"{high} has {known[high]:.1f} minutes of music and {low} {known[low]:.1f}; "
        f"add music to {low}, or set split.max_clips"
    ]


def _codec(stats: Sequence[GenreStats], thresholds: BiasThresholds) -> list[str]:
    lines = _largest_difference({genre.genre: genre.codecs for genre in stats}, thresholds.codec_share)
    return [f"{line}; encode all files with the same codec" for line in lines]


def _sample_rate(stats: Sequence[GenreStats], thresholds: BiasThresholds) -> list[str]:
    lines = _largest_difference(
        {genre.genre: genre.sample_rates for genre in stats}, thresholds.sample_rate_share, " Hz"
    )
    return [f"{line}; use one sample rate, or train with data.normalise=[bandwidth]" for line in lines]


_CHECKS = (_loudness, _bandwidth, _codec, _sample_rate, _minutes)


def _lowest_and_highest(values: Mapping[str, float]) -> tuple[str, str]:
    """Return the genres with the lowest and the highest value."""
    ordered = sorted(values, key=lambda genre: values[genre]) or [""]
    return ordered[0], ordered[-1]


def _largest_difference(shares: Mapping[str, Mapping[str, float]], limit: float, unit: str = "") -> list[str]:
    """Describe the two genres that differ most, if their total variation exceeds the limit."""
    genres = [genre for genre, genre_shares in shares.items() if genre_shares]
    pairs = [(one, other) for place, one in enumerate(genres) for other in genres[place + 1 :]]
    if not pairs:
        return []
    one, other = max(pairs, key=lambda pair: total_variation(shares[pair[0]], shares[pair[1]]))
    if total_variation(shares[one], shares[other]) <= limit:
        return []
    return [f"{one} is {format_shares(shares[one], unit)}, {other} {format_shares(shares[other], unit)}"]


def total_variation(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """Compute the total variation distance of two distributions: 0 for equal, 1 for disjoint ones."""
    return sum(abs(one.get(key, 0) - other.get(key, 0)) for key in {**one, **other}) / 2


def format_shares(shares: Mapping[str, float], unit: str = "") -> str:
    """Format shares as text, the largest first."""
    return ", ".join(f"{share:.0%} {name}{unit}" for name, share in shares.items()) or "-"


def genre_comparison(stats: Sequence[GenreStats]) -> list[list[str]]:
    """Return the comparison as rows of text: the quantity, then a value per genre."""
    rows = {
        "clips": [str(genre.clips) for genre in stats],
        "minutes of music": [f"{genre.minutes:.1f}" for genre in stats],
        "median length of a file (s)": [f"{genre.file_s:.0f}" for genre in stats],
        "median loudness (LUFS)": [_number(genre.loudness_lufs, 1.0) for genre in stats],
        "median bandwidth (kHz)": [_number(genre.bandwidth_hz, 1000.0) for genre in stats],
        "codec": [format_shares(genre.codecs) for genre in stats],
        "sample rate (Hz)": [format_shares(genre.sample_rates) for genre in stats],
    }
    return [[name, *cells] for name, cells in rows.items()]


def _number(value: float | None, unit: float) -> str:
    return "-" if value is None else f"{value / unit:.1f}"
