"""Test the course of levels, the level of a piece, the lift of quiet passages, and its exact inverse."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from cyclegan_audio.translation.levelling import (
    LIVE_DELAY_S,
    LevelCourse,
    LevelHistogram,
    Leveller,
    lift_db,
)

RATE = 1000  # a block is one sample


def alternating(*parts: tuple[float, float]) -> Tensor:
    """Return samples (1, T) of alternating sign, by (seconds, amplitude)."""
    amplitude = torch.cat([torch.full((round(seconds * RATE),), value) for seconds, value in parts])
    return (amplitude * (1 - 2 * (torch.arange(len(amplitude)) % 2)))[None]


def course(samples: Tensor, size: int = 10_000, live: bool = False) -> list[float]:
    stage = LevelCourse(RATE, live)
    parts = [stage.push(part) for part in samples.split(size, 1)]
    return np.concatenate([*parts, stage.push(samples[:, :0], last=True)]).tolist()


def lifted(samples: Tensor, reference_db: float | None, size: int) -> tuple[Tensor, Tensor]:
    """Return samples lifted in blocks of a size, and the lifted samples restored in other blocks."""
    leveller = Leveller(RATE, reference_db)
    up = torch.cat(list(leveller.lift(samples.split(size, 1))), 1)
    return up, torch.cat([leveller.restore(part) for part in up.split(2 * size + 1, 1)], 1)


def level_db(amplitude: float) -> float:
    """Level of five alternating samples, whose mean is a fifth of the amplitude."""
    return 10 * math.log10(0.96 * amplitude**2)


def test_course_steps_with_the_music():
    """The last loud sample is alone in one of its windows, whose variance is 0.2 - 0.2^2 of its power."""
    levels = course(alternating((5, 1.0), (5, 1e-4)))
    assert levels[:4996] == pytest.approx([level_db(1)] * 4996)
    assert levels[4999] == pytest.approx(10 * math.log10(0.16), abs=1e-3)
    assert levels[5000:] == pytest.approx([level_db(1e-4)] * 5000)
    rising = course(alternating((5, 1e-4), (5, 1.0)))
    assert rising == pytest.approx(levels[::-1], abs=1e-9)


@pytest.mark.parametrize(("gap_s", "is_filled"), [(0.5, True), (2.9, True), (3.2, False)])
def test_course_fills_gaps_of_three_seconds(gap_s, is_filled):
    """Up to the lower of both sides."""
    levels = course(alternating((4, 1.0), (gap_s, 1e-3), (4, 0.1)))
    middle = levels[4000 + round(gap_s * 500)]
    assert middle == pytest.approx(level_db(0.1 if is_filled else 1e-3), abs=0.01)
    assert levels[2000] == pytest.approx(level_db(1))
    assert min(levels) > level_db(0.1) - 8.1 or not is_filled


def test_course_leaves_out_dc_and_has_a_lowest_level():
    samples = alternating((5, 1e-2), (5, 0.0))
    assert course(samples + 0.5)[2000] == pytest.approx(level_db(1e-2), abs=1e-3)
    assert course(samples)[8000] == -130
    opposed = torch.cat([samples, -samples])
    assert course(opposed) == pytest.approx(course(samples))


def test_live_course_holds_the_highest_level_of_three_seconds():
    levels = course(alternating((5, 1.0), (5, 1e-4), (1, 0.1)), live=True)
    assert levels[7990] == pytest.approx(level_db(1))
    assert levels[8010] == pytest.approx(level_db(1e-4))
    assert levels[10_010] == pytest.approx(level_db(0.1))


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("size", [7, 97, 4000])
def test_course_does_not_depend_on_the_blocks(live, size):
    samples = torch.randn(2, 9001, generator=torch.Generator().manual_seed(0))
    samples[:, 4000:] *= 0.01
    assert course(samples, size, live) == course(samples, 9001, live)


@pytest.mark.parametrize(
    ("parts", "expected_db"),
    [
        ([(10, -20), (60, -60)], -20),  # most of the piece is quiet
        ([(2.9, 30), (40, -20), (60, -60)], -20),  # clicks, less than 3 s in all
        ([(3.1, 30), (40, -20), (60, -60)], 30),
        ([(30, -15), (40, -20), (60, -26)], -20),  # the median within 10 dB of the loudest
        ([(0.2, -20), (1.8, -40)], -20),
        ([(10, -71)], -math.inf),
        ([(10, -130)], -math.inf),
    ],
)
def test_level_of_a_piece_is_that_of_its_loud_part(parts, expected_db):
    histogram = LevelHistogram()
    for seconds, level in parts:
        histogram.add(np.full(round(seconds * 1000), float(level)))
    assert histogram.reference_db() == pytest.approx(expected_db, abs=0.051)


@pytest.mark.parametrize(
    ("level", "is_quiet"), [(-20, False), (-25.8, False), (-26.2, True), (-110, True), (-125, False)]
)
def test_quiet_passages_are_noticed(level, is_quiet):
    histogram = LevelHistogram()
    histogram.add(np.repeat([-20.0, level], [6000, 4000]))
    assert histogram.has_quiet_passages() is is_quiet


def test_falls_of_twelve_decibels_are_lifted_whole_and_six_not_at_all():
    levels = np.array([0.0, -20, -26, -29, -32, -60, -100, -121])
    assert lift_db(levels, -20.0).tolist() == [0, 0, 0, 6, 12, 40, 80, 0]
    assert lift_db(levels, -math.inf).tolist() == [0] * 8


@pytest.mark.parametrize("depth_db", [20, 40, 60, 80])
def test_quiet_passage_is_lifted_to_the_level_of_the_rest_and_restored(depth_db):
    samples = alternating((5, 0.5), (5, 0.5 * 10 ** (-depth_db / 20)), (5, 0.5))
    up, back = lifted(samples, level_db(0.5), 700)
    away = (torch.arange(15_000) % 5000 >= 3) & (torch.arange(15_000) % 5000 < 4997)
    torch.testing.assert_close(up[:, away].abs(), torch.full_like(up[:, away], 0.5), rtol=1e-3, atol=0)
    assert up.abs().max() < 0.5001  # nothing is boosted where the music falls or rises
    torch.testing.assert_close(back, samples, rtol=1e-5, atol=0)


def test_passages_that_need_more_than_a_limit_are_silenced():
    samples = alternating((5, 0.5), (5, 0.005), (5, 0.5), (5, 5e-4))
    leveller = Leveller(RATE, level_db(0.5))
    up = torch.cat(list(leveller.lift(samples.split(700, 1), omit_db=45.0)), 1)
    assert up[:, 15_010:].eq(0).all()
    assert up[:, :14_990].abs().min() > 4e-3
    assert up[:, 5010:9990].abs().min() > 0.49


def test_fade_out_is_followed():
    fade = 0.5 * 10 ** (-6 * torch.arange(10_000) / 20_000)  # 6 dB a second
    samples = torch.cat([alternating((10, 0.5)), alternating((10, 1.0)) * fade], 1)
    up, back = lifted(samples, level_db(0.5), 700)
    assert up[:, 13_000:18_400].abs().min() > 0.48  # the last 1.5 s have no later level to follow
    assert up.abs().max() < 0.501
    torch.testing.assert_close(back, samples, rtol=1e-5, atol=0)


@pytest.mark.parametrize("reference_db", [-20.0, None])
@pytest.mark.parametrize("size", [7, 130, 3000])
def test_lift_does_not_depend_on_the_blocks(reference_db, size):
    samples = alternating((3, 0.1), (4, 1e-3), (2, 0.05))
    for actual, expected in zip(
        lifted(samples, reference_db, size), lifted(samples, reference_db, 9000), strict=True
    ):
        assert torch.equal(actual, expected)
    assert not torch.equal(lifted(samples, reference_db, 9000)[0], samples)


def test_level_music_and_music_without_a_reference_are_not_touched():
    samples = alternating((4, 0.1), (4, 0.06), (2, 0.001), (4, 0.1))
    for reference_db in (-20.0, -math.inf, None):
        assert torch.equal(lifted(samples, reference_db, 500)[0], samples)
    leveller = Leveller(RATE, -20.0)
    assert list(leveller.lift([])) == []
    silence = torch.zeros(2, 8000)
    assert torch.equal(lifted(silence, -20.0, 500)[0], silence)


def test_live_stream_is_lifted_three_seconds_after_a_fall_and_never_before_a_rise():
    samples = alternating((5, 0.5), (6, 0.005), (5, 0.5))
    up, back = lifted(samples, None, 300)
    assert torch.equal(up[:, :7990], samples[:, :7990])
    torch.testing.assert_close(
        up[:, 8010:10_990] / samples[:, 8010:10_990], torch.full((1, 2980), 100.0), rtol=0.01, atol=0
    )
    assert up.abs().max() < 0.51  # the reference has steps of 0.1 dB
    torch.testing.assert_close(back, samples, rtol=1e-5, atol=0)


@pytest.mark.parametrize(("reference_db", "delay_s"), [(-20.0, 3 + LIVE_DELAY_S), (None, LIVE_DELAY_S)])
def test_lift_is_late_by_no_more_than_stated(reference_db, delay_s):
    n_in = n_out = 0
    leveller = Leveller(44100, reference_db)

    def blocks():
        nonlocal n_in
        for block in (torch.randn(1, 441) * 0.1 for _ in range(500)):
            n_in += block.shape[1]
            yield block

    delays = []
    for block in leveller.lift(blocks()):
        n_out += block.shape[1]
        delays.append(n_in - n_out)
    assert delays[-1] == 0
    assert 0.8 * delay_s < max(delays) / 44100 <= delay_s
