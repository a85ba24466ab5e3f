"""Names that a user gives, matched with those that there are."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from cyclegan_audio.utils.errors import UserError


def match_name(name: str, known: Iterable[str], what: str, where: str = "") -> str:
    """Return the known spelling of a name: exactly this one, else the only one that differs in case alone.

    Args:
        name: as the user gave it.
        known: the names that there are.
        what: what they name, as in "there is no genre 'jaz'".
        where: what has these names, as in "in the corpus data/mine"; part of the message.

    Raises:
        UserError: there is no such name, or case alone does not tell which; suggests one and lists all.
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
    meant = f"; did you mean {' or '.join(map(repr, likely))}?" if likely else "."
    there = f"There are: {', '.join(names)}" if names else "There are none"
    raise UserError(f"there is no {what} {name!r}{' ' if where else ''}{where}{meant} {there}")


def setting_names(config: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """List the dotted names of all settings in a plain configuration but for those that follow others."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from setting_names(value, f"{above}{key}.")
        elif not key.startswith("_") and not (above and str(value).startswith("${")):
            yield f"{above}{key}"


def suggest_setting(name: str, known: Sequence[str]) -> str:
    """Return `; did you mean X?` for the end of a message about a setting that is not there, or nothing.

    Args:
        name: dotted, as the user gave it; `lr` also finds `model.optimizer.lr`.
        known: the dotted names that there are.
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


def near_name(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return `; did you mean X?` for the end of a message about a name that is not there, or nothing."""
    near = get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f"; did you mean {near[0]}?" if near else ""
