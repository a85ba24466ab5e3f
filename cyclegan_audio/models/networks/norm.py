"""Instance normalisation with optional external statistics: collect them from mels, and apply them."""

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


class NormWithStatistics(nn.Module):
    """Base of modules that normalise channels by each sample's own or by given mean and variance.

    Attributes:
        fixed: mean and variance, each (C,), in place of the sample's own, or None.
        record: if not None, every forward appends the samples' own mean and variance, each (B, C).
    """

    def __init__(self) -> None:
        super().__init__()
        self.fixed: tuple[Tensor, Tensor] | None = None
        self.record: list[tuple[Tensor, Tensor]] | None = None


class InstanceNorm(NormWithStatistics):
    """Instance normalisation: zero mean, unit variance per sample and channel (Ulyanov et al. 2016).

    The same function as `nn.InstanceNorm2d`, whose gradient on the CPU is wrong at batch size 1 if the
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
        x_fp32 = x.float()
        var, mean = torch.var_mean(x_fp32, (2, 3), correction=0, keepdim=True)
        return ((x_fp32 - mean) * torch.rsqrt(var + self.eps)).to(x.dtype)

    def extra_repr(self) -> str:
        return f"eps={self.eps}"


def collect_statistics(
    network: nn.Module, inputs: Iterable[Tensor], workers: int = 1
) -> dict[str, tuple[Tensor, Tensor]]:
    """Compute the mean and variance (C,) of every instance norm over all inputs.

    Each input is normalised by its own statistics meanwhile, so that the statistics of a single input
    reproduce its output.

    Args:
        network: a network with instance norms.
        inputs: each (B, C, H, W).
        workers: threads, with one input each.
    """
    statistics = parallel_map((partial(_sample_statistics, network, x) for x in inputs), workers)
    return {name: _pool_statistics([moments[name] for moments in statistics]) for name in statistics[0]}


@torch.no_grad()
def _sample_statistics(network: nn.Module, x: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Compute the mean and variance (B, C) of every instance norm, by a copy that shares the weights."""
    weights = {id(tensor): tensor for tensor in [*network.parameters(), *network.buffers()]}
    copied = copy.deepcopy(network, weights)
    norms = {
        name: module for name, module in copied.named_modules() if isinstance(module, NormWithStatistics)
    }
    for norm in norms.values():
        norm.record = []
    copied(x)
    joined = {
        name: tuple(map(torch.cat, zip(*(norm.record or []), strict=True))) for name, norm in norms.items()
    }
    return {name: (moments[0], moments[1]) for name, moments in joined.items()}


@torch.no_grad()
def with_statistics(network: nn.Module, statistics: Statistics) -> nn.Module:
    """Return a copy of `network` for inference whose norms use `statistics` of `collect_statistics`.

    A norm with fixed statistics is an affine map. After a convolution it is folded into the weights, which
    become channels-last; a CPU core then takes 0.8 of the time.

    Raises:
        ValueError: the statistics belong to another network.
    """
    copied = copy.deepcopy(network)
    norms = {
        name: module for name, module in copied.named_modules() if isinstance(module, NormWithStatistics)
    }
    if norms.keys() != statistics.keys():
        raise ValueError("the statistics belong to another network")
    for name, norm in norms.items():
        norm.fixed = statistics[name]
    for layers in [module for module in copied.modules() if isinstance(module, nn.Sequential)]:
        for index, (layer, following) in enumerate(pairwise(layers), 1):
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and isinstance(following, InstanceNorm):
                _fold_norm(layer, following)
                layers[index] = nn.Identity()
    return copied.to(memory_format=torch.channels_last)


def _fold_norm(conv: nn.Conv2d | nn.ConvTranspose2d, norm: InstanceNorm) -> None:
    """Fold `norm`, whose statistics are fixed, into the weights of `conv` before it."""
    assert norm.fixed is not None
    mean, var = (value.to(conv.weight) for value in norm.fixed)
    transposed = isinstance(conv, nn.ConvTranspose2d)
    conv.weight, conv.bias = fuse_conv_bn_weights(
        conv.weight, conv.bias, mean, var, norm.eps, None, None, transposed
    )


def _pool_statistics(record: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Combine the samples' statistics to mean and variance (C,), without differences of large squares."""
    mean, var = map(torch.cat, zip(*record, strict=True))
    return mean.mean(0), var.mean(0) + mean.var(0, correction=0)
