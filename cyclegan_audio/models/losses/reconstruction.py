"""The terms of the generators' loss, and their weighted sum."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from cyclegan_audio.utils.errors import UserError, check_number

Part = Literal["direction", "source", "target"]


class LossTerm(nn.Module):
    """A term of the generators' loss, computed once for each direction and logged as `<name>_<part>`.

    Its name is its key in `model.extra_losses`. Parameters that it has learn with the generators.

    Args:
        weight: what multiplies it; 0 leaves it out.

    Attributes:
        part: what a loss is named after: the direction (`ab`), or its source (`a`) or its target (`b`).
        always_computed: whether it is computed, and logged, at weight 0 too.
    """

    part: ClassVar[Part] = "direction"
    always_computed: ClassVar[bool] = False

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        check_number(f"the weight of {type(self).__name__}", weight, low=0)
        self.weight = float(weight)

    def forward(self, model: Any, mels: Mapping[str, Tensor], direction: str) -> Tensor:
        """Compute the loss, a scalar, without its weight.

        Args:
            model: the `TranslationModule` that learns, with `generators()` and `discriminators()`.
            mels: each (B, C, M, F): for each domain `real_*`, and what `translate_batch` gives.
            direction: such as `ab`, from `real_a` to `fake_b`.
        """
        raise NotImplementedError


class AdversarialTerm(LossTerm):
    """How well the target's discriminator tells translations from real mels."""

    always_computed = True

    def forward(self, model: Any, mels: Mapping[str, Tensor], direction: str) -> Tensor:
        """Compute the generator's adversarial loss of `fake_*`."""
        target = direction[1]
        return model.adversarial.generator(model.discriminators()[target], mels[f"fake_{target}"])


class CycleTerm(LossTerm):
    """The mean absolute error of mels translated there and back (Zhu et al. 2017, eq. 2)."""

    part = "source"
    always_computed = True

    def forward(self, model: Any, mels: Mapping[str, Tensor], direction: str) -> Tensor:
        """Compare `rec_*` with `real_*`."""
        source = direction[0]
        return reconstruction_loss(mels[f"rec_{source}"], mels[f"real_{source}"])


class IdentityTerm(LossTerm):
    """The mean absolute error of the target's mels through the generator (Zhu et al. 2017, section 5.2)."""

    part = "target"

    def forward(self, model: Any, mels: Mapping[str, Tensor], direction: str) -> Tensor:
        """Compare `idt_*` with `real_*`."""
        target = direction[1]
        return reconstruction_loss(mels[f"idt_{target}"], mels[f"real_{target}"])


@dataclass(frozen=True)
class Loss:
    """One loss: its name in logs and tables, the term that it belongs to, and the direction it is of."""

    name: str
    term: str
    direction: str


def list_losses(terms: Mapping[str, Part], directions: Sequence[str]) -> list[Loss]:
    """Name the losses of `terms` (each with its `part`) in all `directions`, term by term."""
    losses = []
    for term, part in terms.items():
        labels = {
            {"direction": direction, "source": direction[0], "target": direction[1]}[part]: direction
            for direction in directions
        }
        losses += [Loss(f"{term}_{label}", term, labels[label]) for label in sorted(labels)]
    return losses


def reconstruction_loss(output: Tensor, target: Tensor) -> Tensor:
    """Compute the mean absolute error in fp32."""
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


def check_terms(extra: Mapping[str, LossTerm], names: Sequence[str]) -> dict[str, LossTerm]:
    """Return the terms of `model.extra_losses` if none of them has one of `names`.

    Raises:
        UserError: a name is taken, or what stands there is no `LossTerm`.
    """
    for name, term in extra.items():
        if name in names:
            raise UserError(f"model.extra_losses.{name}: there is a loss of this name; choose another")
        if not isinstance(term, LossTerm):
            raise UserError(
                f"model.extra_losses.{name} is no loss term; name a class derived from "
                f"{LossTerm.__module__}.LossTerm by model.extra_losses.{name}._target_"
            )
    return dict(extra)


def weighted_sum(
    losses: Mapping[str, Tensor], weights: Mapping[str, float], terms: Mapping[str, str]
) -> Tensor:
    """Sum the losses, each times the weight of its term.

    Args:
        losses: by name.
        weights: by term.
        terms: the term of each loss.
    """
    weighted = [weights[terms[name]] * loss for name, loss in losses.items()]
    return sum(weighted[1:], start=weighted[0])
