"""Protocols of generators: `Generator` for all models, `FeatureGenerator` for CUT."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from cyclegan_audio.utils.errors import UserError


@runtime_checkable
class Generator(Protocol):
    """Network (`nn.Module`) from mels (B, 1, M, F) in [-1, 1] to mels of the same shape.

    Derive a class from `nn.Module` and this protocol, in this order; the protocol provides the defaults.

    Attributes:
        frame_multiple: number of which F must be a multiple.
    """

    frame_multiple: int

    def forward(self, x: Tensor) -> Tensor:
        """Translate (B, 1, M, F), or the result of `training_input`, to the same shape."""
        raise NotImplementedError

    def training_input(self, mels: Tensor) -> Tensor:
        """Convert mels (B, 1, M, F) in [-1, 1] to the inputs of training; by default the mels themselves.

        Discriminators and losses receive the result and its translations.
        """
        return mels


@runtime_checkable
class FeatureGenerator(Generator, Protocol):
    """Generator with features of its first half, which CUT compares.

    Attributes:
        feature_widths: channels of each layer of `features`, by name.
    """

    feature_widths: Mapping[str, int]

    def features(self, x: Tensor) -> dict[str, Tensor]:
        """Compute the features (B, C, H, W) of each layer of `feature_widths`."""
        raise NotImplementedError


def check_generator(network: nn.Module, protocol: type) -> nn.Module:
    """Return `network` if it follows `protocol`.

    Raises:
        UserError: an attribute or a method is missing.
    """
    attributes = [name for base in protocol.__mro__ for name in getattr(base, "__annotations__", {})]
    missing = [name for name in attributes if not hasattr(network, name)]
    if missing or not isinstance(network, protocol):
        missing_text = f" (it lacks {', '.join(missing)})" if missing else ""
        raise UserError(
            f"model.generator: {type(network).__name__} is not a {protocol.__name__}{missing_text}; "
            f"derive it from nn.Module and {protocol.__module__}.{protocol.__name__}"
        )
    return network
