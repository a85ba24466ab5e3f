"""What listeners are asked, and which systems stand beside the runs in each question."""

import dataclasses
from typing import Any

SOURCE, OTHER, REAL = "source", "another piece", "real target"
EQUALISER, VOCODER, LOW_PASSED = "equaliser", "vocoder alone", "low-passed"
EXAMPLES = "examples"  # a reference that is no system: clips of the target genre


@dataclasses.dataclass(frozen=True)
class Question:
    """One question of the rating test (after MUSHRA, ITU-R BS.1534-3).

    Attributes:
        name: in results.
        text: for listeners; may hold {source} and {target}.
        low, high: words at 0 and 100.
        reference: what stands beside the sliders to compare with: a system, or `EXAMPLES`.
        hidden: the system that should be rated best.
        anchor: the system that should be rated low.
        beside: further systems that are not runs.
        is_screened: whether the hidden system is the reference itself, so that who rates it low cannot hear.
    """

    name: str
    text: str
    low: str
    high: str
    reference: str
    hidden: str
    anchor: str
    beside: tuple[str, ...]
    is_screened: bool

    def systems(self, runs: list[str]) -> list[str]:
        """All that are rated."""
        return [self.hidden, *runs, *self.beside, self.anchor]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for the page and its results."""
        return dataclasses.asdict(self)


QUESTIONS = (
    Question(
        "piece",
        "How well is the piece kept? Compare melody, harmony and rhythm with the reference; the sound may "
        "change. One of the sounds is the reference itself: it gets 100.",
        "another piece",
        "the same piece",
        SOURCE,
        SOURCE,
        OTHER,
        (EQUALISER,),
        True,
    ),
    Question(
        "genre",
        "How much does it sound like {target}? The two examples are real {target}.",
        "not at all",
        "just like {target}",
        EXAMPLES,
        REAL,
        SOURCE,
        (EQUALISER,),
        False,
    ),
    Question(
        "quality",
        "How good is the sound? Listen for noise, dullness, clicks and blur, whatever is played; the "
        "reference is clean. One of the sounds is the reference itself: it gets 100.",
        "bad",
        "as clean as the reference",
        SOURCE,
        SOURCE,
        LOW_PASSED,
        (VOCODER,),
        True,
    ),
)
