"""Where the configuration lies, what is built from it, and how a command under Hydra starts and fails."""

from cyclegan_audio.config.building import CONF_DIR, build, compose, slug
from cyclegan_audio.config.command import hydra_main

__all__ = ["CONF_DIR", "build", "compose", "hydra_main", "slug"]
