"""Self-contained HTML pages made of sections; they know nothing of what they show."""

from cyclegan_audio.reports.html.page import as_json, check_writable_folder, environment, render, write_files
from cyclegan_audio.reports.html.section import Listening, Picture, Section, Sound, Table, picture, sound

__all__ = [
    "Listening",
    "Picture",
    "Section",
    "Sound",
    "Table",
    "as_json",
    "check_writable_folder",
    "environment",
    "picture",
    "render",
    "sound",
    "write_files",
]
