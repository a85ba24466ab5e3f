"""Griffin-Lim: a waveform from the mel alone."""

import dataclasses

import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.vocoders.base import Vocoder, VocoderInput, fast_abs, mel_to_magnitude, resize_


@dataclasses.dataclass(frozen=True)
class GriffinLim(Vocoder):
    """Mel to |STFT| by non-negative updates, then fast Griffin-Lim from random phase.

    Args:
        iterations: rounds of phase reconstruction.
        magnitude_iterations: updates from mel to |STFT|.
        momentum: alpha of the fast algorithm.
        seed: of the first, random phase.
    """

    iterations: int
    magnitude_iterations: int
    momentum: float
    seed: int

    @torch.no_grad()
    def __call__(self, inputs: VocoderInput) -> Tensor:
        """Make sound from the mel alone; returns (B, n_samples)."""
        mel, n_samples = inputs.mel, inputs.n_samples
        magnitude = mel_to_magnitude(inputs.target, mel, self.magnitude_iterations)
        start = torch.polar(magnitude, random_phase(magnitude, self.seed))
        spectrum = griffin_lim(start, mel, n_samples, self.iterations, self.momentum)
        return mel.istft(spectrum, n_samples, hann_synthesis=True)


def random_phase(like: Tensor, seed: int) -> Tensor:
    """Uniform in [0, 2 pi), of the shape of `like` (B, K, F); the same for every item and on every device."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(like.shape[1:], generator=generator) * (2 * torch.pi)).to(like).expand_as(like)


def griffin_lim(
    start: Tensor, mel: MelSpectrogram, n_samples: int, iterations: int, momentum: float = 0.99
) -> Tensor:
    """Fast Griffin-Lim (Perraudin, Balazs and Sondergaard 2013, algorithm 2): keep |start|, mend its phase.

    Args:
        start: complex STFT (B, n_fft // 2 + 1, F).
        mel: owner of the STFT.
        n_samples: length of the waveform behind it.
        iterations: rounds.
        momentum: alpha; 0 gives the algorithm of Griffin and Lim (1984).
    """
    magnitude, estimate = fast_abs(start), start
    previous: Tensor | None = None
    for _ in range(iterations):
        consistent = mel.stft(mel.istft(estimate, n_samples))
        if previous is None:
            ahead = consistent.clone()
        else:  # consistent + momentum * (consistent - previous), but for the size, which is given up
            ahead = torch.sub(consistent, previous, alpha=momentum / (1 + momentum))
        estimate = resize_(ahead, magnitude)
        previous = consistent
    return estimate
