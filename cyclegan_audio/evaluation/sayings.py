"""The numbers in plain words, by thresholds that stand here and nowhere else."""

from collections.abc import Sequence

from cyclegan_audio.evaluation.judges import STATISTICS
from cyclegan_audio.evaluation.measured import Measured
from cyclegan_audio.evaluation.measures import BY_NAME, HEARD, MODEL, REAL, UNTOUCHED
from cyclegan_audio.metrics.distances import KERNEL

MOVES_SHARE = 0.5  # of clips that the judge calls target
NEARER = 0.25  # of the kernel distance that the translation takes away
# Halfway from another piece to another band playing the same score, which have 0.42 and 0.81, 0.06 and 0.80,
# 0.11 and 0.81 on demo songs (experiments/005_paper_results).
STAYS = {"onset_f1": ("the drums", 0.7), "chroma": ("the harmony", 0.6), "bass": ("the bass line", 0.6)}
HATS_CHANGE = 0.15  # relative
DULL_DB = 3.0
FILTER_SHARE = 0.9  # another band playing the same score: 0.77; an equaliser: 0.98 (demo songs)
LATTICE_DB = 3.0  # above the input's own
NOISE_DB = 6.0
VOCODER_ERROR_DB = 3.0
THRESHOLDS = (
    "How the first lines are drawn from the numbers. The genre moves where the judge calls more than "
    f"{100 * MOVES_SHARE:g} % of the translated clips target and the kernel distance by band statistics "
    f"falls by {100 * NEARER:g} % or more; with half of one of these it moves in part. "
    + " ".join(
        f"From {least:g} up ({BY_NAME[key].label}) {name} is said to stay."
        for key, (name, least) in STAYS.items()
    )
    + f" Hi-hats appear or vanish where onsets above 6 kHz change by {100 * HATS_CHANGE:g} % or more and "
    "the intervals of before and after do not meet. The top end is dull (sharp) from "
    f"{DULL_DB:g} dB below (above) the target's energy above 6 kHz. It is a mere filter where a fixed "
    f"filter explains {100 * FILTER_SHARE:g} % of the change. A lattice is seen from {LATTICE_DB:g} dB above "
    f"the input's own; silence became noise where the quietest passages are {NOISE_DB:g} dB louder than "
    "those of the input and of real clips of the target; the vocoder is to blame from an error of "
    f"{VOCODER_ERROR_DB:g} dB."
)


def sayings(measured: Sequence[Measured]) -> str:
    """One line a direction."""
    return "\n".join(f"{m.source} to {m.target}: {'; '.join(_of(m))}." for m in measured)


def _of(measured: Measured) -> list[str]:
    return [
        text
        for text in (
            _genre(measured),
            *(_stays(measured, key, *rule) for key, rule in STAYS.items()),
            _hats(measured),
            _top_end(measured),
            _filter(measured),
            _lattice(measured),
            _noise(measured),
            _above(
                measured, HEARD, "vocoder_error_db", VOCODER_ERROR_DB, "the vocoder adds faults of its own"
            ),
        )
        if text
    ]


def _mean(measured: Measured, candidate: str, name: str) -> float | None:
    value = measured.estimate(candidate, name)
    return value.mean if value else None


def _genre(measured: Measured) -> str:
    nearer = _nearer(measured)
    share = _mean(measured, MODEL, "judge")
    before = _mean(measured, UNTOUCHED, "judge")
    by_distance = (
        "distances are not known" if nearer is None else f"the kernel distance falls by {100 * nearer:.0f} %"
    )
    nearer = nearer or 0.0
    if share is None or before is None:
        return f"no judge of genre; {by_distance}"
    heard = (
        f"the judge hears {measured.target} in {100 * share:.0f} % of clips, {100 * before:.0f} % untouched"
    )
    if (real := _mean(measured, REAL, "judge")) is not None:
        heard += f", {100 * real:.0f} % of real {measured.target}"
    if share > MOVES_SHARE and nearer >= NEARER:
        said = "the genre moves"
    elif share > MOVES_SHARE / 2 or nearer >= NEARER / 2:
        said = "the genre moves in part"
    else:
        said = "the genre does not move"
    return f"{said} ({heard}; {by_distance})"


def _nearer(measured: Measured) -> float | None:
    """Share of the kernel distance that the translation takes away; None without distances."""
    if STATISTICS not in measured.distances:
        return None
    kernel = measured.distances[STATISTICS][KERNEL]
    untouched = kernel[UNTOUCHED].mean
    return 1 - kernel[MODEL].mean / untouched if untouched > 0 else 0.0


def _stays(measured: Measured, key: str, name: str, least: float) -> str:
    value = _mean(measured, MODEL, key)
    if value is None:
        return ""
    many = name.endswith("s")
    if value >= least:
        return f"{name} {'stay' if many else 'stays'}"
    return f"{name} {'do' if many else 'does'} not stay ({BY_NAME[key].label} {value:.2f})"


def _hats(measured: Measured) -> str:
    before, after = (measured.estimate(key, "hats_per_s") for key in (UNTOUCHED, MODEL))
    if before is None or after is None or before.meets(after):
        return ""
    change = (after.mean - before.mean) / max(before.mean, 0.1)
    if abs(change) < HATS_CHANGE:
        return ""
    return f"hi-hats {'appear' if change > 0 else 'vanish'} ({before.mean:.1f} to {after.mean:.1f} a second)"


def _top_end(measured: Measured) -> str:
    made, real = _mean(measured, MODEL, "top_end_db"), _mean(measured, REAL, "top_end_db")
    if made is None or real is None or abs(made - real) < DULL_DB:
        return ""
    return f"the top end is {'dull' if made < real else 'sharp'} ({made - real:+.0f} dB beside the target's)"


def _filter(measured: Measured) -> str:
    share = _mean(measured, MODEL, "filter_share")
    if share is None or share < FILTER_SHARE:
        return ""
    return f"it is a mere filter ({100 * share:.0f} % of the change)"


def _lattice(measured: Measured) -> str:
    made, own = (_mean(measured, key, "checkerboard_db") for key in (MODEL, UNTOUCHED))
    return f"a lattice of {made - own:.0f} dB is seen" if made and own and made - own >= LATTICE_DB else ""


def _noise(measured: Measured) -> str:
    levels = (_mean(measured, key, "quiet_db") for key in (MODEL, UNTOUCHED, REAL))
    made, *others = [level for level in levels if level is not None]
    louder = made - max(others)
    return f"silence became noise ({louder:+.0f} dB)" if louder >= NOISE_DB else ""


def _above(measured: Measured, candidate: str, name: str, least: float, text: str) -> str:
    value = _mean(measured, candidate, name)
    return f"{text} ({value:+.0f} dB)" if value is not None and value >= least else ""
