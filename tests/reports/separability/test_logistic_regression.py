"""Features and protocols of `classify`, and its verdict."""

import numpy as np
import pytest
import torch

from cyclegan_audio.metrics.band_statistics import STATISTIC_NAMES
from cyclegan_audio.metrics.genre_classifier.network import N_COVARIANCES
from cyclegan_audio.reports.separability.logistic_regression import (
    IMAGE_SIZE,
    RANDOM_SPLIT,
    SPLIT_BY_TRACK,
    Features,
    LabelledClips,
    band_statistics_features,
    cross_validate_tracks,
    pixel_features,
    random_split,
    run_protocols,
    split_sizes,
)
from cyclegan_audio.reports.separability.summary import accuracy_summary, group_outcomes, verdict_sentences
from cyclegan_audio.utils.errors import UserError

N_TRACKS, CLIPS_A_TRACK = 24, 6


@pytest.fixture(scope="module")
def clips() -> LabelledClips:
    labels = np.repeat([0, 1], N_TRACKS * CLIPS_A_TRACK // 2)
    return LabelledClips(labels, np.array([f"t{i // CLIPS_A_TRACK}" for i in range(len(labels))]))


def features_of(values: np.ndarray, name: str = "pixels") -> Features:
    return Features(name, values, True, (0.01, 1.0), None, (1, values.shape[1]))


def track_noise(clips: LabelledClips) -> np.ndarray:
    """Return noise that is the same in all clips of a track, and independent of genre."""
    rng = np.random.default_rng(0)
    noise = {track: rng.normal(size=30) for track in sorted(set(clips.tracks))}
    return np.stack([noise[track] + 0.1 * rng.normal(size=30) for track in clips.tracks])


def test_projected_pixels_give_the_same_predictions() -> None:
    from sklearn.linear_model import LogisticRegression

    mels_db = torch.randn(40, 16, 20, generator=torch.Generator().manual_seed(0))
    labels = np.arange(40) % 2
    features = pixel_features(mels_db, (1.0,))
    low, high = mels_db.amin((1, 2), keepdim=True), mels_db.amax((1, 2), keepdim=True)
    grey = torch.nn.functional.interpolate(
        ((mels_db - low) / (high - low))[:, None], IMAGE_SIZE, mode="bilinear"
    )
    whole = grey.flatten(1).double().numpy()
    ours, theirs = (
        LogisticRegression(C=0.1, max_iter=2000, tol=1e-8).fit(x[:30], labels[:30])
        for x in (features.values, whole)
    )
    np.testing.assert_allclose(
        ours.decision_function(features.values[30:]), theirs.decision_function(whole[30:]), atol=0.02
    )
    picture = features.weight_image(ours.coef_[0])
    assert picture.shape == IMAGE_SIZE
    np.testing.assert_allclose(picture.ravel(), theirs.coef_[0], atol=0.02 * np.abs(theirs.coef_).max())


def test_band_statistics_have_one_row_per_statistic() -> None:
    features = band_statistics_features(torch.randn(5, 16, 60), 0.02, (1.0,))
    assert features.values.shape == (5, len(STATISTIC_NAMES) * 16 + N_COVARIANCES)
    assert features.weight_image(features.values[0]).shape == (len(STATISTIC_NAMES), 16)


def test_random_split_leaks_tracks_and_split_by_track_does_not(clips: LabelledClips) -> None:
    features = features_of(track_noise(clips))
    random = random_split(features, clips, (48, 24), seed=0)
    by_track = cross_validate_tracks(features, clips, 5, seed=0)
    assert random.accuracy(clips).mean > 0.9
    assert by_track.accuracy(clips).mean < 0.7
    assert (len(random.rows), len(by_track.rows)) == (48, len(clips))


def test_both_protocols_use_a_genre_feature(clips: LabelledClips) -> None:
    features = features_of(track_noise(clips) + 3 * clips.labels[:, None])
    outcomes = list(run_protocols([features], clips, (48, 24), 2, 5))
    groups = group_outcomes(outcomes)
    assert set(groups) == {
        ("pixels", RANDOM_SPLIT, "lbfgs"), ("pixels", RANDOM_SPLIT, "saga"),
        ("pixels", SPLIT_BY_TRACK, "lbfgs"),
    }  # fmt: skip
    for group in groups.values():
        value = accuracy_summary(group, clips)
        assert value["accuracy"] > 0.95
        assert len(value["by_seed"]) == 2
        assert np.sum(value["confusion"]) == value["clips_tested"]
        assert (group[0].weight > 0).mean() > 0.8


def test_split_sizes_keep_the_proportion() -> None:
    def of(n: int) -> LabelledClips:
        return LabelledClips(np.repeat([0, 1], [n, n + 50]), np.array([str(i) for i in range(2 * n + 50)]))

    assert split_sizes(of(1300), 600, 190) == (600, 190)
    assert split_sizes(of(658), 600, 190) == (500, 158)
    with pytest.raises(UserError, match="too few"):
        split_sizes(of(2), 600, 190)


def test_single_track_cannot_be_split_by_track() -> None:
    single = LabelledClips(np.array([0, 0, 1, 1]), np.array(["a", "a", "b", "c"]))
    with pytest.raises(UserError, match="single track"):
        cross_validate_tracks(features_of(np.zeros((4, 2))), single, 5, 0)


def verdict_on(values: np.ndarray, clips: LabelledClips, trivial: np.ndarray) -> str:
    sets = [features_of(values), features_of(values, "band statistics")]
    summaries = {
        k: accuracy_summary(group, clips)
        for k, group in group_outcomes(list(run_protocols(sets, clips, (48, 24), 1, 5))).items()
    }
    single = {"loudness": cross_validate_tracks(features_of(trivial[:, None]), clips, 5, 0).accuracy(clips)}
    return " ".join(verdict_sentences(summaries, single, ("a", "b")))


def test_verdict_warns_of_problems(clips: LabelledClips) -> None:
    noise = np.random.default_rng(1).normal(size=len(clips))
    verdict = verdict_on(track_noise(clips), clips, clips.labels + 0.1 * noise)
    assert "Warning: a and b are not reliably separable" in verdict
    assert "Warning: loudness alone separates them" in verdict
    assert "The random split is too optimistic" in verdict
    verdict = verdict_on(track_noise(clips) + 3 * clips.labels[:, None], clips, noise)
    assert verdict.startswith("a and b are separable")
    assert "Warning" not in verdict
