"""Compose the configuration from `conf/`, and build the objects that it describes."""

import re
from typing import Any

import hydra
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.paths import CONF_DIR


def slug(text: str) -> str:
    """Return `text` as part of a file name: lower case, `_` for all but letters, digits and dashes."""
    return re.sub(r"[^a-z0-9-]+", "_", text.lower()).strip("_") or "_"


OmegaConf.register_new_resolver("slug", slug, replace=True)


def compose(config_name: str, overrides: list[str] | None = None) -> DictConfig:
    """Compose the configuration that a command would get, for scripts and tests.

    Args:
        config_name: the command, the name of its file in `conf/`.
        overrides: overrides of the command line.
    """
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(CONF_DIR)):
        return hydra.compose(config_name, overrides=overrides or [])


def build(name: str, config: DictConfig, **extra: Any) -> Any:
    """Build the object that `config` describes (`_target_` and its arguments), with plain lists and dicts.

    Args:
        name: the dotted name of this node in the configuration, for messages.
        config: the node.
        extra: arguments that are not in the configuration.

    Raises:
        UserError: the node names no class, or one of its values is invalid.
    """
    if "_target_" not in config:
        raise UserError(f"{name} names no class; add {name}._target_=package.module.Class")
    try:
        return instantiate(config, _convert_="all", **extra)
    except Exception as error:
        causes = [error]
        while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None:
            causes.append(cause)  # type: ignore[arg-type]
        for link in causes:
            if isinstance(link, UserError):
                raise link from None
        if isinstance(causes[-1], TypeError | ValueError):
            message = " ".join(str(causes[-1]).split())
            raise UserError(f"invalid `{name}` settings ({message}); correct {name}.*") from error
        raise
