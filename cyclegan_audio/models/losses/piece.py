"""Piece loss: translations keep the onsets and the harmony of their source."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.audio.musical_features import chroma, onset_strength
from cyclegan_audio.models.losses.terms import LossTerm
from cyclegan_audio.models.networks.images import ImageGenerator
from cyclegan_audio.models.networks.protocols import Generator
from cyclegan_audio.utils.errors import UserError

STILL_DB = 1.0  # norm of a clip's onset strength, of music some 30, below which gradients do not grow
STILL_CHROMA = 1e-3  # the same of a segment's chroma


class PieceTerm(LossTerm):
    """Distance in onsets and harmony between a translation and its source, from 0 to 2.

    The mean of one minus the correlation of both onset strengths, and of one minus the cosine similarity of
    both chromas, centred, in segments weighted by the source. Neither depends on the level, and a gentle
    equaliser changes both little.

    Attributes:
        mel: the mel-spectrogram of the training, once `prepare` has it.
    """

    mel: MelSpectrogram

    def prepare(self, mel: MelSpectrogram, generator: Generator) -> None:
        """Take the mel.

        Raises:
            UserError: the generator translates images.
        """
        if isinstance(generator, ImageGenerator) and self.weight > 0:
            raise UserError(
                "the piece loss compares mels, and generator=images translates images; set "
                "model.loss_weights.piece=0"
            )
        self.mel = mel

    def forward(self, model: Any, mels: Mapping[str, Tensor], direction: str) -> Tensor:
        """Compare `fake_*` with the `real_*` that it comes from."""
        source, target = tuple(direction)
        with torch.autocast(mels[f"real_{source}"].device.type, enabled=False):
            pair = (mels[f"real_{source}"], mels[f"fake_{target}"])
            clips = [mel.float()[:, 0] * self.mel.unit_db for mel in pair]
            onsets = _onset_correlation(*(onset_strength(clip, self.mel) for clip in clips))
            harmony = _chroma_similarity(*(chroma(clip, self.mel) for clip in clips))
            return 1 - (onsets + harmony).mean() / 2


def _onset_correlation(source: Tensor, fake: Tensor) -> Tensor:
    """Correlate the rows of (N, F), to (N,); less where both hardly change."""
    x, y = (strength - strength.mean(1, keepdim=True) for strength in (source, fake))
    return F.cosine_similarity(x, y, dim=1, eps=STILL_DB)


def _chroma_similarity(source: Tensor, fake: Tensor) -> Tensor:
    """Compute the similarity (N,) of (N, 12, S) as `metrics.spectral` does, but weighted by the source alone.

    The gradient of the metric's weights would be infinite in silence.
    """
    a, b = (x.log1p() - x.log1p().mean(1, keepdim=True) for x in (source, fake))
    weights = a.norm(dim=1)
    cosine = F.cosine_similarity(a, b, dim=1, eps=STILL_CHROMA)
    return (cosine * weights).sum(1) / weights.sum(1).clamp_min(1e-9)
