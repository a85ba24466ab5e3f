"""Questions of a listening test, with the reference, hidden best, baselines and anchor of each."""

import dataclasses
from typing import Any

SOURCE, OTHER_PIECE, REAL_TARGET = "source", "another piece", "real target"
EQUALISER, VOCODED_SOURCE, LOW_PASSED = "equaliser", "vocoder alone", "low-passed"
EXAMPLES = "examples"  # a reference that is not a system: clips of the target genre


@dataclasses.dataclass(frozen=True)
class Question:
    """One question of the rating test (after MUSHRA, ITU-R BS.1534-3).

    Attributes:
        name: key in the results.
        text: the question for listeners; may contain {source} and {target}.
        low, high: labels at 0 and 100.
        reference: the sound to compare with: a system, or `EXAMPLES`.
        hidden: the system that listeners should rate best.
        anchor: the system that listeners should rate low.
        baselines: further systems that are not runs.
        is_screened: whether the hidden system is the reference itself; listeners who rate it low are
            excluded.
    """

    name: str
    text: str
    low: str
    high: str
    reference: str
    hidden: str
    anchor: str
    baselines: tuple[str, ...]
    is_screened: bool

    def systems(self, runs: list[str]) -> list[str]:
        """Return all rated systems."""
        return [self.hidden, *runs, *self.baselines, self.anchor]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for the page and its results."""
        return dataclasses.asdict(self)


QUESTIONS = (
    Question(
        "piece",
        "How well is the piece preserved? Compare melody, harmony and rhythm with the reference; the style "
        "may differ. One of the sounds is the reference itself: give it 100.",
        "another piece",
        "the same piece",
        SOURCE,
        SOURCE,
        OTHER_PIECE,
        (EQUALISER,),
        True,
    ),
    Question(
        "genre",
        "How much does it sound like {target}? The two examples are real {target}.",
        "not at all",
        "exactly like {target}",
        EXAMPLES,
        REAL_TARGET,
        SOURCE,
        (EQUALISER,),
        False,
    ),
    Question(
        "quality",
        "How good is the sound quality? Listen for noise, dullness, clicks and blur, whatever the music. The "
        "reference is clean. One of the sounds is the reference itself: give it 100.",
        "bad",
        "as clean as the reference",
        SOURCE,
        SOURCE,
        LOW_PASSED,
        (VOCODED_SOURCE,),
        True,
    ),
)
