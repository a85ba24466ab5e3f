"""Genre classifiers and embeddings of clips, built once for both directions of a report."""

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

STATISTICS, CLASSIFIER, TAGGER = "band statistics", "genre_classifier", "independent tagger"


@dataclasses.dataclass(frozen=True)
class Classifiers:
    """Genre classifiers of a corpus, and embeddings of clips.

    Attributes:
        classifier, linear: the network and the logistic regression; None where they could not be trained.
        statistics: the embedding by band statistics, which needs no training on genres.
        embedding: the embedding by the genre classifier's hidden layers; None without a genre classifier.
        missing: the reason if there is no genre classifier, else "".
    """

    classifier: GenreClassifier | None
    linear: GenreClassifier | None
    statistics: PCAEmbedding
    embedding: PCAEmbedding | None
    missing: str = ""

    @property
    def embeddings(self) -> dict[str, PCAEmbedding]:
        """Return the embeddings by name."""
        embeddings = {STATISTICS: self.statistics, CLASSIFIER: self.embedding}
        return {name: embedding for name, embedding in embeddings.items() if embedding is not None}


def make_classifiers(corpus: Corpus, genres: tuple[str, str], training_db: Tensor) -> Classifiers:
    """Load or train the classifiers, and fit embeddings to training clips (N, M, F) of both genres."""
    frame_s = corpus.mel.frame_s
    statistics = PCAEmbedding(lambda mels_db: band_statistics(mels_db, frame_s).flatten(1), training_db)
    try:
        classifier, linear = genre_classifier_for(corpus, genres), linear_classifier_for(corpus, genres)
    except UserError as error:
        return Classifiers(None, None, statistics, None, f"There is no genre classifier: {error}.")
    return Classifiers(classifier, linear, statistics, PCAEmbedding(classifier.embed, training_db))
