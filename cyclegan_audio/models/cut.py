"""CUT: one direction only, its content kept by contrast between patches instead of a way back."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from cyclegan_audio.models.image_pool import ImagePool
from cyclegan_audio.models.losses.patchnce import PatchNCELoss
from cyclegan_audio.models.losses.reconstruction import AdversarialTerm, LossTerm
from cyclegan_audio.models.networks.protocols import FeatureGenerator
from cyclegan_audio.models.translation_module import Batch, TranslationModule


class ContrastTerm(LossTerm):
    """The contrast between patches of the translation and of its source (Park et al. 2020, eq. 3)."""

    part = "source"
    always_computed = True

    def forward(self, model: Any, mels: Mapping[str, Tensor], direction: str) -> Tensor:
        """Contrast `fake_*` with `real_*`."""
        return _contrast(model, mels[f"real_{direction[0]}"], mels[f"fake_{direction[1]}"])


class IdentityContrastTerm(LossTerm):
    """The same contrast of the target's mels with what the generator makes of them."""

    part = "target"

    def forward(self, model: Any, mels: Mapping[str, Tensor], direction: str) -> Tensor:
        """Contrast `idt_*` with `real_*`."""
        target = direction[1]
        return _contrast(model, mels[f"real_{target}"], mels[f"idt_{target}"])


def _contrast(model: Any, source: Tensor, translated: Tensor) -> Tensor:
    features = model.gen_ab.features
    return model.contrast(features(source), features(translated))


class CUT(TranslationModule):
    """Translates mels of genre A to genre B, and not back (Park et al. 2020, eq. 5).

    `gen_ab` maps A to B, `disc_b` judges mels of B. The terms of the loss are `adversarial`; `contrast`, of
    the translation with its source (eq. 3); and `identity`, the same contrast of a mel of B with what the
    generator makes of it (the paper's external loss of the target domain), which is left out at weight 0.

    The paper names two settings: CUT has lambda 1 for both contrasts, of which the published code takes the
    half each, and FastCUT lambda 10 for the first alone. Its flips are left out: they would play music
    backwards.

    Args:
        contrast: builds the loss from the channels of the generator's features.
        settings: those of `TranslationModule`.
    """

    directions = ("ab",)
    term_types: ClassVar = {
        "adversarial": AdversarialTerm,
        "contrast": ContrastTerm,
        "identity": IdentityContrastTerm,
    }
    shown_losses = ("contrast", "disc")
    small_model = "model=cut_small"
    generator_protocol = FeatureGenerator
    gen_ab: nn.Module
    disc_b: nn.Module
    pool_b: ImagePool

    def __init__(self, contrast: Callable[[Mapping[str, int]], PatchNCELoss], **settings: Any) -> None:
        super().__init__(**settings)
        self.contrast = contrast(self.gen_ab.feature_widths)  # type: ignore[arg-type]

    def translate_batch(self, batch: Batch, averaged: bool = False) -> dict[str, Tensor]:
        """`fake_b` and, where the identity loss has a weight, `idt_b`; see `TranslationModule`."""
        generator = self.inference_generator("ab") if averaged else self.gen_ab
        if self.loss_weights["identity"] > 0:
            fake_b, idt_b = self.acceleration.batched_forward(generator, batch["real_a"], batch["real_b"])
            return {"fake_b": fake_b, "idt_b": idt_b}
        return {"fake_b": generator(batch["real_a"])}

    def generator_parameters(self) -> list[nn.Parameter]:
        """What the first optimiser learns: the generator, and what projects its features."""
        return [*super().generator_parameters(), *self.contrast.parameters()]

    def _draws(self) -> dict[str, nn.Module]:
        return {**super()._draws(), "places": self.contrast.draws}
