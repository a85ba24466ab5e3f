"""Where the package keeps what it brings along."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def _conf_dir() -> Path:
    """Return `conf/` beside the package in a checkout, inside the package where a wheel put it."""
    checkout = PACKAGE.parent / "conf"
    return checkout if (checkout / "train.yaml").is_file() else PACKAGE / "conf"


CONF_DIR = _conf_dir()
