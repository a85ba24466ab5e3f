"""Terms of the generators' loss: the base class `LossTerm`, adversarial, cycle, identity; weighted sum."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.models.networks.protocols import Generator
from cyclegan_audio.utils.errors import UserError, check_number

Suffix = Literal["direction", "source", "target"]


LATER_TERMS = ("restoration", "piece")  # which runs from before them lack


class LossTerm(nn.Module):
    """Base of the terms of the generators' loss: one loss for each direction, logged as `<name>_<suffix>`.

    The name is the key in `model.extra_losses`. Parameters of a term learn with the generators.

    Args:
        weight: weight of the term in the sum; 0 leaves it out.

    Attributes:
        suffix: the end of a loss's name: the direction (`ab`), its source (`a`) or its target (`b`).
        always_computed: whether the loss is computed and logged even if its weight is 0.
    """

    suffix: ClassVar[Suffix] = "direction"
    always_computed: ClassVar[bool] = False

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        check_number(f"the weight of {type(self).__name__}", weight, low=0)
        self.weight = float(weight)

    def prepare(self, mel: MelSpectrogram, generator: Generator) -> None:
        """Take what the term needs of the mel and of a generator before training, or refuse them.

        Raises:
            UserError: they do not fit the term.
        """

    def forward(self, model: Any, mels: Mapping[str, Tensor], direction: str) -> Tensor:
        """Compute the loss, a scalar, without its weight.

        Args:
            model: the `TranslationModule`, with `generators()` and `discriminators()`.
            mels: each (B, C, M, F): `real_*` of each domain, and the results of `translate_batch`.
            direction: such as `ab`, from `real_a` to `fake_b`.
        """
        raise NotImplementedError


class AdversarialTerm(LossTerm):
    """The generator's adversarial loss against the target's discriminator."""

    always_computed = True

    def forward(self, model: Any, mels: Mapping[str, Tensor], direction: str) -> Tensor:
        """Compute the generator's adversarial loss of `fake_*`."""
        target = direction[1]
        return model.adversarial.generator_loss(model.discriminators()[target], mels[f"fake_{target}"])


class CycleTerm(LossTerm):
    """Mean absolute error of mels translated there and back (Zhu et al. 2017, eq. 2)."""

    suffix = "source"
    always_computed = True

    def forward(self, model: Any, mels: Mapping[str, Tensor], direction: str) -> Tensor:
        """Compare `rec_*` with `real_*`."""
        source = direction[0]
        return reconstruction_loss(mels[f"rec_{source}"], mels[f"real_{source}"])


class IdentityTerm(LossTerm):
    """Mean absolute error of the target's mels through the generator (Zhu et al. 2017, section 5.2)."""

    suffix = "target"

    def forward(self, model: Any, mels: Mapping[str, Tensor], direction: str) -> Tensor:
        """Compare `idt_*` with `real_*`."""
        target = direction[1]
        return reconstruction_loss(mels[f"idt_{target}"], mels[f"real_{target}"])


@dataclass(frozen=True)
class Loss:
    """A loss: its name in logs and tables, its term and its direction."""

    name: str
    term: str
    direction: str


def list_losses(terms: Mapping[str, Suffix], directions: Sequence[str]) -> list[Loss]:
    """List the losses of `terms` (suffixes by name) in all `directions`, term by term."""
    losses = []
    for term, suffix in terms.items():
        labels = {
            {"direction": direction, "source": direction[0], "target": direction[1]}[suffix]: direction
            for direction in directions
        }
        losses += [Loss(f"{term}_{label}", term, labels[label]) for label in sorted(labels)]
    return losses


def reconstruction_loss(output: Tensor, target: Tensor) -> Tensor:
    """Compute the mean absolute error in fp32."""
    return F.l1_loss(output.float(), target.float())


def check_weights(weights: Mapping[str, float], terms: Sequence[str]) -> dict[str, float]:
    """Return the weights of the terms as floats; of `LATER_TERMS`, one that is not given is 0.

    Raises:
        UserError: a term is missing or unknown, or a weight is no number or negative.
    """
    weights = dict.fromkeys((term for term in LATER_TERMS if term in terms), 0.0) | dict(weights)
    if set(weights) != set(terms):
        raise UserError(f"model.loss_weights must have exactly {', '.join(terms)}, got {', '.join(weights)}")
    for term, weight in weights.items():
        check_number(f"model.loss_weights.{term}", weight, low=0)
    return {term: float(weights[term]) for term in terms}


def check_terms(extra: Mapping[str, LossTerm], names: Sequence[str]) -> dict[str, LossTerm]:
    """Return the terms of `model.extra_losses`, checked.

    Args:
        extra: terms by name.
        names: names that are taken.

    Raises:
        UserError: a name is taken, or a value is not a `LossTerm`.
    """
    for name, term in extra.items():
        if name in names:
            raise UserError(
                f"model.extra_losses.{name}: a loss of this name exists already; choose another name"
            )
        if not isinstance(term, LossTerm):
            raise UserError(
                f"model.extra_losses.{name} is not a loss term; set its _target_ "
                f"to a subclass of {LossTerm.__module__}.LossTerm"
            )
    return dict(extra)


def weighted_sum(
    losses: Mapping[str, Tensor], weights: Mapping[str, float], terms: Mapping[str, str]
) -> Tensor:
    """Sum the losses, each times the weight of its term.

    Args:
        losses: losses by name.
        weights: weights by term.
        terms: the term of each loss.
    """
    weighted = [weights[terms[name]] * loss for name, loss in losses.items()]
    return sum(weighted[1:], start=weighted[0])
