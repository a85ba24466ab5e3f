"""Options of the commands that do without Hydra, and how these report errors."""

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from functools import wraps
from typing import NoReturn, ParamSpec

from cyclegan_audio.cli.conf_text import choices_of
from cyclegan_audio.cli.dialects import to_options
from cyclegan_audio.cli.verbs import VERBS, version
from cyclegan_audio.defaults import VOCODER
from cyclegan_audio.errors import STOPPED, UserError
from cyclegan_audio.hints import PROGRAM

P = ParamSpec("P")


def handle_user_errors(main: Callable[P, None]) -> Callable[P, None]:
    """Decorate a command: a `UserError` becomes one line on standard error and exit code 1, Ctrl-C `stopped`.

    The stack trace is shown only where HYDRA_FULL_ERROR is set (`--debug` sets it).
    """

    @wraps(main)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            main(*args, **kwargs)
        except UserError as error:
            if os.environ.get("HYDRA_FULL_ERROR", "0") not in ("", "0"):
                traceback.print_exc()
            print(f"error: {error}", file=sys.stderr)
            sys.exit(1)
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
            sys.exit(STOPPED)

    return wrapped


class VerbParser(argparse.ArgumentParser):
    """Parses the command line of a verb without Hydra, which may be written `--name value` or `name=value`.

    Options that are not given are left out of the result: the function behind the verb has their defaults.
    Each verb also takes `--debug`, which shows stack traces, and `--version`.

    Args:
        verb: the command.
        examples: arguments of calls, shown below the help.
        more: a paragraph on what the first line of the help does not say.
    """

    def __init__(self, verb: str, examples: Sequence[str], more: str = "") -> None:
        program = f"{PROGRAM} {verb}"
        what = f"{VERBS[verb][0].upper()}{VERBS[verb][1:]}."
        lines = [
            "examples:",
            *(f"  {program} {example}" for example in examples),
            "",
            "Options can be written as --name value or as name=value.",
        ]
        super().__init__(
            prog=program,
            description=f"{what}\n\n{more}".strip(),
            epilog="\n".join(lines),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            argument_default=argparse.SUPPRESS,
            allow_abbrev=False,
        )
        self.add_argument("--debug", action="store_true", help="show the stack trace of an error")
        self.add_argument("--version", action="version", version=version())

    def parse_args(self, arguments: Sequence[str] | None = None) -> argparse.Namespace:  # type: ignore[override]
        """Read the options; a wrong one ends the program with one line and exit code 2.

        Args:
            arguments: those of the command line by default.
        """
        given = sys.argv[1:] if arguments is None else arguments
        named = {action.dest: action for action in self._actions if action.option_strings}
        switches = [name for name, action in named.items() if action.nargs == 0]
        options = super().parse_args(to_options(given, named, switches))
        if vars(options).pop("debug", False):
            os.environ["HYDRA_FULL_ERROR"] = "1"
        return options

    def error(self, message: str) -> NoReturn:
        """Show a mistake in one line, with the option that was meant perhaps."""
        words = message.partition("unrecognized arguments: ")[2].split(" ")
        unknown = next((word.partition("=")[0] for word in words if word.startswith("-")), "")
        known = [flag for action in self._actions for flag in action.option_strings]
        near = get_close_matches(unknown, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        print(f"error: {message}{hint} ({self.prog} --help shows all options)", file=sys.stderr)
        sys.exit(2)

    def add_corpus(self, what: str) -> None:
        """Add `--corpus`; `what` is its help."""
        self.add_argument("--corpus", metavar="DIR", help=what)

    def add_vocoder(self) -> None:
        """Add `--vocoder`."""
        names = ", ".join(choices_of("vocoder"))
        how = f"the way back to sound: {names}; neural=RUN, pretrained=FOLDER (default: {VOCODER})"
        self.add_argument("--vocoder", metavar="NAME", help=how)

    def add_device(self) -> None:
        """Add `--device`."""
        self.add_argument("--device", metavar="NAME", help="auto, cpu, cuda or mps (default: auto)")

    def add_checkpoint(self) -> None:
        """Add `--checkpoint`."""
        self.add_argument(
            "--checkpoint",
            metavar="FILE",
            help="this checkpoint of the run (default: its best, else its last)",
        )

    def add_translation_options(self) -> None:
        """Add what every verb takes that translates by one run: checkpoint, vocoder, shifts, device."""
        self.add_checkpoint()
        self.add_vocoder()
        self.add_argument(
            "--shifts",
            type=int,
            metavar="N",
            help="average the model over 1 to 4 shifts by a frame: a smoother sound, slower (default: 1)",
        )
        self.add_device()


def positive_int(text: str) -> int:
    """A whole number of at least 1 from a command line, as argparse's `type`."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value
