"""CUT: translate in one direction, with a contrastive loss between patches in place of cycle consistency."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from cyclegan_audio.models.image_pool import ImagePool
from cyclegan_audio.models.losses.patchnce import ContrastTerm, IdentityContrastTerm, PatchNCELoss
from cyclegan_audio.models.losses.piece import PieceTerm
from cyclegan_audio.models.losses.restoration import RestorationTerm
from cyclegan_audio.models.losses.terms import AdversarialTerm
from cyclegan_audio.models.networks.protocols import FeatureGenerator
from cyclegan_audio.models.translation_module import Batch, TranslationModule


class CUT(TranslationModule):
    """Translate mels of genre A to genre B only (Park et al. 2020, eq. 5).

    `gen_ab` maps A to B, `disc_b` scores mels of B. The terms of the loss are `adversarial`; `contrast` of
    the translation with its source (eq. 3); `identity`, the contrast of a mel of B with the generator's
    output for it (the paper's external loss of the target domain); `restoration` and `piece` as in CycleGAN.
    The last three are left out at weight 0.

    The paper has two settings: CUT with lambda 1 for both contrasts (the published code halves each), and
    FastCUT with lambda 10 for the first alone. Its flips are left out: they would play music backwards.

    Args:
        contrast: builds the loss from the channels of the generator's features.
        settings: arguments of `TranslationModule`.
    """

    directions = ("ab",)
    term_types: ClassVar = {
        "adversarial": AdversarialTerm,
        "contrast": ContrastTerm,
        "identity": IdentityContrastTerm,
        "restoration": RestorationTerm,
        "piece": PieceTerm,
    }
    progress_bar_losses = ("restoration", "contrast", "disc")
    small_model = "model=cut_small"
    generator_protocol = FeatureGenerator
    gen_ab: nn.Module
    disc_b: nn.Module
    pool_b: ImagePool

    def __init__(self, contrast: Callable[[Mapping[str, int]], PatchNCELoss], **settings: Any) -> None:
        super().__init__(**settings)
        self.contrast = contrast(self.gen_ab.feature_widths)  # type: ignore[arg-type]

    def translate_batch(self, batch: Batch, use_ema: bool = False) -> dict[str, Tensor]:
        """Return `fake_b`, `idt_b` and `rst_b`; see `TranslationModule`."""
        return self.translate_direction("ab", batch, use_ema)

    def generator_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the generator and of the projections of its features."""
        return [*super().generator_parameters(), *self.contrast.parameters()]
