"""Self-contained HTML pages with sections, figures, tables and players."""

from cyclegan_audio.reports.html.page import (
    Audio,
    AudioGroup,
    Image,
    Section,
    Table,
    encode_audio,
    encode_figure,
    ensure_writable,
    render,
    template_environment,
    to_json,
    write_files,
)
from cyclegan_audio.reports.html.player import Player, Version, player_html, player_page

__all__ = [
    "Audio",
    "AudioGroup",
    "Image",
    "Player",
    "Section",
    "Table",
    "Version",
    "encode_audio",
    "encode_figure",
    "ensure_writable",
    "player_html",
    "player_page",
    "render",
    "template_environment",
    "to_json",
    "write_files",
]
