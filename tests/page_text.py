"""Extract the visible text of an HTML page."""

import html
import re


def page_text(page: str) -> str:
    """Return the text and alternative texts of a page, without styles, scripts and embedded data."""
    without = re.sub(r"<style.*?</style>|<script.*?</script>", "", page, flags=re.DOTALL)
    return html.unescape(re.sub(r'"data:[^"]*"', '""', without))
