"""CycleGAN: translate in both directions, with cycle consistency between the two generators."""

from typing import Any, ClassVar

from torch import Tensor, nn

from cyclegan_audio.models.directions import DIRECTIONS
from cyclegan_audio.models.image_pool import ImagePool
from cyclegan_audio.models.losses.piece import PieceTerm
from cyclegan_audio.models.losses.restoration import RestorationTerm
from cyclegan_audio.models.losses.terms import AdversarialTerm, CycleTerm, IdentityTerm
from cyclegan_audio.models.translation_module import Batch, TranslationModule
from cyclegan_audio.utils.errors import check_number


class CycleGAN(TranslationModule):
    """Translate mels between genre A and genre B from unpaired clips (Zhu et al. 2017).

    `gen_ab` maps A to B, `gen_ba` B to A; `disc_a` scores mels of A, `disc_b` mels of B. The terms of the
    loss are `adversarial`, `cycle`, `identity`, `restoration` and `piece`.

    Args:
        cycle_noise: standard deviation of noise on translations before they are translated back, so that
            they cannot hide the source in inaudible detail (Chu et al. 2017); 0 adds none.
        cycle_every: the cycle loss is computed in every n-th batch only, with n times its weight.
        settings: arguments of `TranslationModule`.
    """

    directions = DIRECTIONS
    term_types: ClassVar = {
        "adversarial": AdversarialTerm,
        "cycle": CycleTerm,
        "identity": IdentityTerm,
        "restoration": RestorationTerm,
        "piece": PieceTerm,
    }
    progress_bar_losses = ("restoration", "cycle", "disc")
    small_model = "model=cyclegan_small"
    gen_ab: nn.Module
    gen_ba: nn.Module
    disc_a: nn.Module
    disc_b: nn.Module
    pool_a: ImagePool
    pool_b: ImagePool

    def __init__(self, cycle_noise: float = 0.0, cycle_every: int = 1, **settings: Any) -> None:
        super().__init__(**settings)
        check_number("model.cycle_noise", cycle_noise, low=0)
        check_number("model.cycle_every", cycle_every, low=1, integer=True)
        self.cycle_every = cycle_every
        if cycle_noise > 0:
            self.inputs.add_cycle_noise(cycle_noise)
        self.loss_weights["cycle"] *= cycle_every

    def is_due(self, term: str) -> bool:
        """Return whether a term of the loss is computed in this batch, if it has a weight."""
        return super().is_due(term) and (term != "cycle" or self.batches % self.cycle_every == 0)

    def translate_batch(self, batch: Batch, use_ema: bool = False) -> dict[str, Tensor]:
        """Return `fake_*`, `rec_*`, `idt_*` and `rst_*`, each (B, 1, M, F); see `TranslationModule`.

        In training, batches without a cycle loss have `rec_*` only if there are extra losses, which may read
        them.
        """
        out: dict[str, Tensor] = {}
        for direction in self.directions:
            out |= self.translate_direction(direction, batch, use_ema)
        if not (use_ema or self.is_due("cycle") or self.has_extra_losses):
            return out
        for source, target in map(tuple, self.directions):
            fake = out[f"fake_{target}"]
            if f"cycle_noise_{target}" in batch:
                fake = fake + batch[f"cycle_noise_{target}"]
            out[f"rec_{source}"] = self.generator(f"{target}{source}", use_ema)(fake)
        return out
