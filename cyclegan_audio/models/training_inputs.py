"""Inputs of a training step that are drawn from its reals: varied sources, corrupted targets, noise."""

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn

from cyclegan_audio.models.losses.restoration import Corruption
from cyclegan_audio.models.networks.whitening import Whitening
from cyclegan_audio.models.source_variation import SourceVariation
from cyclegan_audio.utils.rng import SeededRNG


class TrainingInputs(nn.Module):
    """Draw all random inputs of the generators before a step; checkpoints hold the state of those in use.

    `rank_states.seed_rank` seeds each input by another number at the start of a training.

    Args:
        directions: the directions that are learnt.
        corruption: draws `corrupted_*`: reals of a target domain, corrupted, then equalised to look like the
            source; None draws none.
        variation: draws `source_*`, which generators hear in place of reals; None, or one of probability 0,
            draws none.
    """

    def __init__(
        self, directions: Sequence[str], corruption: Corruption | None, variation: SourceVariation | None
    ) -> None:
        super().__init__()
        self.directions = directions
        self.corruption = corruption
        self.variation = variation if variation is not None and variation.probability > 0 else None
        self.cycle_noise = 0.0

    def add_cycle_noise(self, deviation: float) -> None:
        """Draw `cycle_noise_*` too, by the domain of the translations that it is added to.

        Args:
            deviation: standard deviation of the noise.
        """
        self.cycle_noise, self.rng = deviation, SeededRNG(0)

    def forward(
        self,
        batch: Mapping[str, Tensor],
        whitening: Callable[[str], Whitening],
        convert: Callable[[Tensor], Tensor],
        restores: bool = True,
        least_mask: float = 0.0,
    ) -> dict[str, Tensor]:
        """Return the reals of a batch and what is drawn from them.

        Args:
            batch: `real_a` and `real_b`, each (B, 1, M, F) in [-1, 1].
            whitening: returns the whitening of a domain.
            convert: the `training_input` of the generators.
            restores: whether the restoration loss is due, which needs `corrupted_*`.
            least_mask: see `Corruption`.
        """
        mels = {name: batch[name] for name in ("real_a", "real_b")}
        for source, target in map(tuple, self.directions):
            real, other = batch[f"real_{target}"], batch[f"real_{source}"]
            if self.variation is not None:
                mels[f"source_{source}"] = self.variation(other)
            if self.corruption is not None and restores:
                whitened = whitening(target).whiten(real), whitening(source).whiten(other)
                mels[f"corrupted_{target}"] = whitening(source).colour(self.corruption(*whitened, least_mask))
        inputs = {name: convert(mel) for name, mel in mels.items()}
        if self.cycle_noise > 0:
            for target in (direction[1] for direction in self.directions):
                noise = self.rng.normal_like(inputs[f"real_{target}"])
                inputs[f"cycle_noise_{target}"] = self.cycle_noise * noise
        return inputs
