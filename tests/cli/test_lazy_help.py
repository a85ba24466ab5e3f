import argparse
import sys

import pytest

from cyclegan_audio.cli.lazy_help import lazy_help_allowed


class Lazy:
    """A help text that is made when it is shown, as Hydra's for --shell-completion."""

    def __repr__(self) -> str:
        return "made late"


def add(help_text: object) -> argparse.Action:
    return argparse.ArgumentParser().add_argument("--option", help=help_text)


def test_a_lazy_help_text_is_taken_on_every_python():
    with lazy_help_allowed():
        assert str(add(Lazy()).help) == "made late"


@pytest.mark.skipif(sys.version_info < (3, 14), reason="argparse checks help texts since Python 3.14")
def test_other_help_texts_are_checked_as_before():
    with lazy_help_allowed(), pytest.raises(ValueError, match="badly formed"):
        add("%(missing)s")
    with pytest.raises(ValueError, match="badly formed"):
        add(Lazy())
