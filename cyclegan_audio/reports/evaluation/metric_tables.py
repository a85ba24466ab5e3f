"""Section of metrics between floor and ceiling: figures, tables, distances, accuracy of the classifiers."""

import dataclasses
import math
from typing import Any

from cyclegan_audio.metrics.distances import FRECHET, KAD, KERNEL
from cyclegan_audio.metrics.genre_classifier.classifier import ACCURACIES, NOISE_BELOW_DB, GenreClassifier
from cyclegan_audio.metrics.metric_spec import (
    ARTEFACT,
    CANDIDATES,
    CONTENT,
    GROUPS,
    MODEL,
    REAL_TARGET,
    REFERENCES,
    STYLE,
    UNTOUCHED,
    MetricSpec,
)
from cyclegan_audio.metrics.paired_error import mean_abs_db
from cyclegan_audio.reports.evaluation.classifiers import CLASSIFIER
from cyclegan_audio.reports.evaluation.scoring import DirectionScores, clip_scores
from cyclegan_audio.reports.evaluation.summary import summary_rules
from cyclegan_audio.reports.evaluation.translations import DirectionResult, EvaluationData
from cyclegan_audio.reports.figures.relative_bars import relative_bars
from cyclegan_audio.reports.html import Section, Table, encode_figure
from cyclegan_audio.statistics.estimates import Estimate

EXPLANATION = (
    "Each metric has a floor, the value if the translation achieves nothing, and a ceiling, the best "
    "possible value. For style, the floor is the untouched input and the ceiling is held-out clips of the "
    "target genre. For content, the floor is another piece of the source genre and the ceiling is the input "
    "itself. The last columns give the same metrics for four baselines: an equaliser that matches each "
    "band's mean and spread to the target genre, the nearest real clip of the target genre, the input "
    "rebuilt by the vocoder from its mel alone, and the translation after the vocoder (as heard). Metrics of "
    "the sound (independent tagger, clicks, vocoder error) hear the translation and the equaliser after the "
    "vocoder, and the input and real clips as they are. Brackets: 95 % intervals over tracks."
)
DISTANCES_EXPLANATION = (
    "Distances are measured to the training clips of the target genre. Their ceiling is the distance of "
    "held-out clips of that genre, about 0. One embedding is band statistics, which need no training on "
    "genres; another is the hidden layers of the genre classifier. Both are reduced to 16 principal "
    "components. The third is that of the independent tagger, which hears the sound after the vocoder, with "
    "a Frechet distance only for more than 400 clips. The bias of small samples is removed (jackknife over "
    "tracks), so values can be below 0."
)
CLASSIFIERS_EXPLANATION = (
    "The genre classifier is a small network, trained only on the training split of the corpus and "
    "independently of any CycleGAN. It adds the logits of convolutions over the mel and of a layer on band "
    "statistics. The linear classifier is logistic regression on band statistics. The table gives the "
    "accuracy of both on real held-out clips, balanced over the genres; shares and probabilities in this "
    "report are no more reliable than that. Below 6 kHz only: everything above is removed. With noise: "
    f"{NOISE_BELOW_DB:g} dB below each clip's maximum, in every band. The calibration error is the mean "
    "difference between predicted probabilities and observed shares in ten bins; it is larger for few clips."
)
CLASSIFIER_LABELS = {"genre_classifier": "genre classifier", "linear": "linear classifier"}
DISTANCE_LABELS = {FRECHET: "Frechet distance", KERNEL: "kernel distance", KAD: "kernel audio distance (KAD)"}
TITLES = {
    STYLE: "Style: does it sound like the target genre?",
    CONTENT: "Content: is it still the same piece?",
    ARTEFACT: "Artefacts: is the sound clean?",
}


def metrics_section(evaluated: EvaluationData) -> Section:
    """Return a figure and three tables for each direction; report.json also keeps the values of each clip."""
    rules = summary_rules(evaluated.metrics)
    section = Section("metrics", "Style, content and artefacts", [EXPLANATION, DISTANCES_EXPLANATION, rules])
    for direction, scores in zip(evaluated.directions, evaluated.direction_scores, strict=True):
        name = str(direction)
        section.paragraphs += [text for text in scores.missing if text not in section.paragraphs]
        ordered = [metric for group in GROUPS for metric in scores.metrics if metric.group == group]
        bars = {m.label.format(target=scores.target): bar for m in ordered if (bar := _bar(scores, m))}
        if bars:
            figure = relative_bars(bars, f"{name}: 0 % is the floor, 100 % the ceiling")
            caption = f"{name}. Position of the translation between floor and ceiling, with 95 % intervals."
            section.images.append(
                encode_figure(figure, f"Metrics of {name} between floor and ceiling", caption)
            )
        section.tables += [_table(scores, group, name) for group in TITLES]
        if scores.distances:
            section.tables.append(_distance_table(scores, name))
        section.numbers[name] = score_numbers(scores) | {"clips": clip_table(direction, scores)}
    classifiers = {
        kind: classifier
        for kind, classifier in (
            ("genre_classifier", evaluated.classifiers.classifier),
            ("linear", evaluated.classifiers.linear),
        )
        if classifier is not None
    }
    if classifiers:
        section.numbers["classifiers"] = {kind: _reliability(c) for kind, c in classifiers.items()}
        section.paragraphs.append(CLASSIFIERS_EXPLANATION)
        section.tables.append(_classifier_table(classifiers))
    return section


def clip_table(direction: DirectionResult, scores: DirectionScores) -> dict[str, Any]:
    """Return the origin and the metrics of each translated clip, in columns; `paired` likewise.

    Every run on a corpus has the same clips in the same order, so runs can be compared clip by clip.
    """
    columns: dict[str, Any] = {
        "clip_id": [clip.clip_id for clip in scores.clips],
        "track": [clip.track for clip in scores.clips],
        "source": [clip.source for clip in scores.clips],
        "start_s": [clip.start_s for clip in scores.clips],
        "score": clip_scores(scores).tolist(),
        **{f"{name}_db": values for name, values in direction.reconstruction_errors_db().items()},
        **{name: values.tolist() for name, values in scores.by_candidate[MODEL].items()},
    }
    paired = {
        "clip_id": [pair.clip.clip_id for pair in direction.paired],
        "track": [str(pair.clip.score) for pair in direction.paired],
        "start_s": [pair.clip.start_s for pair in direction.paired],
        "error_db": [mean_abs_db(pair.fake_db, pair.truth_db) for pair in direction.paired],
        "untouched_error_db": [mean_abs_db(pair.real_db, pair.truth_db) for pair in direction.paired],
    }
    return {**columns, "paired": paired}


def _reliability(classifier: GenreClassifier) -> dict[str, Any]:
    return {
        **{key: getattr(classifier, key).to_dict() for key in ACCURACIES},
        "reliability": dataclasses.asdict(classifier.reliability),
        "calibration_error": classifier.reliability.error,
        "temperature": classifier.temperature,
    }


def _classifier_table(classifiers: dict[str, GenreClassifier]) -> Table:
    """Return the accuracy of the classifiers on real held-out clips, and their calibration error."""
    rows = []
    for kind, classifier in classifiers.items():
        error = f"{100 * classifier.reliability.error:.1f} % (n = {classifier.reliability.n})"
        accuracies = (_format_percent(getattr(classifier, key)) for key in ACCURACIES)
        rows.append([CLASSIFIER_LABELS[kind], *accuracies, error])
    header = [
        "",
        "accuracy",
        "below 6 kHz only",
        f"with noise at -{NOISE_BELOW_DB:g} dB",
        "calibration error",
    ]
    return Table("Accuracy of the classifiers on real clips", header, rows)


def position(value: float, floor: float, ceiling: float) -> float | None:
    """Return the position of a value between floor (0) and ceiling (1); None where both are equal."""
    span = ceiling - floor
    return (value - floor) / span if abs(span) > 1e-6 * max(abs(ceiling), abs(floor), 1e-6) else None


def _format_percent(accuracy: Estimate) -> str:
    return f"{100 * accuracy.mean:.1f} % ({100 * accuracy.low:.1f} to {100 * accuracy.high:.1f})"


def _bar(scores: DirectionScores, metric: MetricSpec) -> tuple[float, float, float] | None:
    """Return the position of the translation with its interval; None where floor and ceiling overlap."""
    value, floor, ceiling = (
        scores.estimate(name, metric.name) for name in (MODEL, metric.floor, metric.ceiling)
    )
    if metric.group == ARTEFACT or not (value and floor and ceiling) or floor.overlaps(ceiling):
        return None
    mean, low, high = (position(x, floor.mean, ceiling.mean) for x in (value.mean, value.low, value.high))
    if mean is None:
        return None
    return mean, mean if low is None else low, mean if high is None else high


def format_estimate(metric: MetricSpec, value: Estimate | None) -> str:
    """Format mean and interval for readers."""
    if value is None:
        return "-"
    text = metric.format_value(value.mean)
    is_known = value.low == value.low
    return (
        f"{text} ({metric.format_value(value.low)} to {metric.format_value(value.high)})"
        if is_known
        else text
    )


def _table(scores: DirectionScores, group: str, name: str) -> Table:
    rows = []
    baselines = [key for key in CANDIDATES if key not in (MODEL, UNTOUCHED) and key in scores.by_candidate]
    for metric in (m for m in scores.metrics if m.group == group):
        estimates = {key: scores.estimate(key, metric.name) for key in REFERENCES}
        if not any(estimates.values()):
            continue
        floor, ceiling = estimates[metric.floor], estimates[metric.ceiling]
        unit = f", {metric.unit}" if metric.unit else ""
        rows.append(
            [
                metric.label.format(target=scores.target) + unit,
                _format_end(metric, floor, metric.floor),
                format_estimate(metric, estimates[MODEL]),
                _format_end(metric, ceiling, metric.ceiling),
                *(metric.format_value(value.mean) if (value := estimates[key]) else "-" for key in baselines),
            ]
        )
    header = ["", "floor", "translation", "ceiling", *(CANDIDATES[key] for key in baselines)]
    return Table(f"{TITLES[group]} {name}, {len(scores.clips)} clips", header, rows)


def _format_end(metric: MetricSpec, value: Estimate | None, name: str) -> str:
    return f"{metric.format_value(value.mean)} ({REFERENCES[name]})" if value else "-"


def _distance_table(scores: DirectionScores, name: str) -> Table:
    rows = []
    computed = {key for kinds in scores.distances.values() for values in kinds.values() for key in values}
    baselines = [key for key in CANDIDATES if key in computed - {MODEL, UNTOUCHED}]
    for embedding, kinds in scores.distances.items():
        for kind, values in kinds.items():
            label = CLASSIFIER_LABELS["genre_classifier"] if embedding == CLASSIFIER else embedding
            cells = [format_distance(values[key]) for key in (UNTOUCHED, MODEL, REAL_TARGET)]
            others = (f"{values[key].mean:.3g}" if key in values else "-" for key in baselines)
            rows.append([f"{DISTANCE_LABELS[kind]}, {label}", *cells, *others])
    header = ["", "floor", "translation", "ceiling", *(CANDIDATES[key] for key in baselines)]
    return Table(f"Distance to {scores.target}: {name}", header, rows)


def format_distance(value: Estimate) -> str:
    """Format a distance with its interval for readers; a dash for NaN."""
    if math.isnan(value.mean):
        return "-"
    return f"{value.mean:.3g} ({value.low:.3g} to {value.high:.3g})"


def score_numbers(scores: DirectionScores) -> dict[str, Any]:
    """Return estimates by metric and candidate with the position, distances, and what is missing."""
    out: dict[str, Any] = {}
    for metric in scores.metrics:
        estimates = {key: value for key in REFERENCES if (value := scores.estimate(key, metric.name))}
        if not estimates:
            continue
        out[metric.name] = {key: value.to_dict() for key, value in estimates.items()}
        out[metric.name]["ends"] = {"floor": metric.floor, "ceiling": metric.ceiling}
        if MODEL in estimates and metric.floor in estimates and metric.ceiling in estimates:
            ends = estimates[metric.floor].mean, estimates[metric.ceiling].mean
            out[metric.name]["position"] = position(estimates[MODEL].mean, *ends)
    distances = {
        embedding: {kind: {key: v.to_dict() for key, v in values.items()} for kind, values in kinds.items()}
        for embedding, kinds in scores.distances.items()
    }
    return {"metrics": out, "distances": distances, "missing": scores.missing}
