"""Tag waveforms and embed them by musicnn, and place them between two genres."""

import dataclasses
import math
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.audio.loudness import LoudnessMeter
from cyclegan_audio.audio.mel_filters import slaney_filters
from cyclegan_audio.audio.resampling import resample
from cyclegan_audio.metrics.tagger.checkpoint import load_weights
from cyclegan_audio.metrics.tagger.network import N_MELS, Musicnn
from cyclegan_audio.utils.devices import parallel_map

SAMPLE_RATE = 16000
N_FFT, HOP = 512, 256
POWER_SCALE = 10000.0
PATCH_FRAMES = 187  # 3 s
BATCH = 8  # patches at once
LEVEL_LUFS = -14.0
TAGS = (
    "rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance", "00s",
    "alternative rock", "jazz", "beautiful", "metal", "chillout", "male vocalists", "classic rock",
    "soul", "indie rock", "Mellow", "electronica", "80s", "folk", "90s", "chill", "instrumental",
    "punk", "oldies", "blues", "hard rock", "ambient", "acoustic", "experimental", "female vocalist",
    "guitar", "Hip-Hop", "70s", "party", "country", "easy listening", "sexy", "catchy", "funk",
    "electro", "heavy metal", "Progressive rock", "60s", "rnb", "indie pop", "sad", "House", "happy",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class TaggedSounds:
    """What the tagger hears in N sounds.

    Attributes:
        embeddings: (N, 200).
        tags: probability of each of `TAGS`, (N, 50).
    """

    embeddings: Tensor
    tags: Tensor

    def __getitem__(self, rows: slice) -> "TaggedSounds":
        """Return some of the sounds."""
        return TaggedSounds(self.embeddings[rows], self.tags[rows])

    @classmethod
    def join(cls, parts: Sequence["TaggedSounds"]) -> "TaggedSounds":
        """Join sounds that were tagged in several calls."""
        return cls(torch.cat([part.embeddings for part in parts]), torch.cat([part.tags for part in parts]))


class MusicTagger:
    """The tagger MSD_musicnn: it was trained by others on 200,000 songs that have nothing to do with a run.

    It judges translations only: it must never enter a loss, a discriminator or the choice of a checkpoint.

    Args:
        network: a trained network.
        device: where it computes.
    """

    def __init__(self, network: Musicnn, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        fast = network.to(memory_format=torch.channels_last)
        self.network = fast.to(self.device).eval().requires_grad_(False)
        self.window = torch.hann_window(N_FFT, device=self.device)
        self.filters = slaney_filters(SAMPLE_RATE, N_FFT, N_MELS, 0.0, SAMPLE_RATE / 2).to(self.device)

    @torch.inference_mode()
    def __call__(
        self, waveforms: Sequence[Tensor], sample_rate: int, cutoff_hz: float | None = None
    ) -> TaggedSounds:
        """Tag sounds, each the mean over its patches of 3 s; not within a call of `parallel_map`.

        Every sound is brought to the same loudness first, so that the level of a genre does not count. A
        sound of 4 s is heard in its middle 3 s.

        Args:
            waveforms: at least one sound (T,) or (C, T) of any length; channels are averaged.
            sample_rate: their sample rate in Hz.
            cutoff_hz: everything above is removed, so that sounds with different bandwidths can be compared;
                None keeps everything.
        """
        calls = (partial(self.log_mel, waveform, sample_rate, cutoff_hz) for waveform in waveforms)
        log_mels = parallel_map(calls)
        patches = [cut_patches(log_mel) for log_mel in log_mels]
        blocks = torch.cat(patches).split(BATCH)
        embeddings, logits = zip(*parallel_map(partial(self.network, block) for block in blocks), strict=True)
        counts = [len(of_sound) for of_sound in patches]
        return TaggedSounds(
            _mean_of_each(torch.cat(embeddings), counts), _mean_of_each(torch.cat(logits).sigmoid(), counts)
        )

    def log_mel(self, waveform: Tensor, sample_rate: int, cutoff_hz: float | None = None) -> Tensor:
        """Compute the log10(10000 power + 1) of mel bands (F, 96) of a sound (T,) or (C, T)."""
        mono = waveform.detach().cpu().float().reshape(-1, waveform.shape[-1]).mean(0)
        mono = to_level(resample(mono, sample_rate, SAMPLE_RATE), SAMPLE_RATE).to(self.device)
        mono = F.pad(mono, (0, max(N_FFT - len(mono), 0)))
        spectrum = torch.stft(mono, N_FFT, HOP, window=self.window, return_complex=True)
        power = spectrum.abs().square()
        if cutoff_hz is not None:
            power[torch.linspace(0, SAMPLE_RATE / 2, len(power)) > cutoff_hz] = 0
        return torch.log10(POWER_SCALE * (self.filters @ power) + 1).T


def to_level(mono: Tensor, sample_rate: int, level_lufs: float = LEVEL_LUFS) -> Tensor:
    """Bring a sound (T,) to a loudness; silence stays silent."""
    meter = LoudnessMeter(sample_rate)
    meter.push(mono[None])
    gain_db = level_lufs - meter.lufs_or_ungated()
    return mono * 10 ** (gain_db / 20) if math.isfinite(gain_db) else mono


def cut_patches(log_mel: Tensor) -> Tensor:
    """Cut (F, 96) into patches (P, 187, 96), evenly spaced; a shorter sound is repeated."""
    n_frames = len(log_mel)
    if n_frames < PATCH_FRAMES:
        log_mel = log_mel.repeat(-(-PATCH_FRAMES // n_frames), 1)[:PATCH_FRAMES]
    last = len(log_mel) - PATCH_FRAMES
    n_patches = max(round(len(log_mel) / PATCH_FRAMES), 1)
    starts = [last // 2] if n_patches == 1 else [n * last // (n_patches - 1) for n in range(n_patches)]
    return torch.stack([log_mel[start : start + PATCH_FRAMES] for start in starts])


def _mean_of_each(values: Tensor, counts: Sequence[int]) -> Tensor:
    """Average the rows of each sound: (P, D) to (N, D) on the CPU."""
    return torch.stack([rows.mean(0) for rows in values.cpu().split(list(counts))])


@dataclasses.dataclass(frozen=True)
class GenreAxis:
    """The line from one genre to another in the embedding.

    Attributes:
        origin: mean embedding of the source genre (D,).
        step: from there to the mean embedding of the target genre (D,).
    """

    origin: Tensor
    step: Tensor

    @classmethod
    def between(cls, source: Tensor, target: Tensor) -> "GenreAxis":
        """Return the axis from sounds (N, D) of the source genre to sounds (K, D) of the target genre."""
        origin = source.mean(0)
        return cls(origin, target.mean(0) - origin)

    def position(self, embeddings: Tensor) -> Tensor:
        """Return the position of sounds (N, D) along the axis (N,): 0 is the source genre, 1 the target."""
        return (embeddings - self.origin) @ self.step / self.step.square().sum().clamp_min(1e-12)


@lru_cache(maxsize=2)
def load_tagger(folder: str | Path | None = None, device: torch.device | str = "cpu") -> MusicTagger:
    """Load the tagger.

    Args:
        folder: the folder MSD_musicnn of the package musicnn; by default that of the installed package.
        device: where it computes.

    Raises:
        UserError: the weights are missing, or they are others.
    """
    network = Musicnn()
    network.load_state_dict(load_weights(folder), strict=False)
    return MusicTagger(network, device)
