"""Genres made alike in what is not music, on mels as they are loaded: the corpus on disk stays as it is."""

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.corpus.bias import median_of
from cyclegan_audio.utils.errors import UserError

LOUDNESS, BANDWIDTH = "loudness", "bandwidth"
KINDS = (LOUDNESS, BANDWIDTH)


class MeasuredClip(Protocol):
    """A clip with what was measured of its audio; None where there is none."""

    @property
    def loudness_lufs(self) -> float | None:
        """Integrated loudness of the mono mix."""
        ...

    @property
    def bandwidth_hz(self) -> float | None:
        """Frequency where content ends."""
        ...


@dataclasses.dataclass(frozen=True)
class CorpusNormalisation:
    """What every mel is brought to before a generator sees it, in training and afterwards alike.

    Attributes:
        loudness_lufs: loudness (of the mono mix) to which a clip, or a whole song, is brought: a change of
            gain shifts all of a mel by the same dB. Not for mels scaled clip by clip, which know no level.
        cutoff_hz: bands whose centre lies above hold the lowest level of the scale. A translation leaves
            these bands as they were in the source.
    """

    loudness_lufs: float | None = None
    cutoff_hz: float | None = None

    @classmethod
    def of(
        cls,
        clips: Mapping[str, Sequence[MeasuredClip]],
        kinds: Collection[str],
        mel: MelSpectrogram,
        corpus_name: str,
    ) -> "CorpusNormalisation":
        """From training clips by genre: the mean of the genres' median loudness, the lowest median bandwidth.

        The mean over genres, so that the larger one does not set the level.

        Args:
            clips: training clips by genre.
            kinds: any of loudness and bandwidth.
            mel: of the corpus.
            corpus_name: what the corpus is called in messages.

        Raises:
            UserError: an unknown kind, a genre for which it was not measured, or loudness without a level.
        """
        if unknown := [kind for kind in kinds if kind not in KINDS]:
            raise UserError(f"data.normalise={unknown[0]} is unknown; choose among {', '.join(KINDS)}")
        if LOUDNESS in kinds and mel.scaling == "clip":
            raise UserError(
                f"mel={mel.name} scales each clip by itself, so no loudness is left to match; "
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
        """From plain values, as a checkpoint keeps them; none of them: nothing is matched."""
        return cls(**values)

    def to_dict(self) -> dict[str, float]:
        """Plain values of what is matched."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}

    def gain_db(self, loudness_lufs: float | None) -> float:
        """What music of this loudness is changed by; 0 where either loudness is not known."""
        if self.loudness_lufs is None or loudness_lufs is None:
            return 0.0
        return self.loudness_lufs - loudness_lufs

    def apply(self, mel_db: Tensor, mel: MelSpectrogram, gain_db: float = 0.0) -> Tensor:
        """A clip (..., M, F) in dB at the matched level, without the bands above the cutoff.

        What lies on the floor of the mel, digital silence, stays there.
        """
        if gain_db:
            floor_db = mel.floor_db
            shifted = (mel_db + gain_db).clamp_min(floor_db)
            mel_db = torch.where(mel_db > floor_db + 1e-3, shifted, mel_db)
        above = self.above(mel)
        if above is None or not above.any():
            return mel_db
        lowest_db = mel.range_db(mel_db[..., ~above, :])[0]
        return mel_db.masked_fill(above[:, None].to(mel_db.device), lowest_db)

    def above(self, mel: MelSpectrogram) -> Tensor | None:
        """Which bands (M,) are left out; None where none are."""
        return None if self.cutoff_hz is None else mel.band_hz > self.cutoff_hz

    def __str__(self) -> str:
        said = []
        if self.loudness_lufs is not None:
            said.append(f"brought to {self.loudness_lufs:.1f} LUFS")
        if self.cutoff_hz is not None:
            said.append(f"heard up to {self.cutoff_hz / 1000:.1f} kHz")
        return " and ".join(said)


def _medians(
    clips: Mapping[str, Iterable[MeasuredClip]], field: str, kind: str, corpus_name: str
) -> list[float]:
    """The median over the clips of each genre."""
    found = []
    for genre, own in clips.items():
        value = median_of(getattr(clip, field) for clip in own)
        if not value:
            raise UserError(
                f"{corpus_name} knows no {kind} of {genre} (it came without audio); "
                f"leave {kind} out of data.normalise"
            )
        found.append(value)
    return found
