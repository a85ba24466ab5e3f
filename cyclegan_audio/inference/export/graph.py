"""The function that is exported: generators whose norms take statistics from outside and give their own."""

import copy
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from cyclegan_audio.models.networks.norm import InstanceNorm, collect_statistics


@dataclass
class _Exchange:
    """What the norms of one generator are given, and what they found, while it runs."""

    given: Tensor | None = None
    found: dict[int, Tensor] = field(default_factory=dict)


class ExportNorm(nn.Module):
    """An `InstanceNorm` of channels `start` to `stop` among all those of its generator.

    Mean and variance that are given as NaN are the sample's own. Nothing branches, so that the graph has one
    way whatever it is given.
    """

    def __init__(self, exchange: _Exchange, start: int, stop: int, eps: float) -> None:
        super().__init__()
        self.exchange, self.start, self.stop, self.eps = exchange, start, stop, eps

    def forward(self, x: Tensor) -> Tensor:
        assert self.exchange.given is not None
        mean = _mean(x)
        own = self.exchange.found[self.start] = torch.stack(
            [mean, _mean((x - mean[..., None, None]).square())], 1
        )
        given = self.exchange.given[:, self.start : self.stop]
        mean, var = torch.where(given.isnan(), own, given)[..., None, None].unbind(1)
        return (x - mean) * torch.rsqrt(var + self.eps)


def _mean(x: Tensor) -> Tensor:
    """(B, C, H, W) to (B, C) by rows first: onnxruntime's sum of a whole map in one row rounds a lot."""
    return x.mean(3).mean(2)


class ExportedGenerator(nn.Module):
    """A copy of `generator` with its statistics in the open.

    Args:
        generator: (B, 1, M, F) to the same shape, with instance norms.
        example: an input of it.

    Attributes:
        n_channels: C, of all its norms together, in the order of `named_modules`.
    """

    def __init__(self, generator: nn.Module, example: Tensor) -> None:
        super().__init__()
        self.generator = copy.deepcopy(generator)
        self.exchange = _Exchange()
        self.n_channels = 0
        for name, (mean, _) in collect_statistics(generator, [example]).items():
            norm = self.generator.get_submodule(name)
            assert isinstance(norm, InstanceNorm)
            start, self.n_channels = self.n_channels, self.n_channels + len(mean)
            self.generator.set_submodule(name, ExportNorm(self.exchange, start, self.n_channels, norm.eps))

    def forward(self, mel: Tensor, statistics: Tensor) -> tuple[Tensor, Tensor]:
        """The translation (B, 1, M, F), and mean and variance (B, 2, C) of what its norms got.

        Args:
            mel: (B, 1, M, F) in [-1, 1].
            statistics: (2, C), mean and variance to normalise by; NaN for each sample's own.
        """
        self.exchange.given = statistics
        try:
            fake = self.generator(mel)
            found = self.exchange.found
            return fake, torch.cat([found[start] for start in sorted(found)], 2)
        finally:
            self.exchange.given, self.exchange.found = None, {}


class Directions(nn.Module):
    """Generators of one or both directions, alike in size, as one function; see `ExportedGenerator`.

    Attributes:
        n_channels: C, of the norms of one generator.
    """

    def __init__(self, generators: list[nn.Module], example: Tensor) -> None:
        super().__init__()
        self.generators = nn.ModuleList(ExportedGenerator(generator, example) for generator in generators)
        (self.n_channels,) = {int(made.n_channels) for made in self.generators}  # type: ignore[arg-type]

    def forward(self, mel: Tensor, statistics: Tensor) -> tuple[Tensor, ...]:
        """All translations, then all statistics found."""
        fakes, found = zip(*(generator(mel, statistics) for generator in self.generators), strict=True)
        return (*fakes, *found)
