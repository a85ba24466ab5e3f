"""The configuration in `conf/`, and objects made of what it says."""

import re
from typing import Any

import hydra
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.paths import CONF_DIR


def slug(text: str) -> str:
    """`text` as a safe part of a file name: lower case, everything but letters, digits and dashes as `_`."""
    return re.sub(r"[^a-z0-9-]+", "_", text.lower()).strip("_") or "_"


OmegaConf.register_new_resolver("slug", slug, replace=True)


def compose(config_name: str, overrides: list[str] | None = None) -> DictConfig:
    """The configuration that a command would see, for scripts and tests."""
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(CONF_DIR)):
        return hydra.compose(config_name, overrides=overrides or [])


def build(name: str, config: DictConfig, **more: Any) -> Any:
    """What `config` describes (`_target_` and its arguments), with plain lists and dicts.

    Args:
        name: what the user calls this part of the configuration, for messages.
        config: the node.
        more: arguments that are not in the configuration.

    Raises:
        UserError: it names no class, or a value in it is of the wrong kind or out of range.
    """
    if "_target_" not in config:
        raise UserError(f"{name} names no class; add {name}._target_=package.module.Class")
    try:
        return instantiate(config, _convert_="all", **more)
    except Exception as error:
        causes = [error]
        while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None:
            causes.append(cause)  # type: ignore[arg-type]
        for link in causes:
            if isinstance(link, UserError):
                raise link from None
        if isinstance(causes[-1], TypeError | ValueError):
            said = " ".join(str(causes[-1]).split())
            raise UserError(f"{name} cannot be made from these settings ({said}); mend {name}.*") from error
        raise
