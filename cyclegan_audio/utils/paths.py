"""Paths of the package and of `conf/`."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def _conf_dir() -> Path:
    """Return `conf/` beside the package in a checkout, or inside the package installed from a wheel."""
    checkout = PACKAGE.parent / "conf"
    return checkout if (checkout / "train.yaml").is_file() else PACKAGE / "conf"


CONF_DIR = _conf_dir()
