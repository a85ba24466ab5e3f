"""Compute a waveform from the mel alone by the Griffin-Lim algorithm."""

import dataclasses

import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.utils.fields import check_fields
from cyclegan_audio.vocoders.base import Iterations, Seed, Vocoder, VocoderInput
from cyclegan_audio.vocoders.mel_inversion import fast_abs, mel_to_magnitude, set_magnitude_


@dataclasses.dataclass(frozen=True)
class GriffinLimVocoder(Vocoder):
    """The Griffin-Lim vocoder: |STFT| from the mel by non-negative updates, then fast Griffin-Lim.

    Args:
        iterations: iterations of phase reconstruction.
        magnitude_iterations: updates from mel to |STFT|.
        momentum: alpha of the fast algorithm.
        seed: seed of the random initial phase.
    """

    iterations: Iterations
    magnitude_iterations: Iterations
    momentum: float
    seed: Seed

    def __post_init__(self) -> None:
        check_fields(self, "vocoder")

    @torch.no_grad()
    def __call__(self, inputs: VocoderInput) -> Tensor:
        """Compute the waveform (B, n_samples) from the mel alone."""
        mel, n_samples = inputs.mel, inputs.n_samples
        magnitude = mel_to_magnitude(inputs.target, mel, self.magnitude_iterations)
        initial = torch.polar(magnitude, random_phase(magnitude, self.seed))
        spectrum = griffin_lim(initial, mel, n_samples, self.iterations, self.momentum)
        return mel.istft(spectrum, n_samples, hann_synthesis=True)


def random_phase(like: Tensor, seed: int) -> Tensor:
    """Draw phases in [0, 2 pi) of the shape of `like` (B, K, F), equal for each item and on each device."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(like.shape[1:], generator=generator) * (2 * torch.pi)).to(like).expand_as(like)


def griffin_lim(
    initial: Tensor, mel: MelSpectrogram, n_samples: int, iterations: int, momentum: float = 0.99
) -> Tensor:
    """Run fast Griffin-Lim (Perraudin, Balazs and Sondergaard 2013, algorithm 2).

    Args:
        initial: complex STFT (B, n_fft // 2 + 1, F).
        mel: the definition of the STFT.
        n_samples: length of the waveform.
        iterations: number of iterations.
        momentum: alpha; 0 gives the algorithm of Griffin and Lim (1984).

    Returns:
        The STFT with the magnitudes of `initial` and more consistent phases.
    """
    magnitude, estimate = fast_abs(initial), initial
    previous: Tensor | None = None
    for _ in range(iterations):
        consistent = mel.stft(mel.istft(estimate, n_samples))
        if previous is None:
            ahead = consistent.clone()
        else:  # proportional to consistent + momentum * (consistent - previous): only its phase is used
            ahead = torch.sub(consistent, previous, alpha=momentum / (1 + momentum))
        estimate = set_magnitude_(ahead, magnitude)
        previous = consistent
    return estimate
