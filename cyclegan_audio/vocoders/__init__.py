"""Ways from a mel-spectrogram back to sound."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from cyclegan_audio.config import CONF_DIR, build
from cyclegan_audio.utils.defaults import DEFAULT_VOCODER as DEFAULT
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.vocoders.base import Vocoder, VocoderInput

__all__ = ["DEFAULT", "VOCODERS", "Vocoder", "VocoderInput", "make_vocoder"]

_FOLDER = CONF_DIR / "vocoder"
VOCODERS = tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


def make_vocoder(name: str, **numbers: Any) -> Vocoder:
    """The vocoder of this name in `conf/vocoder`, with the numbers that stand there but for those given.

    `NAME=CHECKPOINT` names also the weights of a vocoder that is a network; any path will do.

    Raises:
        UserError: there is no such vocoder, or it has no weights.
    """
    name, equals, checkpoint = name.partition("=")
    if name not in VOCODERS:
        raise UserError(f"unknown vocoder {name!r}; use one of {', '.join(VOCODERS)}")
    config = OmegaConf.load(_FOLDER / f"{name}.yaml")
    assert isinstance(config, DictConfig)
    if equals:
        if "checkpoint" not in config:
            raise UserError(f"the vocoder {name} has no checkpoint; write {name} alone")
        numbers["checkpoint"] = checkpoint
    return build(f"vocoder {name}", config, **numbers)
