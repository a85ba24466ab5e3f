"""Normalise loudness and bandwidth of mels as they are loaded; the corpus on disk stays unchanged."""

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Annotated, Any, Protocol

import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.corpus.bias import median_of
from cyclegan_audio.utils.errors import UserError, shortened
from cyclegan_audio.utils.fields import Range, check_fields, check_value

LOUDNESS, BANDWIDTH = "loudness", "bandwidth"
KINDS = (LOUDNESS, BANDWIDTH)


class MeasuredClip(Protocol):
    """A clip with measurements of its audio; None without audio."""

    @property
    def loudness_lufs(self) -> float | None:
        """Return the integrated loudness of the mono mix in LUFS."""
        ...

    @property
    def bandwidth_hz(self) -> float | None:
        """Return the highest frequency with content in Hz."""
        ...


@dataclasses.dataclass(frozen=True)
class CorpusNormalisation:
    """The normalisation of every mel before a generator gets it, in training and in translation.

    Attributes:
        loudness_lufs: target loudness of the mono mix of a clip or song; the gain shifts a mel by the same
            number of dB in all bands. Not for mels that are scaled clip by clip.
        cutoff_hz: bands with a centre above it are set to the lowest level of the scale. A translation keeps
            these bands of the source.
    """

    loudness_lufs: Annotated[float, Range(-100, 20)] | None = None
    cutoff_hz: Annotated[float, Range(20, 192_000)] | None = None

    def __post_init__(self) -> None:
        check_fields(self, "normalisation")

    @classmethod
    def from_clips(
        cls,
        clips: Mapping[str, Sequence[MeasuredClip]],
        kinds: Collection[str],
        mel: MelSpectrogram,
        corpus_name: str,
    ) -> "CorpusNormalisation":
        """Compute the mean of the genres' median loudness, and their lowest median bandwidth.

        Each genre has the same weight, whatever its number of clips.

        Args:
            clips: training clips by genre.
            kinds: what to normalise, any of `KINDS`.
            mel: mel settings of the corpus.
            corpus_name: name of the corpus in messages.

        Raises:
            UserError: a kind is unknown or was not measured, or the mel scales each clip by itself.
        """
        if unknown := [kind for kind in kinds if kind not in KINDS]:
            raise UserError(f"data.normalise={unknown[0]} is unknown; choose among {', '.join(KINDS)}")
        if LOUDNESS in kinds and mel.scaling == "clip":
            raise UserError(
                f"mel={mel.name} scales each clip by itself, so there is no loudness to normalise; "
                f"leave {LOUDNESS} out of data.normalise"
            )
        loudness_lufs = cutoff_hz = None
        if LOUDNESS in kinds:
            medians = _medians(clips, "loudness_lufs", LOUDNESS, corpus_name)
            loudness_lufs = sum(medians) / len(medians)
        if BANDWIDTH in kinds:
            cutoff_hz = min(_medians(clips, "bandwidth_hz", BANDWIDTH, corpus_name))
        return cls(loudness_lufs, cutoff_hz)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "CorpusNormalisation":
        """Create from plain values, as a checkpoint stores them; empty values normalise nothing.

        Raises:
            UserError: a value is unknown, or no number in its range.
        """
        check_value("normalisation", values, dict[str, float | None])
        if unknown := values.keys() - {field.name for field in dataclasses.fields(cls)}:
            raise UserError(f"normalisation has no {shortened(min(unknown))}")
        return cls(**values)

    def check_fits(self, mel: MelSpectrogram) -> None:
        """Check that it leaves something of a mel.

        Raises:
            UserError: all bands are above the cutoff, or the mel scales each clip by itself.
        """
        above = self.bands_above_cutoff(mel)
        if above is not None and above.all():
            raise UserError(f"normalisation.cutoff_hz {self.cutoff_hz:g} is below all bands of the mel")
        if self.loudness_lufs is not None and mel.scaling == "clip":
            raise UserError("normalisation.loudness_lufs does not fit mel.scaling clip")

    def to_dict(self) -> dict[str, float]:
        """Return the targets of the normalisation as plain values."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}

    def gain_db(self, loudness_lufs: float | None) -> float:
        """Return the gain in dB for music of this loudness; 0 if either loudness is unknown."""
        if self.loudness_lufs is None or loudness_lufs is None:
            return 0.0
        return self.loudness_lufs - loudness_lufs

    def apply(self, mel_db: Tensor, mel: MelSpectrogram, gain_db: float = 0.0) -> Tensor:
        """Normalise a clip (..., M, F) in dB: add `gain_db`, and blank the bands above the cutoff.

        Digital silence, the floor of the mel, keeps its level.
        """
        if gain_db:
            floor_db = mel.floor_db
            shifted = (mel_db + gain_db).clamp_min(floor_db)
            mel_db = torch.where(mel_db > floor_db + 1e-3, shifted, mel_db)
        above = self.bands_above_cutoff(mel)
        if above is None or not above.any():
            return mel_db
        lowest_db = mel.range_db(mel_db[..., ~above, :])[0]
        return mel_db.masked_fill(above[:, None].to(mel_db.device), lowest_db)

    def bands_above_cutoff(self, mel: MelSpectrogram) -> Tensor | None:
        """Return the mask (M,) of the bands above the cutoff; None without a cutoff."""
        return None if self.cutoff_hz is None else mel.band_hz > self.cutoff_hz

    def __str__(self) -> str:
        parts = []
        if self.loudness_lufs is not None:
            parts.append(f"normalised to {self.loudness_lufs:.1f} LUFS")
        if self.cutoff_hz is not None:
            parts.append(f"limited to {self.cutoff_hz / 1000:.1f} kHz")
        return " and ".join(parts)


def _medians(
    clips: Mapping[str, Iterable[MeasuredClip]], field: str, kind: str, corpus_name: str
) -> list[float]:
    """Return the median of `field` over the clips of each genre.

    Raises:
        UserError: a genre has no measured clip.
    """
    medians = []
    for genre, genre_clips in clips.items():
        value = median_of(getattr(clip, field) for clip in genre_clips)
        if not value:
            raise UserError(
                f"{corpus_name} has no {kind} of {genre}, which has no audio; "
                f"leave {kind} out of data.normalise"
            )
        medians.append(value)
    return medians
