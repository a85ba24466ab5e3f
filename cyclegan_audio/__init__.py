"""Translate music from one genre to another with a CycleGAN over mel-spectrograms."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cyclegan_audio.translation.translator import Translator

__version__ = "0.1.0"
__all__ = ["Translator", "__version__"]


def __getattr__(name: str) -> Any:
    """Import `Translator` on first use, so that `import cyclegan_audio` stays instant."""
    if name == "Translator":
        return import_module("cyclegan_audio.translation.translator").Translator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
