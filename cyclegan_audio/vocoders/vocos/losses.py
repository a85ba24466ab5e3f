"""What a made waveform is compared by: its mel, and spectra of several lengths."""

from collections.abc import Sequence

import torch
from torch import Tensor

DB_PER_NEPER = 20 / 2.302585092994046  # 20 / ln 10
FLOOR = 1e-5  # of a magnitude, as the mel's
TERMS = ("adversarial", "feature_matching", "mel", "stft")


def mel_loss(made_db: Tensor, real_db: Tensor) -> Tensor:
    """Mean absolute difference of natural logarithms of two mels in dB (B, M, F) (Vocos, section 3.3)."""
    return (made_db - real_db).abs().mean() / DB_PER_NEPER


def stft_loss(made: Tensor, real: Tensor, fft_sizes: Sequence[int]) -> Tensor:
    """Spectral convergence plus mean |log difference|, averaged over FFT sizes, steps of a quarter.

    Yamamoto, Song and Kim 2020 (arXiv 1910.11480), equations 4 to 6. Waveforms (B, T).
    """
    losses = []
    for n_fft in fft_sizes:
        window = torch.hann_window(n_fft, device=made.device)
        spectra = torch.stft(torch.cat([made, real]), n_fft, n_fft // 4, window=window, return_complex=True)
        made_abs, real_abs = (
            (spectra.real.square() + spectra.imag.square()).clamp_min(FLOOR**2).sqrt().chunk(2)
        )
        difference = torch.linalg.vector_norm(real_abs - made_abs, dim=(1, 2))
        convergence = difference / torch.linalg.vector_norm(real_abs, dim=(1, 2))
        losses.append(convergence.mean() + (real_abs.log() - made_abs.log()).abs().mean())
    return torch.stack(losses).mean()
