"""What all vocoders share: their input, the protocol, and mel bands spread over STFT bins."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.audio.mel_filters import BlockFilterBank, block_filter_bank, block_matmul

TINY_POWER = 1e-24  # below it a bin has no phase


@dataclass(frozen=True, eq=False)
class VocoderInput:
    """A mel to turn into sound, and the piece that it was translated from.

    Attributes:
        target_db: the mel to reach, (B, n_mels, F) in dB, with F = mel.n_frames(n_samples).
        mel: the definition of this mel.
        n_samples: length of the waveform at mel.sample_rate.
        source: (B, n_samples), the piece that was translated, for vocoders that start from it.
        source_db: (B, n_mels, F) in dB, the mel of `source` where it is known already.
    """

    target_db: Tensor
    mel: MelSpectrogram
    n_samples: int
    source: Tensor | None = None
    source_db: Tensor | None = None

    @property
    def target(self) -> Tensor:
        """The mel to reach as linear magnitude, (B, n_mels, F)."""
        return self.mel.db_to_mel(self.target_db)


class Vocoder(Protocol):
    """Turns a mel into a waveform.

    A file in `conf/vocoder` names the class by `_target_` and gives its numbers. Where it has the key
    `checkpoint`, the user can name weights by NAME=CHECKPOINT.
    """

    def check(self, mel: MelSpectrogram) -> None:
        """Load what the vocoder needs, before any work; by default nothing.

        Args:
            mel: the definition of the mels to come.

        Raises:
            UserError: the vocoder was made for another mel, or its weights cannot be loaded.
        """

    def __call__(self, inputs: VocoderInput) -> Tensor:
        """Make the waveform whose mel is `inputs.target_db`.

        Returns:
            (B, n_samples), float32, full scale at 1, on the device of the mel.

        Raises:
            ValueError: the vocoder needs a source, and there is none.
        """
        ...


Matrix = Tensor | BlockFilterBank  # on a CPU without most of its zeros: a bin meets two filters at most


@lru_cache(maxsize=8)
def _spreading(mel: MelSpectrogram, device: torch.device) -> tuple[Matrix, Tensor]:
    """The transposed filter bank with rows that sum to 1, and the places of bins that no filter reaches."""
    weights = mel.filter_bank(device).T
    total = weights.sum(1, keepdim=True)
    reached = torch.nonzero(total[:, 0] > 0)[:, 0]
    bins = torch.arange(len(weights), device=device)
    nearest = reached[(bins[:, None] - reached[None]).abs().argmin(1)]
    return _matrix((weights / total.clamp_min(1e-20))[nearest]), torch.nonzero(total[:, 0] == 0)[:, 0]


@lru_cache(maxsize=8)
def _gathering(mel: MelSpectrogram, device: torch.device) -> Matrix:
    return _matrix(mel.filter_bank(device))


def _matrix(values: Tensor) -> Matrix:
    return block_filter_bank(values) if values.device.type == "cpu" else values


def _product(matrix: Matrix, values: Tensor) -> Tensor:
    """(R, K) times (B, K, F), in the memory order of the values."""
    if isinstance(matrix, Tensor):
        return torch.matmul(matrix, values)
    n_rows = sum(len(weights) for _, weights in matrix)
    batch, _, n_frames = values.shape
    if values.stride(1) == 1:
        out = values.new_empty(batch, n_frames, n_rows).transpose(1, 2)
    else:
        out = values.new_empty(batch, n_rows, n_frames)
    for item, made in zip(values, out, strict=True):
        block_matmul(matrix, item, made)
    return out


def bins_to_mel(magnitude: Tensor, mel: MelSpectrogram) -> Tensor:
    """Magnitudes by bin (B, n_fft // 2 + 1, F) to the mel by band (B, n_mels, F), linear."""
    return _product(_gathering(mel, magnitude.device), magnitude)


def mel_to_bins(values: Tensor, mel: MelSpectrogram) -> Tensor:
    """Values by band (B, n_mels, F) to values by bin (B, n_fft // 2 + 1, F).

    A bin's value is the mean of the bands that gather it; bins that no filter reaches follow the nearest.
    """
    return _product(_spreading(mel, values.device)[0], values)


def mel_correction(target: Tensor, magnitude: Tensor, mel: MelSpectrogram) -> Tensor:
    """Factors by bin that bring the mel of `magnitude` (B, K, F) near `target` (B, n_mels, F), both linear.

    The multiplicative update W^T(m / W x) / W^T 1 that lessens the Kullback-Leibler divergence (Lee and Seung
    2001, eq. 5). Bins that no filter reaches keep their value, as the mel could not check them; so does what
    lies below the floor where the target is at the floor.
    """
    present = bins_to_mel(magnitude, mel).clamp_min_(mel.floor)
    factors = mel_to_bins(present.reciprocal_().mul_(target).clamp_(1e-3, 1e3), mel)
    return factors.index_fill_(1, _spreading(mel, target.device)[1], 1.0)


def mel_to_magnitude(target: Tensor, mel: MelSpectrogram, iterations: int) -> Tensor:
    """A non-negative |STFT| (B, n_fft // 2 + 1, F) whose mel is `target` (B, n_mels, F), linear magnitude.

    Updates by `mel_correction` from a smooth start, so what the mel leaves open stays smooth; bins that no
    filter reaches are 0.
    """
    bank = mel.filter_bank(target.device)
    magnitude = mel_to_bins((target / bank.sum(1)[:, None]).contiguous(), mel)
    magnitude.index_fill_(1, _spreading(mel, target.device)[1], 0.0)
    for _ in range(iterations):
        magnitude.mul_(mel_correction(target, magnitude, mel))
    return by_frame(magnitude)


def by_frame(values: Tensor) -> Tensor:
    """(B, K, F) as it was, in the memory order of an STFT: frame after frame."""
    return values.transpose(1, 2).contiguous().transpose(1, 2)


def fast_abs(spectrum: Tensor) -> Tensor:
    """|spectrum|, in a fraction of the time of `abs` on a CPU, which guards against overflow."""
    return _power(spectrum).sqrt_()


def _power(spectrum: Tensor) -> Tensor:
    return spectrum.real.square().addcmul_(spectrum.imag, spectrum.imag)


def scale_(spectrum: Tensor, factors: Tensor) -> Tensor:
    """Complex (B, K, F) times real factors of that shape, in place."""
    spectrum.real.mul_(factors)
    spectrum.imag.mul_(factors)
    return spectrum


def resize_(spectrum: Tensor, magnitude: Tensor) -> Tensor:
    """Complex (B, K, F) brought to this magnitude in place; what is 0 stays 0."""
    return scale_(spectrum, _power(spectrum).add_(TINY_POWER).rsqrt_().mul_(magnitude))


def mel_consistent(
    spectrum: Tensor, target: Tensor, mel: MelSpectrogram, n_samples: int, rounds: int, momentum: float
) -> Tensor:
    """The waveform (B, n_samples) that rounds of mel consistency make of `spectrum`; its phase moves too.

    A round corrects the magnitudes by `mel_correction` and goes to a waveform and back. Bins that no filter
    reaches stay as they came, as nothing would hold what gathers there.

    Args:
        spectrum: complex STFT (B, K, F), which is overwritten.
        target: the mel to reach (B, n_mels, F), linear.
        mel: owner of the STFT.
        n_samples: length of the waveform.
        rounds: how many; 0 only corrects the magnitudes once.
        momentum: how far a round goes beyond its own result, in the direction it went.
    """
    previous = spectrum.clone()
    unseen = _spreading(mel, spectrum.device)[1]
    kept = spectrum[:, unseen]
    for _ in range(rounds):
        corrected = scale_(spectrum, mel_correction(target, fast_abs(spectrum), mel))
        consistent = mel.stft(mel.istft(corrected, n_samples, hann_synthesis=True))
        consistent.index_copy_(1, unseen, kept)
        before, now = torch.view_as_real(previous), torch.view_as_real(consistent)
        spectrum = torch.view_as_complex(torch.lerp(before, now, 1 + momentum))
        previous = consistent
    corrected = scale_(spectrum, mel_correction(target, fast_abs(spectrum), mel))
    return mel.istft(corrected, n_samples, hann_synthesis=True)
