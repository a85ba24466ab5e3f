"""What a message tells the user to type: commands, and the path that may have been meant."""

import difflib
import os
import shlex
from pathlib import Path

PROGRAM = "cyclegan-audio"
PART = "CYCLEGAN_AUDIO_PART"  # set for a command that another one starts as a part of its own work


def command_line(verb: str, *arguments: object) -> str:
    """A command of this package as a shell takes it, its arguments quoted where they need it."""
    return " ".join([PROGRAM, verb, *(shlex.quote(str(argument)) for argument in arguments)])


def say_next(*commands: str) -> None:
    """Say what can be typed next, a line each, unless another command started this one as a part."""
    if PART not in os.environ:
        for command in commands:
            print(f"next: {command}")


def suggest_path(path: str | Path) -> str:
    """`; did you mean NAME?` for the end of a message about a path that is not there.

    Empty where nothing beside it has a name like it. The first part of the path that is missing is compared.
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
    near = difflib.get_close_matches(missing.name, names, n=1)
    if not near:
        folded = {name.casefold(): name for name in names}
        near = difflib.get_close_matches(missing.name.casefold(), list(folded), n=1)
        near = [folded[name] for name in near]
    if not near:
        return ""
    found = folder / near[0]
    whole = found / wanted.relative_to(missing)
    return f"; did you mean {whole if whole.exists() else found}?"
