"""Classifiers on a corpus whose genres differ in rhythm alone: right verdicts, robust, kept on disk."""

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
N_FRAMES, CLIPS_A_TRACK = 96, 4
FAST, SLOW = 0.1, 0.25  # seconds from beat to beat


@pytest.fixture(autouse=True)
def small_net(monkeypatch: pytest.MonkeyPatch, small_settings) -> None:
    monkeypatch.setattr(classifier_module, "SETTINGS", small_settings(4, 60))


class MadeCorpus(Corpus):
    """Ten tracks a genre, mels made on demand: pulses over all bands at the genre's rate, level at random."""

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
def made(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    mel = MelSpectrogram.from_dict(dict(OmegaConf.load(CONF_DIR / "mel" / "paper.yaml")))
    clips = []
    for genre in ("fast", "slow"):
        for track, split in enumerate(SPLITS):
            for number in range(CLIPS_A_TRACK):
                index = track * CLIPS_A_TRACK + number
                name = f"{genre}_{track}"
                clips.append(
                    Clip(
                        f"{name}-{number}", genre, name, 2.0 * number, 2.0, name, name, name, index,
                        None, split, -20.0, -80.0, 0.0,
                    )
                )  # fmt: skip
    settings = {"mel": mel.to_dict(), "clip": {"seconds": 2.0}}
    return MadeCorpus(tmp_path_factory.mktemp("made"), settings, clips)


def mels_of(corpus: Corpus, genre: str, split: str) -> torch.Tensor:
    return torch.stack([corpus.mel_db(clip) for clip in corpus.clips(genre, split)])


@pytest.mark.parametrize("make", [genre_classifier_for, linear_classifier_for])
def test_judge_tells_rhythms_apart_at_any_level_noise_and_bandwidth(made, make) -> None:
    classifier = make(made, ("fast", "slow"))
    assert (classifier.accuracy.n, classifier.accuracy.groups) == (16, 4)
    assert classifier.accuracy.mean >= 0.9
    assert classifier.accuracy.low < classifier.accuracy.mean <= classifier.accuracy.high
    assert classifier.accuracy_low_passed.mean >= 0.9
    assert classifier.accuracy_noisy.mean >= 0.9
    assert classifier.reliability.n == 16
    assert classifier.reliability.error < 0.25
    slow, fast = mels_of(made, "slow", "test"), mels_of(made, "fast", "test")
    assert classifier.probability(slow).mean() > 0.5 > classifier.probability(fast).mean()
    torch.testing.assert_close(
        classifier.probability(slow - 40), classifier.probability(slow), atol=1e-3, rtol=0
    )
    noisy = fast + 3 * torch.randn(fast.shape, generator=torch.Generator().manual_seed(0))
    assert (classifier.probability(noisy) < 0.5).float().mean() >= 0.9
    assert classifier.embed(slow).shape[0] == len(slow)
    assert float((classifier.embed(slow).mean(0) - classifier.embed(fast).mean(0)).norm()) > 0.5


def test_judge_is_kept_and_read_again(made, monkeypatch) -> None:
    first = genre_classifier_for(made, ("fast", "slow"))
    files = {path.name for path in (made.folder / "classifiers").iterdir()}
    assert any(name.startswith("network_fast_slow_") for name in files)
    monkeypatch.setattr(classifier_module, "train_net", None)  # training again would fail
    again = genre_classifier_for(made, ("fast", "slow"))
    mels = mels_of(made, "slow", "test")
    assert torch.equal(again.probability(mels), first.probability(mels))
    for name in ("accuracy", "accuracy_low_passed", "accuracy_noisy", "reliability", "temperature"):
        assert getattr(again, name) == getattr(first, name)
    assert {path.name for path in (made.folder / "classifiers").iterdir()} == files


def test_damaged_or_other_judges_are_trained_anew(made, monkeypatch) -> None:
    linear_classifier_for(made, ("fast", "slow"))
    (path,) = (made.folder / "classifiers").glob("linear_fast_slow_*")
    path.write_bytes(path.read_bytes()[:100])
    assert linear_classifier_for(made, ("fast", "slow")).accuracy.mean >= 0.9
    assert path.stat().st_size > 100
    monkeypatch.setattr(classifier_module, "VERSION", classifier_module.VERSION + 1)
    linear_classifier_for(made, ("fast", "slow"))
    assert len(list((made.folder / "classifiers").glob("linear_fast_slow_*"))) == 2


def test_corpus_that_cannot_be_written_still_gives_a_judge(made, tmp_path, caplog) -> None:
    (tmp_path / "file").write_text("")
    settings = {"mel": made.mel.to_dict(), "clip": {"seconds": made.clip_s}}
    read_only = MadeCorpus(tmp_path / "file", settings, made._clips)
    assert linear_classifier_for(read_only, ("fast", "slow")).accuracy.mean >= 0.9
    assert "cannot be written" in caplog.text


def test_only_training_clips_are_trained_on(made, monkeypatch) -> None:
    seen = []
    train = classifier_module.train_linear

    def watch(mels_db, labels, tracks, *rest):
        seen.extend(tracks)
        return train(mels_db, labels, tracks, *rest)

    monkeypatch.setattr(classifier_module, "train_linear", watch)
    classifier_module.train_genre_classifier(made, ("fast", "slow"), "linear")
    assert set(seen) == {f"{genre}_{track}" for genre in ("fast", "slow") for track in range(7)}


def test_bad_input(made, tmp_path) -> None:
    with pytest.raises(UserError, match="no genre 'jazz'"):
        genre_classifier_for(made, ("fast", "jazz"))
    settings = {"mel": made.mel.to_dict(), "clip": {"seconds": made.clip_s}}
    held_out = [clip for clip in made._clips if clip.split != "train" or clip.genre == "fast"]
    with pytest.raises(UserError, match="no training clips of slow"):
        genre_classifier_for(MadeCorpus(tmp_path, settings, held_out), ("fast", "slow"))
