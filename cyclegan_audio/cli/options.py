"""Syntax of options (`--name value` or `name=value`) for all verbs, and the options that verbs share."""

import argparse
import os
import shutil
import sys
from collections.abc import Collection, Iterator, Sequence
from typing import NoReturn

from cyclegan_audio.cli.conf_reader import has_setting, list_choices
from cyclegan_audio.cli.error_reporting import DEBUG_VARIABLE, print_error
from cyclegan_audio.cli.verbs import VERBS, version, wrap_example
from cyclegan_audio.utils.defaults import DEFAULT_VOCODER
from cyclegan_audio.utils.errors import USER_ERROR_EXIT_CODE, UserError
from cyclegan_audio.utils.hints import PROGRAM, suggest_name

# Hydra's own options
_FLAGS = ("hydra-help", "multirun", "resolve", "run", "shell-completion", "version")
_WITH_VALUE = ("cfg", "config-dir", "config-name", "config-path", "experimental-rerun", "info", "package")
TRUST_PACKAGE = "trust_package"
PRETRAINED_HELP = "a pair that ships (demo, demo_trap, lofi_rnb, lofi_trap) or hf:OWNER/NAME[@REVISION]"
CHECKPOINT_HELP = "a checkpoint of the run (default: its best, else its last)"
_SHORT = ("-c", "-cd", "-cn", "-cp", "-i", "-m", "-p", "-r", "-sc")
_SHORT_WITH_VALUE = ("-c", "-cd", "-cn", "-cp", "-i", "-p")
_OTHER_CONFIG = ("--config", "-cd", "-cn", "-cp")
_MODES = ("-m", "--multirun", "-r", "--run", "-c", "--cfg", "-i", "--info", "-sc", "--shell-completion")
_CFG = ("job", "hydra", "all")
_INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")


def to_overrides(arguments: Sequence[str], flags: Collection[str]) -> list[str]:
    """Convert `--name value`, `--name=value`, `--flag` and `--no-flag` to Hydra's `name=value`.

    Hydra's own options (`--cfg job`, `-m`) and everything without leading dashes stay as they are. Dashes
    within a name become underscores. An option without a value becomes its bare name.

    Args:
        arguments: arguments of the command line.
        flags: names of boolean settings, which need no value.

    Raises:
        UserError: an unknown option with one dash, an option of Hydra with an invalid value, or two of
            Hydra's options that exclude each other.
    """
    overrides: list[str] = []
    words = list(arguments)
    modes = [word.partition("=")[0] for word in words if word.partition("=")[0] in _MODES]
    if len(modes) > 1:
        raise UserError(f"{modes[0]} and {modes[1]} exclude each other; leave out one of them")
    while words:
        word = words.pop(0)
        option, equals, value = word.removeprefix("--").partition("=")
        name = option.replace("-", "_")
        if not word.startswith("--") or not name or option in (*_FLAGS, *_WITH_VALUE):
            _check_hydra_option(word, words)
            overrides.append(word)
        elif equals:
            overrides.append(f"{name}={value}")
        elif name in flags:
            has_value = words and words[0].lower() in ("true", "false")
            overrides.append(f"{name}={words.pop(0).lower() if has_value else 'true'}")
        elif name.removeprefix("no_") in flags:
            overrides.append(f"{name.removeprefix('no_')}=false")
        elif words and not words[0].startswith("--"):
            overrides.append(f"{name}={words.pop(0)}")
        else:
            overrides.append(name)
    return overrides


def _check_hydra_option(word: str, following: Sequence[str]) -> None:
    """Refuse what Hydra's parser would answer with its usage text."""
    option, equals, value = word.removeprefix("--").partition("=")
    if word.startswith("-") and not word.startswith("--") and word not in _SHORT:
        raise UserError(f"there is no option {word}; write NAME=VALUE or --NAME VALUE")
    if word.startswith("--") and option in _FLAGS and equals:
        raise UserError(f"--{option} takes no value; write it alone")
    if option == "experimental-rerun":
        raise UserError(
            "--experimental-rerun loads a pickle, which can run code; give the settings themselves"
        )
    if word in ("-c", "--cfg") or (word.startswith("--") and option == "cfg"):
        value = value if equals else next(iter(following), "")
        if value not in _CFG:
            raise UserError(f"--cfg needs one of {', '.join(_CFG)}; write --cfg job")


def extract_overrides(arguments: Sequence[str]) -> list[str] | None:
    """Return the arguments that are overrides, or None if an option names a configuration of the user's.

    Args:
        arguments: arguments for Hydra.
    """
    overrides, words = [], list(arguments)
    while words:
        word = words.pop(0)
        if word.startswith((*_OTHER_CONFIG, "hydra.searchpath")):
            return None
        if not word.startswith("-"):
            overrides.append(word)
        elif word in _SHORT_WITH_VALUE or word.removeprefix("--") in _WITH_VALUE:
            has_value = words and (word not in ("--info", "-i") or words[0] in _INFO)
            del words[: bool(has_value)]
    return [override for override in overrides if override]


def to_options(arguments: Sequence[str], names: Collection[str], flags: Collection[str]) -> Iterator[str]:
    """Convert `name=value` to `--name=value` if `name` is an option and no file is called `name=value`.

    Args:
        arguments: arguments of the command line.
        names: the command's options, without leading dashes, with underscores.
        flags: options that take no value; `name=true` sets one, `name=false` leaves it out.

    Yields:
        The arguments for argparse.

    Raises:
        UserError: a flag has another value.
    """
    words = list(arguments)
    while words:
        word = words.pop(0)
        if word == "--":
            yield from (word, *words)
            return
        option, equals, value = word.removeprefix("--").partition("=")
        name = option.replace("-", "_")
        is_off = word.startswith("--no-") and name.removeprefix("no_") in flags
        is_path = not word.startswith("--") and os.path.exists(word)
        if not is_off and (name not in names or is_path or not (equals or word.startswith("--"))):
            yield word
            continue
        option = f"--{name.replace('_', '-')}"
        if name in flags and not equals and words and words[0].lower() in ("true", "false"):
            equals, value = "=", words.pop(0)
        if equals and name in flags:
            if value.lower() not in ("true", "false"):
                raise UserError(f"{name} must be true or false, got {value!r}")
            is_off = value.lower() == "false"
            equals = ""
        if not is_off:
            yield f"{option}={value}" if equals else option


class VerbParser(argparse.ArgumentParser):
    """Parser of a verb's command line without Hydra; it accepts `--name value` and `name=value`.

    Options that are not given are missing in the result, because the called function has their defaults.
    Each verb also takes `--debug`, which shows stack traces, and `--version`.

    Args:
        verb: the command.
        examples: arguments of example calls, shown below the help.
        details: a paragraph below the first line of the help.
    """

    def __init__(self, verb: str, examples: Sequence[str], details: str = "") -> None:
        summary = f"{VERBS[verb][0].upper()}{VERBS[verb][1:]}."
        lines = [
            "examples:",
            *(wrap_example(verb, example, shutil.get_terminal_size().columns) for example in examples),
            "",
            "Write options as --name value or as name=value.",
        ]
        super().__init__(
            prog=f"{PROGRAM} {verb}",
            description=f"{summary}\n\n{details}".strip(),
            epilog="\n".join(lines),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            argument_default=argparse.SUPPRESS,
            allow_abbrev=False,
        )
        self.add_argument("--debug", action="store_true", help="show the stack trace of an error")
        self.add_argument("--version", action="version", version=version())

    def parse_args(self, arguments: Sequence[str] | None = None) -> argparse.Namespace:  # type: ignore[override]
        """Parse the options; a wrong one ends the program with one line and exit code 2.

        Args:
            arguments: arguments to parse; by default those of the command line.
        """
        arguments = sys.argv[1:] if arguments is None else arguments
        named = {action.dest: action for action in self._actions if action.option_strings}
        flags = [name for name, action in named.items() if action.nargs == 0]
        words = list(to_options(arguments, named, flags))
        self._refuse_unknown(words, named)
        options = super().parse_args(words)
        if vars(options).pop("debug", False):
            os.environ[DEBUG_VARIABLE] = "1"
        if trusted := vars(options).pop(TRUST_PACKAGE, None):
            options.trust_packages = trusted
        return options

    def _refuse_unknown(self, words: Sequence[str], names: Collection[str]) -> None:
        """Refuse an unknown option, and a word NAME=VALUE that is no file and resembles an option."""
        options = [option for action in self._actions for option in action.option_strings]
        for before, word in zip(["", *words], words, strict=False):
            if word == "--":
                return
            name = word.partition("=")[0]
            if word.startswith("--") and name not in options:
                self.error(f"there is no option {name}{suggest_name(name, options)}")
            is_file, is_dashed = os.path.exists(word), word.startswith("-") and word != "-"
            if before in options or (is_dashed and name in options):
                continue
            if is_dashed:
                self.error(f"there is no option {word}" + f"; write ./{word} for the file" * is_file)
            hint = suggest_name(name, names, 0.75) if "=" in word and not is_file else ""
            if hint:
                self.error(f"there is no option {name}{hint}")

    def error(self, message: str) -> NoReturn:
        """Print an error in one line, and exit with code 2."""
        print_error(f"{message} ({self.prog} --help shows all options)")
        sys.exit(USER_ERROR_EXIT_CODE)

    def add_run(self, help_text: str = f"a run folder, a .ckpt file, {PRETRAINED_HELP}") -> None:
        """Add the argument RUN, one trained model."""
        self.add_argument("run", metavar="RUN", help=help_text)

    def add_to(self, help_text: str, required: bool = False) -> None:
        """Add `--to`, a genre."""
        self.add_argument("--to", metavar="GENRE", required=required, help=help_text)

    def add_out(self, help_text: str) -> None:
        """Add `--out`, a folder."""
        self.add_argument("--out", metavar="DIR", help=help_text)

    def add_overwrite(self, help_text: str) -> None:
        """Add `--overwrite`, off by default."""
        self.add_argument("--overwrite", action="store_true", default=False, help=help_text)

    def add_clips(self, help_text: str, default: int) -> None:
        """Add `--clips`, a positive integer; the default is added to its help."""
        text = f"{help_text} (default: {default})"
        self.add_argument("--clips", metavar="N", type=positive_int, help=text)

    def add_corpus(self, help_text: str) -> None:
        """Add `--corpus`, a folder."""
        self.add_argument("--corpus", metavar="DIR", help=help_text)

    def add_vocoder(self) -> None:
        """Add `--vocoder`."""
        names = list(list_choices("vocoder"))
        weighted = [name for name in names if has_setting("vocoder", name, "checkpoint")]
        weights = ", ".join(f"{name}=CHECKPOINT" for name in weighted)
        text = f"converts the mel to audio: {', '.join(names)}; {weights} (default: {DEFAULT_VOCODER})"
        self.add_argument("--vocoder", metavar="NAME", help=text)

    def add_device(self) -> None:
        """Add `--device`."""
        self.add_argument("--device", metavar="NAME", help="auto, cpu, cuda or mps (default: auto)")

    def add_checkpoint(self, help_text: str = CHECKPOINT_HELP) -> None:
        """Add `--checkpoint`."""
        self.add_argument("--checkpoint", metavar="FILE", help=help_text)

    def add_trust_package(self) -> None:
        """Add `--trust-package`, which may be repeated; the result is the list `trust_packages`."""
        self.add_argument(
            "--trust-package",
            metavar="NAME",
            action="append",
            help="an installed package whose networks may be built from a run, and so run their code",
        )

    def add_translation_options(self, checkpoint_help: str = CHECKPOINT_HELP) -> None:
        """Add the options of verbs that translate with one run: checkpoint, vocoder, shifts and others."""
        self.add_checkpoint(checkpoint_help)
        self.add_vocoder()
        self.add_argument(
            "--shifts",
            type=positive_int,
            metavar="N",
            help="average the output over 1 to 4 time shifts of one frame: smoother, slower (default: 1)",
        )
        self.add_device()
        self.add_trust_package()


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
