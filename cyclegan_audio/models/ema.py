"""Exponential moving average of the generators' weights."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from cyclegan_audio.utils.errors import check_number


class GeneratorEMA(nn.Module):
    """Average weights after each step: average = d · average + (1 - d) · weights.

    d is the decay, or (1 + n) / (10 + n) after n steps where that is less, as in TensorFlow's average: so it
    reaches back over about a tenth of the batches so far. An average over more of a training blurs:
    it has no haze. The first step's weights start the average.
    The state dict holds `networks.<name>.module.*`.

    Args:
        networks: networks by name; they are copied.
        decay: 0.999 averages over about a thousand batches.
    """

    def __init__(self, networks: Mapping[str, nn.Module], decay: float) -> None:
        super().__init__()
        check_number("model.ema_decay", decay, low=0, high=1)

        def average(averaged: Tensor, weights: Tensor, n_averaged: Tensor | int) -> Tensor:
            share = torch.as_tensor(9 / (10 + n_averaged), dtype=weights.dtype, device=weights.device)
            return torch.lerp(averaged, weights, share.clamp_min(1 - decay))

        self.networks = nn.ModuleDict(
            {
                name: AveragedModel(network, avg_fn=average).requires_grad_(False)
                for name, network in networks.items()
            }
        )

    def update(self, networks: Mapping[str, nn.Module]) -> None:
        """Add the networks' weights after a step to the averages."""
        for name, network in networks.items():
            self.networks[name].update_parameters(network)  # type: ignore[operator]

    def __getitem__(self, name: str) -> nn.Module:
        """Return the network with averaged weights."""
        return self.networks[name].module  # type: ignore[return-value]
