"""Help text of the commands that Hydra configures, written from the comments in `conf/`."""

import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from cyclegan_audio.cli.conf_reader import Group, Setting, find_setting, list_groups, list_settings
from cyclegan_audio.cli.verbs import VERBS, wrap_example
from cyclegan_audio.utils.hints import PROGRAM
from cyclegan_audio.utils.paths import CONF_DIR

MAX_WIDTH = 100
_NAME_WIDTH = 26
_HYDRA_OPTIONS = (
    ("-m, --multirun", "run every combination of comma-separated values: seed=0,1,2"),
    ("--cfg job", "print all settings and exit"),
    ("--info defaults", "print which files the settings come from and exit"),
    ("--hydra-help", "explain Hydra's options and the syntax of values"),
    ("--debug", "show the stack trace of an error"),
    ("--version", "print the version"),
)


@dataclass(frozen=True)
class HelpExtras:
    """Help texts of a command in addition to the comments in `conf/`.

    Attributes:
        examples: arguments of three example calls.
        settings: dotted names of common settings below the top level.
        options: syntax and description of options that are not in `conf/`.
    """

    examples: Sequence[str]
    settings: Sequence[str] = ()
    options: Sequence[tuple[str, str]] = ()


def help_text(verb: str, extras: HelpExtras) -> str:
    """Return the help of a command: usage, examples, settings, groups, and Hydra's options.

    Args:
        verb: the command, and the name of its file in `conf/`.
        extras: help texts that are not in `conf/`.
    """
    width = min(MAX_WIDTH, shutil.get_terminal_size().columns)
    files = f"All settings with their comments: {CONF_DIR} ({verb}.yaml, and one folder per group)"
    return "\n".join(
        [
            f"usage: {PROGRAM} {verb} [NAME=VALUE | --name VALUE] ...",
            "",
            f"{VERBS[verb][0].upper()}{VERBS[verb][1:]}.",
            "",
            "examples:",
            *(wrap_example(verb, example, width) for example in extras.examples),
            "",
            "options, with their defaults:",
            *_setting_lines(verb, extras, width),
            "",
            "choices, with their defaults:",
            *(line for group in list_groups(verb) if len(group.choices) > 1 for line in _group(group, width)),
            "",
            "more:",
            *(_two_columns(*option, width) for option in _HYDRA_OPTIONS),
            textwrap.fill(files, width, break_long_words=False),
        ]
    )


def _setting_lines(verb: str, extras: HelpExtras, width: int) -> list[str]:
    top = [one for one in list_settings(CONF_DIR / f"{verb}.yaml") if "." not in one.name and one.comment]
    settings = [*top, *(find_setting(verb, name) for name in extras.settings)]
    lines = [_two_columns(*option, width) for option in extras.options]
    return lines + [_two_columns(f"{one.name}={_short(one)}", one.comment, width) for one in settings]


def _short(setting: Setting) -> str:
    return "..." if "${" in setting.default else setting.default


def _group(group: Group, width: int) -> list[str]:
    head = _two_columns(f"{group.name}={group.default}", group.comment, width)
    if not any(group.choices.values()):
        return [head, _two_columns("", ", ".join(group.choices), width)]
    return [head, *(_two_columns(f"    {name}", text, width) for name, text in group.choices.items())]


def _two_columns(name: str, text: str, width: int) -> str:
    indent = " " * (_NAME_WIDTH + 2)
    body = textwrap.fill(text, width, initial_indent=indent, subsequent_indent=indent)
    head = f"  {name}"
    if len(head) > _NAME_WIDTH and text:
        return f"{head}\n{body}"
    return f"{head:{_NAME_WIDTH + 2}}{body.strip()}".rstrip()
