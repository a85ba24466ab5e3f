"""What the generators lose by what they change, and the weighted sum of their losses."""

from collections.abc import Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.errors import UserError


def reconstruction_loss(output: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error, of the cycle and the identity term (Zhu et al. 2017, eq. 2 and section 5.2)."""
    return F.l1_loss(output.float(), target.float())


def check_weights(weights: Mapping[str, float], terms: Sequence[str]) -> dict[str, float]:
    """The weights of the terms as plain numbers.

    Raises:
        UserError: a term is missing or unknown, or a weight is negative.
    """
    if set(weights) != set(terms):
        raise UserError(
            f"model.loss_weights must name exactly {', '.join(terms)}; it names {', '.join(weights)}"
        )
    if min(weights.values()) < 0:
        raise UserError("model.loss_weights must not be negative; 0 leaves a term out")
    return {term: float(weights[term]) for term in terms}


def weighted_sum(losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """The generators' total: each loss, named `<term>_<direction>`, times its term's weight."""
    terms = [weights[name.rsplit("_", 1)[0]] * loss for name, loss in losses.items()]
    return sum(terms[1:], start=terms[0])
