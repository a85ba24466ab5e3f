"""The numbers of the three questions: does the genre move, does the piece stay, does it sound whole."""

import dataclasses
from typing import Any

from cyclegan_audio.metrics.distances import FRECHET, KERNEL
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
from cyclegan_audio.reports.evaluation.classifiers import CLASSIFIER
from cyclegan_audio.reports.evaluation.per_clip import clip_table
from cyclegan_audio.reports.evaluation.scoring import Measured
from cyclegan_audio.reports.evaluation.summary import thresholds
from cyclegan_audio.reports.evaluation.translations import EvaluationData
from cyclegan_audio.reports.figures.relative_bars import relative_bars
from cyclegan_audio.reports.html import Section, Table, encode_figure
from cyclegan_audio.statistics.estimates import Estimate

HOW = (
    "Every number stands between two ends: what it would be had nothing been done (floor), and what it would "
    "be at best (ceiling). For the genre these are the input untouched and held-out clips of the target "
    "genre; for the piece another piece of the source genre, and the input itself. The same is said of four "
    "others: an equaliser that moves each band's mean and spread to the target's, the nearest real clip of "
    "the target genre, the input re-made by the vocoder from its mel alone, and the translation after the "
    "vocoder, as it is heard. In brackets: 95 % intervals over tracks."
)
DISTANCES = (
    "Distances are to the target's training clips; their ceiling is what held-out clips of the target keep "
    "from them, which is about 0. Band statistics are an embedding that nobody taught genres; the classifier's is "
    "its hidden layers. Both are turned to 16 principal components. Values are without the bias of few clips "
    "(jackknife over tracks), so that they may fall below 0."
)
TRUST = (
    "The classifier is a small network trained on the corpus's training split alone, apart from any CycleGAN: "
    "convolutions over the mel, and a layer on statistics of its bands, whose verdicts are added. The linear "
    "classifier is logistic regression on such statistics. Below stands what both say of real held-out clips of "
    "both genres, balanced over genres: no share or probability that they give means more than this. Below 6 "
    f"kHz only: all above is cut off. Noise: in every band, {NOISE_BELOW_DB:g} dB under each clip's loudest point. "
    "The calibration error is the mean distance between the probabilities given and the shares found, in ten "
    "bins; few clips make it larger."
)
CLASSIFIERS = {"genre_classifier": "genre_classifier", "linear": "linear classifier"}
NAMES = {FRECHET: "Frechet distance", KERNEL: "kernel distance"}
TITLES = {STYLE: "Does the genre move", CONTENT: "Does the piece stay", ARTEFACT: "Does it sound whole"}


def measures_section(evaluated: EvaluationData) -> Section:
    """Show a figure and three tables for each direction; report.json also holds every clip's numbers."""
    section = Section(
        "measures", "What moved and what stayed", [HOW, DISTANCES, thresholds(evaluated.metrics)]
    )
    for way, measured in zip(evaluated.directions, evaluated.measured, strict=True):
        name = str(way)
        section.paragraphs += [text for text in measured.missing if text not in section.paragraphs]
        ordered = [metric for group in GROUPS for metric in measured.metrics if metric.group == group]
        bars = {m.label.format(target=measured.target): bar for m in ordered if (bar := _bar(measured, m))}
        if bars:
            figure = relative_bars(bars, f"{name}: 0 % is the floor, 100 % the ceiling")
            caption = f"{name}. Where the translation stands between floor and ceiling, with 95 % intervals."
            section.images.append(
                encode_figure(figure, f"Measures of {name} between floor and ceiling", caption)
            )
        section.tables += [_table(measured, group, name) for group in TITLES]
        if measured.distances:
            section.tables.append(_distance_table(measured, name))
        section.numbers[name] = _numbers(measured) | {"clips": clip_table(way, measured)}
    for kind, classifier in _classifiers(evaluated).items():
        section.numbers.setdefault("classifiers", {})[kind] = {
            **{key: getattr(classifier, key).to_dict() for key in ACCURACIES},
            "reliability": dataclasses.asdict(classifier.reliability),
            "calibration_error": classifier.reliability.error,
            "temperature": classifier.temperature,
        }
    if classifiers := _classifiers(evaluated):
        section.paragraphs.append(TRUST)
        section.tables.append(_trust_table(classifiers))
    return section


def _classifiers(evaluated: EvaluationData) -> dict[str, GenreClassifier]:
    both = {"genre_classifier": evaluated.classifiers.classifier, "linear": evaluated.classifiers.linear}
    return {kind: classifier for kind, classifier in both.items() if classifier is not None}


def _trust_table(classifiers: dict[str, GenreClassifier]) -> Table:
    """What the classifiers get right on real held-out clips, and how far their probabilities are off."""
    rows = []
    for kind, classifier in classifiers.items():
        error = f"{100 * classifier.reliability.error:.1f} % (n = {classifier.reliability.n})"
        rows.append([CLASSIFIERS[kind], *(_percent(getattr(classifier, key)) for key in ACCURACIES), error])
    header = ["", "right", "below 6 kHz only", f"with noise at -{NOISE_BELOW_DB:g} dB", "calibration error"]
    return Table("How far the classifiers can be trusted", header, rows)


def position(value: float, floor: float, ceiling: float) -> float | None:
    """Place a value between floor (0) and ceiling (1); None where these are the same."""
    span = ceiling - floor
    return (value - floor) / span if abs(span) > 1e-6 * max(abs(ceiling), abs(floor), 1e-6) else None


def _percent(accuracy: Estimate) -> str:
    return f"{100 * accuracy.mean:.1f} % ({100 * accuracy.low:.1f} to {100 * accuracy.high:.1f})"


def _bar(measured: Measured, measure: MetricSpec) -> tuple[float, float, float] | None:
    """Position of the translation with its interval; None where the two ends cannot be told apart."""
    value, floor, ceiling = (
        measured.estimate(name, measure.name) for name in (MODEL, measure.floor, measure.ceiling)
    )
    if measure.group == ARTEFACT or not (value and floor and ceiling) or floor.overlaps(ceiling):
        return None
    places = [position(x, floor.mean, ceiling.mean) for x in (value.mean, value.low, value.high)]
    if places[0] is None:
        return None
    return places[0], places[1] or places[0], places[2] or places[0]


def shown(measure: MetricSpec, value: Estimate | None) -> str:
    """Format mean and interval for readers."""
    if value is None:
        return "-"
    text = measure.format_value(value.mean)
    return (
        text
        if value.low != value.low
        else f"{text} ({measure.format_value(value.low)} to {measure.format_value(value.high)})"
    )


def _table(measured: Measured, group: str, name: str) -> Table:
    rows = []
    others = [key for key in CANDIDATES if key not in (MODEL, UNTOUCHED) and key in measured.scores]
    for measure in (m for m in measured.metrics if m.group == group):
        found = {key: measured.estimate(key, measure.name) for key in REFERENCES}
        if not any(found.values()):
            continue
        floor, ceiling = found[measure.floor], found[measure.ceiling]
        unit = f", {measure.unit}" if measure.unit else ""
        rows.append(
            [
                measure.label.format(target=measured.target) + unit,
                _end(measure, floor, measure.floor),
                shown(measure, found[MODEL]),
                _end(measure, ceiling, measure.ceiling),
                *(measure.format_value(value.mean) if (value := found[key]) else "-" for key in others),
            ]
        )
    header = ["", "floor", "translation", "ceiling", *(CANDIDATES[key] for key in others)]
    return Table(f"{TITLES[group]}? {name}, {len(measured.clips)} clips", header, rows)


def _end(measure: MetricSpec, value: Estimate | None, name: str) -> str:
    return f"{measure.format_value(value.mean)} ({REFERENCES[name]})" if value else "-"


def _distance_table(measured: Measured, name: str) -> Table:
    rows = []
    for embedding, kinds in measured.distances.items():
        for kind, values in kinds.items():
            taught = "the genre classifier" if embedding == CLASSIFIER else embedding
            cells = [_distance(values[key]) for key in (UNTOUCHED, MODEL, REAL_TARGET)]
            others = [
                f"{values[key].mean:.3g}"
                for key in CANDIDATES
                if key in values and key not in (MODEL, UNTOUCHED)
            ]
            rows.append([f"{NAMES[kind]}, {taught}", *cells, *others])
    named = [CANDIDATES[key] for key in CANDIDATES if key not in (MODEL, UNTOUCHED) and key in values]
    return Table(
        f"How far from {measured.target}? {name}", ["", "floor", "translation", "ceiling", *named], rows
    )


def _distance(value: Estimate) -> str:
    return f"{value.mean:.3g} ({value.low:.3g} to {value.high:.3g})"


def _numbers(measured: Measured) -> dict[str, Any]:
    """Estimates by measure and candidate, with position; distances; what is missing."""
    out: dict[str, Any] = {}
    for measure in measured.metrics:
        found = {key: value for key in REFERENCES if (value := measured.estimate(key, measure.name))}
        if not found:
            continue
        out[measure.name] = {key: value.to_dict() for key, value in found.items()}
        out[measure.name]["ends"] = {"floor": measure.floor, "ceiling": measure.ceiling}
        if MODEL in found and measure.floor in found and measure.ceiling in found:
            ends = found[measure.floor].mean, found[measure.ceiling].mean
            out[measure.name]["position"] = position(found[MODEL].mean, *ends)
    distances = {
        embedding: {kind: {key: v.to_dict() for key, v in values.items()} for kind, values in kinds.items()}
        for embedding, kinds in measured.distances.items()
    }
    return {"measures": out, "distances": distances, "missing": measured.missing}
