"""Extract the visible text of an HTML page, and find what it would load from elsewhere (`EXTERNAL`)."""

import html
import re

EXTERNAL = re.compile(r"https?://|@import|<script[^>]+src|<link(?! rel=\"icon\" href=\"data:,\")")


def page_text(page: str) -> str:
    """Return the text and alternative texts of a page, without styles, scripts and embedded data."""
    return html.unescape(_without_data(page))


def visible_text(page: str) -> str:
    """Return the text of a page without tags, with single spaces."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", _without_data(page))).split())


def _without_data(page: str) -> str:
    without = re.sub(r"<style.*?</style>|<script.*?</script>", "", page, flags=re.DOTALL)
    return re.sub(r'"data:[^"]*"', '""', without)
