"""Compute the paired error: a translation against the same score played in the target genre.

Two baselines are scored too. All mels are first clamped to an audible floor, so that inaudible bands do not
dominate.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.metrics.baselines import match_mean
from cyclegan_audio.statistics.estimates import Estimate, estimate

AUDIBLE_RANGE_DB = 80.0
RHYTHM_ABOVE_HZ = 4000.0
MIN_RELATIVE_GAIN = 0.1
MODEL, UNTOUCHED, MATCHED_MEAN = "model", "untouched", "matched_mean"
BASELINES = (UNTOUCHED, MATCHED_MEAN)


def audible_floor_db(mel: MelSpectrogram) -> Tensor:
    """Compute the level (n_mels, 1) 80 dB below the highest reading of a full-scale sine in each band."""
    window = torch.hann_window if mel.window == "hann" else torch.hamming_window
    lobe = torch.fft.rfft(window(mel.n_fft)).abs()[:3] / 2
    sine = torch.cat([lobe.flip(0), lobe[1:]])[None, None]  # |STFT| around the bin of the sine
    reading = torch.nn.functional.conv1d(mel.filter_bank()[:, None], sine, padding=2).amax((1, 2))
    floor_db = 20 * reading.clamp_min(mel.floor).log10() - AUDIBLE_RANGE_DB
    return floor_db.clamp_min(20 * math.log10(mel.floor))[:, None]


def mean_abs_db(a_db: Tensor, b_db: Tensor) -> float:
    """Compute the mean of |a - b| over bands and frames of two mels in dB (M, F)."""
    return float((a_db - b_db).abs().mean())


def remove_band_means(mel_db: Tensor) -> Tensor:
    """Subtract each band's mean over time from (M, F), which leaves the rhythm without any equalisation."""
    return mel_db - mel_db.mean(1, keepdim=True)


def correlation(a_db: Tensor, b_db: Tensor) -> float:
    """Compute Pearson's correlation of two mels over all bands and frames; 0 if one is constant."""
    a, b = (x.double().flatten() - x.double().mean() for x in (a_db, b_db))
    norm = float(a.norm() * b.norm())
    return float(a @ b) / norm if norm > 1e-9 else 0.0


@dataclasses.dataclass(frozen=True)
class PairedScores:
    """Errors of one direction over all pairs, by candidate: `MODEL`, `UNTOUCHED`, `MATCHED_MEAN`.

    Attributes:
        error_db: mean absolute difference to the ground truth in dB.
        gain_db: for each baseline, its error minus the model's per pair; positive if the model is better.
        rhythm_db, rhythm_gain_db: the same above 4 kHz on mels without their band means.
        rhythm_correlation: their correlation with the ground truth; a flatter mel does not raise it.
    """

    error_db: dict[str, Estimate]
    gain_db: dict[str, Estimate]
    rhythm_db: dict[str, Estimate]
    rhythm_gain_db: dict[str, Estimate]
    rhythm_correlation: dict[str, Estimate]

    @property
    def relative_gain(self) -> float:
        """Fraction of the untouched input's error that the model removes."""
        untouched = self.error_db[UNTOUCHED].mean
        return self.gain_db[UNTOUCHED].mean / untouched if untouched > 0 else 0.0

    @property
    def beats_untouched(self) -> bool:
        """Return whether the model beats the untouched input: interval above 0, gain at least 10 %."""
        return self.gain_db[UNTOUCHED].above_zero and self.relative_gain >= MIN_RELATIVE_GAIN

    @property
    def beats_filter(self) -> bool:
        """Return whether the model beats the equaliser in the rhythm above 4 kHz: interval above 0."""
        return self.rhythm_gain_db[MATCHED_MEAN].above_zero

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        tables = {
            field.name: {name: value.to_dict() for name, value in getattr(self, field.name).items()}
            for field in dataclasses.fields(self)
        }
        return tables | {
            "relative_gain": self.relative_gain,
            "beats_untouched": self.beats_untouched,
            "beats_filter": self.beats_filter,
        }


def score_pairs(
    triples: Sequence[tuple[Tensor, Tensor, Tensor]],
    groups: Sequence[str],
    means_db: tuple[Tensor, Tensor],
    mel: MelSpectrogram,
) -> PairedScores:
    """Score translations against ground truth.

    Args:
        triples: (source, translation, ground truth) mels in dB (M, F), one triple per pair.
        groups: the musical score of each pair; intervals are over scores.
        means_db: mean spectra (M,) of the source's and the target's training clips, for `match_mean`.
        mel: the settings of the mels.

    Raises:
        ValueError: there are no pairs, or no band lies above 4 kHz.
    """
    floor_db = audible_floor_db(mel)
    high = mel.band_hz > RHYTHM_ABOVE_HZ
    if not high.any():
        raise ValueError(f"no mel band lies above {RHYTHM_ABOVE_HZ:.0f} Hz; raise f_max_hz of the mel")
    errors: dict[str, list[float]] = {name: [] for name in (MODEL, *BASELINES)}
    rhythm: dict[str, list[float]] = {name: [] for name in errors}
    correlations: dict[str, list[float]] = {name: [] for name in errors}
    for source_db, fake_db, target_db in triples:
        truth_db = target_db.maximum(floor_db)
        truth_rhythm = remove_band_means(truth_db[high])
        candidates = {MODEL: fake_db, UNTOUCHED: source_db, MATCHED_MEAN: match_mean(source_db, *means_db)}
        for name, values_db in candidates.items():
            audible_db = values_db.maximum(floor_db)
            candidate_rhythm = remove_band_means(audible_db[high])
            errors[name].append(mean_abs_db(audible_db, truth_db))
            rhythm[name].append(mean_abs_db(candidate_rhythm, truth_rhythm))
            correlations[name].append(correlation(candidate_rhythm, truth_rhythm))
    return PairedScores(
        {name: estimate(values, groups) for name, values in errors.items()},
        _gains(errors, groups),
        {name: estimate(values, groups) for name, values in rhythm.items()},
        _gains(rhythm, groups),
        {name: estimate(values, groups) for name, values in correlations.items()},
    )


def _gains(errors: dict[str, list[float]], groups: Sequence[str]) -> dict[str, Estimate]:
    """Estimate each baseline's error minus the model's over pairs."""
    return {
        name: estimate([b - m for b, m in zip(errors[name], errors[MODEL], strict=True)], groups)
        for name in BASELINES
    }
