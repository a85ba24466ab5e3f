"""Translate music from one genre to another with a CycleGAN over mel-spectrograms."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cyclegan_audio.inference.checkpoints import list_pretrained
    from cyclegan_audio.translation.translator import Translator
    from cyclegan_audio.utils.errors import UserError

__version__ = "0.1.0"
__all__ = ["Translator", "UserError", "__version__", "list_pretrained"]

_MODULES = {
    "Translator": "cyclegan_audio.translation.translator",
    "UserError": "cyclegan_audio.utils.errors",
    "list_pretrained": "cyclegan_audio.inference.checkpoints",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that `import cyclegan_audio` is fast."""
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the imported names and the public ones."""
    return sorted({*globals(), *__all__})
