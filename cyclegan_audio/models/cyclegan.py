"""CycleGAN: translate in both directions, with cycle consistency between the two generators."""

from typing import ClassVar

from torch import Tensor, nn

from cyclegan_audio.models.directions import DIRECTIONS
from cyclegan_audio.models.image_pool import ImagePool
from cyclegan_audio.models.losses.terms import AdversarialTerm, CycleTerm, IdentityTerm
from cyclegan_audio.models.translation_module import Batch, TranslationModule


class CycleGAN(TranslationModule):
    """Translate mels between genre A and genre B from unpaired clips (Zhu et al. 2017).

    `gen_ab` maps A to B, `gen_ba` B to A; `disc_a` scores mels of A, `disc_b` mels of B. The terms of the
    loss are `adversarial`, `cycle` and `identity`.
    """

    directions = DIRECTIONS
    term_types: ClassVar = {"adversarial": AdversarialTerm, "cycle": CycleTerm, "identity": IdentityTerm}
    progress_bar_losses = ("cycle", "disc")
    small_model = "model=cyclegan_small"
    gen_ab: nn.Module
    gen_ba: nn.Module
    disc_a: nn.Module
    disc_b: nn.Module
    pool_a: ImagePool
    pool_b: ImagePool

    def translate_batch(self, batch: Batch, use_ema: bool = False) -> dict[str, Tensor]:
        """Return `fake_*`, `rec_*`, and `idt_*` if the identity loss has a weight, each (B, 1, M, F).

        Args:
            batch: `real_a` and `real_b`.
            use_ema: translate by the averaged generators, if there are any.
        """
        real_a, real_b = batch["real_a"], batch["real_b"]
        gen_ab, gen_ba = self.gen_ab, self.gen_ba
        if use_ema:
            gen_ab, gen_ba = (self.inference_generator(direction) for direction in self.directions)
        if self.loss_weights["identity"] > 0:
            fake_b, idt_b = self.acceleration.batched_forward(gen_ab, real_a, real_b)
            fake_a, idt_a = self.acceleration.batched_forward(gen_ba, real_b, real_a)
            out = {"fake_b": fake_b, "fake_a": fake_a, "idt_a": idt_a, "idt_b": idt_b}
        else:
            out = {"fake_b": gen_ab(real_a), "fake_a": gen_ba(real_b)}
        return out | {"rec_a": gen_ba(out["fake_b"]), "rec_b": gen_ab(out["fake_a"])}
