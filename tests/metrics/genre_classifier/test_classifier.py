"""Test classifiers on a synthetic corpus whose genres differ in rhythm only: accuracy, robustness, files."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.config import CONF_DIR
from cyclegan_audio.corpus.corpus import Clip, Corpus
from cyclegan_audio.metrics.genre_classifier import classifier as classifier_module
from cyclegan_audio.metrics.genre_classifier.classifier import genre_classifier_for, linear_classifier_for
from cyclegan_audio.utils.errors import UserError

SPLITS = ("train",) * 7 + ("val", "test", "test")
N_FRAMES, CLIPS_PER_TRACK = 96, 4
FAST, SLOW = 0.1, 0.25  # seconds from beat to beat


@pytest.fixture(autouse=True)
def small_net(monkeypatch: pytest.MonkeyPatch, small_settings) -> None:
    monkeypatch.setattr(classifier_module, "SETTINGS", small_settings(4, 60))


class SyntheticCorpus(Corpus):
    """Ten tracks per genre; mels are pulses in all bands at the rate of the genre, at a random level."""

    def mel_db(self, clip: Clip) -> torch.Tensor:
        rng = np.random.default_rng([clip.index, clip.genre == "fast"])
        time_s = np.arange(N_FRAMES) * self.mel.frame_s
        beat_s = (FAST if clip.genre == "fast" else SLOW) * rng.uniform(0.95, 1.05)
        pulses = 30 * np.exp(-((time_s + rng.uniform(0, 1)) % beat_s) / 0.03)
        mel_db = pulses - 0.2 * np.arange(self.mel.n_mels)[:, None] + rng.normal(0, 3, (128, N_FRAMES))
        return torch.from_numpy(mel_db + rng.uniform(-30, 0)).float()

    @property
    def clip_frames(self) -> int:
        return N_FRAMES


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    mel = MelSpectrogram.from_dict(dict(OmegaConf.load(CONF_DIR / "mel" / "paper.yaml")))
    clips = []
    for genre in ("fast", "slow"):
        for track, split in enumerate(SPLITS):
            for number in range(CLIPS_PER_TRACK):
                index = track * CLIPS_PER_TRACK + number
                name = f"{genre}_{track}"
                clips.append(
                    Clip(
                        f"{name}-{number}", genre, name, 2.0 * number, 2.0, name, name, name, index,
                        None, split, -20.0, -80.0, 0.0,
                    )
                )  # fmt: skip
    settings = {"mel": mel.to_dict(), "clip": {"seconds": 2.0}}
    return SyntheticCorpus(tmp_path_factory.mktemp("corpus"), settings, clips)


def mels_of(corpus: Corpus, genre: str, split: str) -> torch.Tensor:
    return torch.stack([corpus.mel_db(clip) for clip in corpus.clips(genre, split)])


@pytest.mark.parametrize("make", [genre_classifier_for, linear_classifier_for])
def test_classifier_separates_rhythms_at_any_level_noise_and_bandwidth(corpus, make) -> None:
    classifier = make(corpus, ("fast", "slow"))
    assert (classifier.accuracy.n, classifier.accuracy.groups) == (16, 4)
    assert classifier.accuracy.mean >= 0.9
    assert classifier.accuracy.low < classifier.accuracy.mean <= classifier.accuracy.high
    assert classifier.accuracy_low_passed.mean >= 0.9
    assert classifier.accuracy_noisy.mean >= 0.9
    assert classifier.reliability.n == 16
    assert classifier.reliability.error < 0.25
    slow, fast = mels_of(corpus, "slow", "test"), mels_of(corpus, "fast", "test")
    assert classifier.probability(slow).mean() > 0.5 > classifier.probability(fast).mean()
    torch.testing.assert_close(
        classifier.probability(slow - 40), classifier.probability(slow), atol=1e-3, rtol=0
    )
    noisy = fast + 3 * torch.randn(fast.shape, generator=torch.Generator().manual_seed(0))
    assert (classifier.probability(noisy) < 0.5).float().mean() >= 0.9
    assert classifier.embed(slow).shape[0] == len(slow)
    assert float((classifier.embed(slow).mean(0) - classifier.embed(fast).mean(0)).norm()) > 0.5


def test_classifier_is_saved_and_loaded(corpus, monkeypatch) -> None:
    first = genre_classifier_for(corpus, ("fast", "slow"))
    files = {path.name for path in (corpus.folder / "classifiers").iterdir()}
    assert any(name.startswith("network_fast_slow_") for name in files)
    monkeypatch.setattr(classifier_module, "train_net", None)  # training again would fail
    again = genre_classifier_for(corpus, ("fast", "slow"))
    mels = mels_of(corpus, "slow", "test")
    assert torch.equal(again.probability(mels), first.probability(mels))
    for name in ("accuracy", "accuracy_low_passed", "accuracy_noisy", "reliability", "temperature"):
        assert getattr(again, name) == getattr(first, name)
    assert {path.name for path in (corpus.folder / "classifiers").iterdir()} == files


def save_with(path: Path, **values: object) -> None:
    torch.save({**torch.load(path, weights_only=True), **values}, path)


def replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGES: list[Callable[[Path], object]] = [
    lambda path: path.write_bytes(path.read_bytes()[:100]),
    lambda path: os.truncate(path, 100 << 30),
    lambda path: save_with(path, net={"a": torch.zeros(1).expand(1 << 40)}),
    lambda path: save_with(path, temperature="x"),
    lambda path: save_with(path, accuracy={"mean": "<script>", "low": 0.0, "high": 1.0}),
    replace_by_pipe,
]


def test_damaged_or_outdated_classifiers_are_trained_again(corpus, monkeypatch) -> None:
    linear_classifier_for(corpus, ("fast", "slow"))
    (path,) = (corpus.folder / "classifiers").glob("linear_fast_slow_*")
    size = path.stat().st_size
    for damage in DAMAGES:
        damage(path)
        assert linear_classifier_for(corpus, ("fast", "slow")).accuracy.mean >= 0.9
        assert path.stat().st_size == size
    monkeypatch.setattr(classifier_module, "VERSION", classifier_module.VERSION + 1)
    linear_classifier_for(corpus, ("fast", "slow"))
    assert len(list((corpus.folder / "classifiers").glob("linear_fast_slow_*"))) == 2


def test_classifier_of_a_read_only_corpus_is_not_saved(corpus, tmp_path, caplog) -> None:
    (tmp_path / "file").write_text("")
    settings = {"mel": corpus.mel.to_dict(), "clip": {"seconds": corpus.clip_s}}
    read_only = SyntheticCorpus(tmp_path / "file", settings, corpus._clips)
    assert linear_classifier_for(read_only, ("fast", "slow")).accuracy.mean >= 0.9
    assert "cannot be written" in caplog.text


def test_only_training_clips_are_used(corpus, monkeypatch) -> None:
    trained_tracks = []
    train = classifier_module.train_linear

    def record_tracks(mels_db, labels, tracks, *rest):
        trained_tracks.extend(tracks)
        return train(mels_db, labels, tracks, *rest)

    monkeypatch.setattr(classifier_module, "train_linear", record_tracks)
    classifier_module.train_genre_classifier(corpus, ("fast", "slow"), "linear")
    assert set(trained_tracks) == {f"{genre}_{track}" for genre in ("fast", "slow") for track in range(7)}


def test_missing_genres_and_training_clips_raise(corpus, tmp_path) -> None:
    with pytest.raises(UserError, match="no genre 'jazz'"):
        genre_classifier_for(corpus, ("fast", "jazz"))
    settings = {"mel": corpus.mel.to_dict(), "clip": {"seconds": corpus.clip_s}}
    held_out = [clip for clip in corpus._clips if clip.split != "train" or clip.genre == "fast"]
    with pytest.raises(UserError, match="no training clips of slow"):
        genre_classifier_for(SyntheticCorpus(tmp_path, settings, held_out), ("fast", "slow"))
