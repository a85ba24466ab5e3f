"""Style of all figures: new figures draw text as it is, without mathematics, and names as labels."""

import warnings
from typing import TYPE_CHECKING, Any

from cyclegan_audio.utils.printing import printable_lines

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 100
LINE_LENGTH = 50  # characters; longer lines leave no room for the axes


def new_figure(width: float, height: float, layout: Any = None) -> "Figure":
    """Return an empty figure without a window, in which `$` is a plain character.

    Args:
        width, height: in inches.
        layout: matplotlib's layout engine or its name; a layout engine takes seconds for many texts.
    """
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams["text.parse_math"] = False
    warnings.filterwarnings("ignore", "Glyph .* missing from font")  # a box is drawn instead, as for emoji
    return Figure(figsize=(width, height), dpi=DPI, layout=layout)


def label(name: str) -> str:
    """Return the name of a genre, a run, a loss or a file as a label, printable and in short lines."""
    lines = (
        line if len(line) <= LINE_LENGTH else f"{line[: LINE_LENGTH - 1]}\N{HORIZONTAL ELLIPSIS}"
        for line in printable_lines(name).split("\n")
    )
    text = "\n".join(lines)
    return f" {text}" if text.startswith("_") else text  # matplotlib's legends leave out labels with _
