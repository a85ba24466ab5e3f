"""Text from files and commands as Markdown that shows it as it is."""

import re

from cyclegan_audio.utils.printing import printable


def as_text(text: str) -> str:
    """Escape what Markdown, HTML and formulas would read as markup, and control characters."""
    return re.sub(r"([\\`*_{}\[\]<>#|!~$&])", r"\\\1", printable(text))


def code_block(text: str) -> str:
    """Return lines as a block of code."""
    return "\n".join(["````text", text.replace("````", "'''' "), "````"])
