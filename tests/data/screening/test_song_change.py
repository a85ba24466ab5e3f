"""A jump of timbre and tempo is found where it is, and nothing within one song."""

import pytest
import torch

from cyclegan_audio.data.screening import SongChange
from cyclegan_audio.data.screening.analysis import Analysis
from cyclegan_audio.data.screening.song_change import Timbre, timbre

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
    return starts, [timbre(Analysis(whole[round(s * RATE) :][: 4 * RATE], RATE)) for s in starts]


def dropped(starts: list[float], clips: list[Timbre]) -> list[float]:
    broken = SongChange().breaks(starts, [4.0] * len(clips), clips)
    return [start for start, is_broken in zip(starts, broken, strict=True) if is_broken]


@pytest.fixture(scope="module")
def two_songs() -> torch.Tensor:
    return torch.cat([beat(14.3, 90, 110, 0.2), beat(14.0, 131, 440, 2.0)])


def test_the_clip_with_the_change_is_dropped(two_songs):
    starts, clips = clips_of(two_songs)
    assert 12.0 in dropped(starts, clips)
    assert set(dropped(starts, clips)) <= {8.0, 12.0, 16.0}
    changes = SongChange().changes_s(starts, clips)
    assert changes[changes[:, 1].argmax(), 0] == pytest.approx(14.3, abs=0.6)


def test_one_song_stays_whole():
    assert dropped(*clips_of(beat(28, 100, 220, 0.5))) == []


def test_overlapping_clips_see_the_same_change(two_songs):
    starts, clips = clips_of(two_songs, 2.0)
    changes = SongChange().changes_s(starts, clips)
    assert changes[:, 0].tolist() == SongChange().changes_s(*clips_of(two_songs))[:, 0].tolist()
    assert changes[changes[:, 1].argmax(), 0] == pytest.approx(14.3, abs=0.6)
    assert {12.0, 14.0} <= set(dropped(starts, clips)) <= {8.0, 10.0, 12.0, 14.0, 16.0}


def test_short_files_have_no_change():
    assert dropped(*clips_of(beat(4, 100, 220, 0.5))) == []
    assert SongChange().changes_s([], []).shape == (0, 2)
