"""Generator that is an equaliser: the mean and spread of each band of one genre become those of another."""

from torch import Tensor

from cyclegan_audio.models.networks.protocols import Generator
from cyclegan_audio.models.networks.whitening import MomentGenerator


class EqualiserGenerator(MomentGenerator, Generator):
    """Map the moments of each band of genre A to those of B: (B, 1, M, F) in [-1, 1] to the same shape.

    The output is colour_B(whiten_A(mel)), limited to [-1, 1]: sound in bands that are silent in genre A would
    otherwise be amplified beyond all numbers. Nothing is trained.

    Args:
        n_mels: M.
    """

    frame_multiple = 1

    def __init__(self, n_mels: int = 128) -> None:
        super().__init__(n_mels)

    def forward(self, x: Tensor) -> Tensor:
        return self.target.colour(self.source.whiten(x)).clamp(-1, 1)
