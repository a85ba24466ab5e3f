"""When the tagger is heard, which tags are logged, and what is refused."""

from types import SimpleNamespace

import pytest
import torch

from cyclegan_audio.metrics.tagger import TAGS, TaggedSounds
from cyclegan_audio.training.callbacks.tagger_logging import RealClips, TaggerLog, compare_tags
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.vocoders import make_vocoder


def tagged(**tags: tuple[float, ...]) -> TaggedSounds:
    """Return sounds with these probabilities of some tags, one for each sound."""
    probabilities = torch.zeros(len(next(iter(tags.values()))), len(TAGS))
    for name, values in tags.items():
        probabilities[:, TAGS.index(name)] = torch.tensor(values)
    return TaggedSounds(torch.zeros(len(probabilities), 4), probabilities)


def test_the_tags_that_differ_most_between_the_genres_are_compared():
    source = RealClips(tagged(jazz=(0.7, 0.9), soul=(0.3, 0.3), rock=(0.2, 0.2)), [], tagged(jazz=(0.6, 1.0)))
    target = RealClips(tagged(jazz=(0.2, 0.0), soul=(0.3, 0.3), rock=(0.5, 0.5)), [], tagged(jazz=(0.9,)))
    rows = compare_tags(source, tagged(jazz=(0.5, 0.3), rock=(0.4, 0.2)), target, 2)
    assert [row[0] for row in rows] == ["jazz", "rock"]
    assert [row[1:] for row in rows] == [pytest.approx((0.8, 0.4, 0.1)), pytest.approx((0.0, 0.3, 0.5))]


def epochs_with_numbers(monkeypatch, max_epochs: int, stop_in: int | None = None) -> list[int]:
    """Return the epochs after which a run with `every_epochs=5` logs."""
    log, epochs = TaggerLog(make_vocoder("mask")), []
    monkeypatch.setattr(log, "_log", lambda trainer, *_: epochs.append(trainer.current_epoch + 1))
    silence = tagged(jazz=(0.0,))
    log.genres = (RealClips(silence, [], silence), RealClips(silence, [], silence))
    for epoch in range(stop_in or max_epochs):
        trainer = SimpleNamespace(
            current_epoch=epoch, max_epochs=max_epochs, should_stop=epoch + 1 == stop_in
        )
        log.on_train_epoch_end(trainer, SimpleNamespace(directions=("ab",)))
    return epochs


def test_the_last_epoch_is_logged_once(monkeypatch):
    assert epochs_with_numbers(monkeypatch, 12) == [5, 10, 12]
    assert epochs_with_numbers(monkeypatch, 10) == [5, 10]
    assert epochs_with_numbers(monkeypatch, 12, stop_in=7) == [5, 7]


def test_nothing_above_the_bandwidth_of_the_corpus_is_heard(monkeypatch):
    heard = []

    def tagger(sounds, sample_rate, cutoff_hz):
        heard.append((len(sounds), sample_rate, cutoff_hz))
        return tagged(jazz=(0.0,) * len(sounds))

    monkeypatch.setattr("cyclegan_audio.training.callbacks.tagger_logging.load_tagger", lambda: tagger)
    corpus = SimpleNamespace(
        audio=lambda clip: torch.zeros(9),
        mel=SimpleNamespace(sample_rate=16000),
        normalisation=SimpleNamespace(cutoff_hz=5000.0),
    )
    log = TaggerLog(make_vocoder("mask"), clips=2, training_clips=3)
    real = log._hear(corpus, range(9), range(9))
    assert heard == [(5, 16000, 5000.0)]
    assert (len(real.training.tags), len(real.untouched.tags)) == (3, 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vocoder": -1}, "callbacks.tagger.vocoder must be a vocoder, got -1"),
        ({"every_epochs": 0}, "callbacks.tagger.every_epochs"),
        ({"clips": 0}, "callbacks.tagger.clips"),
        ({"training_clips": 1.5}, "callbacks.tagger.training_clips"),
        ({"tags": 51}, "callbacks.tagger.tags"),
    ],
)
def test_other_settings_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        TaggerLog(**{"vocoder": make_vocoder("mask"), **settings})
