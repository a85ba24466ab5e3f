"""Load or train the genre classifiers of a corpus, with their accuracy on its test split.

    classifier = genre_classifier_for(corpus, ("lofi", "trap"))
    classifier.probability(mels_db)  # (N,), of trap
    classifier.accuracy, classifier.accuracy_low_passed, classifier.accuracy_noisy
    classifier.reliability.error

The first call trains on the training split (40 s to two minutes of one core per 1,000 clips, spread over the
cores) and saves the classifier in CORPUS/classifiers.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cyclegan_audio.config import slug
from cyclegan_audio.corpus.corpus import Clip, Corpus
from cyclegan_audio.inference.weights import check_archive, check_tensors, check_weights
from cyclegan_audio.metrics.genre_classifier.augmentation import add_noise, low_pass
from cyclegan_audio.metrics.genre_classifier.calibration import Reliability, fit_temperature, reliability
from cyclegan_audio.metrics.genre_classifier.linear import LinearNet, train_linear
from cyclegan_audio.metrics.genre_classifier.network import GenreNet, GenreNetSettings
from cyclegan_audio.metrics.genre_classifier.training import train_net
from cyclegan_audio.statistics.estimates import Estimate
from cyclegan_audio.statistics.proportions import balanced_accuracy
from cyclegan_audio.utils.atomic import atomic_path
from cyclegan_audio.utils.errors import UserError, check_number, error_reason
from cyclegan_audio.utils.printing import get_logger
from cyclegan_audio.utils.progress import progress_bar
from cyclegan_audio.utils.regular_files import check_file

log = get_logger(__name__)

VERSION = 9  # of the code below and of the saved files: other versions train again
LOW_PASS_HZ = 6000.0
NOISE_BELOW_DB = 60.0  # the loudest point of each clip: as loud as tape hiss
DECISION_THRESHOLD = 0.5  # probability above which a clip is classified as a genre
BLOCK = 64
MAX_BYTES = 1 << 28  # of a saved classifier, which has under 2 MB
FOLDER = "classifiers"
NETWORK, LINEAR = "network", "linear"
ACCURACIES = ("accuracy", "accuracy_low_passed", "accuracy_noisy")
MEASURED = (*ACCURACIES, "reliability")
SETTINGS = GenreNetSettings()

ClassifierNetwork = GenreNet | LinearNet
ProgressCallback = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True)
class GenreClassifier:
    """Classifies mels in dB (N, M, F) of any level into two genres.

    Attributes:
        genres: probabilities are of the second.
        net: maps mels to logits of the second genre.
        temperature: divides the logits; fitted to cross-validated training clips and the validation split.
        accuracy: balanced accuracy on the test split, with an interval over tracks.
        accuracy_low_passed: the same with everything above 6 kHz removed.
        accuracy_noisy: the same with noise in every band, 60 dB below the loudest point of each clip.
        reliability: reliability of the calibrated probabilities on the test split.
    """

    genres: tuple[str, str]
    net: ClassifierNetwork
    temperature: float
    accuracy: Estimate
    accuracy_low_passed: Estimate
    accuracy_noisy: Estimate
    reliability: Reliability

    @torch.inference_mode()
    def probability(self, mels_db: Tensor) -> Tensor:
        """Compute the probability (N,) of `genres[1]` for (N, M, F)."""
        return torch.cat([torch.sigmoid(self.net(b) / self.temperature) for b in mels_db.split(BLOCK)])

    def probability_of(self, genre: str, mels_db: Tensor) -> np.ndarray:
        """Compute the probability (N,) of `genre` for (N, M, F), in float64."""
        second = self.probability(mels_db).double().cpu().numpy()
        return second if genre == self.genres[1] else 1 - second

    @torch.inference_mode()
    def embed(self, mels_db: Tensor) -> Tensor:
        """Embed (N, M, F) as (N, D): the hidden layers, or the band statistics of the linear classifier."""
        return torch.cat([self.net.embed(block) for block in mels_db.split(BLOCK)])


def genre_classifier_for(corpus: Corpus, genres: tuple[str, str]) -> GenreClassifier:
    """Load the genre classifier of two genres of a corpus, or train it.

    Raises:
        UserError: a genre is missing or has no training clips.
    """
    return _classifier_for(corpus, genres, NETWORK)


def linear_classifier_for(corpus: Corpus, genres: tuple[str, str]) -> GenreClassifier:
    """Load or train the linear classifier: logistic regression on per-band statistics.

    Raises:
        UserError: a genre is missing or has no training clips.
    """
    return _classifier_for(corpus, genres, LINEAR)


def _classifier_for(corpus: Corpus, genres: tuple[str, str], kind: str) -> GenreClassifier:
    genres = corpus.check_genres(*genres)
    path = _classifier_path(corpus, genres, kind)
    return _load_classifier(path, corpus, genres, kind) or _train_and_save(path, corpus, genres, kind)


def _clips(corpus: Corpus, genres: tuple[str, str], split: str) -> list[Clip]:
    return [clip for genre in genres for clip in corpus.clips(genre, split)]


def _classifier_path(corpus: Corpus, genres: tuple[str, str], kind: str) -> Path:
    """Return the path of a classifier, named by a hash of everything that determines the classifier."""
    clips = {
        split: [(clip.clip_id, clip.content, clip.track) for clip in _clips(corpus, genres, split)]
        for split in ("train", "val", "test")
    }
    settings = dataclasses.asdict(SETTINGS) if kind == NETWORK else {}
    canonical = json.dumps(
        [
            VERSION,
            kind,
            settings,
            corpus.mel.hash,
            corpus.clip_s,
            genres,
            clips,
            *corpus.normalisation.to_dict().items(),
        ]
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()[:12]
    return corpus.folder / FOLDER / f"{kind}_{slug(genres[0])}_{slug(genres[1])}_{digest}.pt"


def _load_classifier(
    path: Path, corpus: Corpus, genres: tuple[str, str], kind: str
) -> GenreClassifier | None:
    if not path.is_file():
        return None
    try:
        check_file(path, MAX_BYTES)
        check_archive(path)
        saved = torch.load(path, map_location="cpu", weights_only=True)
        _check_numbers([saved["temperature"], *(list(saved[name].values()) for name in MEASURED)])
        net: ClassifierNetwork
        if kind == NETWORK:
            net = GenreNet(corpus.mel.n_mels, corpus.mel.frame_s, SETTINGS)
        else:
            net = LinearNet(corpus.mel.n_mels, corpus.mel.frame_s)
        check_tensors(saved["net"], path.stat().st_size)
        check_weights(saved["net"], net)
        net.load_state_dict(saved["net"])
        check_number("temperature", saved["temperature"], low=1e-6)
        accuracies = {name: Estimate(**saved[name]) for name in ACCURACIES}
        calibration = Reliability(**saved["reliability"])
        return GenreClassifier(
            genres, net.eval(), saved["temperature"], reliability=calibration, **accuracies
        )
    except Exception as error:
        log.warning(
            "warning: the genre classifier %s cannot be read (%s); it is trained again",
            path,
            error_reason(error),
        )
        return None


def _check_numbers(values: Any) -> None:
    """Check that nested lists of a file hold only numbers.

    Raises:
        TypeError: they hold something else.
    """
    for value in values:
        if isinstance(value, list | tuple):
            _check_numbers(value)
        elif type(value) not in (int, float):
            raise TypeError("it holds more than weights and numbers")


def _train_and_save(path: Path, corpus: Corpus, genres: tuple[str, str], kind: str) -> GenreClassifier:
    with progress_bar(f"training the {kind} classifier of {genres[0]} and {genres[1]}") as bar:
        classifier = train_genre_classifier(corpus, genres, kind, bar.update)
    state: dict[str, Any] = {
        "net": classifier.net.state_dict(),
        "temperature": classifier.temperature,
        **{name: dataclasses.asdict(getattr(classifier, name)) for name in MEASURED},
    }
    try:
        path.parent.mkdir(exist_ok=True)
        with atomic_path(path) as part, part.open("wb") as file:
            torch.save(state, file)
    except OSError as error:
        log.warning(
            "warning: the genre classifier is not saved: %s cannot be written (%s)",
            path.parent,
            error.strerror,
        )
    return classifier


def train_genre_classifier(
    corpus: Corpus,
    genres: tuple[str, str],
    kind: str = NETWORK,
    on_step: ProgressCallback = lambda done, total: None,
) -> GenreClassifier:
    """Train on the split `train`, calibrate by cross-validation and on `val`, and measure on `test`.

    Nothing is loaded from or saved to disk.

    Args:
        corpus: the clips.
        genres: the two genres; probabilities are of the second.
        kind: `NETWORK` or `LINEAR`.
        on_step: called with the steps done and their total.

    Raises:
        UserError: a genre has no training clips.
    """
    for genre in genres:
        if not corpus.clips(genre, "train"):
            raise UserError(
                f"{corpus.folder} has no training clips of {genre}; add music of it and run prepare again"
            )
    mel = corpus.mel
    mels_db, labels, tracks = _load_mels(corpus, genres, "train")
    net: ClassifierNetwork
    if kind == NETWORK:
        net, held_out = train_net(mels_db, labels, tracks, mel.band_hz, mel.frame_s, SETTINGS, on_step)
    else:
        net, held_out = train_linear(mels_db, labels, tracks, mel.band_hz, mel.frame_s)
    val_db, val_labels, _ = _load_mels(corpus, genres, "val")
    known = ~held_out.isnan()
    temperature = fit_temperature(
        torch.cat([held_out[known], logits(net, val_db)]), torch.cat([labels[known], val_labels])
    )
    test_db, test_labels, test_tracks = _load_mels(corpus, genres, "test")

    def accuracy(test_logits: Tensor) -> Estimate:
        correct = (test_logits > 0) == (test_labels > 0)
        return balanced_accuracy(correct.tolist(), test_labels.tolist(), test_tracks)

    clean = logits(net, test_db)
    degraded = low_pass(test_db, mel.band_hz, LOW_PASS_HZ), add_noise(test_db, NOISE_BELOW_DB)
    all_logits = clean, *(logits(net, mels_db) for mels_db in degraded)
    accuracies = dict(zip(ACCURACIES, map(accuracy, all_logits), strict=True))
    calibration = reliability(torch.sigmoid(clean / temperature), test_labels)
    return GenreClassifier(genres, net, temperature, reliability=calibration, **accuracies)


@torch.inference_mode()
def logits(net: nn.Module, mels_db: Tensor) -> Tensor:
    """Compute logits (N,) of mels (N, M, F) in blocks; N may be 0."""
    return torch.cat([mels_db.new_zeros(0), *(net(block) for block in mels_db.split(BLOCK) if len(block))])


def _load_mels(corpus: Corpus, genres: tuple[str, str], split: str) -> tuple[Tensor, Tensor, list[str]]:
    """Load the mels (N, M, F), labels (N,) and tracks of a split."""
    clips = _clips(corpus, genres, split)
    mels = torch.zeros(len(clips), corpus.mel.n_mels, corpus.clip_frames)
    for row, clip in enumerate(clips):
        mels[row] = corpus.mel_db(clip)
    return mels, torch.tensor([genres.index(clip.genre) for clip in clips]), [clip.track for clip in clips]
