"""Filter the source's STFT by the ratio of target mel to source mel (the mask vocoder)."""

import dataclasses

import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.utils.fields import check_fields
from cyclegan_audio.vocoders.base import Vocoder, VocoderInput
from cyclegan_audio.vocoders.mel_inversion import mel_to_bins


def mask_gain(
    source_db: Tensor, target_db: Tensor, mel: MelSpectrogram, max_cut_db: float, max_boost_db: float
) -> Tensor:
    """Compute the gain by STFT bin (B, K, F) from source to target mel; exactly 1 if they are equal."""
    change_db = (target_db - source_db).clamp(-max_cut_db, max_boost_db)
    return mel.db_to_mel(mel_to_bins(change_db, mel))


def masked_source(inputs: VocoderInput, max_cut_db: float, max_boost_db: float) -> Tensor:
    """Filter the STFT of the source by `mask_gain`; return it, complex (B, K, F).

    Raises:
        ValueError: there is no source.
    """
    if inputs.source is None:
        raise ValueError("the mask vocoder needs a source; give one, or use griffin_lim")
    mel, source_db = inputs.mel, inputs.source_db
    spectrum = mel.stft(inputs.source)
    if source_db is None:
        source_db = mel.magnitude_to_mel_db(mel.magnitude(spectrum))
    return spectrum * mask_gain(source_db, inputs.target_db, mel, max_cut_db, max_boost_db)


@dataclasses.dataclass(frozen=True)
class MaskVocoder(Vocoder):
    """The mask vocoder: a limited gain target / source on the source's STFT, whose phase it keeps.

    It has few artefacts, but cannot add sounds that the source lacks.

    Args:
        max_cut_db: maximum attenuation in dB.
        max_boost_db: maximum amplification in dB.
    """

    max_cut_db: float
    max_boost_db: float

    def __post_init__(self) -> None:
        check_fields(self, "vocoder")

    @torch.no_grad()
    def __call__(self, inputs: VocoderInput) -> Tensor:
        """Filter the source; return (B, n_samples).

        Raises:
            ValueError: there is no source.
        """
        spectrum = masked_source(inputs, self.max_cut_db, self.max_boost_db)
        return inputs.mel.istft(spectrum, inputs.n_samples, hann_synthesis=True)
