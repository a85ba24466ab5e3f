"""The one place that imports torchaudio, for resampling, screening and the neural vocoder.

Importing torchaudio loads its compiled part, which fits few releases of torch and only the same build of it.
"""

from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from types import ModuleType

import torch

from cyclegan_audio.utils.errors import UserError

TORCH_INDEX = "https://download.pytorch.org/whl"
# torchaudio 2.11.1 needs torch 2.13; 2.11.0 loads beside torch 2.11 to 2.13.
OLDEST_FOR_LATEST, LATEST = (2, 13), "torchaudio>=2.11.1"
EARLIER = "torchaudio==2.11.0"


@lru_cache(maxsize=1)
def torchaudio_functional() -> ModuleType:
    """Import `torchaudio.functional`.

    Raises:
        UserError: torchaudio is missing or does not fit the installed torch; names one that does.
    """
    try:
        import torchaudio.functional
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        raise UserError(_advice(error)) from error
    return torchaudio.functional


def _advice(error: Exception) -> str:
    """Which versions are installed, and what to install instead."""
    torch_version = _version("torch", str(torch.__version__))
    wanted = LATEST if _release(torch_version) >= OLDEST_FOR_LATEST else EARLIER
    build = torch_version.partition("+")[2]  # "cpu", "cu126": from pytorch.org's index for that build
    command = f"pip install '{wanted}'" + (f" --index-url {TORCH_INDEX}/{build}" if build else "")
    if find_spec("torchaudio") is None:
        return f"torchaudio is not installed; run: {command}"
    installed = _version("torchaudio", "of unknown version")
    problem = f"torchaudio {installed} does not load beside torch {torch_version}"
    command = command.replace("install", "install --force-reinstall --no-deps", 1)
    if build and build not in installed:
        return f"{problem}: this build of torch needs torchaudio from the same index; run: {command}"
    reason = str(error).partition("\n")[0]
    return f"{problem} ({reason}); run: {command}"


def _version(package: str, default: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return default


def _release(torch_version: str) -> tuple[int, ...]:
    """Major and minor number."""
    return tuple(int(part) for part in torch_version.split(".")[:2])
