"""Filter the source, synthesise missing sounds, and apply rounds of mel consistency (the hybrid vocoder)."""

import dataclasses
from functools import lru_cache

import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.utils.fields import check_fields
from cyclegan_audio.vocoders.base import Iterations, Seed, Vocoder, VocoderInput
from cyclegan_audio.vocoders.griffin_lim import griffin_lim, random_phase
from cyclegan_audio.vocoders.mask import masked_source
from cyclegan_audio.vocoders.mel_inversion import (
    bins_to_mel,
    fast_abs,
    mel_consistent_waveform,
    mel_to_magnitude,
)


@dataclasses.dataclass(frozen=True)
class HybridVocoder(Vocoder):
    """The hybrid vocoder, the default: the masked source plus a residual, then rounds of mel consistency.

    Sounds of the source keep their phase. The residual is the part of the target mel that the masked source
    lacks (a hi-hat, an 808). A short Griffin-Lim synthesises it from noise, and below `tonal_below_hz` from
    steady tones.

    Args:
        rounds: rounds of mel consistency.
        momentum: momentum of the rounds, see `mel_consistent_waveform`.
        max_cut_db: maximum attenuation by the mask in dB.
        max_boost_db: maximum amplification by the mask in dB; the residual provides the rest.
        min_residual: share of a band's target below which its residual is ignored.
        residual_iterations: Griffin-Lim iterations for the residual.
        magnitude_iterations: updates from mel to |STFT| for the residual.
        tonal_below_hz: the residual starts from tones below this frequency, from noise above.
        seed: seed of the noise.
    """

    rounds: Iterations
    momentum: float
    max_cut_db: float
    max_boost_db: float
    min_residual: float
    residual_iterations: Iterations
    magnitude_iterations: Iterations
    tonal_below_hz: float
    seed: Seed

    def __post_init__(self) -> None:
        check_fields(self, "vocoder")

    @torch.no_grad()
    def __call__(self, inputs: VocoderInput) -> Tensor:
        """Filter the source, if any, and add the residual; return (B, n_samples)."""
        if inputs.source is None:
            silence = inputs.target_db.new_zeros(len(inputs.target_db), inputs.n_samples)
            inputs = dataclasses.replace(inputs, source=silence, source_db=None)
        mel, n_samples, target = inputs.mel, inputs.n_samples, inputs.target
        spectrum = masked_source(inputs, self.max_cut_db, self.max_boost_db)
        spectrum = self._add_residual(spectrum, target, mel, n_samples)
        return mel_consistent_waveform(spectrum, target, mel, n_samples, self.rounds, self.momentum)

    def _add_residual(self, spectrum: Tensor, target: Tensor, mel: MelSpectrogram, n_samples: int) -> Tensor:
        """Add to the spectrum (B, K, F) what it lacks of the linear mel `target` (B, n_mels, F)."""
        residual = target - bins_to_mel(fast_abs(spectrum), mel)
        residual = residual.where((residual > self.min_residual * target) & (target > 2 * mel.floor), 0.0)
        if not residual.any():
            return spectrum
        magnitude = mel_to_magnitude(residual, mel, self.magnitude_iterations)
        initial = self._initial_phase(mel, magnitude.shape[2], magnitude.device) * magnitude
        return griffin_lim(initial, mel, n_samples, self.residual_iterations).add_(spectrum)

    @lru_cache(maxsize=2)  # noqa: B019, as a vocoder is a few numbers
    def _initial_phase(self, mel: MelSpectrogram, n_frames: int, device: torch.device) -> Tensor:
        """Return initial phases as complex numbers of magnitude 1, (1, K, n_frames)."""
        ones = torch.ones(1, n_frames, mel.n_fft // 2 + 1, device=device).transpose(1, 2)
        bins_hz = torch.linspace(0, mel.sample_rate / 2, ones.shape[1], device=device)
        is_tonal = (bins_hz < self.tonal_below_hz)[:, None]
        phase = torch.where(is_tonal, steady_phase(ones, mel), random_phase(ones, self.seed))
        return torch.polar(ones, phase)


def steady_phase(like: Tensor, mel: MelSpectrogram) -> Tensor:
    """Return the phase of a steady tone at each bin's centre frequency, (K, F) for `like` (B, K, F).

    Neighbouring bins differ by pi, as under a window whose middle is n_fft / 2 after its start: bins that
    share a tone then add up in the middle of the frame.
    """
    bins, frames = (torch.arange(n, dtype=torch.float64)[:, None] for n in like.shape[1:])
    cycles = bins * frames.T * (mel.hop_length / mel.n_fft) + bins / 2
    return (cycles.remainder(1) * (2 * torch.pi)).to(like)
