"""Mark words in a page that only specialists know; their definitions are those of `glossary.md`."""

import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from cyclegan_audio.utils.printing import printable_lines

if TYPE_CHECKING:
    from markupsafe import Markup

GLOSSARY = "glossary.md"  # a table of terms and meanings
WORDS = {  # as they stand in pages (without a plural s), longest first where one begins like another: term
    "mel-spectrogram": "mel",
    "mel": "mel",
    "genre classifier": "genre classifier",
    "linear classifier": "logistic regression",
    "logistic regression": "logistic regression",
    "independent tagger": "independent tagger",
    "vocoder": "vocoder",
    "checkerboard": "checkerboard",
    "kernel audio distance": "KAD",
    "KAD": "KAD",
    "kernel distance": "Frechet distance, kernel distance",
    "Frechet distance": "Frechet distance, kernel distance",
    "onset": "onset",
    "F1": "F1",
    "chroma": "chroma",
    "floor": "floor, ceiling",
    "ceiling": "floor, ceiling",
    "baseline": "baseline",
    "equaliser": "baseline",
    "held-out": "held-out",
    "embedding": "embedding",
    "cycle error": "cycle loss",
    "identity error": "identity loss",
    "identity loss": "identity loss",
    "95 % interval": "interval",
    "interval": "interval",
    "checkpoint": "checkpoint",
    "balanced accuracy": "balanced accuracy",
    "cross-validation": "cross-validation",
    "confusion matrices": "confusion matrix",
    "ROC": "ROC",
    "LUFS": "LUFS",
    "bandwidth": "bandwidth, roll-off",
    "roll-off": "bandwidth, roll-off",
    "DC offset": "DC offset",
    "sign-flip test": "sign-flip test",
    "seed": "seed",
    "STFT": "STFT",
}
_PATTERN = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, WORDS))})(?:s|es)?(?![\w-])", re.IGNORECASE)
_BY_LOWER = {word.lower(): term for word, term in WORDS.items()}


@cache
def definitions() -> dict[str, str]:
    """Read the glossary of the package: term to meaning."""
    text = files("cyclegan_audio.reports.html").joinpath(GLOSSARY).read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE)
    return {term: meaning.replace("`", "") for term, meaning in rows[1:]}


def anchor(term: str) -> str:
    """Return the name of a term in the page."""
    return "word-" + re.sub(r"\W+", "-", term.lower())


class Glossary:
    """Marks the first occurrence of each word in a section, and remembers the words of the page."""

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._in_section: set[str] = set()

    def begin_section(self) -> str:
        """Forget the words of the section before; return no text, for templates."""
        self._in_section = set()
        return ""

    def mark(self, text: str) -> "Markup":
        """Escape a text and make its new words links to their definitions."""
        from markupsafe import Markup, escape

        out, end = Markup(), 0
        text = printable_lines(text)
        for match in _PATTERN.finditer(text):
            term = _BY_LOWER[match.group(1).lower()]
            if term in self._in_section:
                continue
            self._in_section.add(term)
            self._used.add(term)
            link = Markup('<a class="tip" href="#{}">{}</a>').format(anchor(term), match.group())
            out += escape(text[end : match.start()]) + link
            end = match.end()
        return out + escape(text[end:])

    @property
    def used(self) -> list[tuple[str, str, str]]:
        """Return (name in the page, term, meaning) of the words that were marked."""
        return [(anchor(term), term, definitions()[term]) for term in sorted(self._used, key=str.lower)]
