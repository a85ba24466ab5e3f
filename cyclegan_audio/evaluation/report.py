"""The report on disk: one self-contained HTML page and the same numbers as JSON."""

import base64
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cyclegan_audio.errors import UserError
from cyclegan_audio.evaluation.section import Section

HTML_FILE = "report.html"
JSON_FILE = "report.json"
TEMPLATE = "report.html.j2"


def require_writable(folder: Path) -> None:
    """Make the folder of the report, so that a wrong path shows before the work is done.

    Raises:
        UserError: it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".{JSON_FILE}.{os.getpid()}.part"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"the report cannot be written to {folder} ({error.strerror}); choose another by --out"
        ) from error


def write_report(folder: Path, title: str, verdict: str, sections: Sequence[Section]) -> Path:
    """Write `report.json` and `report.html`, both whole or not at all; returns the page.

    Raises:
        UserError: the folder cannot be written.
    """
    require_writable(folder)
    numbers = {"title": title, "verdict": verdict, **{section.name: section.numbers for section in sections}}
    texts = {
        JSON_FILE: json.dumps(_finite(numbers), indent=1, allow_nan=False) + "\n",
        HTML_FILE: render(title, verdict, sections),
    }
    parts = {folder / name: folder / f".{name}.{os.getpid()}.part" for name in texts}
    try:
        for path, part in parts.items():
            part.write_text(texts[path.name], encoding="utf-8")
        for path, part in parts.items():
            os.replace(part, path)
    except OSError as error:
        raise UserError(
            f"the report cannot be written to {folder} ({error.strerror}); make room there"
        ) from error
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
    return folder / HTML_FILE


def render(title: str, verdict: str, sections: Sequence[Section]) -> str:
    """The page as text, with everything that it shows and plays inside it."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("cyclegan_audio.evaluation", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_uri"] = data_uri
    return environment.get_template(TEMPLATE).render(title=title, verdict=verdict, sections=sections)


def data_uri(content: bytes, media_type: str) -> str:
    """Bytes as a link that holds them."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def _finite(value: Any) -> Any:
    """JSON has no NaN: None stands for it."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
