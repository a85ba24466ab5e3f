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

__all__ = [
    "Audio",
    "AudioGroup",
    "Image",
    "Section",
    "Table",
    "encode_audio",
    "encode_figure",
    "ensure_writable",
    "render",
    "template_environment",
    "to_json",
    "write_files",
]
