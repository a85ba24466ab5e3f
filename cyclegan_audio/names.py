"""Names that a user gives, matched with those that there are."""

from collections.abc import Iterable
from difflib import get_close_matches

from cyclegan_audio.errors import UserError


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
