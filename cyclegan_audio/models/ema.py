"""Exponential moving average of the generators' weights."""

from collections.abc import Mapping

from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from cyclegan_audio.utils.errors import check_number


class GeneratorEMA(nn.Module):
    """Average weights after each step: average = decay · average + (1 - decay) · weights.

    The first step's weights start the average. The state dict holds `networks.<name>.module.*`.

    Args:
        networks: networks by name; they are copied.
        decay: 0.999 averages over about a thousand batches.
    """

    def __init__(self, networks: Mapping[str, nn.Module], decay: float) -> None:
        super().__init__()
        check_number("model.ema_decay", decay, low=0, high=1)
        rule = get_ema_multi_avg_fn(decay)
        self.networks = nn.ModuleDict(
            {
                name: AveragedModel(network, multi_avg_fn=rule).requires_grad_(False)
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
