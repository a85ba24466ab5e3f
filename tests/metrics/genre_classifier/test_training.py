"""Test the training of the genre classifiers and their cross-validated logits."""

import dataclasses

import numpy as np
import pytest
import torch

from cyclegan_audio.metrics.genre_classifier.linear import train_linear
from cyclegan_audio.metrics.genre_classifier.network import GenreNet, GenreNetSettings
from cyclegan_audio.metrics.genre_classifier.training import (
    AugmentedViews,
    ProgressCounter,
    mixup,
    n_batches,
    train_net,
)


@pytest.mark.parametrize("kind", ["network", "linear"])
def test_cross_validated_logits_do_not_use_the_track(kind, small_settings) -> None:
    mels_db = torch.randn(12, 128, 40, generator=torch.Generator().manual_seed(0))
    labels, band_hz = torch.tensor([0, 1] * 6), torch.linspace(50, 20000, 128)

    def cross_validated(tracks: list[str]) -> torch.Tensor:
        if kind == "linear":
            return train_linear(mels_db, labels, tracks, band_hz, 0.02)[1]
        return train_net(mels_db, labels, tracks, band_hz, 0.02, small_settings(1, 40))[1]

    # Noise can only be memorised: about half are correct if no clip is scored by its training fold.
    logits = cross_validated([f"{place}" for place in range(12)])
    assert torch.isfinite(logits).all()
    assert 2 <= int(((logits > 0) == labels.bool()).sum()) <= 10
    assert cross_validated(["a", "b"] * 6).isnan().all()


def test_convolutions_learn_what_band_statistics_cannot(small_settings) -> None:
    """Tones that rise from band to band against tones that fall: the same in each band."""
    random = torch.Generator().manual_seed(0)
    labels = torch.tensor([0, 1] * 24)
    time = (torch.arange(64)[None, :] + torch.randint(64, (48, 1), generator=random)) % 64
    rising = (torch.arange(128)[None, :, None] // 2 - time[:, None, :]).abs() < 3
    mels_db = torch.where(labels[:, None, None] > 0, rising, rising.flip(2)) * 30.0
    mels_db = mels_db + torch.randn(mels_db.shape, generator=random)
    one_track, band_hz = ["track"] * 36, torch.linspace(50, 20000, 128)  # no folds
    net, _ = train_net(mels_db[:36], labels[:36], one_track, band_hz, 0.02, small_settings(2, 60))
    with torch.inference_mode():
        alone = net.convolutions(net.branch_inputs(mels_db[36:])[1])
    assert ((alone > 0) == labels[36:].bool()).float().mean() >= 0.9


def test_training_is_the_same_for_any_number_of_threads(small_settings) -> None:
    mels_db = torch.randn(12, 128, 40, generator=torch.Generator().manual_seed(0))
    labels, tracks = torch.tensor([0, 1] * 6), [f"{place}" for place in range(12)]
    results = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        results.append(
            train_net(mels_db, labels, tracks, torch.linspace(50, 20000, 128), 0.02, small_settings(1, 5))
        )
    torch.set_num_threads(1)
    (one, logits), (two, same) = results
    torch.testing.assert_close(logits, same, atol=1e-5, rtol=1e-5)
    for name, value in one.state_dict().items():
        torch.testing.assert_close(value, two.state_dict()[name], atol=1e-5, rtol=1e-5)


def test_progress_reaches_its_total_and_training_can_be_stopped(small_settings) -> None:
    mels_db = torch.randn(8, 128, 40, generator=torch.Generator().manual_seed(0))
    labels, steps = torch.tensor([0, 1] * 4), []

    def train(on_step) -> None:
        train_net(
            mels_db,
            labels,
            list("abcdefgh"),
            torch.linspace(50, 20000, 128),
            0.02,
            small_settings(1, 4),
            on_step,
        )

    train(lambda done, total: steps.append((done, total)))
    done, totals = zip(*steps, strict=True)
    assert list(done) == sorted(done)
    assert {done[-1]} == set(totals)

    def stop(done: int, total: int) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(stop)
    progress = ProgressCounter(10, stop)
    progress.stopped = True
    with pytest.raises(InterruptedError):
        progress.add(1)


def test_n_batches_by_hand() -> None:
    settings = dataclasses.replace(
        GenreNetSettings().convolutions, epochs=10, min_batches=30, max_batches=100
    )
    size = settings.batch_size
    assert [n_batches(settings, n) for n in (2, 5 * size, 50 * size)] == [(30, 1), (50, 5), (100, 50)]


def test_sample_mels_crops_and_masks_bands() -> None:
    settings = GenreNetSettings(views=2, masked_bands=4)
    mels_db = 20 * torch.randn(6, 128, 100, generator=torch.Generator().manual_seed(0))
    net = GenreNet(128, 0.02, settings)
    views = AugmentedViews(
        net, mels_db, torch.linspace(50, 20000, 128), settings, ProgressCounter(1, lambda done, total: None)
    )
    assert [mels.shape for mels in views.mels] == [(6, 128, 50), (6, 128, 35), (6, 128, 35)]
    random = np.random.default_rng(0)
    rows = np.array([0, 3, 3, 5] * 8)
    sampled = views.sample_mels(rows, random)
    assert sampled.shape == (32, 128, 24)
    hidden = (sampled == 0).all(2).sum(1)
    assert int(hidden.max()) == 3
    assert int(hidden.min()) == 0
    assert views.sample_statistics(rows, random).shape == (32, views.statistics.shape[2])


def test_sample_mels_shifts_bands() -> None:
    settings = GenreNetSettings(views=1, masked_bands=1, shift_bands=3)
    net = GenreNet(128, 0.02, settings)
    views = AugmentedViews(
        net,
        torch.zeros(1, 128, 100),
        torch.arange(128),
        settings,
        ProgressCounter(1, lambda done, total: None),
    )
    views.mels = [torch.arange(128.0)[None, :, None].expand(1, 128, 50)] * 2
    sampled = views.sample_mels(np.zeros(60, int), np.random.default_rng(0))
    assert set(sampled[:, 64].flatten().tolist()) == set(range(61, 68))


def test_mixup_mixes_inputs_and_targets_alike() -> None:
    random = np.random.default_rng(0)
    inputs = torch.arange(64.0).reshape(64, 1, 1).expand(64, 2, 3)
    mixed, target = mixup(inputs, torch.arange(64.0), 0.3, random)
    torch.testing.assert_close(mixed[:, 0, 0], target)
    assert not torch.equal(target, torch.arange(64.0))
    assert float(target.mean()) == pytest.approx(31.5, abs=5)
