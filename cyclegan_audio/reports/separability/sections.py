"""Sections of classify.html: accuracy, predictions, and weights of the features."""

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
from cyclegan_audio.reports.separability.logistic_regression import (
    BANDS,
    PIXELS,
    RANDOM_SPLIT,
    SPLIT_BY_TRACK,
    Features,
    LabelledClips,
    Outcome,
)
from cyclegan_audio.reports.separability.summary import (
    RULES,
    Key,
    confusion_matrix,
    group_outcomes,
    solver_sentence,
)
from cyclegan_audio.statistics.estimates import Estimate

MAX_SHOWN = 12
SOLVERS = {"lbfgs": "L-BFGS", "saga": "stochastic (SAGA)"}
EXPLANATION = (
    "Logistic regression with an L2 penalty; cross-validation on the training clips selects its strength. "
    "Random split: the paper's protocol, with clips of a song in both training and test. Split by track: "
    "cross-validation over tracks or blocks of time, every clip tested once. The table gives balanced "
    "accuracy, the mean over seeds (n = {seeds}); brackets: the 95 % interval of the test with one seed."
)


def accuracy_section(
    summaries: Mapping[Key, Mapping[str, Any]],
    single_features: Mapping[str, Estimate],
    n_seeds: int,
    note: str,
) -> Section:
    """Return the accuracy of all feature sets, protocols and solvers, and of single features."""
    section = Section("accuracy", "Accuracy of logistic regression")
    section.paragraphs = [EXPLANATION.format(seeds=n_seeds), solver_sentence(summaries), RULES]
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
    header = ["features and protocol", "solver", "accuracy", "SD over seeds", "clips tested"]
    section.tables.append(Table("Accuracy", header, rows))
    single_rows = [
        [name, f"{value.mean:.1%} ({value.low:.1%} to {value.high:.1%})"]
        for name, value in single_features.items()
    ]
    if single_rows:
        section.tables.append(Table("Single features, split by track", ["feature", "accuracy"], single_rows))
    if note:
        section.paragraphs.append(note)
    section.numbers = {
        "results": [dict(value) for value in summaries.values()],
        "single_features": {name: value.to_dict() for name, value in single_features.items()},
    }
    return section


def predictions_section(
    outcomes: Sequence[Outcome], clips: LabelledClips, rows: Sequence[Clip], mels_db: Tensor,
    mel: MelSpectrogram, genres: tuple[str, str],
) -> Section:  # fmt: skip
    """Return confusion matrices, ROC curves, and misclassified clips of both protocols (figure 1.1)."""
    groups = {key: group for key, group in group_outcomes(outcomes).items() if key[2] == "lbfgs"}
    section = Section("predictions", "Figures of the paper: predictions", is_open=True)
    names = {key: f"{key[0]},\n{key[1]}" for key in groups}
    matrices = {names[key]: confusion_matrix(group, clips) for key, group in groups.items()}
    section.images.append(
        encode_figure(confusion_matrices(matrices, genres), "Confusion matrices", "Counts of the first seed.")
    )
    curves = {
        names[key].replace("\n", " "): (clips.labels[group[0].rows], group[0].logits)
        for key, group in groups.items()
    }
    section.images.append(encode_figure(roc_curves(curves, genres[1]), "ROC", "ROC of the first seed."))
    for key in ((PIXELS, RANDOM_SPLIT, "lbfgs"), (BANDS, SPLIT_BY_TRACK, "lbfgs")):
        section.images += _misclassified(groups[key][0], clips, rows, mels_db, mel, genres)
    return section


def _misclassified(
    outcome: Outcome, clips: LabelledClips, rows: Sequence[Clip], mels_db: Tensor, mel: MelSpectrogram,
    genres: tuple[str, str],
) -> list[Image]:  # fmt: skip
    """Return the misclassified clips of one outcome, the most confident first; empty without errors."""
    labels = clips.labels[outcome.rows]
    errors = np.flatnonzero((outcome.logits > 0) != (labels > 0))
    errors = errors[np.argsort(-np.abs(outcome.logits[errors]))]
    if not len(errors):
        return []
    titles = []
    for index in errors[:MAX_SHOWN]:
        clip = rows[outcome.rows[index]]
        share = 1 / (1 + np.exp(-outcome.logits[index]))
        predicted, probability = (genres[1], share) if share > 0.5 else (genres[0], 1 - share)
        titles.append(f"{clip.genre} at {clip.start_s:g} s:\npredicted {predicted} ({probability:.2f})")
    worst = [mels_db[outcome.rows[index]] for index in errors[:MAX_SHOWN]]
    counts = ", ".join(
        f"{int((labels[errors] == label).sum())} {genre}" for label, genre in enumerate(genres)
    )
    caption = (
        f"{outcome.features}, {outcome.protocol}: {len(errors)} of {len(labels)} misclassified ({counts}). "
        f"The figure shows the {len(worst)} most confident, with the probability of the predicted genre."
    )
    figure = misclassified(worst, titles, mel)
    return [encode_figure(figure, "Misclassified clips", caption)]


def weights_section(
    outcomes: Sequence[Outcome], feature_sets: Sequence[Features], mel: MelSpectrogram, seconds: float,
    genres: tuple[str, str],
) -> Section:  # fmt: skip
    """Return the weights that separate the genres: the mean over folds and seeds, split by track."""
    section = Section("weights", "Features that separate the genres")
    pixels, table = feature_sets
    a, b = genres
    section.paragraphs.append(
        f"Red indicates {b}, blue {a}. Weights are the mean of all fits, split by track."
    )
    figure = weight_spectrogram(pixels.weight_image(_mean_weight(outcomes, PIXELS)), mel, seconds, genres)
    section.images.append(
        encode_figure(figure, "Weights of pixels", "Weights of the pixels of the spectrogram.")
    )
    weights = table.weight_image(_mean_weight(outcomes, BANDS))
    figure = weight_table(weights, STATISTIC_NAMES, mel, genres)
    section.images.append(
        encode_figure(figure, "Weights of band statistics", "Weights of standardised band statistics.")
    )
    strongest = np.argsort(-np.abs(weights).ravel())[:MAX_SHOWN]
    indices = [np.unravel_index(index, weights.shape) for index in strongest]
    section.numbers["strongest_band_weights"] = [
        {
            "statistic": STATISTIC_NAMES[row],
            "band_hz": float(mel.band_hz[band]),
            "weight": float(weights[row, band]),
        }
        for row, band in indices
    ]
    return section


def _mean_weight(outcomes: Sequence[Outcome], features: str) -> np.ndarray:
    weights = [o.weight for o in outcomes if o.features == features and o.protocol == SPLIT_BY_TRACK]
    return np.mean(weights, axis=0)
