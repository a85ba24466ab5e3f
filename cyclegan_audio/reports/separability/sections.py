"""The page of `classify`: tables and pictures."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.corpus.corpus import Clip
from cyclegan_audio.metrics.band_statistics import STATISTIC_NAMES
from cyclegan_audio.reports.figures.classifier_results import (
    confusion_matrices,
    misclassified,
    roc_curves,
    weight_spectrogram,
    weight_table,
)
from cyclegan_audio.reports.html import Image, Section, Table, encode_figure
from cyclegan_audio.reports.separability.features import BANDS, PIXELS, Features
from cyclegan_audio.reports.separability.findings import RULES, Key, by_kind, confusion, solver_sentence
from cyclegan_audio.reports.separability.protocols import APART, RANDOM, Clips, Outcome
from cyclegan_audio.statistics.estimates import Estimate

SHOWN = 12
SOLVERS = {"lbfgs": "L-BFGS", "saga": "stochastic (SAGA)"}
HOW = (
    "Logistic regression with an L2 penalty, its strength chosen by cross-validation inside the training "
    "clips. Random draw: the paper's protocol, clips of one song on both sides. Tracks apart: "
    "cross-validation over tracks or blocks of time, every clip tested once. Balanced accuracy, mean over "
    "seeds (n = {seeds}); in brackets the 95 % interval of one seed's test."
)


def accuracy_section(
    summaries: Mapping[Key, Mapping[str, Any]], trivial: Mapping[str, Estimate], n_seeds: int, unmeasured: str
) -> Section:
    """Show the table of accuracies, and what single features reach."""
    section = Section("accuracy", "How well the genres can be told apart")
    section.paragraphs = [HOW.format(seeds=n_seeds), solver_sentence(summaries), RULES]
    rows = [
        [
            f"{value['features']}, {value['protocol']}",
            SOLVERS[value["solver"]],
            f"{value['accuracy']:.1%} ({value['low']:.1%} to {value['high']:.1%})",
            "" if value["sd_over_seeds"] is None else f"{value['sd_over_seeds']:.1%}",
            str(value["clips_tested"]),
        ]
        for value in summaries.values()
    ]
    header = ["features and protocol", "solver", "accuracy", "spread over seeds", "clips tested"]
    section.tables.append(Table("Accuracy", header, rows))
    single = [
        [name, f"{value.mean:.1%} ({value.low:.1%} to {value.high:.1%})"] for name, value in trivial.items()
    ]
    if single:
        section.tables.append(Table("One feature alone, tracks apart", ["feature", "accuracy"], single))
    if unmeasured:
        section.paragraphs.append(unmeasured)
    section.numbers = {
        "kinds": [dict(value) for value in summaries.values()],
        "single_features": {name: value.to_dict() for name, value in trivial.items()},
    }
    return section


def verdicts_section(
    outcomes: Sequence[Outcome], clips: Clips, rows: Sequence[Clip], mels_db: Tensor, mel: MelSpectrogram,
    genres: tuple[str, str],
) -> Section:  # fmt: skip
    """Show confusion matrices, ROC, and misclassified clips of both protocols (the paper's figure 1.1)."""
    kinds = {key: own for key, own in by_kind(outcomes).items() if key[2] == "lbfgs"}
    section = Section("verdicts", "Right and wrong")
    names = {key: f"{key[0]},\n{key[1]}" for key in kinds}
    matrices = {names[key]: confusion(own, clips) for key, own in kinds.items()}
    section.images.append(
        encode_figure(confusion_matrices(matrices, genres), "Confusion matrices", "Counts of the first seed.")
    )
    curves = {
        names[key].replace("\n", " "): (clips.labels[own[0].rows], own[0].logits)
        for key, own in kinds.items()
    }
    section.images.append(encode_figure(roc_curves(curves, genres[1]), "ROC", "ROC of the first seed."))
    for key in ((PIXELS, RANDOM, "lbfgs"), (BANDS, APART, "lbfgs")):
        section.images += _misclassified(kinds[key][0], clips, rows, mels_db, mel, genres)
    return section


def _misclassified(
    outcome: Outcome, clips: Clips, rows: Sequence[Clip], mels_db: Tensor, mel: MelSpectrogram,
    genres: tuple[str, str],
) -> list[Image]:  # fmt: skip
    """The wrong verdicts of one outcome, the surest first; nothing where all are right."""
    labels = clips.labels[outcome.rows]
    wrong = np.flatnonzero((outcome.logits > 0) != (labels > 0))
    wrong = wrong[np.argsort(-np.abs(outcome.logits[wrong]))]
    if not len(wrong):
        return []
    titles = []
    for place in wrong[:SHOWN]:
        clip = rows[outcome.rows[place]]
        share = 1 / (1 + np.exp(-outcome.logits[place]))
        called, sure = (genres[1], share) if share > 0.5 else (genres[0], 1 - share)
        titles.append(f"{clip.genre} at {clip.start_s:g} s:\ncalled {called} ({sure:.2f})")
    shown = [mels_db[outcome.rows[place]] for place in wrong[:SHOWN]]
    counts = ", ".join(f"{int((labels[wrong] == label).sum())} {genre}" for label, genre in enumerate(genres))
    caption = (
        f"{outcome.features}, {outcome.protocol}: {len(wrong)} of {len(labels)} wrong ({counts}); the surest "
        f"{len(shown)} with the predicted probability of the genre that they were called."
    )
    figure = misclassified(shown, titles, mel)
    return [encode_figure(figure, "Misclassified clips", caption)]


def weights_section(
    outcomes: Sequence[Outcome], feature_sets: Sequence[Features], mel: MelSpectrogram, seconds: float,
    genres: tuple[str, str],
) -> Section:  # fmt: skip
    """Show what tells the genres apart: mean weights over folds and seeds, tracks kept apart."""
    section = Section("weights", "What tells them apart")
    pictures, table = feature_sets
    a, b = genres
    section.paragraphs.append(
        f"Red speaks for {b}, blue for {a}; mean weights of all fits with tracks apart."
    )
    figure = weight_spectrogram(pictures.picture(_mean_weight(outcomes, PIXELS)), mel, seconds, genres)
    section.images.append(encode_figure(figure, "Weights of pixels", "Weights of pixels, as a spectrogram."))
    weights = table.picture(_mean_weight(outcomes, BANDS))
    figure = weight_table(weights, STATISTIC_NAMES, mel, genres)
    section.images.append(
        encode_figure(figure, "Weights of band statistics", "Weights of standardised band statistics.")
    )
    strongest = np.argsort(-np.abs(weights).ravel())[:SHOWN]
    places = [np.unravel_index(index, weights.shape) for index in strongest]
    section.numbers["strongest_band_weights"] = [
        {
            "statistic": STATISTIC_NAMES[row],
            "band_hz": float(mel.band_hz[band]),
            "weight": float(weights[row, band]),
        }
        for row, band in places
    ]
    return section


def _mean_weight(outcomes: Sequence[Outcome], features: str) -> np.ndarray:
    own = [o.weight for o in outcomes if o.features == features and o.protocol == APART]
    return np.mean(own, axis=0)
