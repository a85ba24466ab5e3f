"""Translations of the paired clips against their ground truth, beside the baselines."""

from cyclegan_audio.metrics.paired_error import AUDIBLE_RANGE_DB, MATCHED_MEAN, MODEL, UNTOUCHED, PairedScores
from cyclegan_audio.reports.evaluation.summary import CRITERIA, RHYTHM_NAME
from cyclegan_audio.reports.evaluation.translations import EvaluationData
from cyclegan_audio.reports.html import Section, Table
from cyclegan_audio.statistics.estimates import Estimate

NAMES = {MODEL: "translation", UNTOUCHED: "untouched input", MATCHED_MEAN: "input with matched mean spectrum"}
HOW = (
    "Each clip is compared with the same score played by the target genre's band: mean |dB| over mel "
    f"bands and frames. Levels below the audible floor ({AUDIBLE_RANGE_DB:g} dB under a full-scale sine in "
    "the same band) count as the floor. The matched mean moves each band by the difference of the two "
    "genres' mean spectra over training clips; it never sees the pair. In brackets: 95 % "
    "intervals over whole scores (Student's t)."
)
FLATTER = (
    "From {name} the rhythm error is lower but its correlation with the ground truth is not higher than "
    "the baseline's: the translation is flatter rather than better in time."
)


def paired_section(evaluated: EvaluationData) -> Section:
    """Show paired error and rhythm in each direction."""
    section = Section("paired", "Against the ground truth")
    scores = evaluated.paired_scores
    if not scores:
        section.paragraphs.append(
            "This corpus has no paired clips, so there is no ground truth to compare with. The demo songs "
            "have some."
        )
        return section
    section.paragraphs += [HOW, CRITERIA]
    section.numbers = {key: value.to_dict() for key, value in scores.items()}
    for name, value in scores.items():
        section.tables += _tables(name, value)
        better = value.rhythm_correlation[MODEL].mean > value.rhythm_correlation[MATCHED_MEAN].mean
        if value.beats_filter and not better:
            section.paragraphs.append(FLATTER.format(name=name))
    return section


def _tables(name: str, scores: PairedScores) -> list[Table]:
    n = scores.error_db[MODEL]
    counted = f"{n.n} clips of {n.groups} scores"
    error = Table(
        f"Error against the ground truth, {name} ({counted})",
        [
            "",
            "paired error (dB)",
            "translation is better by (dB)",
            f"{RHYTHM_NAME} (dB)",
            "translation is better by (dB)",
            "correlation of rhythm",
        ],
        [
            [
                label,
                str(scores.error_db[key]),
                _gain(scores.gain_db, key),
                str(scores.rhythm_db[key]),
                _gain(scores.rhythm_gain_db, key),
                str(scores.rhythm_correlation[key]),
            ]
            for key, label in NAMES.items()
        ],
    )
    return [error]


def _gain(gains: dict[str, Estimate], key: str) -> str:
    return str(gains[key]) if key in gains else ""
