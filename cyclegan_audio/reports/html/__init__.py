"""Self-contained HTML pages made of sections; they know nothing of what they show."""

from cyclegan_audio.reports.html.page import (
    ensure_writable,
    render,
    template_environment,
    to_json,
    write_files,
)
from cyclegan_audio.reports.html.section import (
    Audio,
    AudioGroup,
    Image,
    Section,
    Table,
    encode_audio,
    encode_figure,
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
