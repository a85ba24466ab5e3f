"""Whiten mels by the mean and spread of each band of a genre, colour them again, and a generator between."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cyclegan_audio.models.networks.protocols import FeatureGenerator
from cyclegan_audio.utils.errors import UserError, check_number, shortened

MIN_SPREAD = 0.02  # in [-1, 1]; bands that hardly change would otherwise be amplified without bound
TOLERANCE = 1e-3  # of moments that were stored in another precision
MAX_MELS = 2048
MAX_BOX = 63  # bands and frames of a blur
Moments = tuple[Tensor, Tensor]  # mean and spread (M,) of each band in [-1, 1]


def neutral_moments(n_mels: int) -> Moments:
    """Return mean 0 and spread 1 of each band, by which whitening changes nothing."""
    return torch.zeros(n_mels), torch.ones(n_mels)


class Whitening(nn.Module):
    """Mean and spread of each band over the training clips of a genre; at first 0 and 1.

    Args:
        n_mels: M; 1 until the moments are set, if M is not known before.

    Attributes:
        mean: (M,), of mels in [-1, 1].
        spread: (M,), standard deviation, at least `MIN_SPREAD`.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, n_mels: int = 1) -> None:
        super().__init__()
        check_number("n_mels", n_mels, low=1, high=MAX_MELS, integer=True)
        mean, spread = neutral_moments(n_mels)
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)

    def set_moments(self, mean: Tensor, spread: Tensor) -> None:
        """Set mean and spread, each (M,)."""
        self.mean = mean.detach().to(self.mean, copy=True)
        self.spread = spread.detach().to(self.spread, copy=True).clamp_min(MIN_SPREAD)

    def whiten(self, x: Tensor) -> Tensor:
        """Subtract the mean of each band from mels (..., M, F), and divide by its spread."""
        return (x - self.mean[:, None]) / self.spread[:, None]

    def colour(self, z: Tensor) -> Tensor:
        """Undo `whiten`: multiply each band of (..., M, F) by its spread, and add its mean."""
        return z * self.spread[:, None] + self.mean[:, None]


class MomentGenerator(nn.Module):
    """Base of generators that whiten mels by the moments of genre A and colour them by those of genre B.

    Args:
        n_mels: M.

    Attributes:
        n_mels: the M that it takes.
    """

    def __init__(self, n_mels: int) -> None:
        super().__init__()
        self.source, self.target = Whitening(n_mels), Whitening(n_mels)
        self.n_mels = n_mels

    def set_moments(self, source: Moments, target: Moments) -> None:
        """Set the moments of the genre of the input and of the genre of the output."""
        self.source.set_moments(*source)
        self.target.set_moments(*target)


class WhitenedGenerator(MomentGenerator, FeatureGenerator):
    """Translate whitened mels by a core: (B, 1, M, F) in [-1, 1] to the same shape.

    The output is colour_B(core(z)), or with `skip` colour_B(blur(z) + core(z)), where z is the mel, whitened
    by the moments of its genre A. The skip keeps the piece, and its blur leaves the fine texture, which
    differs between genres, to the core. The core starts at 0 then: an untrained generator matches the mean
    of each band of genre B, and its spread too if the skip does not blur. In training the output may be
    outside of [-1, 1], so that losses reach all points; in eval mode it is limited to it.

    Args:
        core: generator of whitened mels; with `skip` its last layer is `core.tail[-1]`.
        n_mels: M.
        skip: odd numbers of bands and frames over which the skip averages; (1, 1) does not blur; None: no
            skip.

    Raises:
        UserError: `skip` is invalid.
    """

    def __init__(self, core: Any, n_mels: int, skip: Sequence[int] | None) -> None:
        super().__init__(n_mels)
        self.core, self.skip = core, None if skip is None else check_box("generator.skip", skip)
        self.frame_multiple: int = core.frame_multiple
        self.feature_widths: dict[str, int] = core.feature_widths
        if self.skip:
            nn.init.zeros_(core.tail[-1].weight)
            nn.init.zeros_(core.tail[-1].bias)

    def forward(self, x: Tensor) -> Tensor:
        z = self.source.whiten(x)
        change = self.core(z)
        mels = self.target.colour(blur(z, self.skip) + change if self.skip else change)
        return mels if self.training else mels.clamp(-1, 1)

    def features(self, x: Tensor) -> dict[str, Tensor]:
        """Compute the core's features of mels (B, 1, M, F), whitened by the moments of genre A."""
        features: dict[str, Tensor] = self.core.features(self.source.whiten(x))
        return features


def is_whitened(network: nn.Module) -> bool:
    """Return whether a network whitens mels, so that it needs the moments of genres."""
    return any(isinstance(module, Whitening) for module in network.modules())


def check_moments(network: nn.Module) -> None:
    """Check the moments of a network whose weights come from a file.

    Raises:
        UserError: a mean is outside of [-1, 1], or a spread below `MIN_SPREAD`.
    """
    for part in network.modules():
        if isinstance(part, Whitening) and (
            (part.mean.abs() > 1 + TOLERANCE).any() or (part.spread < MIN_SPREAD - TOLERANCE).any()
        ):
            raise UserError(
                f"the mean of a band is outside of -1 to 1, or its spread below {MIN_SPREAD}, which training "
                "never stores; use another checkpoint of the run"
            )


def blur(mels: Tensor, box: tuple[int, int]) -> Tensor:
    """Average (B, 1, M, F) over boxes of an odd number of bands and of frames, smaller at the edges."""
    if box == (1, 1):
        return mels
    return F.avg_pool2d(mels, box, 1, (box[0] // 2, box[1] // 2), count_include_pad=False)


def check_box(name: str, box: Sequence[int]) -> tuple[int, int]:
    """Return the box of a `blur`.

    Raises:
        UserError: it is not two odd numbers; the message begins with `name`.
    """
    if not isinstance(box, Sequence) or len(box) != 2:
        raise UserError(f"{name} must be two numbers, bands and frames, got {shortened(box)}")
    for size in box:
        check_number(name, size, low=1, high=MAX_BOX, integer=True)
        if size % 2 == 0:
            raise UserError(f"{name} must be odd numbers, got {size}")
    return box[0], box[1]


def check_sizes(n_mels: int, n_filters: int, n_blocks: int, multiple: int) -> None:
    """Check the sizes of a generator for M bands.

    Raises:
        UserError: one is too small or too large, or M is no multiple of `multiple`.
    """
    check_number("generator.n_mels", n_mels, low=2 * multiple, high=MAX_MELS, integer=True)
    check_number("generator.n_filters", n_filters, low=2, high=512, integer=True)
    check_number("generator.n_blocks", n_blocks, low=1, high=64, integer=True)
    if n_mels % multiple:
        raise UserError(f"generator.n_mels must be a multiple of {multiple}, got {n_mels}")
