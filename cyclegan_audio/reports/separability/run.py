"""Whether two genres of a corpus can be told apart, from its clips to a page."""

import dataclasses
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cyclegan_audio.corpus.corpus import Clip, Corpus
from cyclegan_audio.metrics.spectral import bandwidth_hz, roll_off_hz
from cyclegan_audio.reports import html
from cyclegan_audio.reports.separability import sections
from cyclegan_audio.reports.separability.features import Features, bands, pixels, trivial
from cyclegan_audio.reports.separability.findings import by_kind, sentences, summary
from cyclegan_audio.reports.separability.protocols import Clips, draw_sizes, run_protocols, tracks_apart
from cyclegan_audio.utils.errors import require_number
from cyclegan_audio.utils.progress import progress_bar

SPLITS = ("train", "val", "test")
HTML_FILE, JSON_FILE = "classify.html", "classify.json"
WHAT = "the page"
NO_LEVEL = "Loudness is not measured: this corpus knows no levels (pictures hold each clip's own range)."


@dataclasses.dataclass(frozen=True)
class ClassifySettings:
    """Numbers of `conf/classify.yaml`.

    Attributes:
        n_train, n_test: clips a genre of the random draw; with fewer clips, fewer in the same proportion.
        n_seeds: of each protocol.
        n_folds: of the cross-validation over tracks.
        pixel_strengths, band_strengths: values of C to choose among.
    """

    n_train: int
    n_test: int
    n_seeds: int
    n_folds: int
    pixel_strengths: list[float]
    band_strengths: list[float]

    def __post_init__(self) -> None:
        for name, low in (("n_train", 2), ("n_test", 1), ("n_seeds", 1), ("n_folds", 2)):
            require_number(name, getattr(self, name), low=low, whole=True)
        for name in ("pixel_strengths", "band_strengths"):
            for strength in getattr(self, name):
                require_number(name, strength, low=1e-9)


def classify(corpus: Corpus, genres: tuple[str, str], folder: Path, settings: ClassifySettings) -> list[str]:
    """Write classify.html and classify.json into `folder`; returns the verdict's sentences.

    Raises:
        UserError: a genre is missing, has too few clips or tracks, or the folder cannot be written.
    """
    genres = corpus.resolve_genres(*genres)
    rows = _clips(corpus, genres)
    html.require_writable(folder, WHAT, "choose another by out=")
    clips = Clips(np.array([genres.index(clip.genre) for clip in rows]), np.array([c.track for c in rows]))
    sizes = draw_sizes(clips, settings.n_train, settings.n_test)
    mels_db = torch.stack([corpus.mel_db(clip) for clip in rows])
    single = _single_features(corpus, rows, mels_db)
    alone = {f.name: tracks_apart(f, clips, settings.n_folds, 0).accuracy(clips) for f in single}
    with progress_bar("logistic regressions", 4 * settings.n_seeds, "fits") as bar:
        feature_sets = [
            pixels(mels_db, tuple(settings.pixel_strengths)),
            bands(mels_db, corpus.mel.frame_s, tuple(settings.band_strengths)),
        ]
        outcomes = list(
            run_protocols(feature_sets, clips, sizes, settings.n_seeds, settings.n_folds, bar.advance)
        )
    summaries = {key: summary(own, clips) for key, own in by_kind(outcomes).items()}
    said = sentences(summaries, alone, genres)
    unmeasured = "" if "loudness" in alone else NO_LEVEL
    parts = [
        sections.accuracy_section(summaries, alone, settings.n_seeds, unmeasured),
        sections.verdicts_section(outcomes, clips, rows, mels_db, corpus.mel, genres),
        sections.weights_section(outcomes, feature_sets, corpus.mel, corpus.clip_s, genres),
    ]
    counts = [int((clips.labels == label).sum()) for label in (0, 1)]
    numbers = {
        "verdict": " ".join(said),
        "genres": list(genres),
        "clips": counts,
        "drawn": list(sizes),
        **{part.name: part.numbers for part in parts},
    }
    title = f"{genres[0]} or {genres[1]}? {counts[0]} and {counts[1]} clips of {corpus.folder.name}"
    texts = {JSON_FILE: html.as_json(numbers), HTML_FILE: html.render(title, " ".join(said), parts)}
    html.write_files(folder, texts, WHAT)
    return said


def _clips(corpus: Corpus, genres: tuple[str, str]) -> list[Clip]:
    """The clips of two genres in all splits but the paired one."""
    return [clip for genre in genres for split in SPLITS for clip in corpus.clips(genre, split)]


def _single_features(corpus: Corpus, rows: list[Clip], mels_db: Tensor) -> list[Features]:
    """What no translation should hang on: loudness (where it is known), bandwidth and roll-off."""
    found = [
        trivial(bandwidth_hz(mels_db, corpus.mel).log(), "bandwidth"),
        trivial(roll_off_hz(mels_db, corpus.mel).log(), "roll-off"),
    ]
    levels = [clip.level_db for clip in rows]
    if all(level is not None for level in levels):
        found.insert(0, trivial(torch.tensor(levels), "loudness"))
    return found
