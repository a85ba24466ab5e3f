"""The configuration: where it lies and what is built from it."""

from cyclegan_audio.config.instantiation import build, compose, slug
from cyclegan_audio.utils.paths import CONF_DIR

__all__ = ["CONF_DIR", "build", "compose", "slug"]
