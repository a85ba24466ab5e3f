"""Page of a corpus, corpus.html: counts, differences between genres, spectra, kept and dropped clips."""

import math
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from textwrap import fill

import numpy as np
import torch

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.corpus.bias import GenreStats, genre_comparison
from cyclegan_audio.corpus.corpus import Clip, Corpus
from cyclegan_audio.corpus.manifest import Row, dc_offset_line, reason_counts, split_counts
from cyclegan_audio.corpus.manifest_file import SPLITS
from cyclegan_audio.corpus.sources import Source
from cyclegan_audio.corpus.splits import hash_rank
from cyclegan_audio.reports import html
from cyclegan_audio.reports.corpus.dropped_clips import DroppedClip, one_clip_per_reason
from cyclegan_audio.reports.figures.distributions import histograms, mean_spectra
from cyclegan_audio.reports.figures.spectrograms import ClipRow, contact_sheet
from cyclegan_audio.reports.html import Player, Section, Table, View, encode_figure
from cyclegan_audio.reports.players import Sounding, make_player
from cyclegan_audio.utils.atomic import atomic_write_bytes
from cyclegan_audio.utils.errors import UserError

PAGE = "corpus.html"
TITLE = "Contents of the corpus"  # without the folder: the same corpus elsewhere has the same page
MAX_KEPT, N_FIRST = 6, 3  # kept clips shown for each genre, and those on the first screen
CHOICE = "Kept clips, chosen at random; each is as loud as in the corpus."
CLIPS_IN_ROW = 6  # dropped clips in a row
LABEL_WIDTH = 26  # characters below a dropped clip
MEAN_CLIPS = 200  # for each genre, in its mean spectrum
QUANTILES = (0.1, 0.9)  # of the clips, around the mean spectrum
COLUMNS = {"loudness_lufs": ("Loudness (LUFS)", 1.0), "bandwidth_hz": ("Bandwidth (kHz)", 1000.0)}


def write_corpus_page(
    folder: Path,
    rows: Sequence[Row],
    genre_stats: Sequence[GenreStats],
    warnings: Sequence[str],
    source: Source,
) -> Path:
    """Write corpus.html into a finished corpus; leave a file with the same content untouched.

    Args:
        folder: folder of the corpus.
        rows: rows of its manifest.
        genre_stats: statistics of its genres.
        warnings: statistics in which the genres differ too much.
        source: source with the files of dropped clips.

    Raises:
        OSError: the page cannot be written.
    """
    corpus = Corpus.open(folder)
    dropped = one_clip_per_reason(rows, source, corpus.clip_s, corpus.mel)
    kept, players = kept_section(corpus)
    sections = [
        counts_section(rows),
        bias_section(genre_stats, warnings, rows),
        kept,
        dropped_section(rows, dropped, corpus.mel),
        spectra_section(corpus),
    ]
    note = CHOICE if players else ""
    views = [View(TITLE, _summary(rows, warnings), players, note)]
    content = html.render(TITLE, _lead(corpus, rows), sections, views).encode()
    path = folder / PAGE
    if not path.is_file() or path.read_bytes() != content:
        atomic_write_bytes(path, content)
    return path


def _lead(corpus: Corpus, rows: Sequence[Row]) -> str:
    """Say in one sentence what the corpus is made of."""
    n_files = len({(row["genre"], row["source"]) for row in rows})
    genres = " and ".join(part for part in (", ".join(corpus.genres[:-1]), corpus.genres[-1]) if part)
    return f"Clips of {corpus.clip_s:g} s of {genres}, from {n_files} recordings, to train and test a model."


def _summary(rows: Sequence[Row], warnings: Sequence[str]) -> str:
    kept = [row for row in rows if row["kept"]]
    minutes = sum(row["duration_s"] for row in kept) / 60
    counts = f"{len(kept)} clips kept ({minutes:.1f} minutes), {len(rows) - len(kept)} dropped."
    return "\n".join([counts, *(f"Warning: {line}." for line in warnings)])


def counts_section(rows: Sequence[Row]) -> Section:
    """Return the numbers of kept and dropped clips, and of the splits."""
    section = Section("counts", "Kept and dropped", is_open=True)
    if line := dc_offset_line(rows):
        section.paragraphs.append(f"{line}.")
    genres, lines = reason_counts(rows)
    section.tables.append(Table("Clips by reason; a file without clips counts as one", ["", *genres], lines))
    genres, lines = split_counts(rows)
    section.tables.append(Table("Tracks / clips by split", ["", *genres], lines))
    return section


def bias_section(genre_stats: Sequence[GenreStats], warnings: Sequence[str], rows: Sequence[Row]) -> Section:
    """Return differences between the genres that are not musical."""
    section = Section("bias", "Differences between the genres that are not musical", is_open=True)
    section.paragraphs = [
        "A model copies every difference between two genres, and learns loudness and file format before "
        "musical style.",
        *([f"Warning: {line}." for line in warnings] or ["All differences are within the limits."]),
    ]
    header = ["", *(stats.genre for stats in genre_stats)]
    section.tables.append(Table("Medians and shares of clips", header, genre_comparison(genre_stats)))
    panels = {}
    for column, (label, unit) in COLUMNS.items():
        known = {stats.genre: _known_values(rows, stats.genre, column) for stats in genre_stats}
        if any(known.values()):
            panels[label] = {genre: [v / unit for v in values] for genre, values in known.items() if values}
    if panels:
        caption = "Loudness and bandwidth of the clips; thin lines: medians."
        section.images.append(encode_figure(histograms(panels, "% of the clips"), "Histograms", caption))
    return section


def _known_values(rows: Sequence[Row], genre: str, column: str) -> list[float]:
    values = (r[column] for r in rows if r["kept"] and r["genre"] == genre and r["split"] != "paired")
    return [value for value in values if value is not None and math.isfinite(value)]


def spectra_section(corpus: Corpus) -> Section:
    """Return the mean spectrum of each genre."""
    section = Section("spectra", "Mean spectra")
    spectra = {}
    for genre in corpus.genres:
        clips = _sample_clips(corpus, genre, MEAN_CLIPS)
        means = torch.stack([corpus.mel_db(clip).mean(1) for clip in clips]).numpy()
        spectra[genre] = np.stack([means.mean(0), *np.quantile(means, QUANTILES, axis=0)])
    caption = (
        f"Mean of the mel in dB over time and over up to {MEAN_CLIPS} clips of each genre; pale: from the "
        f"{QUANTILES[0]:.0%} to the {QUANTILES[1]:.0%} quantile of the clips."
    )
    section.images.append(encode_figure(mean_spectra(spectra, corpus.mel), "Mean spectra", caption))
    return section


def kept_section(corpus: Corpus) -> tuple[Section, list[Player]]:
    """Return a contact sheet of randomly chosen kept clips, and players: those of the first screen apart."""
    section = Section("kept", "More kept clips")
    section.paragraphs.append(f"Chosen at random, {corpus.clip_s:g} s each, low bands at the bottom.")
    strips, first = [], []
    for genre in corpus.genres:
        clips = _sample_clips(corpus, genre, MAX_KEPT)
        labels = [f"{place}  {clip.split}" for place, clip in enumerate(clips, 1)]
        strips.append(ClipRow(genre, [corpus.mel_db(clip) for clip in clips], labels))
        if players := _players(corpus, clips):
            first += players[:N_FIRST]
            section.players += players[N_FIRST:]
        else:
            places = [f"{n}: {_format_place(clip.source, clip.start_s)}" for n, clip in enumerate(clips, 1)]
            section.paragraphs.append(f"{genre}, no audio in the corpus: {'; '.join(places)}.")
    caption = "Mels in dB with a common colour scale; labels: number and split."
    section.images.append(encode_figure(contact_sheet(strips, corpus.mel), "Kept clips", caption))
    return section, first


def dropped_section(rows: Sequence[Row], dropped: Sequence[DroppedClip], mel: MelSpectrogram) -> Section:
    """Return one dropped clip for each reason, and the reasons without an example."""
    section = Section("dropped", "Examples of dropped clips")
    shown = {one.row["reason"] for one in dropped}
    if missing := sorted({row["reason"] for row in rows if not row["kept"]} - shown):
        section.paragraphs.append(f"Reasons without an example: {'; '.join(missing)}.")
    if not dropped:
        section.missing = "" if missing else "No clip was dropped."
        return section
    strips = []
    for first in range(0, len(dropped), CLIPS_IN_ROW):
        in_row = dropped[first : first + CLIPS_IN_ROW]
        labels = [fill(f"{one.row['genre']}: {one.row['reason']}", LABEL_WIDTH) for one in in_row]
        strips.append(ClipRow("", [one.mel_db for one in in_row], labels))
    figure = contact_sheet(strips, mel)
    section.images.append(encode_figure(figure, "Dropped clips", "The earliest clip of each reason."))
    for one in dropped:
        if one.mono is not None:
            place = f"{one.row['genre']}: {_format_place(one.row['source'], one.row['start_s'])}"
            section.players.append(
                _player(one.row["reason"], place, Sounding(one.row["reason"], one.mono, one.mel_db), mel)
            )
    return section


def _format_place(source: str, start_s: float) -> str:
    return f"{source} at {start_s:.2f} s"


def _player(title: str, note: str, sounding: Sounding, mel: MelSpectrogram) -> Player:
    """Make a player of a clip as loud as it is in the corpus."""
    return make_player(title, note, [sounding], mel, equally_loud=False)


def _players(corpus: Corpus, clips: Sequence[Clip]) -> list[Player]:
    """Return players of the clips whose audio the corpus keeps."""
    players = []
    for number, clip in enumerate(clips, 1):
        title, place = f"{clip.genre} {number}", _format_place(clip.source, clip.start_s)
        with suppress(UserError):
            sounding = Sounding(title, corpus.audio(clip), corpus.mel_db(clip))
            players.append(_player(title, place, sounding, corpus.mel))
    return players


def _sample_clips(corpus: Corpus, genre: str, count: int) -> list[Clip]:
    """Return at most `count` clips of all splits but `paired`, chosen at random but reproducibly."""
    clips = [clip for split in SPLITS if split != "paired" for clip in corpus.clips(genre, split)]
    return sorted(clips or corpus.clips(genre, "paired"), key=lambda clip: hash_rank(clip.clip_id, 0))[:count]
