"""Mask: the source's own STFT, filtered by the ratio of two mels."""

import dataclasses

import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSettings
from cyclegan_audio.vocoders.base import Vocoder, spread


def mask_gain(
    source_db: Tensor, target_db: Tensor, mel: MelSettings, max_cut_db: float, max_boost_db: float
) -> Tensor:
    """Gain by STFT bin (B, K, F) that brings a source's mel near the target's; exactly 1 where equal."""
    change_db = (target_db - source_db).clamp(-max_cut_db, max_boost_db)
    return mel.db_to_mel(spread(change_db, mel))


@dataclasses.dataclass(frozen=True)
class Mask(Vocoder):
    """The gain target / source, limited, on the source's STFT, with its phase: clean, but adds nothing new.

    Args:
        max_cut_db: the strongest attenuation.
        max_boost_db: the strongest amplification.
    """

    max_cut_db: float
    max_boost_db: float

    @torch.no_grad()
    def __call__(
        self,
        target_db: Tensor,
        mel: MelSettings,
        n_samples: int,
        source: Tensor | None = None,
        source_db: Tensor | None = None,
    ) -> Tensor:
        """(B, n_mels, F) dB and the source (B, n_samples) to (B, n_samples).

        Raises:
            ValueError: there is no source.
        """
        if source is None:
            raise ValueError("the mask vocoder filters a source; give one, or use griffin_lim")
        spectrum = mel.stft(source)
        if source_db is None:
            source_db = mel.mel_db_of(mel.magnitude(spectrum))
        gain = mask_gain(source_db, target_db, mel, self.max_cut_db, self.max_boost_db)
        return mel.istft(spectrum * gain, n_samples, smooth=True)
