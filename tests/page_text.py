"""What a reader sees of a page."""

import html
import re


def page_text(page: str) -> str:
    """Return a page's text and alternative texts, without styles, scripts and what is embedded as data."""
    without = re.sub(r"<style.*?</style>|<script.*?</script>", "", page, flags=re.DOTALL)
    return html.unescape(re.sub(r'"data:[^"]*"', '""', without))
