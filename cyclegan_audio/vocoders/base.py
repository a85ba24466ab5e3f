"""What every way from mel back to sound has in common: the protocol, and mel bands spread over STFT bins."""

from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSettings


class Vocoder(Protocol):
    """A way from a mel back to a waveform."""

    def check(self, mel: MelSettings) -> None:
        """Before any work: refuse mel settings that this vocoder was not made for, load what it needs.

        Raises:
            UserError: it was made for others, or its weights cannot be loaded.
        """

    def __call__(
        self,
        target_db: Tensor,
        mel: MelSettings,
        n_samples: int,
        source: Tensor | None = None,
        source_db: Tensor | None = None,
    ) -> Tensor:
        """Make the waveform (B, n_samples) whose mel is `target_db`.

        Args:
            target_db: (B, n_mels, F) in dB, with F = mel.n_frames(n_samples).
            mel: the definition of this mel.
            n_samples: length of the result at mel.sample_rate.
            source: (B, n_samples), the piece that was translated, for vocoders that start from it.
            source_db: (B, n_mels, F), its mel where it is known already.
        """
        ...


@lru_cache(maxsize=8)
def _spreading(mel: MelSettings, device: torch.device) -> tuple[Tensor, Tensor]:
    """The transposed filter bank with rows that sum to 1, and which bins (K, 1) any filter reaches at all."""
    weights = mel.filter_bank(device).T
    total = weights.sum(1, keepdim=True)
    reached = torch.nonzero(total[:, 0] > 0)[:, 0]
    bins = torch.arange(len(weights), device=device)
    nearest = reached[(bins[:, None] - reached[None]).abs().argmin(1)]
    return (weights / total.clamp_min(1e-20))[nearest], total > 0


def spread(values: Tensor, mel: MelSettings) -> Tensor:
    """Values by band (B, n_mels, F) to values by bin (B, n_fft // 2 + 1, F).

    A bin's value is the mean of the bands that gather it; bins that no filter reaches follow the nearest.
    """
    return torch.matmul(_spreading(mel, values.device)[0], values)


def mel_correction(target: Tensor, magnitude: Tensor, mel: MelSettings) -> Tensor:
    """Factors by bin that bring the mel of `magnitude` (B, K, F) near `target` (B, n_mels, F), both linear.

    The multiplicative update W^T(m / W x) / W^T 1 that lessens the Kullback-Leibler divergence (Lee and Seung
    2001, eq. 5). Bins that no filter reaches keep their value, as the mel could not check them; so does what
    lies below the floor where the target is at the floor.
    """
    present = torch.matmul(mel.filter_bank(target.device), magnitude).clamp_min(mel.floor)
    factors = spread((target / present).clamp(1e-3, 1e3), mel)
    return factors.where(_spreading(mel, target.device)[1], 1.0)


def mel_to_magnitude(target: Tensor, mel: MelSettings, iterations: int) -> Tensor:
    """A non-negative |STFT| (B, n_fft // 2 + 1, F) whose mel is `target` (B, n_mels, F), linear magnitude.

    Updates by `mel_correction` from a smooth start, so what the mel leaves open stays smooth; bins that no
    filter reaches are 0.
    """
    bank = mel.filter_bank(target.device)
    magnitude = spread(target / bank.sum(1)[:, None], mel) * _spreading(mel, target.device)[1]
    for _ in range(iterations):
        magnitude = magnitude * mel_correction(target, magnitude, mel)
    return magnitude


def mel_consistent(
    spectrum: Tensor, target: Tensor, mel: MelSettings, n_samples: int, rounds: int, momentum: float
) -> Tensor:
    """The waveform (B, n_samples) that rounds of mel consistency make of `spectrum`; its phase moves too.

    A round corrects the magnitudes by `mel_correction` and goes to a waveform and back.

    Args:
        spectrum: complex STFT (B, K, F).
        target: the mel to reach (B, n_mels, F), linear.
        mel: owner of the STFT.
        n_samples: length of the waveform.
        rounds: how many; 0 only corrects the magnitudes once.
        momentum: how far a round goes beyond its own result, in the direction it went.
    """
    previous = spectrum
    for _ in range(rounds):
        corrected = spectrum * mel_correction(target, spectrum.abs(), mel)
        consistent = mel.stft(mel.istft(corrected, n_samples))
        spectrum = consistent + momentum * (consistent - previous)
        previous = consistent
    return mel.istft(spectrum * mel_correction(target, spectrum.abs(), mel), n_samples)
