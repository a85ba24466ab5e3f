"""First lines of a report: its numbers as sentences, and the rules behind each sentence."""

import math
from collections.abc import Mapping, Sequence
from functools import partial

from cyclegan_audio.metrics.distances import KAD, KERNEL
from cyclegan_audio.metrics.metric_spec import (
    MATCHED_MOMENTS,
    MODEL,
    REAL_TARGET,
    TAGGER_SHARE,
    UNTOUCHED,
    MetricSpec,
)
from cyclegan_audio.metrics.paired_error import MATCHED_MEAN, MIN_RELATIVE_GAIN, RHYTHM_ABOVE_HZ, PairedScores
from cyclegan_audio.reports.evaluation.classifiers import STATISTICS, TAGGER
from cyclegan_audio.reports.evaluation.scoring import DirectionScores
from cyclegan_audio.statistics.estimates import Estimate

LABELLED_SHARE = 0.5  # of clips that the genre classifier labels as the target genre
DISTANCE_REDUCTION = 0.25  # of the kernel distance that the translation takes away
MIN_TRACKS = 3  # held-out tracks of each genre, below which no verdict on the style is given
CHANCE = 0.5  # balanced accuracy of a classifier that guesses
STYLE_RULE = (
    "Rules of the first lines. The style changes if the genre classifier labels more than "
    f"{100 * LABELLED_SHARE:g} % of the translated clips as the target genre and the kernel distance by "
    f"band statistics falls by {100 * DISTANCE_REDUCTION:g} % or more. It changes partly if one of them "
    "reaches half of that. It cannot be told from fewer than "
    f"{MIN_TRACKS} held-out tracks of a genre, nor where the 95 % interval of the classifier's accuracy on "
    f"real clips reaches {100 * CHANCE:g} %, chance."
)
CHANGES, PARTLY, STAYS, UNTOLD, UNJUDGED = "changes", "partly", "stays", "untold", "unjudged"
STYLE_PHRASES = {
    CHANGES: "the style changes",
    PARTLY: "the style changes partly",
    STAYS: "the style does not change",
    UNTOLD: "whether the style changes cannot be told from these tracks",
}
TAGGER_GAIN = 0.25  # of the way between the genres
TAGGER_RULE = (
    "The independent tagger confirms a change if the translation moves by at least "
    f"{100 * TAGGER_GAIN:g} % of the way from the source genre to the target genre, its KAD falls by "
    f"{100 * DISTANCE_REDUCTION:g} % or more, and both are better than the equaliser's. Damage can lie in "
    "the direction of the target, but then the KAD does not fall."
)
RHYTHM_NAME = f"rhythm above {RHYTHM_ABOVE_HZ / 1000:g} kHz"
GROUND_TRUTH_RULES = (
    "The translation beats the untouched input if the 95 % interval of the paired difference of errors is "
    f"above 0 and the error is at least {100 * MIN_RELATIVE_GAIN:g} % smaller. It acts as a filter if "
    "an equaliser would do as well: the 95 % interval of the paired difference to the matched-mean baseline "
    f"is not above 0 in the {RHYTHM_NAME} (mels from which each band's mean over the clip is subtracted)."
)


def ground_truth_summary(scores: Mapping[str, PairedScores]) -> str:
    """Return one line on the paired scores, the worst direction first.

    Args:
        scores: direction (`lofi to trap`) to scores; empty where the corpus has no paired clips.
    """
    if not scores:
        return "No comparison with a ground truth: the corpus has no paired clips (the demo songs have)."
    return " ".join(
        _ground_truth_sentence(name, value)
        for name, value in sorted(scores.items(), key=lambda item: _rank(item[1]))
    )


def _rank(scores: PairedScores) -> int:
    """Return 0 for a filter, 1 for what does not beat the untouched input, 2 for what beats both."""
    if not scores.beats_filter:
        return 0
    return 2 if scores.beats_untouched else 1


def _ground_truth_sentence(name: str, scores: PairedScores) -> str:
    error, untouched = (scores.error_db[key].mean for key in (MODEL, UNTOUCHED))
    rhythm, matched = (scores.rhythm_db[key].mean for key in (MODEL, MATCHED_MEAN))
    errors = f"paired error {error:.1f} dB, untouched input {untouched:.1f} dB"
    rhythms = f"{RHYTHM_NAME} {rhythm:.2f} dB, matched-mean baseline {matched:.2f} dB"
    verb = (
        "beats the untouched input" if scores.beats_untouched else "does not clearly beat the untouched input"
    )
    if not scores.beats_filter:
        return f"Acts as a filter from {name} ({rhythms}); it {verb} ({errors})."
    return f"{verb[0].upper()}{verb[1:]} from {name}: {errors}; {rhythms}."


def metrics_summary(scores: Sequence[DirectionScores]) -> str:
    """Return one line per direction: whether the style changes, then the phrase of each metric."""
    return "\n".join(f"{one.source} to {one.target}: {'; '.join(_phrases(one))}." for one in scores)


def summary_rules(metrics: Sequence[MetricSpec]) -> str:
    """Return the rules that `metrics_summary` follows."""
    rules = [metric.summary.explanation.format(label=metric.label) for metric in metrics if metric.summary]
    return " ".join([STYLE_RULE, TAGGER_RULE, *rules])


def _phrases(scores: DirectionScores) -> list[str]:
    phrases = [
        metric.summary.phrase(metric, partial(scores.estimate, name=metric.name))
        for metric in scores.metrics
        if metric.summary
    ]
    return [text for text in (_style_phrase(scores), _tagger_phrase(scores), *phrases) if text]


def style_verdict(scores: DirectionScores) -> str:
    """Return by `STYLE_RULE` a key of `STYLE_PHRASES`; `UNJUDGED` without a genre classifier."""
    before, after, real = (
        scores.estimate(key, "genre_classifier") for key in (UNTOUCHED, MODEL, REAL_TARGET)
    )
    if after is None or before is None:
        return UNJUDGED
    if _is_too_little(scores, before, real):
        return UNTOLD
    reduction = _distance_reduction(scores, STATISTICS, KERNEL) or 0.0
    if after.mean > LABELLED_SHARE and reduction >= DISTANCE_REDUCTION:
        return CHANGES
    is_partly = after.mean > LABELLED_SHARE / 2 or reduction >= DISTANCE_REDUCTION / 2
    return PARTLY if is_partly else STAYS


def _style_phrase(scores: DirectionScores) -> str:
    reduction = _distance_reduction(scores, STATISTICS, KERNEL)
    before, after, real = (
        scores.estimate(key, "genre_classifier") for key in (UNTOUCHED, MODEL, REAL_TARGET)
    )
    by_distance = (
        "distances are not known"
        if reduction is None
        else f"the kernel distance {_format_reduction(reduction)}"
    )
    if after is None or before is None:
        return f"no genre classifier; {by_distance}"
    labelled = (
        f"the genre classifier labels {100 * after.mean:.0f} % of clips {scores.target}, "
        f"{100 * before.mean:.0f} % untouched"
    )
    if real is not None:
        labelled += f", {100 * real.mean:.0f} % of real {scores.target}"
    return f"{STYLE_PHRASES[style_verdict(scores)]} ({labelled}; {by_distance})"


def has_few_tracks(scores: DirectionScores) -> bool:
    """Return whether a genre has fewer than `MIN_TRACKS` held-out tracks."""
    clips = (scores.clips, scores.real_clips)
    return min(len({clip.track for clip in of_genre}) for of_genre in clips) < MIN_TRACKS


def _is_too_little(scores: DirectionScores, before: Estimate, real: Estimate | None) -> bool:
    """Return whether there are too few tracks, or too few for the classifier to be better than chance.

    The interval of its balanced accuracy combines those of both genres by Newcombe's method (1998).

    Args:
        scores: scores of a direction.
        before, real: shares of source clips and of real target clips that are labelled as the target.
    """
    if has_few_tracks(scores) or real is None:
        return has_few_tracks(scores)
    margin = math.hypot(real.mean - real.low, before.high - before.mean) / 2
    return (real.mean + 1 - before.mean) / 2 - margin <= CHANCE


def tagger_confirms(scores: DirectionScores) -> bool | None:
    """Return by `TAGGER_RULE` whether the independent tagger confirms a change; None where it cannot tell."""
    reduction, shares = _distance_reduction(scores, TAGGER, KAD), _tagger_shares(scores)
    if reduction is None or shares is None:
        return None
    by_equaliser = _distance_reduction(scores, TAGGER, KAD, MATCHED_MOMENTS) or 0.0
    is_confirmed = shares[MODEL] - shares[UNTOUCHED] >= TAGGER_GAIN and reduction >= DISTANCE_REDUCTION
    return is_confirmed and shares[MODEL] > shares[MATCHED_MOMENTS] and reduction > by_equaliser


def _tagger_shares(scores: DirectionScores) -> dict[str, float] | None:
    keys = (UNTOUCHED, MATCHED_MOMENTS, REAL_TARGET, MODEL)
    shares = {key: value.mean for key in keys if (value := scores.estimate(key, TAGGER_SHARE))}
    return shares if len(shares) == len(keys) else None


def _tagger_phrase(scores: DirectionScores) -> str:
    """Say whether the independent tagger confirms the change of style; "" without it."""
    shares = _tagger_shares(scores)
    if shares is None:
        return ""
    text = {key: f"{100 * share:z.0f} %" for key, share in shares.items()}
    moved = (
        f"{text[MODEL]} of the way, untouched {text[UNTOUCHED]}, an equaliser {text[MATCHED_MOMENTS]}, "
        f"real {scores.target} {text[REAL_TARGET]}"
    )
    reduction = _distance_reduction(scores, TAGGER, KAD)
    if reduction is None:
        return f"independent tagger: {moved}"
    verb = "confirms a change" if tagger_confirms(scores) else "does not confirm a change"
    return f"an independent tagger {verb} ({moved}; KAD {_format_reduction(reduction)})"


def _format_reduction(reduction: float) -> str:
    return f"{'falls' if reduction >= 0 else 'rises'} by {100 * abs(reduction):.0f} %"


def _distance_reduction(
    scores: DirectionScores, embedding: str, kind: str, candidate: str = MODEL
) -> float | None:
    """Return the share of a distance that a candidate takes away; None where a distance is unknown."""
    if embedding not in scores.distances:
        return None
    distances = scores.distances[embedding][kind]
    untouched, value = distances[UNTOUCHED].mean, distances[candidate].mean
    if math.isnan(untouched + value):
        return None
    return 1 - value / untouched if untouched > 0 else 0.0
