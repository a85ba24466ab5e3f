"""Section of cycle and identity errors of held-out clips."""

from cyclegan_audio.metrics.paired_error import mean_abs_db
from cyclegan_audio.reports.evaluation.translations import DirectionResult, EvaluationData, TranslatedClip
from cyclegan_audio.reports.html import Section, Table
from cyclegan_audio.statistics.estimates import Estimate, estimate

EXPLANATION = (
    "The cycle error compares a held-out clip with itself after translation there and back. The identity "
    "error compares a clip with itself after the generator that translates to the clip's genre. Both are "
    "the mean |dB| over bands and frames. For scale, the last column compares each clip with the next clip "
    "of the same genre. Brackets: 95 % intervals over tracks, or over clips where a genre has a single "
    "track (Student's t)."
)
ONE_DIRECTION = "This model translates in one direction only, so there is no cycle."


def errors_db(direction: DirectionResult) -> dict[str, Estimate]:
    """Compute `cycle` and `identity` of the source genre, and `other_clip` between different clips."""
    examples = direction.examples
    groups = _tracks(direction)
    if len(set(groups)) < 2:
        groups = [example.clip.clip_id for example in examples]
    others = [*examples[1:], examples[0]]
    values = {
        **direction.reconstruction_errors_db(),
        "other_clip": [_common_frames_error(e, other) for e, other in zip(examples, others, strict=True)],
    }
    return {name: estimate(errors, groups) for name, errors in values.items()}


def reconstruction_section(evaluated: EvaluationData) -> Section:
    """Return cycle and identity error by genre, and those of the second run if it was given."""
    section = Section("reconstruction", "Cycle and identity error", [EXPLANATION])
    if len(evaluated.directions) == 1:
        section.missing = ONE_DIRECTION
        return section
    rows = []
    runs = {"this run": evaluated.directions, "without identity loss": evaluated.without_identity}
    for run, directions in runs.items():
        for direction in directions:
            errors = errors_db(direction)
            numbers = {name: value.to_dict() for name, value in errors.items()}
            section.numbers.setdefault(run.replace(" ", "_"), {})[direction.source] = numbers
            rows.append(_row(direction, run if len(evaluated.without_identity) else "", errors))
    header = [
        "genre",
        "clips (tracks)",
        "cycle error (dB)",
        "spread",
        "identity error (dB)",
        "spread",
        "another clip (dB)",
    ]
    section.tables.append(Table("Cycle and identity error of held-out clips", header, rows))
    return section


def _tracks(direction: DirectionResult) -> list[str]:
    return [example.clip.track for example in direction.examples]


def _row(direction: DirectionResult, run: str, errors: dict[str, Estimate]) -> list[str]:
    cycle, identity, other = (errors[name] for name in ("cycle", "identity", "other_clip"))
    name = f"{direction.source}, {run}" if run else direction.source
    clips = f"{cycle.n} ({len(set(_tracks(direction)))})"
    return [
        name,
        clips,
        str(cycle),
        f"{cycle.sd:.2f}",
        str(identity),
        f"{identity.sd:.2f}",
        f"{other.mean:.2f}",
    ]


def _common_frames_error(a: TranslatedClip, b: TranslatedClip) -> float:
    n_frames = min(a.real_db.shape[-1], b.real_db.shape[-1])
    return mean_abs_db(a.real_db[:, :n_frames], b.real_db[:, :n_frames])
