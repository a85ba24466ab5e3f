"""The parts of the corpus page."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from textwrap import fill

import numpy as np
import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.corpus.bias import GenreStats, genre_comparison
from cyclegan_audio.corpus.corpus import SPLITS, Clip, Corpus
from cyclegan_audio.corpus.manifest import Row, reason_counts, split_counts
from cyclegan_audio.corpus.splits import hash_rank
from cyclegan_audio.reports.corpus.dropped import Dropped
from cyclegan_audio.reports.figures.contact_sheet import Strip, contact_sheet
from cyclegan_audio.reports.figures.distributions import histograms, mean_spectra
from cyclegan_audio.reports.html import Listening, Section, Sound, Table, picture, sound
from cyclegan_audio.utils.errors import UserError

SHOWN = 6  # kept clips a genre
IN_ROW = 6  # dropped clips
LABEL_WIDTH = 26  # characters below one of them
MEAN_CLIPS = 200  # a genre, in its mean spectrum
RANGE = (0.1, 0.9)  # quantiles of the clips around it
MEASURED = {"loudness_lufs": ("Loudness (LUFS)", 1.0), "bandwidth_hz": ("End of content (kHz)", 1000.0)}


def counts_section(rows: Sequence[Row]) -> Section:
    """What was kept and dropped, and how it was split."""
    section = Section("counts", "Kept and dropped")
    genres, lines = reason_counts(rows)
    section.tables.append(
        Table("Clips by reason; a file that gives no clip counts as one", ["", *genres], lines)
    )
    genres, lines = split_counts(rows)
    section.tables.append(Table("Tracks / clips by split", ["", *genres], lines))
    return section


def piles_section(found: Sequence[GenreStats], warnings: Sequence[str], rows: Sequence[Row]) -> Section:
    """In what the genres differ that is not music."""
    section = Section("piles", "Are the piles fair?")
    section.paragraphs = [
        "A model copies whatever differs between two piles, and level and format before genre.",
        *(f"Mind: {line}." for line in warnings or ["nothing, all lie within the limits"]),
    ]
    header = ["", *(pile.genre for pile in found)]
    section.tables.append(Table("Medians and shares of clips", header, genre_comparison(found)))
    panels = {}
    for column, (label, unit) in MEASURED.items():
        known = {pile.genre: _known(rows, pile.genre, column) for pile in found}
        if any(known.values()):
            panels[label] = {genre: [v / unit for v in own] for genre, own in known.items() if own}
    if panels:
        caption = "Loudness and end of content of the clips; thin lines: medians."
        section.pictures.append(picture(histograms(panels, "% of the clips"), "Histograms", caption))
    return section


def _known(rows: Sequence[Row], genre: str, column: str) -> list[float]:
    own = (r[column] for r in rows if r["kept"] and r["genre"] == genre and r["split"] != "paired")
    return [value for value in own if value is not None and math.isfinite(value)]


def spectra_section(corpus: Corpus) -> Section:
    """The mean spectrum of each genre."""
    section = Section("spectra", "Mean spectra")
    spectra = {}
    for genre in corpus.genres:
        clips = _drawn(corpus, genre, MEAN_CLIPS)
        means = torch.stack([corpus.mel_db(clip).mean(1) for clip in clips]).numpy()
        spectra[genre] = np.stack([means.mean(0), *np.quantile(means, RANGE, axis=0)])
    caption = (
        f"Mean of the mel in dB over time and over {MEAN_CLIPS} clips a genre, or all where there are fewer; "
        f"pale: from {RANGE[0]:.0%} to {RANGE[1]:.0%} of the clips."
    )
    section.pictures.append(picture(mean_spectra(spectra, corpus.mel), "Mean spectra", caption))
    return section


def kept_section(corpus: Corpus) -> Section:
    """A contact sheet of kept clips of each genre, drawn at random, with their audio."""
    section = Section("kept", "Some kept clips")
    section.paragraphs.append(f"Drawn at random, {corpus.clip_s:g} s each, low bands at the bottom.")
    strips = []
    for genre in corpus.genres:
        clips = _drawn(corpus, genre, SHOWN)
        labels = [f"{place}  {clip.split}" for place, clip in enumerate(clips, 1)]
        strips.append(Strip(genre, [corpus.mel_db(clip) for clip in clips], labels))
        places = [f"{n}: {_place(clip.source, clip.start_s)}" for n, clip in enumerate(clips, 1)]
        if players := _players(corpus, dict(zip(places, clips, strict=True))):
            section.listening.append(Listening(genre, players))
        else:
            section.paragraphs.append(f"{genre}, without audio in the corpus: {'; '.join(places)}.")
    caption = "Mels in dB in common colours; below, the split."
    section.pictures.append(picture(contact_sheet(strips, corpus.mel), "Kept clips", caption))
    return section


def dropped_section(rows: Sequence[Row], dropped: Sequence[Dropped], mel: MelSpectrogram) -> Section:
    """One clip of each kind that was dropped, and the reasons of which there is none to show."""
    section = Section("dropped", "One of each kind that was dropped")
    shown = {one.row["reason"] for one in dropped}
    if missing := sorted({row["reason"] for row in rows if not row["kept"]} - shown):
        section.paragraphs.append(f"Without a clip to show: {'; '.join(missing)}.")
    if not dropped:
        section.paragraphs += [] if missing else ["Nothing was dropped."]
        return section
    strips = []
    for first in range(0, len(dropped), IN_ROW):
        own = dropped[first : first + IN_ROW]
        labels = [fill(f"{one.row['genre']}: {one.row['reason']}", LABEL_WIDTH) for one in own]
        strips.append(Strip("", [one.mel_db for one in own], labels))
    figure = contact_sheet(strips, mel)
    section.pictures.append(picture(figure, "Dropped clips", "The earliest clip of each reason."))
    for one in dropped:
        label = f"{one.row['genre']}: {_place(one.row['source'], one.row['start_s'])}"
        players = [] if one.mono is None else [_sound(label, one.mono.nan_to_num(), mel)]
        section.listening.append(Listening(one.row["reason"], players))
    return section


def _place(source: str, start_s: float) -> str:
    return f"{source} at {start_s:.2f} s"


def _sound(label: str, mono: Tensor, mel: MelSpectrogram) -> Sound:
    return sound(label, mono, mel.sample_rate, lossless=True)


def _players(corpus: Corpus, clips: Mapping[str, Clip]) -> list[Sound]:
    """Of the clips (by label) whose audio the corpus keeps."""
    players = []
    for label, clip in clips.items():
        with suppress(UserError):
            players.append(_sound(label, corpus.audio(clip), corpus.mel))
    return players


def _drawn(corpus: Corpus, genre: str, count: int) -> list[Clip]:
    """At most so many clips of training, validation and test at random, the same each time."""
    clips = [clip for split in SPLITS if split != "paired" for clip in corpus.clips(genre, split)]
    return sorted(clips or corpus.clips(genre, "paired"), key=lambda clip: hash_rank(clip.clip_id, 0))[:count]
