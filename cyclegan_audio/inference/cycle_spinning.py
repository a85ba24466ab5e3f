"""Generators without the lattice that their up-sampling draws."""

from dataclasses import replace

import torch.nn.functional as F
from torch import Tensor, nn

from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.utils.errors import check_number


class CycleSpinning(nn.Module):
    """The mean of what a generator makes of its input at several shifts; (B, 1, M, F) to the same shape.

    The input is moved by 0, 1, ... frames, reflected at its ends, and what comes out is moved back. What
    follows the music stays; what keeps to the frame grid, as the lattice of transposed convolutions does,
    falls on other frames each time and cancels. Takes `shifts` times the time. Coifman and Donoho 1995,
    Translation-invariant de-noising.

    Args:
        generator: with a `frame_multiple`.
        shifts: at most its `frame_multiple`, after which the grid is itself again.
    """

    def __init__(self, generator: nn.Module, shifts: int) -> None:
        super().__init__()
        self.generator, self.shifts = generator, shifts
        self.frame_multiple = int(generator.frame_multiple)  # type: ignore[arg-type]

    def forward(self, mel: Tensor) -> Tensor:
        """(B, 1, M, F) in [-1, 1] to the same."""
        total = self.generator(mel)
        for shift in range(1, self.shifts):
            moved = F.pad(mel, (shift, self.frame_multiple - shift, 0, 0), mode="reflect")
            total = total + self.generator(moved)[..., shift : shift + mel.shape[3]]
        return total / self.shifts


def with_cycle_spinning(pair: TranslationModel, shifts: int) -> TranslationModel:
    """The pair with its generators averaged over `shifts` shifts; itself for one.

    Raises:
        UserError: `shifts` is no whole number from 1 to the pair's `frame_multiple`.
    """
    check_number("shifts", shifts, 1, pair.frame_multiple, integer=True)
    if shifts == 1:
        return pair
    generators: dict[str, nn.Module] = {
        direction: CycleSpinning(generator, shifts) for direction, generator in pair.generators.items()
    }
    return replace(pair, generators=generators)
