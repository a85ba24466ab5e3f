"""Hydra's help on Python 3.14."""

import argparse
import sys

import pytest

from cyclegan_audio.cli.hydra_cli import allow_lazy_help


class LazyHelp:
    """A help text that is formatted only when shown, like Hydra's for --shell-completion."""

    def __repr__(self) -> str:
        return "lazy"


def add(help_text: object) -> argparse.Action:
    return argparse.ArgumentParser().add_argument("--option", help=help_text)


def test_a_lazy_help_text_is_accepted_on_every_python():
    with allow_lazy_help():
        assert str(add(LazyHelp()).help) == "lazy"


@pytest.mark.skipif(sys.version_info < (3, 14), reason="argparse checks help texts since Python 3.14")
def test_other_help_texts_are_still_checked():
    with allow_lazy_help(), pytest.raises(ValueError, match="badly formed"):
        add("%(missing)s")
    with pytest.raises(ValueError, match="badly formed"):
        add(LazyHelp())
