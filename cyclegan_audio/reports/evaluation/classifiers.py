"""What tells genres apart and embeds clips in a report, made once for both directions."""

import dataclasses

from torch import Tensor

from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.metrics.band_statistics import band_statistics
from cyclegan_audio.metrics.distances import Principal
from cyclegan_audio.metrics.genre_classifier.classifier import Judge, judge_for, linear_judge_for
from cyclegan_audio.utils.errors import UserError

STATISTICS, JUDGE = "band statistics", "judge"


@dataclasses.dataclass(frozen=True)
class Judges:
    """Judges of genre, and embeddings of clips.

    Attributes:
        judge, linear: None where they could not be trained.
        statistics: an embedding that nobody taught genres.
        embedding: the judge's, None without a judge.
        missing: why there is no judge; empty where there is one.
    """

    judge: Judge | None
    linear: Judge | None
    statistics: Principal
    embedding: Principal | None
    missing: str = ""

    @property
    def embeddings(self) -> dict[str, Principal]:
        """By name."""
        both = {STATISTICS: self.statistics, JUDGE: self.embedding}
        return {name: embedding for name, embedding in both.items() if embedding is not None}


def make_judges(corpus: Corpus, genres: tuple[str, str], training_db: Tensor) -> Judges:
    """Load or train judges of the corpus, and fit embeddings on training clips (N, M, F) of both genres."""
    frame_s = corpus.mel.frame_s
    statistics = Principal(lambda mels_db: band_statistics(mels_db, frame_s).flatten(1), training_db)
    try:
        judge, linear = judge_for(corpus, genres), linear_judge_for(corpus, genres)
    except UserError as error:
        return Judges(None, None, statistics, None, f"There is no judge of genre: {error}.")
    return Judges(judge, linear, statistics, Principal(judge.embed, training_db))
