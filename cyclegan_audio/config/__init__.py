"""Hydra configuration: compose it from `conf/`, build objects from it, and change that of an earlier run."""

from cyclegan_audio.config.instantiation import build, compose, slug
from cyclegan_audio.utils.paths import CONF_DIR

__all__ = ["CONF_DIR", "build", "compose", "slug"]
