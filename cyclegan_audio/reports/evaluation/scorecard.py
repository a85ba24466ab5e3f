"""Scorecard of a direction: does the genre move, do drums, harmony and bass stay, is the sound clean?"""

import math
from collections.abc import Callable

from cyclegan_audio.metrics.metric_spec import (
    MODEL,
    REAL_TARGET,
    REFERENCES,
    TAGGER_SHARE,
    UNTOUCHED,
    MetricSpec,
)
from cyclegan_audio.metrics.summary_rules import CHECKERBOARD_DB, NOISE_DB, PRESERVED_FROM, VOCODER_ERROR_DB
from cyclegan_audio.reports.evaluation.metric_tables import format_estimate, position
from cyclegan_audio.reports.evaluation.scoring import DirectionScores
from cyclegan_audio.reports.evaluation.summary import (
    CHANGES,
    PARTLY,
    STAYS,
    UNJUDGED,
    UNTOLD,
    has_few_tracks,
    style_verdict,
    tagger_confirms,
)
from cyclegan_audio.reports.html import FAIR, GOOD, POOR, UNKNOWN, Score
from cyclegan_audio.statistics.estimates import Estimate

Place = tuple[float, float, float]  # of a value, and of the ends of its interval: 0 floor, 1 ceiling

GENRE, CLEAN = "Genre moves", "Sound is clean"
PRESERVED = {"onset_f1": "Drums stay", "chroma": "Harmony stays", "bass": "Bass stays"}
YES, PROBABLY, PROBABLY_NOT, NO = "yes", "probably", "probably not", "no"
TONES = {YES: GOOD, PROBABLY: FAIR, PROBABLY_NOT: FAIR, NO: POOR}
FEW_TRACKS = "cannot be told from this few tracks"
ONE_JUDGE, PARTLY_MOVES, NO_JUDGE = "for one judge of two", "partly", "no judge"
STYLE_VERDICTS = {
    CHANGES: (YES, GOOD),
    PARTLY: (PARTLY_MOVES, FAIR),
    STAYS: (NO, POOR),
    UNTOLD: (FEW_TRACKS, UNKNOWN),
    UNJUDGED: (NO_JUDGE, UNKNOWN),
}
JUDGES = (
    "A classifier that learnt {source} and {target} from this corpus decides, together with the distance "
    "to real {target}. The independent tagger, which others trained on other music, has to agree "
    "where it is installed."
)
ONLY_TAGGER = "The independent tagger decides, which others trained on other music."
BARS = {
    TAGGER_SHARE: "The bar shows how far the independent tagger hears the clips move",
    "genre_classifier": "The bar shows how many clips the classifier takes for {target}",
}
HEARD = {
    "onset_f1": "How many notes and drum hits are still where they were, within a twentieth of a second",
    "chroma": "How alike chords and melodies of input and translation are, whichever instruments play",
    "bass": "How alike input and translation move below 250 Hz",
}
CLEAN_LIMIT = 0.5  # place of a fault that reaches its limit
CLEAN_DEFINITION = (
    "The worst of these faults counts: {faults}. At 100 % there is no fault, at 50 % it reaches the limit "
    "from which this report names it, at 0 % it is twice as large."
)


def scorecard(scores: DirectionScores) -> list[Score]:
    """Return the lines that can be computed."""
    lines = [genre_score(scores), *(preserved_score(scores, name) for name in PRESERVED), clean_score(scores)]
    return [line for line in lines if line is not None]


def genre_score(scores: DirectionScores) -> Score:
    """Judge whether the genre moves: the genre classifier decides, the independent tagger confirms."""
    verdict, tone = _genre_verdict(scores)
    genres = {"source": scores.source, "target": scores.target}
    has_classifier = scores.estimate(MODEL, "genre_classifier") is not None
    definition, place = JUDGES.format(**genres) if has_classifier else ONLY_TAGGER, None
    shown = next((name for name in BARS if scores.estimate(MODEL, name)), None)
    if shown is not None:
        metric = _metric(scores, shown)
        place = metric_place(scores, metric)
        definition = f"{definition} {BARS[shown].format(**genres)}: {_values(scores, metric)}."
    ends = f"untouched {scores.source}", f"real {scores.target}"
    return _score(GENRE, verdict, tone, definition, place, ends, None)


def _genre_verdict(scores: DirectionScores) -> tuple[str, str]:
    style, confirmed = style_verdict(scores), tagger_confirms(scores)
    if style == UNJUDGED:
        by_tagger = {None: UNJUDGED, True: CHANGES, False: STAYS}
        style = UNTOLD if has_few_tracks(scores) else by_tagger[confirmed]
    if (style == CHANGES and confirmed is False) or (style == STAYS and confirmed):
        return ONE_JUDGE, FAIR
    return STYLE_VERDICTS[style]


def preserved_score(scores: DirectionScores, name: str) -> Score | None:
    """Judge whether the translation keeps a property of its input; None where it was not computed."""
    value, limit = scores.estimate(MODEL, name), PRESERVED_FROM[name]
    if value is None:
        return None
    metric = _metric(scores, name)
    verdict = judge(value, limit)
    limit_text = f"yes from {metric.format_value(limit)} up"
    definition = f"{HEARD[name]} ({metric.label}): {_values(scores, metric)}; {limit_text}."
    place, ends = metric_place(scores, metric), _ends_of(scores, metric)
    limit_place = position(limit, *ends) if ends else None
    return _score(
        PRESERVED[name],
        verdict,
        TONES[verdict],
        definition,
        place,
        ("another piece", "the input"),
        limit_place,
    )


def clean_score(scores: DirectionScores) -> Score | None:
    """Judge the worst fault of the sound relative to its limit; None where none was computed."""
    faults = {name: fault for name, find in FAULTS.items() if (fault := find(scores)) is not None}
    if not faults:
        return None
    worst = min(faults, key=lambda name: faults[name].mean)
    value = faults[worst]
    verdict = judge(value, CLEAN_LIMIT)
    listed = ", ".join(f"{name} {100 * fault.mean:.0f} %" for name, fault in faults.items())
    place = value.mean, value.low, value.high
    ends = "twice the limit", "no fault"
    return _score(
        CLEAN, verdict, TONES[verdict], CLEAN_DEFINITION.format(faults=listed), place, ends, CLEAN_LIMIT
    )


def _excess(
    name: str, references: tuple[str, ...], limit: float
) -> Callable[[DirectionScores], Estimate | None]:
    """Return a function that places the excess over the highest reference: 1 for none, 0.5 at the limit."""

    def find(scores: DirectionScores) -> Estimate | None:
        value = scores.estimate(MODEL, name)
        known = [one.mean for key in references if (one := scores.estimate(key, name))]
        if value is None or (references and not known):
            return None
        base = max(known, default=0.0)
        mean, high, low = (
            1 - max(one - base, 0.0) / limit * (1 - CLEAN_LIMIT)
            for one in (value.mean, value.low, value.high)
        )
        return Estimate(mean, math.nan, low, high, value.n, value.groups)

    return find


FAULTS = {
    "checkerboard": _excess("checkerboard_db", (UNTOUCHED,), CHECKERBOARD_DB),
    "noise in quiet passages": _excess("noise_floor_db", (UNTOUCHED, REAL_TARGET), NOISE_DB),
    "errors of the vocoder": _excess("vocoder_error_db", (), VOCODER_ERROR_DB),
}


def judge(value: Estimate, limit: float) -> str:
    """Judge a value that should be at least `limit`; probably if the interval contains it or is unknown."""
    if value.mean >= limit:
        return YES if value.low >= limit else PROBABLY
    return NO if value.high < limit else PROBABLY_NOT


def metric_place(scores: DirectionScores, metric: MetricSpec) -> Place | None:
    """Return the place of the translation between floor and ceiling; None where both are equal or unknown."""
    value, ends = scores.estimate(MODEL, metric.name), _ends_of(scores, metric)
    if value is None or ends is None:
        return None
    places = [position(one, *ends) for one in (value.mean, value.low, value.high)]
    mean, low, high = (math.nan if place is None else place for place in places)
    return (mean, min(low, high), max(low, high)) if math.isfinite(mean) else None


def _ends_of(scores: DirectionScores, metric: MetricSpec) -> tuple[float, float] | None:
    floor, ceiling = (scores.estimate(end, metric.name) for end in (metric.floor, metric.ceiling))
    return (floor.mean, ceiling.mean) if floor and ceiling else None


def _metric(scores: DirectionScores, name: str) -> MetricSpec:
    return next(metric for metric in scores.metrics if metric.name == name)


def _values(scores: DirectionScores, metric: MetricSpec) -> str:
    """Return the values of translation, floor and ceiling in words."""
    unit = f" {metric.unit}" if metric.unit else ""
    value = f"{format_estimate(metric, scores.estimate(MODEL, metric.name))}{unit}"
    ends = [
        f"{REFERENCES[key]} {metric.format_value(end.mean)}{unit}"
        for key in (metric.floor, metric.ceiling)
        if (end := scores.estimate(key, metric.name))
    ]
    return "; ".join([value, *ends])


def _score(
    name: str,
    verdict: str,
    tone: str,
    definition: str,
    place: Place | None,
    ends: tuple[str, str],
    limit: float | None,
) -> Score:
    if place is None:
        return Score(name, verdict, tone, definition)
    return Score(name, verdict, tone, definition, place, ends, limit, percent(place))


def percent(place: Place) -> str:
    """Format a place with its interval in %."""
    mean, low, high = (f"{100 * one:z.0f}" for one in place)
    return f"{mean} %" + (f" ({low} to {high})" if math.isfinite(place[1]) else "")
