"""The look of the page: gradio's theme with fonts of the system, and a few rules for phones."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradio.themes.base import Base

FONT = ("ui-sans-serif", "system-ui", "sans-serif")  # no font is fetched
MONO = ("ui-monospace", "monospace")
CSS = """
.gradio-container { max-width: 1180px !important; margin: 0 auto; }
#title h1 { margin: 0.4rem 0 0; font-size: 1.6rem; }
#title p { margin: 0.2rem 0 0.4rem; color: var(--body-text-color-subdued); }
iframe { width: 100%; border: 0; border-radius: 0.6rem; display: block; }
.empty { border: 1px dashed var(--border-color-primary); border-radius: 0.6rem; padding: 3rem 1rem;
  text-align: center; color: var(--body-text-color-subdued); }
.card li { margin: 0.2rem 0; overflow-wrap: anywhere; }
.status { overflow-wrap: anywhere; }
.grids a { display: block; margin-bottom: 0.4rem; }
.grids img { width: 100%; border-radius: 0.4rem; }
@media (max-width: 640px) {
  .gradio-container { padding: 0.4rem !important; }
  #player iframe, #clip iframe { height: 24rem !important; }
}
"""


def theme() -> "Base":
    """Return the theme."""
    from gradio.themes import Default
    from gradio.themes.utils import colors

    return Default(primary_hue=colors.indigo, neutral_hue=colors.slate, font=FONT, font_mono=MONO)
