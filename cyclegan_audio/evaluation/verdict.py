"""The first line of the report: what the numbers say, in words."""

from collections.abc import Mapping

from cyclegan_audio.metrics.paired import (
    CLEAR_GAIN,
    MATCHED_MEAN,
    MODEL,
    RHYTHM_ABOVE_HZ,
    UNTOUCHED,
    PairedScores,
)

RHYTHM_NAME = f"rhythm above {RHYTHM_ABOVE_HZ / 1000:g} kHz"
CRITERIA = (
    "Beats the untouched input clearly: the 95 % interval of the paired difference of errors lies above "
    f"0, and the error is at least {100 * CLEAR_GAIN:g} % smaller. Acts as a filter: in the {RHYTHM_NAME} "
    "(mels with each band's mean over the clip taken out), the 95 % interval of the paired difference to "
    "the matched-mean baseline does not lie above 0, so that an equaliser would do as well."
)


def verdict(scores: Mapping[str, PairedScores]) -> str:
    """One line on all directions, by name (`lofi to trap`); what is wrong comes first.

    `scores` is empty where the corpus has no paired clips.
    """
    if not scores:
        return "Not judged against a ground truth: the corpus has no paired clips (the demo songs have)."
    return " ".join(
        _sentence(name, value) for name, value in sorted(scores.items(), key=lambda item: rank(item[1]))
    )


def rank(scores: PairedScores) -> int:
    """0 acts as a filter, 1 does not beat the untouched input, 2 beats both."""
    if not scores.beats_filter:
        return 0
    return 2 if scores.beats_untouched else 1


def _sentence(name: str, scores: PairedScores) -> str:
    error, untouched = (scores.error_db[key].mean for key in (MODEL, UNTOUCHED))
    rhythm, matched = (scores.rhythm_db[key].mean for key in (MODEL, MATCHED_MEAN))
    against = f"paired error {error:.1f} dB against {untouched:.1f} dB"
    in_rhythm = f"in the {RHYTHM_NAME} {rhythm:.2f} dB against {matched:.2f} dB of the matched-mean baseline"
    does = (
        "beats the untouched input" if scores.beats_untouched else "does not clearly beat the untouched input"
    )
    if not scores.beats_filter:
        return f"Acts as a filter from {name}: {in_rhythm}; it {does} ({against})."
    return f"{does[0].upper()}{does[1:]} from {name}: {against}, and {in_rhythm}."
