"""Whether the genres of a corpus differ in what is not music: a model would learn that first."""

import dataclasses
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from cyclegan_audio.utils.errors import check_number

LOSSLESS = "lossless"
LOSSLESS_CODECS = ("flac", "alac", "wavpack", "ape", "tta", "pcm_")  # how FFmpeg's names begin


@dataclasses.dataclass(frozen=True)
class BiasThresholds:
    """How far genres may lie apart before `prepare` warns.

    Attributes:
        loudness_lu: between medians of the clips' loudness.
        bandwidth_octaves: between medians of the frequency where content ends.
        codec_share: of the clips would have to change codec for two genres to be alike; PCM and other
            lossless codecs count as one.
        sample_rate_share: the same for the sample rate of the files.
        minutes_ratio: of the genres' kept music.
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
    """The kept clips of a genre, without the paired set; a median is None where nothing was measured.

    Attributes:
        minutes: of music kept.
        file_s: median length of its files in seconds, as far as clips were cut from them.
        loudness_lufs: median over clips.
        bandwidth_hz: median over clips.
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
    """One pile a genre, sorted, from the rows of a manifest."""
    by_genre = defaultdict(list)
    for row in rows:
        if row["kept"] and row["split"] != "paired":
            by_genre[row["genre"]].append(row)
    return [_genre_stats(genre, own) for genre, own in sorted(by_genre.items())]


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
    """The median of the values that are known, None where there is none."""
    known = [value for value in values if value is not None]
    return float(median(known)) if known else None


def _codec_kind(codec: str) -> str:
    return LOSSLESS if codec.startswith(LOSSLESS_CODECS) else codec.removesuffix("float")


def _shares(values: Any) -> dict[str, float]:
    """Value to its share, the most frequent first."""
    counts = Counter(values)
    return {value: count / counts.total() for value, count in counts.most_common()}


def differences(found: Sequence[GenreStats], limits: BiasThresholds) -> list[str]:
    """A line for each thing in which genres lie further apart than `limits` allow, with what helps."""
    return [line for check in _CHECKS for line in check(found, limits)]


def _loudness(found: Sequence[GenreStats], limits: BiasThresholds) -> list[str]:
    known = {pile.genre: pile.loudness_lufs for pile in found if pile.loudness_lufs is not None}
    low, high = _extremes(known)
    if not known or known[high] - known[low] <= limits.loudness_lu:
        return []
    return [
        f"{high} is {known[high] - known[low]:.1f} LU louder than {low} (medians {known[high]:.1f} and "
        f"{known[low]:.1f} LUFS); train with data.normalise=[loudness]"
    ]


def _bandwidth(found: Sequence[GenreStats], limits: BiasThresholds) -> list[str]:
    known = {pile.genre: pile.bandwidth_hz for pile in found if pile.bandwidth_hz}
    low, high = _extremes(known)
    if not known or math.log2(known[high] / known[low]) <= limits.bandwidth_octaves:
        return []
    return [
        f"{low} ends at {known[low] / 1000:.1f} kHz and {high} at {known[high] / 1000:.1f} kHz (medians); "
        "train with data.normalise=[bandwidth]"
    ]


def _minutes(found: Sequence[GenreStats], limits: BiasThresholds) -> list[str]:
    known = {pile.genre: pile.minutes for pile in found}
    low, high = _extremes(known)
    if not known or known[high] <= limits.minutes_ratio * known[low]:
        return []
    return [
        f"{high} has {known[high]:.1f} minutes of music and {low} {known[low]:.1f}; "
        f"add music to {low}, or set split.max_clips"
    ]


def _codec(found: Sequence[GenreStats], limits: BiasThresholds) -> list[str]:
    lines = _apart({pile.genre: pile.codecs for pile in found}, limits.codec_share)
    return [f"{line}; bring all files through the same codec" for line in lines]


def _sample_rate(found: Sequence[GenreStats], limits: BiasThresholds) -> list[str]:
    lines = _apart({pile.genre: pile.sample_rates for pile in found}, limits.sample_rate_share, " Hz")
    return [f"{line}; use one sample rate, or train with data.normalise=[bandwidth]" for line in lines]


_CHECKS = (_loudness, _bandwidth, _codec, _sample_rate, _minutes)


def _extremes(values: Mapping[str, float]) -> tuple[str, str]:
    """Genres of the lowest and the highest value."""
    ordered = sorted(values, key=lambda genre: values[genre]) or [""]
    return ordered[0], ordered[-1]


def _apart(shares: Mapping[str, Mapping[str, float]], limit: float, unit: str = "") -> list[str]:
    """What the two genres that differ most are made of, where their total variation exceeds the limit."""
    genres = [genre for genre, own in shares.items() if own]
    pairs = [(one, other) for place, one in enumerate(genres) for other in genres[place + 1 :]]
    if not pairs:
        return []
    one, other = max(pairs, key=lambda pair: total_variation(shares[pair[0]], shares[pair[1]]))
    if total_variation(shares[one], shares[other]) <= limit:
        return []
    return [f"{one} is {describe(shares[one], unit)}, {other} {describe(shares[other], unit)}"]


def total_variation(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """Half the sum of the absolute differences of two distributions: 0 alike, 1 without anything common."""
    return sum(abs(one.get(key, 0) - other.get(key, 0)) for key in {**one, **other}) / 2


def describe(shares: Mapping[str, float], unit: str = "") -> str:
    """The shares as text, the largest first."""
    return ", ".join(f"{share:.0%} {name}{unit}" for name, share in shares.items()) or "-"


def genre_rows(found: Sequence[GenreStats]) -> list[list[str]]:
    """The comparison as a table: what is compared, then a column a genre."""
    rows = {
        "clips": [str(pile.clips) for pile in found],
        "minutes of music": [f"{pile.minutes:.1f}" for pile in found],
        "median length of a file (s)": [f"{pile.file_s:.0f}" for pile in found],
        "median loudness (LUFS)": [_number(pile.loudness_lufs, 1.0) for pile in found],
        "median end of content (kHz)": [_number(pile.bandwidth_hz, 1000.0) for pile in found],
        "codec": [describe(pile.codecs) for pile in found],
        "sample rate (Hz)": [describe(pile.sample_rates) for pile in found],
    }
    return [[name, *cells] for name, cells in rows.items()]


def _number(value: float | None, unit: float) -> str:
    return "-" if value is None else f"{value / unit:.1f}"
