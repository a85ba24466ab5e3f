"""Options of the commands that do without Hydra."""

import argparse
import os
import shutil
import sys
from collections.abc import Collection, Sequence
from typing import NoReturn

from cyclegan_audio.cli.conf_reader import choices_of, has_setting
from cyclegan_audio.cli.error_reporting import DEBUG, print_error
from cyclegan_audio.cli.option_syntax import to_options
from cyclegan_audio.cli.verbs import VERBS, example_lines, version
from cyclegan_audio.utils.defaults import VOCODER
from cyclegan_audio.utils.hints import PROGRAM
from cyclegan_audio.utils.name_matching import near_name


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
            *(example_lines(verb, example, shutil.get_terminal_size().columns) for example in examples),
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
        words = to_options(given, named, switches)
        self._refuse_unknown(words, named)
        options = super().parse_args(words)
        if vars(options).pop("debug", False):
            os.environ[DEBUG] = "1"
        return options

    def _refuse_unknown(self, words: Sequence[str], names: Collection[str]) -> None:
        """Refuse an option that there is not, and a word NAME=VALUE that is no file and was meant as one."""
        flags = [flag for action in self._actions for flag in action.option_strings]
        for before, word in zip(["", *words], words, strict=False):
            if word == "--":
                return
            name = word.partition("=")[0]
            if word.startswith("--") and name not in flags:
                self.error(f"there is no option {name}{near_name(name, flags)}")
            is_file, is_dashed = os.path.exists(word), word.startswith("-") and word != "-"
            if before in flags or (is_dashed and name in flags):
                continue
            if is_dashed:
                self.error(f"there is no option {word}" + f"; write ./{word} for the file" * is_file)
            meant = near_name(name, names, 0.75) if "=" in word and not is_file else ""
            if meant:
                self.error(f"there is no option {name}{meant}")

    def error(self, message: str) -> NoReturn:
        """Show a mistake in one line, and end with exit code 2."""
        print_error(f"{message} ({self.prog} --help shows all options)")
        sys.exit(2)

    def add_run(self, what: str = "a run folder, a .ckpt file, or demo (ships with the package)") -> None:
        """Add RUN, one trained model; `what` is its help."""
        self.add_argument("run", metavar="RUN", help=what)

    def add_to(self, what: str, required: bool = False) -> None:
        """Add `--to`, a genre; `what` is its help."""
        self.add_argument("--to", metavar="GENRE", required=required, help=what)

    def add_out(self, what: str) -> None:
        """Add `--out`, a folder; `what` is its help."""
        self.add_argument("--out", metavar="DIR", help=what)

    def add_overwrite(self, what: str) -> None:
        """Add `--overwrite`, off by default; `what` is its help."""
        self.add_argument("--overwrite", action="store_true", default=False, help=what)

    def add_clips(self, what: str, default: int) -> None:
        """Add `--clips`, a number; `what` is its help, to which the default is added."""
        self.add_argument("--clips", metavar="N", type=positive_int, help=f"{what} (default: {default})")

    def add_corpus(self, what: str) -> None:
        """Add `--corpus`; `what` is its help."""
        self.add_argument("--corpus", metavar="DIR", help=what)

    def add_vocoder(self) -> None:
        """Add `--vocoder`."""
        names = list(choices_of("vocoder"))
        weighted = [name for name in names if has_setting("vocoder", name, "checkpoint")]
        weights = ", ".join(f"{name}=CHECKPOINT" for name in weighted)
        how = f"the way back to sound: {', '.join(names)}; {weights} (default: {VOCODER})"
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
            type=positive_int,
            metavar="N",
            help="average the model over 1 to 4 shifts by a frame: a smoother sound, slower (default: 1)",
        )
        self.add_device()


def positive_int(text: str) -> int:
    """Parse a positive integer, as argparse's `type`."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be an integer >= 1, got {text!r}")
    return int(text)


def number(text: str) -> float:
    """Parse a number, as argparse's `type`."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, got {text!r}") from None
