"""Equaliser: the closed-form translation that every trained model should be compared with."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.optim import Optimizer

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.models.base_module import BaseModule
from cyclegan_audio.models.directions import DIRECTIONS, DOMAINS
from cyclegan_audio.models.losses.restoration import RestorationWarmUp
from cyclegan_audio.models.lr_schedules import LinearDecay
from cyclegan_audio.models.networks.equaliser import EqualiserGenerator
from cyclegan_audio.models.networks.whitening import Moments
from cyclegan_audio.models.networks.window_check import check_bands
from cyclegan_audio.models.translation_module import Batch
from cyclegan_audio.utils.errors import UserError


class Equaliser(BaseModule):
    """Match the mean and spread of each band, in both directions.

    All is known from the training clips before the first batch. For the callbacks and the recipe it looks
    like a `TranslationModule`, without losses, optimizers and discriminators. A run ends after one batch,
    which changes nothing; `n_epochs` and `max_minutes` have no effect.

    Args:
        generator: builds one generator.
        others: settings of models that are trained, which are refused.

    Raises:
        UserError: there are such settings.
    """

    command = "train"
    directions = DIRECTIONS
    targets: ClassVar = list(DOMAINS)
    progress_bar_losses = ()
    needs_moments = True
    warm_up = RestorationWarmUp(0.0, False, None, LinearDecay(n_epochs=1, n_epochs_decay=0))
    gen_ab: EqualiserGenerator
    gen_ba: EqualiserGenerator

    def __init__(self, generator: Callable[[], EqualiserGenerator], **others: Any) -> None:
        super().__init__(LinearDecay(n_epochs=1, n_epochs_decay=0))
        self.loss_terms = {}
        if others:
            raise UserError(f"an equaliser is not trained and has no model.{min(others)}; leave it out")
        try:
            self.gen_ab, self.gen_ba = generator(), generator()
        except TypeError as error:  # arguments of another generator
            raise UserError("an equaliser has its own generator; leave out generator=") from error

    @property
    def frame_multiple(self) -> int:
        """Return the number of which the frames must be a multiple."""
        return self.gen_ab.frame_multiple

    def describe_work(self) -> str:
        """Describe the run after its end."""
        return "fitted to the training clips"

    def check_windows(self, n_mels: int, clip_frames: int, crop_frames: int | None) -> None:
        """Check that the generators take mels of `n_mels` bands; they take any number of frames.

        Raises:
            UserError: they do not.
        """
        check_bands({"generator": self.gen_ab}, n_mels)

    def use_mel(self, mel: MelSpectrogram) -> None:
        """Do nothing: an equaliser varies no sources and has no loss."""

    def set_moments(self, moments: Mapping[str, Moments]) -> None:
        """Set the mean and spread (M,) of the training mels in [-1, 1] of each domain."""
        self.gen_ab.set_moments(moments["a"], moments["b"])
        self.gen_ba.set_moments(moments["b"], moments["a"])

    def inference_generator(self, direction: str) -> nn.Module:
        """Return the generator of a direction."""
        return self.gen_ab if direction == DIRECTIONS[0] else self.gen_ba

    def discriminators(self) -> dict[str, nn.Module]:
        """Return no discriminators."""
        return {}

    def translate_batch(self, batch: Batch, use_ema: bool = False) -> dict[str, Tensor]:
        """Return `fake_*` and `rec_*`, each (B, 1, M, F); see `TranslationModule.translate_batch`."""
        fake_b, fake_a = self.gen_ab(batch["real_a"]), self.gen_ba(batch["real_b"])
        return {
            "fake_b": fake_b,
            "fake_a": fake_a,
            "rec_a": self.gen_ba(fake_b),
            "rec_b": self.gen_ab(fake_a),
        }

    def setup(self, stage: str) -> None:
        if self.trainer.world_size > 1:
            raise UserError("an equaliser takes seconds on one device; leave out trainer=")

    def configure_optimizers(self) -> list[Optimizer]:
        return []

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        self.trainer.should_stop = True
