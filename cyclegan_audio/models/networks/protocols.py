"""What a generator must have to be trained, and to translate."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from cyclegan_audio.utils.errors import UserError


@runtime_checkable
class Generator(Protocol):
    """A network (`nn.Module`) that maps mels (B, 1, M, F) in [-1, 1] to mels of the same shape.

    Derive a class from `nn.Module` and from this one, in this order; it gives the defaults.

    Attributes:
        frame_multiple: F must be a multiple of it.
    """

    frame_multiple: int

    def forward(self, x: Tensor) -> Tensor:
        """Translate (B, 1, M, F), or what `training_input` makes of it, to the same shape."""
        raise NotImplementedError

    def training_input(self, mels: Tensor) -> Tensor:
        """Convert mels (B, 1, M, F) in [-1, 1] to what the network is trained on: here, the mels themselves.

        Discriminators and losses get the result, and what `forward` makes of it.
        """
        return mels


@runtime_checkable
class FeatureGenerator(Generator, Protocol):
    """A generator whose first half gives features, which CUT compares.

    Attributes:
        feature_widths: channels of each layer of `features`, by name.
    """

    feature_widths: Mapping[str, int]

    def features(self, x: Tensor) -> dict[str, Tensor]:
        """Compute the features (B, C, H, W) of each layer of `feature_widths`."""
        raise NotImplementedError


def check_generator(network: nn.Module, protocol: type) -> nn.Module:
    """Return `network` if it has what `protocol` asks for.

    Raises:
        UserError: it lacks something.
    """
    attributes = [name for base in protocol.__mro__ for name in getattr(base, "__annotations__", {})]
    missing = [name for name in attributes if not hasattr(network, name)]
    if missing or not isinstance(network, protocol):
        lacks = f" (it lacks {', '.join(missing)})" if missing else ""
        raise UserError(
            f"model.generator: {type(network).__name__} is no {protocol.__name__}{lacks}; "
            f"derive it from nn.Module and {protocol.__module__}.{protocol.__name__}"
        )
    return network
