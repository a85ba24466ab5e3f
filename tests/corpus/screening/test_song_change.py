"""Tests of song changes: found at the right time, and none within a song."""

import numpy as np
import pytest
import torch

from cyclegan_audio.corpus.screening import SongChange
from cyclegan_audio.corpus.screening.features import ClipFeatures
from cyclegan_audio.corpus.screening.song_change import Timbre, measure_timbre

RATE = 44_100


def beat(seconds: float, bpm: float, hz: float, noise: float) -> torch.Tensor:
    """A chord on `hz` with decaying hits at `bpm`, the hits partly noise."""
    t = torch.arange(round(seconds * RATE)) / RATE
    hit = torch.exp(-12 * (t % (60 / bpm)))
    tones = sum(torch.sin(2 * torch.pi * hz * k * t) / k for k in (1, 2, 3))
    dust = torch.randn(len(t), generator=torch.Generator().manual_seed(int(bpm)))
    return 0.1 * (tones * (0.5 + hit) + noise * dust * hit)


def clips_of(whole: torch.Tensor, step_s: float = 4.0) -> tuple[list[float], list[Timbre]]:
    starts = [step_s * n for n in range(int((len(whole) / RATE - 4) // step_s) + 1)]
    return starts, [measure_timbre(ClipFeatures(whole[round(s * RATE) :][: 4 * RATE], RATE)) for s in starts]


def dropped(starts: list[float], clips: list[Timbre]) -> list[float]:
    rejected = SongChange().rejects(starts, [4.0] * len(clips), clips)
    return [start for start, is_rejected in zip(starts, rejected, strict=True) if is_rejected]


@pytest.fixture(scope="module")
def two_songs() -> torch.Tensor:
    return torch.cat([beat(14.3, 90, 110, 0.2), beat(14.0, 131, 440, 2.0)])


def test_the_clip_with_the_change_is_rejected(two_songs):
    starts, clips = clips_of(two_songs)
    assert 12.0 in dropped(starts, clips)
    assert set(dropped(starts, clips)) <= {8.0, 12.0, 16.0}
    changes = SongChange().change_distances(starts, clips)
    assert changes[changes[:, 1].argmax(), 0] == pytest.approx(14.3, abs=0.6)


def test_one_song_is_kept():
    assert dropped(*clips_of(beat(28, 100, 220, 0.5))) == []


def test_overlapping_clips_give_the_same_distances(two_songs):
    starts, clips = clips_of(two_songs, 2.0)
    changes = SongChange().change_distances(starts, clips)
    assert changes[:, 0].tolist() == SongChange().change_distances(*clips_of(two_songs))[:, 0].tolist()
    assert changes[changes[:, 1].argmax(), 0] == pytest.approx(14.3, abs=0.6)
    assert {12.0, 14.0} <= set(dropped(starts, clips)) <= {8.0, 10.0, 12.0, 14.0, 16.0}


def test_short_files_have_no_change():
    assert dropped(*clips_of(beat(4, 100, 220, 0.5))) == []
    assert SongChange().change_distances([], []).shape == (0, 2)


def steps_of(values: list[float], column: int = 0) -> np.ndarray:
    steps = np.zeros((len(values), 25))
    steps[:, column] = values
    return steps


def clip(values: list[float], column: int = 0, flux: np.ndarray | None = None) -> Timbre:
    """A clip of half seconds with one number of timbre each, at ten frames a second."""
    pulses = np.arange(5 * len(values)) % 5 == 0
    return Timbre(steps_of(values, column), pulses.astype(float) if flux is None else flux, 10.0)


@pytest.mark.parametrize(
    ("column", "jump", "expected"),
    [(0, 10.0, np.log(2)), (11, 10.0, np.log(2)), (12, 10.0, np.log(5)), (24, 5.0, np.log(2))],
)
def test_a_jump_of_timbre_by_hand(column, jump, expected):
    """A jump of 10 dB in one of 25 numbers, over variances of 0 and a floor of 4 or 1."""
    clips = [clip([0.0] * 8, column), clip([jump] * 8, column)]
    changes = SongChange().change_distances([0.0, 4.0], clips)
    assert changes.tolist() == [[4.0, pytest.approx(expected, abs=1e-6)]]  # eight half seconds on both sides


def test_variance_makes_a_jump_smaller():
    clips = [clip([-3.0, 3.0] * 4), clip([7.0, 13.0] * 4)]  # variances of 9
    (change,) = SongChange().change_distances([0.0, 4.0], clips)
    assert change[1] == pytest.approx(np.log1p(100 / (9 + 4) / 25), abs=1e-6)


@pytest.mark.parametrize(("jump", "is_rejected"), [(9.0, False), (10.0, True)])  # log(1 + 81 / 25) is 1.44
def test_clips_that_contain_the_change_are_rejected(jump, is_rejected):
    clips = [
        clip([0.0] * 6, 12),
        clip([0.0] * 4 + [jump] * 2, 12),
        clip([jump] * 6, 12),
        clip([jump] * 6, 12),
    ]
    starts_s = [0.0, 3.0, 6.0, 9.0]
    rejected = SongChange().rejects(starts_s, [3.0] * 4, clips)
    assert rejected == [False, is_rejected, False, False]
    edge = SongChange().rejects([0.0, 4.0], [4.0, 4.0], [clip([0.0] * 8, 12), clip([jump] * 8, 12)])
    assert edge == [False, False]  # between two clips


def test_eight_seconds_on_either_side_are_compared():
    values = [50.0] * 10 + [0.0] * 40
    changes = SongChange().change_distances([0.0], [clip(values)])
    at_s = dict(changes.tolist())
    assert at_s[13.0] == pytest.approx(0, abs=1e-6)  # from 5 s on
    # one of 16 is 50: the means lie 3.125 apart, and the variance is 2500 / 16 - 3.125^2 on one side
    assert at_s[12.5] == pytest.approx(np.log1p(9.765625 / (146.484375 / 2 + 4) / 25), abs=1e-6)
    assert list(at_s) == [0.5 * n for n in range(8, 43)]


def test_overlapping_half_seconds_count_once():
    whole = SongChange().change_distances([0.0], [clip([float(n) for n in range(24)])])
    parts = [clip([float(n + first) for n in range(12)]) for first in (0, 6, 12)]
    distances = SongChange().change_distances([0.0, 3.0, 6.0], parts)
    assert distances[:, 0].tolist() == whole[:, 0].tolist()
    np.testing.assert_allclose(distances, whole, atol=1e-9)


def test_distance_of_rhythms_by_hand():
    """1 - correlation of sums of products at lags of 2 to 20 frames."""
    rng = np.random.default_rng(0)
    one, other = rng.random(40), rng.random(40)

    def repeats(flux: np.ndarray) -> list[float]:
        centred = flux - flux.mean()
        return [float((centred[lag:] * centred[:-lag]).sum()) for lag in range(2, 21)]

    clips = [clip([0.0] * 8, flux=one), clip([0.0] * 8, flux=other)]
    ((_, distance),) = SongChange().change_distances([0.0, 4.0], clips)
    assert distance == pytest.approx(1 - np.corrcoef(repeats(one), repeats(other))[0, 1], abs=1e-6)
    still = [clip([0.0] * 8, flux=np.zeros(40)), clip([0.0] * 8, flux=other)]
    assert SongChange().change_distances([0.0, 4.0], still)[0, 1] == 0  # without variance no distance


def test_timbre_has_all_half_seconds_and_frames():
    tone = beat(4, 100, 220, 0.0)
    distances = measure_timbre(ClipFeatures(tone, RATE))
    assert distances.steps.shape == (8, 25)
    assert len(distances.flux) == round(4 * RATE / 1024) == 172
    assert distances.rate_hz == RATE / 1024
    assert measure_timbre(ClipFeatures(tone[: RATE // 8], RATE)).steps.shape == (1, 25)
