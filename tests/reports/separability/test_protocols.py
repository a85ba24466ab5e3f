"""Features and protocols: nothing leaks, nothing is lost."""

import numpy as np
import pytest
import torch

from cyclegan_audio.metrics.band_statistics import STATISTIC_NAMES
from cyclegan_audio.metrics.genre_classifier.network import N_COVARIANCES
from cyclegan_audio.reports.separability.features import PICTURE, Features, bands, pixels
from cyclegan_audio.reports.separability.findings import by_kind, sentences, summary
from cyclegan_audio.reports.separability.protocols import (
    APART,
    RANDOM,
    Clips,
    draw_sizes,
    random_draw,
    run_protocols,
    tracks_apart,
)
from cyclegan_audio.utils.errors import UserError

N_TRACKS, CLIPS_A_TRACK = 24, 6


@pytest.fixture(scope="module")
def clips() -> Clips:
    labels = np.repeat([0, 1], N_TRACKS * CLIPS_A_TRACK // 2)
    return Clips(labels, np.array([f"t{i // CLIPS_A_TRACK}" for i in range(len(labels))]))


def made(values: np.ndarray, name: str = "pixels") -> Features:
    return Features(name, values, True, (0.01, 1.0), None, (1, values.shape[1]))


def voices(clips: Clips) -> np.ndarray:
    """Each track's own noise, the same in all its clips: it says nothing of the genre of other tracks."""
    rng = np.random.default_rng(0)
    own = {track: rng.normal(size=30) for track in sorted(set(clips.tracks))}
    return np.stack([own[track] + 0.1 * rng.normal(size=30) for track in clips.tracks])


def test_turned_pixels_give_the_verdicts_of_all_pixels() -> None:
    from sklearn.linear_model import LogisticRegression

    mels_db = torch.randn(40, 16, 20, generator=torch.Generator().manual_seed(0))
    labels = np.arange(40) % 2
    features = pixels(mels_db, (1.0,))
    low, high = mels_db.amin((1, 2), keepdim=True), mels_db.amax((1, 2), keepdim=True)
    grey = torch.nn.functional.interpolate(
        ((mels_db - low) / (high - low))[:, None], PICTURE, mode="bilinear"
    )
    whole = grey.flatten(1).double().numpy()
    ours, theirs = (
        LogisticRegression(C=0.1, max_iter=2000, tol=1e-8).fit(x[:30], labels[:30])
        for x in (features.values, whole)
    )
    np.testing.assert_allclose(
        ours.decision_function(features.values[30:]), theirs.decision_function(whole[30:]), atol=0.02
    )
    picture = features.picture(ours.coef_[0])
    assert picture.shape == PICTURE
    np.testing.assert_allclose(picture.ravel(), theirs.coef_[0], atol=0.02 * np.abs(theirs.coef_).max())


def test_band_statistics_have_a_row_a_statistic() -> None:
    features = bands(torch.randn(5, 16, 60), 0.02, (1.0,))
    assert features.values.shape == (5, len(STATISTIC_NAMES) * 16 + N_COVARIANCES)
    assert features.picture(features.values[0]).shape == (len(STATISTIC_NAMES), 16)


def test_random_draw_leaks_tracks_and_the_honest_protocol_does_not(clips: Clips) -> None:
    features = made(voices(clips))
    drawn = random_draw(features, clips, (48, 24), seed=0)
    apart = tracks_apart(features, clips, 5, seed=0)
    assert drawn.accuracy(clips).mean > 0.9
    assert apart.accuracy(clips).mean < 0.7
    assert (len(drawn.rows), len(apart.rows)) == (48, len(clips))


def test_what_tells_genres_apart_is_found_by_both(clips: Clips) -> None:
    features = made(voices(clips) + 3 * clips.labels[:, None])
    outcomes = list(run_protocols([features], clips, (48, 24), 2, 5))
    kinds = by_kind(outcomes)
    assert set(kinds) == {
        ("pixels", RANDOM, "lbfgs"), ("pixels", RANDOM, "saga"), ("pixels", APART, "lbfgs"),
    }  # fmt: skip
    for own in kinds.values():
        value = summary(own, clips)
        assert value["accuracy"] > 0.95
        assert len(value["by_seed"]) == 2
        assert np.sum(value["confusion"]) == value["clips_tested"]
        assert (own[0].weight > 0).mean() > 0.8


def test_draw_keeps_the_papers_proportion() -> None:
    def of(n: int) -> Clips:
        return Clips(np.repeat([0, 1], [n, n + 50]), np.array([str(i) for i in range(2 * n + 50)]))

    assert draw_sizes(of(1300), 600, 190) == (600, 190)
    assert draw_sizes(of(658), 600, 190) == (500, 158)
    with pytest.raises(UserError, match="too few"):
        draw_sizes(of(2), 600, 190)


def test_one_track_cannot_be_kept_apart() -> None:
    alone = Clips(np.array([0, 0, 1, 1]), np.array(["a", "a", "b", "c"]))
    with pytest.raises(UserError, match="one track only"):
        tracks_apart(made(np.zeros((4, 2))), alone, 5, 0)


def verdict_on(values: np.ndarray, clips: Clips, trivial: np.ndarray) -> str:
    sets = [made(values), made(values, "band statistics")]
    summaries = {
        k: summary(own, clips) for k, own in by_kind(list(run_protocols(sets, clips, (48, 24), 1, 5))).items()
    }
    alone = {"loudness": tracks_apart(made(trivial[:, None]), clips, 5, 0).accuracy(clips)}
    return " ".join(sentences(summaries, alone, ("a", "b")))


def test_warnings(clips: Clips) -> None:
    noise = np.random.default_rng(1).normal(size=len(clips))
    said = verdict_on(voices(clips), clips, clips.labels + 0.1 * noise)
    assert "Warning: a and b cannot be told apart" in said
    assert "Warning: loudness alone tells them apart" in said
    assert "The random draw flatters" in said
    said = verdict_on(voices(clips) + 3 * clips.labels[:, None], clips, noise)
    assert said.startswith("a and b can be told apart")
    assert "Warning" not in said
