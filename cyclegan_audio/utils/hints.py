"""Hints in messages: the next command, and the name, setting or path that the user probably meant."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.printing import echo, shell_quote

PROGRAM = "cyclegan-audio"
NO_HINTS = "CYCLEGAN_AUDIO_NO_HINTS"  # environment variable for a command that another command runs


def command_line(verb: str, *arguments: object) -> str:
    """Return a command of this package for a shell, with quotes where arguments need them."""
    return " ".join([PROGRAM, verb, *(shell_quote(str(argument)) for argument in arguments)])


def print_next_commands(*commands: str) -> None:
    """Print commands that the user can run next, one per line, unless `NO_HINTS` is set."""
    if NO_HINTS not in os.environ:
        for command in commands:
            echo(f"next: {command}")


def suggest_path(path: str | Path) -> str:
    """Return `; did you mean PATH?` for a message about a missing path, or "" if no path is similar.

    The first part of the path that is missing is compared with its neighbours.
    """
    wanted = Path(path)
    try:
        parts = [wanted, *wanted.parents]
        missing, folder = next(
            (part, part.parent) for part in parts if part.name and not part.exists() and part.parent.is_dir()
        )
        names = [entry.name for entry in folder.iterdir()]
    except (OSError, StopIteration):
        return ""
    near = get_close_matches(missing.name, names, n=1)
    if not near:
        folded = {name.casefold(): name for name in names}
        near = get_close_matches(missing.name.casefold(), list(folded), n=1)
        near = [folded[name] for name in near]
    if not near:
        return ""
    similar = folder / near[0]
    full = similar / wanted.relative_to(missing)
    return f"; did you mean {full if full.exists() else similar}?"


def suggest_name(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return `; did you mean X?` for a message about an unknown name, or "" if no known name is similar."""
    near = get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f"; did you mean {near[0]}?" if near else ""


def suggest_setting(name: str, known: Sequence[str]) -> str:
    """Return `; did you mean X?` for a message about an unknown setting, or "" if none is similar.

    Args:
        name: the dotted name that the user gave; `lr` also matches `model.optimizer.lr`.
        known: the dotted names of all settings.
    """
    parent, _, last = name.rpartition(".")
    ends = {other: other.rpartition(".")[2] for other in known}
    near = [other for other, end in ends.items() if end == last]
    near = near or [other for other in known if parent and other.startswith(name)]
    near = near or get_close_matches(name, known, n=1, cutoff=0.8)
    near = near or [other for other, end in ends.items() if len(last) > 2 and end.startswith(last)]
    near = near or [
        other for other in known if ends[other] in get_close_matches(last, ends.values(), n=1, cutoff=0.7)
    ]
    near.sort(key=lambda other: not other.startswith(f"{parent}."))
    return f"; did you mean {' or '.join(near[:2])}?" if near else ""


def setting_names(config: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the dotted names of all settings in a plain configuration, except those that copy another one."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from setting_names(value, f"{prefix}{key}.")
        elif not key.startswith("_") and not (prefix and str(value).startswith("${")):
            yield f"{prefix}{key}"


def match_name(name: str, known: Iterable[str], kind: str, where: str = "") -> str:
    """Return the known spelling of a name: an exact match, else the only match that ignores case.

    Args:
        name: the name that the user gave.
        known: the valid names.
        kind: what they name, as in "there is no genre 'jaz'".
        where: what has these names, as in "in the corpus data/mine"; part of the message.

    Raises:
        UserError: no name matches, or several do; the message suggests one and lists all.
    """
    names = list(known)
    if name in names:
        return name
    folded = name.casefold()
    same = [other for other in names if other.casefold() == folded]
    if len(same) == 1:
        return same[0]
    near = get_close_matches(folded, {other.casefold() for other in names}, n=1)
    likely = same or [other for other in names if other.casefold() in near]
    hint = f"; did you mean {' or '.join(map(repr, likely))}?" if likely else "."
    listed = f"There are: {', '.join(names)}" if names else "There are none"
    raise UserError(f"there is no {kind} {name!r}{' ' if where else ''}{where}{hint} {listed}")
