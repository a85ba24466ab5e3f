"""Hybrid: the masked source, what it lacks filled in, then rounds of mel consistency."""

import dataclasses
from functools import lru_cache

import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.vocoders.base import (
    Vocoder,
    VocoderInput,
    bins_to_mel,
    fast_abs,
    mel_consistent,
    mel_to_magnitude,
)
from cyclegan_audio.vocoders.griffin_lim import griffin_lim, random_phase
from cyclegan_audio.vocoders.mask import masked_source


@dataclasses.dataclass(frozen=True)
class Hybrid(Vocoder):
    """The masked source, what it lacks filled in, then rounds of mel consistency.

    What is shared with the source keeps its phase. What the source lacks (a hi-hat, an 808) is made by a
    short Griffin-Lim that starts from noise, and below `tonal_below_hz` from steady tones.

    Args:
        rounds: rounds of mel consistency.
        momentum: how far a round goes beyond its own result, in the direction it went.
        max_cut_db: the strongest attenuation by the mask.
        max_boost_db: the strongest amplification by the mask; what the target wants beyond it is filled in.
        min_lack: share of a band's target that must be lacking before any is filled in.
        fill_iterations: Griffin-Lim rounds for what is filled in.
        magnitude_iterations: updates from mel to |STFT| for what is filled in.
        tonal_below_hz: below it what is filled in starts as tones, above it as noise.
        seed: of the noise.
    """

    rounds: int
    momentum: float
    max_cut_db: float
    max_boost_db: float
    min_lack: float
    fill_iterations: int
    magnitude_iterations: int
    tonal_below_hz: float
    seed: int

    @torch.no_grad()
    def __call__(self, inputs: VocoderInput) -> Tensor:
        """Filter the source and fill in the rest, without a source everything; returns (B, n_samples)."""
        if inputs.source is None:
            silence = inputs.target_db.new_zeros(len(inputs.target_db), inputs.n_samples)
            inputs = dataclasses.replace(inputs, source=silence, source_db=None)
        mel, n_samples, target = inputs.mel, inputs.n_samples, inputs.target
        spectrum = masked_source(inputs, self.max_cut_db, self.max_boost_db)
        spectrum = self._fill(spectrum, target, mel, n_samples)
        return mel_consistent(spectrum, target, mel, n_samples, self.rounds, self.momentum)

    def _fill(self, spectrum: Tensor, target: Tensor, mel: MelSpectrogram, n_samples: int) -> Tensor:
        """The spectrum (B, K, F) with what it lacks of `target` (B, n_mels, F), linear, added."""
        lack = target - bins_to_mel(fast_abs(spectrum), mel)
        lack = lack.where((lack > self.min_lack * target) & (target > 2 * mel.floor), 0.0)
        if not lack.any():
            return spectrum
        magnitude = mel_to_magnitude(lack, mel, self.magnitude_iterations)
        turns = self._initial_phase(mel, magnitude.shape[2], magnitude.device)
        start = turns * magnitude
        return griffin_lim(start, mel, n_samples, self.fill_iterations).add_(spectrum)

    @lru_cache(maxsize=2)  # noqa: B019, as a vocoder is a few numbers
    def _initial_phase(self, mel: MelSpectrogram, n_frames: int, device: torch.device) -> Tensor:
        """Phases to start from as complex numbers of size 1, (1, K, n_frames)."""
        size = torch.ones(1, n_frames, mel.n_fft // 2 + 1, device=device).transpose(1, 2)
        bins_hz = torch.linspace(0, mel.sample_rate / 2, size.shape[1], device=device)
        tonal = (bins_hz < self.tonal_below_hz)[:, None]
        phase = torch.where(tonal, steady_phase(size, mel), random_phase(size, self.seed))
        return torch.polar(size, phase)


def steady_phase(like: Tensor, mel: MelSpectrogram) -> Tensor:
    """Each bin as a steady tone at its centre frequency, (K, F) for `like` (B, K, F).

    The phase advances by that frequency from frame to frame. Neighbours differ by pi, as under a window whose
    middle is n_fft / 2 after its start: so bins that share a tone add up in the middle of the frame.
    """
    bins, frames = (torch.arange(n, dtype=torch.float64)[:, None] for n in like.shape[1:])
    turns = bins * frames.T * (mel.hop_length / mel.n_fft) + bins / 2
    return (turns.remainder(1) * (2 * torch.pi)).to(like)
