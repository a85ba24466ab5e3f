"""Sections to one self-contained HTML page, and pages to disk."""

import base64
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclegan_audio.reports.html.section import Section
from cyclegan_audio.utils.atomic import atomic_write_files, temporary_path
from cyclegan_audio.utils.errors import UserError

if TYPE_CHECKING:
    from jinja2 import Environment

PACKAGE = "cyclegan_audio.reports.html"
TEMPLATE = "page.html.j2"


def render(title: str, summary: str, sections: Sequence[Section]) -> str:
    """Render the page as text, with everything that it shows and plays inside it; the summary comes first."""
    return (
        template_environment().get_template(TEMPLATE).render(title=title, summary=summary, sections=sections)
    )


def template_environment(package: str = PACKAGE) -> "Environment":
    """Load templates of one of our packages, which may extend `base.html.j2` of this one."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=ChoiceLoader([PackageLoader(name, ".") for name in (package, PACKAGE)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["data_uri"] = data_uri
    return made


def to_json(numbers: Mapping[str, Any]) -> str:
    """Write plain values as JSON text, with null for NaN and infinity, which JSON has not."""
    return json.dumps(_finite(numbers), indent=1, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def data_uri(content: bytes, media_type: str) -> str:
    """Turn bytes into a link that holds them."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def ensure_writable(folder: Path, what: str, mend: str) -> None:
    """Make the folder of `what`, so that a wrong path shows before the work is done.

    Raises:
        UserError: it cannot be made or written; `mend` says what to do.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = temporary_path(folder / "probe")
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"{what} cannot be written to {folder} ({error.strerror}); {mend}") from error


def write_files(folder: Path, texts: Mapping[str, str], what: str) -> None:
    """Write files (name to text) into `folder`, each whole or not at all, the renames last.

    Raises:
        UserError: the folder cannot be written; `what` names the whole.
    """
    try:
        atomic_write_files({folder / name: text for name, text in texts.items()})
    except OSError as error:
        raise UserError(
            f"{what} cannot be written to {folder} ({error.strerror}); make room there"
        ) from error
