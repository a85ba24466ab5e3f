"""Entry point `cyclegan-audio VERB ...`: list of verbs, their start, overview and version."""

import runpy
import sys
import textwrap
from collections.abc import Sequence

from cyclegan_audio.cli.error_reporting import handle_user_errors, print_error
from cyclegan_audio.utils.errors import USER_ERROR_EXIT_CODE
from cyclegan_audio.utils.hints import PROGRAM, suggest_name

VERBS = {  # in the usual order of use
    "prepare": "convert audio files to a corpus of mel-spectrograms",
    "classify": "measure how well two genres can be separated",
    "train": "train a model that translates between two genres",
    "train_vocoder": "train a network that converts mel-spectrograms to audio",
    "translate": "translate songs with a trained model",
    "evaluate": "measure a trained model on held-out clips",
    "compare": "compare several trained models",
    "listening_test": "create a listening test, or analyse its responses",
    "export": "export a trained model as ONNX, for use without PyTorch",
    "share": "publish a trained model on the Hugging Face Hub",
    "app": "open a page in the browser to translate songs and train models",
}
EXAMPLE = f"{PROGRAM} translate demo song.mp3 translated.wav --to rnb"
_HELP, _VERSION = ("-h", "--help", "help"), ("-V", "--version", "version")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a verb as `python -m cyclegan_audio.VERB` does, or list the verbs.

    Args:
        arguments: arguments to parse; by default those of the command line.
    """
    with handle_user_errors():
        _run(*(sys.argv[1:] if arguments is None else arguments))


def _run(first: str = "--help", *arguments: str) -> None:
    if first in _HELP and arguments:
        first, arguments = arguments[0], ("--help",)
    verb = first.replace("-", "_")
    if verb in VERBS:
        sys.argv[1:] = arguments
        # As the main module: Lightning starts the main module again for further processes.
        runpy.run_module(f"cyclegan_audio.{verb}", run_name="__main__", alter_sys=True)
    elif first in _HELP:
        print(overview())
    elif first in _VERSION:
        print(version())
    else:
        hint = f"{suggest_name(verb, VERBS)} ({PROGRAM} --help lists them)"
        print_error(f"there is no command {first!r}{hint}")
        sys.exit(USER_ERROR_EXIT_CODE)


def overview() -> str:
    """Return the help of the program: one line per verb, and a first example."""
    from cyclegan_audio import __doc__ as package_doc

    width = max(map(len, VERBS))
    lines = [f"  {verb:{width}}  {text}" for verb, text in VERBS.items()]
    return "\n".join(
        [
            f"usage: {PROGRAM} COMMAND ...",
            "",
            *textwrap.wrap(str(package_doc).strip().splitlines()[0], 80),
            "",
            "commands, in the usual order of use:",
            *lines,
            "",
            "Write options as --name value or as name=value.",
            f"  {PROGRAM} COMMAND --help  explains a command",
            f"  {PROGRAM} --version       prints the version",
            "",
            f"Try the small model that ships with the package:\n  {EXAMPLE}",
        ]
    )


def wrap_example(verb: str, arguments: str, width: int) -> str:
    """Return a call of a verb in lines of at most `width` columns, with backslashes for the shell."""
    command = f"{PROGRAM} {verb} {arguments}"
    lines = textwrap.wrap(command, width - 8, break_long_words=False, break_on_hyphens=False)
    return "  " + " \\\n      ".join(lines)


def version() -> str:
    """Return the name of the program with its version."""
    from cyclegan_audio import __version__

    return f"{PROGRAM} {__version__}"
