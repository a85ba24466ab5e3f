"""What the first lines of a report say of a metric, by thresholds that stand here and nowhere else."""

from cyclegan_audio.metrics.metric_spec import HEARD, MODEL, REAL, UNTOUCHED, EstimateOf, InWords, MetricSpec
from cyclegan_audio.statistics.estimates import Estimate

HATS_CHANGE = 0.15  # relative
DULL_DB = 3.0
FILTER_SHARE = 0.9  # another band playing the same score: 0.77; an equaliser: 0.98 (demo songs)
LATTICE_DB = 3.0  # above the input's own
NOISE_DB = 6.0
VOCODER_ERROR_DB = 3.0


def _mean(value: Estimate | None) -> float | None:
    return None if value is None else value.mean


def _stays(name: str, verb: str, least: float) -> InWords:
    """From `least` up the likeness to the source says that something stays."""

    def phrase(metric: MetricSpec, of: EstimateOf) -> str:
        value = _mean(of(MODEL))
        if value is None:
            return ""
        if value >= least:
            return f"{name} {verb}"
        does = "do" if verb == "stay" else "does"
        return f"{name} {does} not stay ({metric.label} {value:.2f})"

    return InWords(f"From {least:g} up ({{label}}) {name} {verb}.", phrase)


def fault_from(candidate: str, least: float, rule: str, text: str) -> InWords:
    """Call `text` with the value a fault from `least` up of a candidate."""

    def phrase(metric: MetricSpec, of: EstimateOf) -> str:
        value = _mean(of(candidate))
        return text.format(100 * value if metric.is_share else value) if value and value >= least else ""

    return InWords(rule, phrase)


def _hats(metric: MetricSpec, of: EstimateOf) -> str:
    before, after = of(UNTOUCHED), of(MODEL)
    if before is None or after is None or before.overlaps(after):
        return ""
    change = (after.mean - before.mean) / max(before.mean, 0.1)
    if abs(change) < HATS_CHANGE:
        return ""
    return f"hi-hats {'appear' if change > 0 else 'vanish'} ({before.mean:.1f} to {after.mean:.1f} a second)"


def _top_end(metric: MetricSpec, of: EstimateOf) -> str:
    made, real = _mean(of(MODEL)), _mean(of(REAL))
    if made is None or real is None or abs(made - real) < DULL_DB:
        return ""
    return f"the top end is {'dull' if made < real else 'sharp'} ({made - real:+.0f} dB beside the target's)"


def _lattice(metric: MetricSpec, of: EstimateOf) -> str:
    made, own = _mean(of(MODEL)), _mean(of(UNTOUCHED))
    if made is None or own is None or made - own < LATTICE_DB:
        return ""
    return f"a lattice of {made - own:.0f} dB is seen"


def _noise(metric: MetricSpec, of: EstimateOf) -> str:
    made, *others = (_mean(of(key)) for key in (MODEL, UNTOUCHED, REAL))
    known = [level for level in others if level is not None]
    if made is None or not known or made - max(known) < NOISE_DB:
        return ""
    return f"silence became noise ({made - max(known):+.0f} dB)"


HATS = InWords(
    f"Hi-hats appear or vanish where onsets above 6 kHz change by {100 * HATS_CHANGE:g} % or more and the "
    "intervals of before and after do not meet.",
    _hats,
)
TOP_END = InWords(
    f"The top end is dull (sharp) from {DULL_DB:g} dB below (above) the target's energy above 6 kHz.",
    _top_end,
)
FILTER = fault_from(
    MODEL,
    FILTER_SHARE,
    f"It is a mere filter where a fixed filter explains {100 * FILTER_SHARE:g} % of the change.",
    "it is a mere filter ({:.0f} % of the change)",
)
LATTICE = InWords(f"A lattice is seen from {LATTICE_DB:g} dB above the input's own.", _lattice)
NOISE = InWords(
    f"Silence became noise where the quietest passages are {NOISE_DB:g} dB louder than those of the input "
    "and of real clips of the target.",
    _noise,
)
VOCODER_FAULTS = fault_from(
    HEARD,
    VOCODER_ERROR_DB,
    f"The vocoder is to blame from an error of {VOCODER_ERROR_DB:g} dB.",
    "the vocoder adds faults of its own ({:+.0f} dB)",
)
# From halfway between another piece and another band playing the same score, which have 0.42 and 0.81, 0.06
# and 0.80, 0.11 and 0.81 on demo songs (experiments/005_paper_results).
DRUMS, HARMONY, BASS = (
    _stays("the drums", "stay", 0.7),
    _stays("the harmony", "stays", 0.6),
    _stays("the bass line", "stays", 0.6),
)
