"""Section of the independent tagger: style against content, and the tags that rose and fell."""

from collections.abc import Mapping
from typing import Any

from cyclegan_audio.metrics.distances import KAD
from cyclegan_audio.metrics.metric_spec import (
    MATCHED_MOMENTS,
    MODEL,
    OTHER_PIECE,
    REAL_TARGET,
    REFERENCES,
    TAGGER_SHARE,
    UNTOUCHED,
    VOCODED_SOURCE,
)
from cyclegan_audio.metrics.tagger.tagger import TAGS
from cyclegan_audio.reports.evaluation.classifiers import TAGGER
from cyclegan_audio.reports.evaluation.metric_tables import format_distance, format_estimate, score_numbers
from cyclegan_audio.reports.evaluation.scoring import DirectionScores, mean_over_tracks
from cyclegan_audio.reports.evaluation.translations import EvaluationData
from cyclegan_audio.reports.figures.style_content import Interval, Panel, Point, style_content_figure
from cyclegan_audio.reports.html import Image, Section, Table, encode_figure

N_SHOWN = 5  # tags that rose most, and as many that fell most
CONTENT_METRICS = {"chroma": "harmony (chroma)", "onset_f1": "onsets (F1)"}
STYLE_LABEL = "style moved, % of the way"
CHANGE = "change"
COLUMNS = (UNTOUCHED, MODEL, MATCHED_MOMENTS, REAL_TARGET)
EXPLANATION = (
    "The independent tagger is musicnn (Pons and Serra 2019), a network that others trained on 200,000 "
    "songs to predict 50 tags. It takes no part in training, so a model cannot learn to please it. It "
    "hears the sound after the vocoder, every clip at the same loudness. The share of the way is the "
    "place of a clip in its embedding between the mean of the source genre's training clips (0 %) and "
    "that of the target genre's (100 %). Single clips scatter widely around the mean of their genre, so "
    "trust only means over many tracks. Damage can lie in the direction of the target: trust a share only "
    "if the distance to the target (KAD) falls, too. The tagger hardly hears faint noise, what is above 8 "
    "kHz, or whether it is still the same piece (experiments/005_paper_results)."
)
FIGURE_CAPTION = (
    "Style moved (independent tagger) over content kept. A good translation lies at the top right: as far as "
    "real clips of the target genre, which are other pieces, with the content of the input. Style is that of "
    "the sound after the vocoder, content that of the mel before it. Lines: 95 % intervals over tracks."
)
NO_TAGGER = "The independent tagger did not hear this run; the section on style gives the reason."


def tagger_section(evaluated: EvaluationData) -> Section:
    """Return a figure of style over content, and the tags before and after for each direction."""
    section = Section("tagger", "Independent tagger: style against content", [EXPLANATION])
    scores = [one for one in evaluated.direction_scores if one.tagged]
    if not scores:
        section.missing = NO_TAGGER
        return section
    numbers = {f"{one.source} to {one.target}": score_numbers(one)["metrics"] for one in scores}
    section.images += style_content_images(
        [
            panel
            for name, metrics in numbers.items()
            for panel in panels(name, metrics, {"translation": [metrics]})
        ]
    )
    for name, one in zip(numbers, scores, strict=True):
        section.tables.append(_share_table(name, one))
        if tags := tag_numbers(one):
            section.numbers[name] = {"tags": tags}
            section.tables.append(_tag_table(name, tags))
    return section


def panels(
    direction: str, metrics: Mapping[str, Any], runs: Mapping[str, list[Mapping[str, Any]]]
) -> list[Panel]:
    """Return a panel for each content metric that is known.

    Args:
        direction: `lofi to trap`.
        metrics: metric to candidate to estimate, as in report.json, for the landmarks.
        runs: label to the same numbers of one or more runs.
    """
    out = []
    for content, label in CONTENT_METRICS.items():
        series = {
            name: [p for of_run in of_name if (p := _point(of_run, content, MODEL))]
            for name, of_name in runs.items()
        }
        series = {name: points for name, points in series.items() if points}
        landmarks = {
            REFERENCES[key]: point
            for key in (UNTOUCHED, MATCHED_MOMENTS, REAL_TARGET)
            if (point := _point(metrics, content, key))
        }
        if series:
            out.append(Panel(direction, label, series, landmarks))
    return out


def style_content_images(all_panels: list[Panel]) -> list[Image]:
    """Return the figure of the panels; an empty list without any."""
    if not all_panels:
        return []
    figure = style_content_figure(all_panels, STYLE_LABEL)
    return [encode_figure(figure, "Style moved over content kept", FIGURE_CAPTION)]


def _point(metrics: Mapping[str, Any], content: str, candidate: str) -> Point | None:
    """Return style and content of a candidate; the content of real clips is that of another piece."""
    kept = metrics.get(content, {}).get(OTHER_PIECE if candidate == REAL_TARGET else candidate)
    moved = metrics.get(TAGGER_SHARE, {}).get(candidate)
    if any(value is None or value["mean"] is None for value in (kept, moved)):
        return None
    return Point(_interval(kept), _interval(moved))


def _interval(value: Mapping[str, Any]) -> Interval:
    low, high = (float("nan") if value.get(key) is None else float(value[key]) for key in ("low", "high"))
    return Interval(float(value["mean"]), low, high)


def _share_table(name: str, scores: DirectionScores) -> Table:
    """Return the share of the way and the KAD of each candidate, which belong together."""
    distances = scores.distances.get(TAGGER, {}).get(KAD, {})
    metric = next(metric for metric in scores.metrics if metric.name == TAGGER_SHARE)
    rows = [
        [
            REFERENCES[key],
            format_estimate(metric, scores.estimate(key, TAGGER_SHARE)),
            format_distance(distances[key]) if key in distances else "-",
        ]
        for key in (UNTOUCHED, MODEL, MATCHED_MOMENTS, VOCODED_SOURCE, REAL_TARGET)
        if key in scores.tagged
    ]
    header = ["", "share of the way, % (95 %)", f"KAD to {scores.target} (95 %)"]
    return Table(f"Independent tagger: {name}", header, rows)


def tag_numbers(scores: DirectionScores) -> dict[str, dict[str, Any]]:
    """Return for each tag its mean probability by candidate, and its change with an interval over tracks.

    Clips whose translation is not finite are left out; empty if all are.
    """
    out: dict[str, dict[str, Any]] = {}
    tagged = scores.tagged
    for number, tag in enumerate(TAGS):
        change = (tagged[MODEL].tags[:, number] - tagged[UNTOUCHED].tags[:, number]).double().numpy()
        estimate = mean_over_tracks(change, scores.clips)
        if estimate is None:
            return {}
        means = {key: float(sounds.tags[:, number].nanmean()) for key, sounds in tagged.items()}
        out[tag] = {**means, CHANGE: estimate.clamp(-1.0, 1.0).to_dict()}
    return out


def _tag_table(name: str, tags: Mapping[str, Mapping[str, Any]]) -> Table:
    ordered = sorted(tags, key=lambda tag: tags[tag][CHANGE]["mean"], reverse=True)
    shown = [*ordered[:N_SHOWN], *ordered[-N_SHOWN:]]
    rows = []
    for tag in shown:
        change = tags[tag][CHANGE]
        interval = (
            "" if change["low"] is None else f" ({100 * change['low']:+z.0f} to {100 * change['high']:+z.0f})"
        )
        cells = {key: f"{100 * tags[tag][key]:.0f}" for key in COLUMNS}
        rows.append([tag, *cells.values(), f"{100 * change['mean']:+z.0f}{interval}"])
    header = ["probability in %", *(REFERENCES[key] for key in COLUMNS), "change by the translation (95 %)"]
    return Table(f"Tags that rose and fell most: {name}", header, rows)
