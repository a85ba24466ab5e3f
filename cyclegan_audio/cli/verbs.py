"""The one command: `cyclegan-audio VERB ...`, or `python -m cyclegan_audio VERB ...`."""

import runpy
import sys
import textwrap
from collections.abc import Sequence

from cyclegan_audio.cli.error_reporting import handle_user_errors, print_error
from cyclegan_audio.utils.hints import PROGRAM
from cyclegan_audio.utils.name_matching import near_name

VERBS = {  # in the order in which they are used
    "prepare": "turn audio files into a corpus of mel-spectrograms",
    "classify": "see whether, and by what, two genres can be told apart",
    "train": "train a model that translates between two genres",
    "train_vocoder": "train a network that turns mel-spectrograms back into sound",
    "translate": "translate songs by a trained model",
    "evaluate": "measure a trained model on clips that it never saw",
    "compare": "put several trained models side by side",
    "listening_test": "make a listening test of trained models, and score it",
    "export": "write a trained model as ONNX, for use without PyTorch",
}
START = f"{PROGRAM} translate demo song.mp3 translated.wav --to rnb"
_HELP, _VERSION = ("-h", "--help", "help"), ("-V", "--version", "version")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a verb as `python -m cyclegan_audio.VERB` does, or list the verbs.

    Args:
        arguments: those of the command line by default.
    """
    with handle_user_errors():
        _run(*(sys.argv[1:] if arguments is None else arguments))


def _run(first: str = "--help", *rest: str) -> None:
    if first in _HELP and rest:
        first, rest = rest[0], ("--help",)
    verb = first.replace("-", "_")
    if verb in VERBS:
        sys.argv[1:] = rest
        # As the main module, which Lightning starts again for further processes.
        runpy.run_module(f"cyclegan_audio.{verb}", run_name="__main__", alter_sys=True)
    elif first in _HELP:
        print(overview())
    elif first in _VERSION:
        print(version())
    else:
        hint = f"{near_name(verb, VERBS)} ({PROGRAM} --help lists them)"
        print_error(f"there is no command {first!r}{hint}")
        sys.exit(2)


def overview() -> str:
    """Describe the program in a screen: its verbs with a line each, and how to begin."""
    from cyclegan_audio import __doc__ as about

    width = max(map(len, VERBS))
    lines = [f"  {verb:{width}}  {what}" for verb, what in VERBS.items()]
    return "\n".join(
        [
            f"usage: {PROGRAM} COMMAND ...",
            "",
            *textwrap.wrap(str(about).strip().splitlines()[0], 80),
            "",
            "commands, in the order in which they are used:",
            *lines,
            "",
            "Options can be written as --name value or as name=value.",
            f"  {PROGRAM} COMMAND --help  explains a command",
            f"  {PROGRAM} --version       prints the version",
            "",
            f"Hear it at once, with a small model that ships here:\n  {START}",
        ]
    )


def example_lines(verb: str, arguments: str, width: int) -> str:
    """Lay out a call of a verb in lines of at most `width` columns, as a shell takes them."""
    command = f"{PROGRAM} {verb} {arguments}"
    lines = textwrap.wrap(command, width - 8, break_long_words=False, break_on_hyphens=False)
    return "  " + " \\\n      ".join(lines)


def version() -> str:
    """Name the program and its version."""
    from cyclegan_audio import __version__

    return f"{PROGRAM} {__version__}"
