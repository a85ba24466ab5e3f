"""The one command: `cyclegan-audio VERB ...`, or `python -m cyclegan_audio VERB ...`."""

import runpy
import sys
import textwrap
from collections.abc import Sequence
from difflib import get_close_matches

from cyclegan_audio.hints import PROGRAM

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
    verb, *rest = [*(sys.argv[1:] if arguments is None else arguments)] or ["--help"]
    name = verb.replace("-", "_")
    if verb in _HELP and rest and rest[0].replace("-", "_") in VERBS:
        name, rest = rest[0].replace("-", "_"), ["--help"]
    if name in VERBS:
        sys.argv[1:] = rest
        # As the main module, which Lightning starts again for further processes.
        runpy.run_module(f"cyclegan_audio.{name}", run_name="__main__", alter_sys=True)
    elif verb in _HELP:
        print(overview())
    elif verb in _VERSION:
        print(version())
    else:
        near = get_close_matches(name, VERBS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        print(f"error: there is no command {verb!r}{hint} ({PROGRAM} --help lists them)", file=sys.stderr)
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


def version() -> str:
    """Name the program and its version."""
    from cyclegan_audio import __version__

    return f"{PROGRAM} {__version__}"
