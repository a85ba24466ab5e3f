"""Cycle spinning: average a generator over shifts in time, which removes checkerboard artefacts."""

import math
from dataclasses import replace

import torch.nn.functional as F
from torch import Tensor, nn

from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.utils.errors import check_number


class CycleSpinning(nn.Module):
    """Average a generator's output over shifts of its input; (B, 1, M, F) to the same shape.

    The input is shifted by 0, 1, ... frames, padded by reflection, and the output is shifted back. Sounds
    follow the shift; patterns fixed to the grid of frames, such as checkerboard artefacts of transposed
    convolutions, falls on other frames each time and cancels. It takes `shifts` times the time.
    Coifman and Donoho 1995, Translation-invariant de-noising.

    Args:
        generator: a network with `frame_multiple`.
        shifts: at most the `frame_multiple`, after which the grid repeats.
    """

    def __init__(self, generator: nn.Module, shifts: int) -> None:
        super().__init__()
        self.generator, self.shifts = generator, shifts
        self.frame_multiple = int(generator.frame_multiple)  # type: ignore[arg-type]

    def forward(self, mel: Tensor) -> Tensor:
        """Translate (B, 1, M, F) in [-1, 1] to the same shape."""
        total = self.generator(mel)
        for shift in range(1, self.shifts):
            shifted = F.pad(mel, (shift, self.frame_multiple - shift, 0, 0), mode="reflect")
            total = total + self.generator(shifted)[..., shift : shift + mel.shape[3]]
        return total / self.shifts


def with_cycle_spinning(model: TranslationModel, shifts: int) -> TranslationModel:
    """Return the model with its generators averaged over `shifts` shifts; unchanged for one.

    A `frame_multiple` of 1 means that there is no grid and no artefact of it: the model stays as it is.

    Raises:
        UserError: `shifts` is not an integer from 1 to the model's `frame_multiple`.
    """
    has_grid = model.frame_multiple > 1
    check_number("shifts", shifts, 1, model.frame_multiple if has_grid else math.inf, integer=True)
    if shifts == 1 or not has_grid:
        return model
    generators: dict[str, nn.Module] = {
        direction: CycleSpinning(generator, shifts) for direction, generator in model.generators.items()
    }
    return replace(model, generators=generators)
