"""Genre classifiers: classifiers trained on a corpus's training split alone, with their accuracy beside them.

    classifier = genre_classifier_for(corpus, ("lofi", "trap"))
    classifier.probability(mels_db)  # (N,), of trap
    classifier.accuracy, classifier.accuracy_low_passed, classifier.accuracy_noisy, classifier.reliability.error

The first call trains (40 s to two minutes of one core for 1,000 clips, shared among cores) and keeps it in
CORPUS/classifiers.
"""

import dataclasses
import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cyclegan_audio.config import slug
from cyclegan_audio.corpus.corpus import Clip, Corpus
from cyclegan_audio.metrics.genre_classifier.augmentation import low_pass, noisy
from cyclegan_audio.metrics.genre_classifier.calibration import Reliability, fit_temperature, reliability
from cyclegan_audio.metrics.genre_classifier.linear import LinearNet, train_linear
from cyclegan_audio.metrics.genre_classifier.network import GenreNet, NetSettings
from cyclegan_audio.metrics.genre_classifier.training import train_net
from cyclegan_audio.statistics.estimates import Estimate
from cyclegan_audio.statistics.proportions import balanced_accuracy
from cyclegan_audio.utils.atomic import atomic_path
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.progress import progress_bar

log = logging.getLogger(__name__)

VERSION = 8  # of the code below: other versions do not take each other's classifiers from the disk
LOW_PASS_HZ = 6000.0
NOISE_DB = 60.0  # under each clip's loudest point: as loud as the hiss of a tape
CALLED_FROM = 0.5  # probability above which a clip is called a genre
BLOCK = 64
FOLDER = "classifiers"
NETWORK, LINEAR = "network", "linear"
ACCURACIES = ("accuracy", "accuracy_low_passed", "accuracy_noisy")
SETTINGS = NetSettings()

ClassifierNetwork = GenreNet | LinearNet
OnStep = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True)
class GenreClassifier:
    """Tells two genres apart by mels in dB (N, M, F) of any level.

    Attributes:
        genres: probabilities are of the second.
        net: gives logits.
        temperature: divides logits, so that probabilities are calibrated on clips left out of training in
            turn and on the validation split.
        accuracy: balanced accuracy on the test split's clips, with an interval that knows of tracks.
        accuracy_low_passed: the same after all clips lost what lies above 6 kHz.
        accuracy_noisy: the same with noise in every band, 60 dB under each clip's loudest point.
        reliability: of the calibrated probabilities on the test split's clips.
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
        """Embed (N, M, F) as (N, D): the network's hidden layers, or the linear classifier's band statistics."""
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
    genres = corpus.resolve_genres(*genres)
    path = _place(corpus, genres, kind)
    return _read(path, corpus, genres, kind) or _train_and_keep(path, corpus, genres, kind)


def _clips(corpus: Corpus, genres: tuple[str, str], split: str) -> list[Clip]:
    return [clip for genre in genres for clip in corpus.clips(genre, split)]


def _place(corpus: Corpus, genres: tuple[str, str], kind: str) -> Path:
    """The genre classifier's file: its name follows from all that the genre classifier follows from."""
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


def _read(path: Path, corpus: Corpus, genres: tuple[str, str], kind: str) -> GenreClassifier | None:
    if not path.is_file():
        return None
    try:
        kept = torch.load(path, weights_only=True)
        net: ClassifierNetwork
        if kind == NETWORK:
            net = GenreNet(corpus.mel.n_mels, corpus.mel.frame_s, SETTINGS)
        else:
            net = LinearNet(corpus.mel.n_mels, corpus.mel.frame_s)
        net.load_state_dict(kept["net"])
        accuracies = {name: Estimate(**kept[name]) for name in ACCURACIES}
        calibrated = Reliability(**kept["reliability"])
        return GenreClassifier(genres, net.eval(), kept["temperature"], reliability=calibrated, **accuracies)
    except Exception as error:
        log.warning("warning: the genre classifier %s cannot be read (%s): it is trained anew", path, error)
        return None


def _train_and_keep(path: Path, corpus: Corpus, genres: tuple[str, str], kind: str) -> GenreClassifier:
    with progress_bar(f"training the {kind} classifier of {genres[0]} and {genres[1]}") as bar:
        classifier = train_genre_classifier(corpus, genres, kind, bar.update)
    kept: dict[str, Any] = {
        "net": classifier.net.state_dict(),
        "temperature": classifier.temperature,
        **{name: dataclasses.asdict(getattr(classifier, name)) for name in (*ACCURACIES, "reliability")},
    }
    try:
        path.parent.mkdir(exist_ok=True)
        with atomic_path(path) as part, part.open("wb") as file:
            torch.save(kept, file)
    except OSError as error:
        log.warning(
            "warning: the genre classifier is not kept, %s cannot be written (%s)",
            path.parent,
            error.strerror,
        )
    return classifier


def train_genre_classifier(
    corpus: Corpus, genres: tuple[str, str], kind: str = NETWORK, on_step: OnStep = lambda done, total: None
) -> GenreClassifier:
    """Train on the split `train`, calibrate on its tracks left out in turn and on `val`, measure on `test`.

    Nothing is read or kept on disk.

    Args:
        kind: `network` or `linear`.
        on_step: told the steps done and their total.

    Raises:
        UserError: a genre has no training clips.
    """
    for genre in genres:
        if not corpus.clips(genre, "train"):
            raise UserError(f"{corpus.folder} has no training clips of {genre}; prepare more music")
    mel = corpus.mel
    mels_db, labels, tracks = _load(corpus, genres, "train")
    net: ClassifierNetwork
    if kind == NETWORK:
        net, left_out = train_net(mels_db, labels, tracks, mel.band_hz, mel.frame_s, SETTINGS, on_step)
    else:
        net, left_out = train_linear(mels_db, labels, tracks, mel.band_hz, mel.frame_s)
    val_db, val_labels, _ = _load(corpus, genres, "val")
    known = ~left_out.isnan()
    temperature = fit_temperature(
        torch.cat([left_out[known], logits(net, val_db)]), torch.cat([labels[known], val_labels])
    )
    test_db, test_labels, test_tracks = _load(corpus, genres, "test")

    def accuracy(given: Tensor) -> Estimate:
        correct = (given > 0) == (test_labels > 0)
        return balanced_accuracy(correct.tolist(), test_labels.tolist(), test_tracks)

    given = logits(net, test_db)
    worse = low_pass(test_db, mel.band_hz, LOW_PASS_HZ), noisy(test_db, NOISE_DB)
    judged = given, *(logits(net, mels_db) for mels_db in worse)
    accuracies = dict(zip(ACCURACIES, map(accuracy, judged), strict=True))
    calibrated = reliability(torch.sigmoid(given / temperature), test_labels)
    return GenreClassifier(genres, net, temperature, reliability=calibrated, **accuracies)


@torch.inference_mode()
def logits(net: nn.Module, mels_db: Tensor) -> Tensor:
    """Compute logits (N,) of (N, M, F), in blocks; N may be 0."""
    return torch.cat([mels_db.new_zeros(0), *(net(block) for block in mels_db.split(BLOCK) if len(block))])


def _load(corpus: Corpus, genres: tuple[str, str], split: str) -> tuple[Tensor, Tensor, list[str]]:
    """Mels (N, M, F), labels (N,) and tracks of a split."""
    clips = _clips(corpus, genres, split)
    mels = torch.zeros(len(clips), corpus.mel.n_mels, corpus.clip_frames)
    for row, clip in enumerate(clips):
        mels[row] = corpus.mel_db(clip)
    return mels, torch.tensor([genres.index(clip.genre) for clip in clips]), [clip.track for clip in clips]
