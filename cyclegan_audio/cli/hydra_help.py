"""The help text of the commands that Hydra configures, written from the comments in `conf/`."""

import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from cyclegan_audio.cli.conf_reader import Group, Setting, groups_of, setting, settings_of
from cyclegan_audio.cli.verbs import VERBS, example_lines
from cyclegan_audio.utils.hints import PROGRAM
from cyclegan_audio.utils.paths import CONF_DIR

MAX_WIDTH = 100
_NAME_WIDTH = 26


@dataclass(frozen=True)
class Help:
    """What a command's help shows beside what stands in `conf/`.

    Attributes:
        examples: arguments of three calls.
        options: dotted names of settings below the top level that people use.
        more: lines on options that are not in `conf/`: how they are written, and what they do.
    """

    examples: Sequence[str]
    options: Sequence[str] = ()
    more: Sequence[tuple[str, str]] = ()


def help_text(verb: str, about: Help) -> str:
    """Return the help of a command: usage, examples, options, groups, and where the rest is.

    Args:
        verb: the command, and its file in `conf/`.
        about: what is not in `conf/`.
    """
    width = min(MAX_WIDTH, shutil.get_terminal_size().columns)
    return "\n".join(
        [
            f"usage: {PROGRAM} {verb} [NAME=VALUE | --name VALUE] ...",
            "",
            f"{VERBS[verb][0].upper()}{VERBS[verb][1:]}.",
            "",
            "examples:",
            *(example_lines(verb, example, width) for example in about.examples),
            "",
            "options, with their defaults:",
            *_options(verb, about, width),
            "",
            "choices, with their defaults:",
            *(line for group in groups_of(verb) if len(group.choices) > 1 for line in _group(group, width)),
            "",
            "more:",
            *_rest(verb, width),
        ]
    )


def _options(verb: str, about: Help, width: int) -> list[str]:
    top = [one for one in settings_of(CONF_DIR / f"{verb}.yaml") if "." not in one.name and one.comment]
    shown = [*top, *(setting(verb, name) for name in about.options)]
    lines = [_entry(*line, width) for line in about.more]
    return lines + [_entry(f"{one.name}={_short(one)}", one.comment, width) for one in shown]


def _short(one: Setting) -> str:
    return "..." if "${" in one.default else one.default


def _group(group: Group, width: int) -> list[str]:
    head = _entry(f"{group.name}={group.default}", group.comment, width)
    if not any(group.choices.values()):
        return [head, _entry("", ", ".join(group.choices), width)]
    return [head, *(_entry(f"    {name}", what, width) for name, what in group.choices.items())]


def _rest(verb: str, width: int) -> list[str]:
    rows = [
        ("-m, --multirun", "run every combination of values with commas between them: seed=0,1,2"),
        ("--cfg job", "print every setting with its value, and run nothing"),
        ("--info defaults", "tell which files the settings come from"),
        ("--hydra-help", "explain Hydra's own options, and how values are written"),
        ("--debug", "show the stack trace of an error"),
        ("--version", "print the version"),
    ]
    files = f"All settings with their comments: {CONF_DIR} ({verb}.yaml, and a folder for each choice)"
    return [*(_entry(*row, width) for row in rows), textwrap.fill(files, width, break_long_words=False)]


def _entry(name: str, text: str, width: int) -> str:
    """Lay out a name and its text in two columns."""
    indent = " " * (_NAME_WIDTH + 2)
    body = textwrap.fill(text, width, initial_indent=indent, subsequent_indent=indent)
    head = f"  {name}"
    if len(head) > _NAME_WIDTH and text:
        return f"{head}\n{body}"
    return f"{head:{_NAME_WIDTH + 2}}{body.strip()}".rstrip()
