"""What tells genres apart and embeds clips in a report, made once for both directions."""

import dataclasses

from torch import Tensor

from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.metrics.band_statistics import band_statistics
from cyclegan_audio.metrics.distances import PCAEmbedding
from cyclegan_audio.metrics.genre_classifier.classifier import (
    GenreClassifier,
    genre_classifier_for,
    linear_classifier_for,
)
from cyclegan_audio.utils.errors import UserError

STATISTICS, CLASSIFIER = "band statistics", "genre_classifier"


@dataclasses.dataclass(frozen=True)
class Classifiers:
    """Genre classifiers, and embeddings of clips.

    Attributes:
        classifier, linear: None where they could not be trained.
        statistics: an embedding that nobody taught genres.
        embedding: the genre classifier's, None without a genre classifier.
        missing: why there is no genre classifier; empty where there is one.
    """

    classifier: GenreClassifier | None
    linear: GenreClassifier | None
    statistics: PCAEmbedding
    embedding: PCAEmbedding | None
    missing: str = ""

    @property
    def embeddings(self) -> dict[str, PCAEmbedding]:
        """By name."""
        both = {STATISTICS: self.statistics, CLASSIFIER: self.embedding}
        return {name: embedding for name, embedding in both.items() if embedding is not None}


def make_classifiers(corpus: Corpus, genres: tuple[str, str], training_db: Tensor) -> Classifiers:
    """Load or train classifiers of the corpus, and fit embeddings on training clips (N, M, F) of both genres."""
    frame_s = corpus.mel.frame_s
    statistics = PCAEmbedding(lambda mels_db: band_statistics(mels_db, frame_s).flatten(1), training_db)
    try:
        classifier, linear = genre_classifier_for(corpus, genres), linear_classifier_for(corpus, genres)
    except UserError as error:
        return Classifiers(None, None, statistics, None, f"There is no genre classifier: {error}.")
    return Classifiers(classifier, linear, statistics, PCAEmbedding(classifier.embed, training_db))
