"""Where the configuration lies and what is built from it."""

from cyclegan_audio.config.building import CONF_DIR, build, compose, slug

__all__ = ["CONF_DIR", "build", "compose", "slug"]
