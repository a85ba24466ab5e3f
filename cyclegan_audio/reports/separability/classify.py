"""Entry point of `classify`: from the clips of two genres to classify.html."""

import dataclasses
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cyclegan_audio.corpus.corpus import Clip, Corpus
from cyclegan_audio.metrics.spectral import bandwidth_hz, roll_off_hz
from cyclegan_audio.reports import html
from cyclegan_audio.reports.html import View
from cyclegan_audio.reports.separability import sections
from cyclegan_audio.reports.separability.logistic_regression import (
    Features,
    LabelledClips,
    band_statistics_features,
    cross_validate_tracks,
    pixel_features,
    run_protocols,
    single_feature,
    split_sizes,
)
from cyclegan_audio.reports.separability.summary import (
    accuracy_summary,
    group_outcomes,
    separability_scores,
    verdict_sentences,
)
from cyclegan_audio.utils.errors import check_number
from cyclegan_audio.utils.progress import progress_bar

SPLITS = ("train", "val", "test")
HTML_FILE, JSON_FILE = "classify.html", "classify.json"
DESCRIPTION = "the page"
LEAD = (
    "A simple classifier tries to tell clips of two genres apart; if it cannot, a model has little to "
    "learn, and if a single property such as loudness is enough for it, the model learns that property "
    "first."
)
NO_LOUDNESS = "Loudness is not available: this corpus stores no levels, only images scaled by clip."


@dataclasses.dataclass(frozen=True)
class ClassifySettings:
    """Settings of `conf/classify.yaml`.

    Attributes:
        n_train, n_test: clips of each genre in a random split; if there are fewer, the same proportion.
        n_seeds: seeds of each protocol.
        n_folds: folds of the cross-validation by track.
        pixel_strengths, band_strengths: values of C to choose from.
    """

    n_train: int
    n_test: int
    n_seeds: int
    n_folds: int
    pixel_strengths: list[float]
    band_strengths: list[float]

    def __post_init__(self) -> None:
        for name, low in (("n_train", 2), ("n_test", 1), ("n_seeds", 1), ("n_folds", 2)):
            check_number(name, getattr(self, name), low=low, integer=True)
        for name in ("pixel_strengths", "band_strengths"):
            for strength in getattr(self, name):
                check_number(name, strength, low=1e-9)


def classify(corpus: Corpus, genres: tuple[str, str], folder: Path, settings: ClassifySettings) -> list[str]:
    """Write classify.html and classify.json into `folder`; return the sentences of the verdict.

    Raises:
        UserError: a genre is missing, has too few clips or tracks, or the folder cannot be written.
    """
    genres = corpus.check_genres(*genres)
    rows = _clips(corpus, genres)
    html.ensure_writable(folder, DESCRIPTION, "choose another with out=")
    labels, tracks = [genres.index(clip.genre) for clip in rows], [clip.track for clip in rows]
    clips = LabelledClips(np.array(labels), np.array(tracks))
    sizes = split_sizes(clips, settings.n_train, settings.n_test)
    mels_db = torch.stack([corpus.mel_db(clip) for clip in rows])
    single_accuracies = {
        features.name: cross_validate_tracks(features, clips, settings.n_folds, 0).accuracy(clips)
        for features in _single_features(corpus, rows, mels_db)
    }
    feature_sets = [
        pixel_features(mels_db, tuple(settings.pixel_strengths)),
        band_statistics_features(mels_db, corpus.mel.frame_s, tuple(settings.band_strengths)),
    ]
    n_seeds = settings.n_seeds
    with progress_bar("logistic regressions", 4 * n_seeds, "fits") as bar:
        outcomes = list(run_protocols(feature_sets, clips, sizes, n_seeds, settings.n_folds, bar.advance))
    summaries = {key: accuracy_summary(group, clips) for key, group in group_outcomes(outcomes).items()}
    verdict = verdict_sentences(summaries, single_accuracies, genres)
    note = "" if "loudness" in single_accuracies else NO_LOUDNESS
    parts = [
        sections.accuracy_section(summaries, single_accuracies, n_seeds, note),
        sections.predictions_section(outcomes, clips, rows, mels_db, corpus.mel, genres),
        sections.weights_section(outcomes, feature_sets, corpus.mel, corpus.clip_s, genres),
    ]
    counts = [int((clips.labels == label).sum()) for label in (0, 1)]
    numbers = {
        "verdict": " ".join(verdict),
        "genres": list(genres),
        "clips": counts,
        "split_sizes": list(sizes),
        **{part.name: part.numbers for part in parts},
    }
    title = f"{genres[0]} or {genres[1]}? {counts[0]} and {counts[1]} clips of {corpus.folder.name}"
    view = View(title, "\n".join(verdict), scores=separability_scores(summaries, single_accuracies))
    texts = {JSON_FILE: html.to_json(numbers), HTML_FILE: html.render(title, LEAD, parts, [view])}
    html.write_files(folder, texts, DESCRIPTION)
    return verdict


def _clips(corpus: Corpus, genres: tuple[str, str]) -> list[Clip]:
    """Return the clips of two genres in all splits but `paired`."""
    return [clip for genre in genres for split in SPLITS for clip in corpus.clips(genre, split)]


def _single_features(corpus: Corpus, rows: list[Clip], mels_db: Tensor) -> list[Features]:
    """Compute features that should not separate genres: loudness (if known), bandwidth and roll-off."""
    features = [
        single_feature(bandwidth_hz(mels_db, corpus.mel).log(), "bandwidth"),
        single_feature(roll_off_hz(mels_db, corpus.mel).log(), "roll-off"),
    ]
    levels = [clip.level_db for clip in rows]
    if all(level is not None for level in levels):
        features.insert(0, single_feature(torch.tensor(levels), "loudness"))
    return features
