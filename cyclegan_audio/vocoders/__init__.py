"""Ways from a mel-spectrogram back to sound."""

from typing import Any

from cyclegan_audio.errors import UserError
from cyclegan_audio.vocoders.base import Vocoder
from cyclegan_audio.vocoders.griffin_lim import GriffinLim
from cyclegan_audio.vocoders.hybrid import Hybrid
from cyclegan_audio.vocoders.mask import Mask

__all__ = ["VOCODERS", "GriffinLim", "Hybrid", "Mask", "Vocoder", "make_vocoder"]

VOCODERS: dict[str, type[Vocoder]] = {"griffin_lim": GriffinLim, "mask": Mask, "hybrid": Hybrid}


def make_vocoder(name: str, **numbers: Any) -> Vocoder:
    """The vocoder of this name, with its default numbers but for those given.

    Raises:
        UserError: there is no such vocoder.
    """
    if name not in VOCODERS:
        raise UserError(f"unknown vocoder {name!r}; use one of {', '.join(VOCODERS)}")
    return VOCODERS[name](**numbers)
