"""Exponential moving average of the generators, which translate steadier than the last step's."""

from collections.abc import Mapping

from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from cyclegan_audio.utils.errors import check_number


class GeneratorEMA(nn.Module):
    """After each step: average = decay · average + (1 - decay) · weights; the first step's weights begin it.

    The averages stand in the module's state as `<name>.module.*`.

    Args:
        networks: by name; they are copied.
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
        """Take in the networks' weights after a step."""
        for name, network in networks.items():
            self.networks[name].update_parameters(network)  # type: ignore[operator]

    def __getitem__(self, name: str) -> nn.Module:
        """The network with averaged weights."""
        return self.networks[name].module  # type: ignore[return-value]
