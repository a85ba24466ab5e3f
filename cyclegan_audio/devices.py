"""Where to compute."""

import torch

from cyclegan_audio.errors import UserError


def choose_device(name: str = "auto") -> torch.device:
    """`auto` takes CUDA, else Apple's MPS, else the CPU.

    Raises:
        UserError: the device is not there.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, usable in there.items() if usable))
    if not there.get(name.split(":")[0], False):
        usable = ", ".join(kind for kind, usable in there.items() if usable)
        raise UserError(f"there is no device {name!r} here; use auto or one of {usable}")
    return torch.device(name)
