"""`corpus.html` in a corpus: the same bytes for the same corpus, whole or not at all."""

from collections.abc import Sequence
from pathlib import Path

from cyclegan_audio.corpus.bias import GenreStats
from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.manifest import Row
from cyclegan_audio.corpus.sources import Source
from cyclegan_audio.reports import html
from cyclegan_audio.reports.corpus.dropped import one_of_each_kind
from cyclegan_audio.reports.corpus.sections import (
    counts_section,
    dropped_section,
    kept_section,
    piles_section,
    spectra_section,
)
from cyclegan_audio.utils.atomic import atomic_write_bytes

PAGE = "corpus.html"
TITLE = "What is in the corpus"  # its folder is not named: the same corpus elsewhere has the same page


def write_corpus_page(
    folder: Path, rows: Sequence[Row], found: Sequence[GenreStats], warnings: Sequence[str], source: Source
) -> Path:
    """Write corpus.html into a finished corpus; one that is there and the same stays.

    Args:
        folder: of the corpus.
        rows: of its manifest.
        found: its genres compared.
        warnings: where they lie too far apart.
        source: has the files of dropped clips.

    Raises:
        OSError: it cannot be written.
    """
    corpus = Corpus.open(folder)
    sections = [
        counts_section(rows),
        piles_section(found, warnings, rows),
        spectra_section(corpus),
        kept_section(corpus),
        dropped_section(rows, one_of_each_kind(rows, source, corpus.clip_s, corpus.mel), corpus.mel),
    ]
    content = html.render(TITLE, _verdict(rows, warnings), sections).encode()
    path = folder / PAGE
    if not path.is_file() or path.read_bytes() != content:
        atomic_write_bytes(path, content)
    return path


def _verdict(rows: Sequence[Row], warnings: Sequence[str]) -> str:
    kept = [row for row in rows if row["kept"]]
    minutes = sum(row["duration_s"] for row in kept) / 60
    said = f"{len(kept)} clips kept ({minutes:.1f} minutes), {len(rows) - len(kept)} dropped."
    return "\n".join([said, *(f"Mind: {line}." for line in warnings)])
