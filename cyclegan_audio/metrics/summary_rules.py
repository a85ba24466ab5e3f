"""Define which metrics the summary of a report mentions, from which thresholds, and with which words."""

from cyclegan_audio.metrics.metric_spec import (
    MODEL,
    REAL_TARGET,
    UNTOUCHED,
    EstimateLookup,
    MetricSpec,
    SummaryRule,
)
from cyclegan_audio.statistics.estimates import Estimate

HIHAT_CHANGE = 0.15  # relative
HIGH_BAND_DB = 3.0
FILTER_SHARE = 0.9  # another band playing the same score: 0.77; an equaliser: 0.98 (demo songs)
CHECKERBOARD_DB = 3.0  # above the input's
NOISE_DB = 6.0
VOCODER_ERROR_DB = 3.0
# Halfway between another piece and another band playing the same score, which have 0.42 and 0.81, 0.06
# and 0.80, 0.11 and 0.81 on demo songs (experiments/005_paper_results).
PRESERVED_FROM = {"onset_f1": 0.7, "chroma": 0.6, "bass": 0.6}


def threshold_rule(candidate: str, threshold: float, explanation: str, text: str) -> SummaryRule:
    """Return a rule that mentions a candidate's mean from `threshold` up.

    Args:
        candidate: one of `CANDIDATES`, usually `MODEL` (the translation).
        threshold: the least mean to mention.
        explanation: the sentence that explains the rule in the report; may contain {label}.
        text: the words; a format string that takes the mean (in % for a proportion).
    """

    def phrase(metric: MetricSpec, estimate_of: EstimateLookup) -> str:
        mean = _mean(estimate_of(candidate))
        if not mean or mean < threshold:
            return ""
        return text.format(100 * mean if metric.is_proportion else mean)

    return SummaryRule(explanation, phrase)


def preserved_rule(name: str, verb: str, threshold: float) -> SummaryRule:
    """Return a rule that says whether a similarity to the source reaches `threshold`."""

    def phrase(metric: MetricSpec, estimate_of: EstimateLookup) -> str:
        mean = _mean(estimate_of(MODEL))
        if mean is None:
            return ""
        if mean >= threshold:
            return f"{name} {verb} preserved"
        return f"{name} {verb} not preserved ({metric.label} {mean:.2f})"

    return SummaryRule(
        f"{name[0].upper()}{name[1:]} {verb} preserved from {threshold:g} up ({{label}}).", phrase
    )


def _mean(value: Estimate | None) -> float | None:
    return None if value is None else value.mean


def _hihats(metric: MetricSpec, estimate_of: EstimateLookup) -> str:
    before, after = estimate_of(UNTOUCHED), estimate_of(MODEL)
    if before is None or after is None or before.overlaps(after):
        return ""
    change = (after.mean - before.mean) / max(before.mean, 0.1)
    if abs(change) < HIHAT_CHANGE:
        return ""
    return (
        f"hi-hats {'appear' if change > 0 else 'vanish'} ({before.mean:.1f} to {after.mean:.1f} per second)"
    )


def _high_band(metric: MetricSpec, estimate_of: EstimateLookup) -> str:
    translated, real = _mean(estimate_of(MODEL)), _mean(estimate_of(REAL_TARGET))
    if translated is None or real is None or abs(translated - real) < HIGH_BAND_DB:
        return ""
    sound = "dull" if translated < real else "sharp"
    return f"the high band is {sound} ({translated - real:+.0f} dB compared with the target's)"


def _checkerboard(metric: MetricSpec, estimate_of: EstimateLookup) -> str:
    translated, source = _mean(estimate_of(MODEL)), _mean(estimate_of(UNTOUCHED))
    if translated is None or source is None or translated - source < CHECKERBOARD_DB:
        return ""
    return f"checkerboard artefacts {translated - source:.0f} dB above the input's"


def _noise(metric: MetricSpec, estimate_of: EstimateLookup) -> str:
    translated, *references = (_mean(estimate_of(key)) for key in (MODEL, UNTOUCHED, REAL_TARGET))
    known = [level for level in references if level is not None]
    if translated is None or not known or translated - max(known) < NOISE_DB:
        return ""
    return f"silence became noise ({translated - max(known):+.0f} dB)"


HIHATS = SummaryRule(
    f"Hi-hats appear or vanish if the rate of onsets above 6 kHz changes by {100 * HIHAT_CHANGE:g} % or more "
    "and the intervals before and after do not overlap.",
    _hihats,
)
HIGH_BAND = SummaryRule(
    f"The high band is dull (sharp) if its energy above 6 kHz is {HIGH_BAND_DB:g} dB or more below (above) "
    "the target's.",
    _high_band,
)
FIXED_FILTER = threshold_rule(
    MODEL,
    FILTER_SHARE,
    f"The change is mostly a fixed filter if a fixed filter explains {100 * FILTER_SHARE:g} % or more of it.",
    "the change is mostly a fixed filter ({:.0f} %)",
)
CHECKERBOARD = SummaryRule(
    f"Checkerboard artefacts are reported from {CHECKERBOARD_DB:g} dB above the input's.", _checkerboard
)
NOISE = SummaryRule(
    f"Silence became noise if the quietest passages are {NOISE_DB:g} dB or more louder than those of the "
    "input and of real clips of the target.",
    _noise,
)
VOCODER_ERROR = threshold_rule(
    MODEL,
    VOCODER_ERROR_DB,
    f"Vocoder errors are reported from {VOCODER_ERROR_DB:g} dB.",
    "the vocoder adds errors ({:+.0f} dB)",
)
DRUMS = preserved_rule("the drums", "are", PRESERVED_FROM["onset_f1"])
HARMONY = preserved_rule("the harmony", "is", PRESERVED_FROM["chroma"])
BASS = preserved_rule("the bass line", "is", PRESERVED_FROM["bass"])
