"""Import `torchaudio.functional`, or say which torchaudio to install beside this torch.

Only this module imports torchaudio (for resampling, screening and Vocos). Its compiled part works with few
releases of torch, and only with the same build (CPU, CUDA).
"""

from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from types import ModuleType

import torch

from cyclegan_audio.utils.errors import UserError

TORCH_INDEX = "https://download.pytorch.org/whl"
# torchaudio 2.11.1 needs torch 2.13; 2.11.0 works with torch 2.11 to 2.13.
OLDEST_FOR_LATEST, LATEST = (2, 13), "torchaudio>=2.11.1"
EARLIER = "torchaudio==2.11.0"


@lru_cache(maxsize=1)
def torchaudio_functional() -> ModuleType:
    """Import `torchaudio.functional`.

    Raises:
        UserError: torchaudio is missing or does not work with the installed torch; the message names one that
            does.
    """
    try:
        import torchaudio.functional
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        raise UserError(_advice(error)) from error
    return torchaudio.functional


def _advice(error: Exception) -> str:
    """Return a message with the installed versions and the command that installs the right one."""
    torch_version = _version("torch", str(torch.__version__))
    requirement = LATEST if _release(torch_version) >= OLDEST_FOR_LATEST else EARLIER
    build = torch_version.partition("+")[2]  # "cpu", "cu126": the name of pytorch.org's index for the build
    command = f"pip install '{requirement}'" + (f" --index-url {TORCH_INDEX}/{build}" if build else "")
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
    """Return the major and minor number."""
    return tuple(int(part) for part in torch_version.split(".")[:2])
