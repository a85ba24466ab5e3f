"""The first lines of a report: what the numbers say, in words."""

from collections.abc import Mapping, Sequence
from functools import partial

from cyclegan_audio.metrics.distances import KERNEL
from cyclegan_audio.metrics.metric_spec import MODEL, REAL_TARGET, UNTOUCHED, MetricSpec
from cyclegan_audio.metrics.paired_error import MATCHED_MEAN, MIN_RELATIVE_GAIN, RHYTHM_ABOVE_HZ, PairedScores
from cyclegan_audio.reports.evaluation.classifiers import STATISTICS
from cyclegan_audio.reports.evaluation.scoring import Measured

MOVES_SHARE = 0.5  # of clips that the genre classifier calls target
NEARER = 0.25  # of the kernel distance that the translation takes away
GENRE_RULE = (
    "How the first lines are drawn from the numbers. The genre moves where the classifier calls more than "
    f"{100 * MOVES_SHARE:g} % of the translated clips target and the kernel distance by band statistics "
    f"falls by {100 * NEARER:g} % or more; with half of one of these it moves in part."
)
RHYTHM_NAME = f"rhythm above {RHYTHM_ABOVE_HZ / 1000:g} kHz"
CRITERIA = (
    "Beats the untouched input clearly: the 95 % interval of the paired difference of errors lies above "
    f"0, and the error is at least {100 * MIN_RELATIVE_GAIN:g} % smaller. Acts as a filter: in the {RHYTHM_NAME} "
    "(mels with each band's mean over the clip taken out), the 95 % interval of the paired difference to "
    "the matched-mean baseline does not lie above 0, so that an equaliser would do as well."
)


def ground_truth_summary(scores: Mapping[str, PairedScores]) -> str:
    """Write one line on the paired scores of all directions (`lofi to trap`); what is wrong comes first.

    `scores` is empty where the corpus has no paired clips.
    """
    if not scores:
        return "Not judged against a ground truth: the corpus has no paired clips (the demo songs have)."
    return " ".join(
        _sentence(name, value) for name, value in sorted(scores.items(), key=lambda item: _rank(item[1]))
    )


def _rank(scores: PairedScores) -> int:
    """Return 0 for a filter, 1 for what does not beat the untouched input, 2 for what beats both."""
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


def metrics_summary(measured: Sequence[Measured]) -> str:
    """Write one line a direction: whether the genre moves, then what each metric has to say."""
    return "\n".join(f"{m.source} to {m.target}: {'; '.join(_phrases(m))}." for m in measured)


def thresholds(metrics: Sequence[MetricSpec]) -> str:
    """Write down by which rules `metrics_summary` goes."""
    rules = [metric.summary.explanation.format(label=metric.label) for metric in metrics if metric.summary]
    return " ".join([GENRE_RULE, *rules])


def _phrases(measured: Measured) -> list[str]:
    found = [
        metric.summary.phrase(metric, partial(measured.estimate, name=metric.name))
        for metric in measured.metrics
        if metric.summary
    ]
    return [_genre(measured), *(text for text in found if text)]


def _genre(measured: Measured) -> str:
    nearer = _nearer(measured)
    before, after, real = (
        measured.estimate(key, "genre_classifier") for key in (UNTOUCHED, MODEL, REAL_TARGET)
    )
    by_distance = (
        "distances are not known" if nearer is None else f"the kernel distance falls by {100 * nearer:.0f} %"
    )
    nearer = nearer or 0.0
    if after is None or before is None:
        return f"no genre classifier; {by_distance}"
    heard = (
        f"the genre classifier hears {measured.target} in {100 * after.mean:.0f} % of clips, "
        f"{100 * before.mean:.0f} % untouched"
    )
    if real is not None:
        heard += f", {100 * real.mean:.0f} % of real {measured.target}"
    if after.mean > MOVES_SHARE and nearer >= NEARER:
        moves = "the genre moves"
    elif after.mean > MOVES_SHARE / 2 or nearer >= NEARER / 2:
        moves = "the genre moves in part"
    else:
        moves = "the genre does not move"
    return f"{moves} ({heard}; {by_distance})"


def _nearer(measured: Measured) -> float | None:
    """Return the share of the kernel distance that the translation takes away; None without distances."""
    if STATISTICS not in measured.distances:
        return None
    kernel = measured.distances[STATISTICS][KERNEL]
    untouched = kernel[UNTOUCHED].mean
    return 1 - kernel[MODEL].mean / untouched if untouched > 0 else 0.0
