"""Self-contained HTML pages made of sections."""

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
