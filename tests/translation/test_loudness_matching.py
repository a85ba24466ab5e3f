"""Test the limiter, loudness matching and make-up gain."""

import math

import pytest
import torch

from cyclegan_audio.audio.loudness import LoudnessMeter
from cyclegan_audio.translation.loudness_matching import (
    MAX_PEAK,
    LoudnessMatcher,
    limit_peaks,
    loudness_gain,
    makeup_gain,
)
from cyclegan_audio.translation.mid_side import BLOCK


def limit(waveform: torch.Tensor) -> torch.Tensor:
    return torch.cat(list(limit_peaks([waveform])), 1)


def tone(seconds: float = 1.0, amplitude: float = 0.3) -> torch.Tensor:
    time_s = torch.arange(int(44100 * seconds)) / 44100
    left, right = torch.sin(440 * math.tau * time_s), 0.5 * torch.cos(440 * math.tau * time_s)
    return amplitude * torch.stack([left, right])


def test_waveform_below_the_limit_does_not_change():
    wave = tone()
    assert torch.equal(limit(wave.clone()), wave)


@pytest.mark.parametrize("position", [0, 1, 63, 64, 20_000, 44_035, 44_099])
def test_limiter_attenuates_only_around_a_peak(position):
    wave = tone()
    wave[0, position] = -3.0
    out = limit(wave.clone())
    assert out.abs().max() <= MAX_PEAK + 1e-6
    assert float(out[0, position]) == pytest.approx(-MAX_PEAK, rel=1e-5)
    far = (torch.arange(44100) - position).abs() > 8 * BLOCK
    torch.testing.assert_close(out[:, far], wave[:, far], atol=1e-6, rtol=0)
    cross_product = out[0] * wave[1] - out[1] * wave[0]  # 0: the other channel is lowered by the same gain
    assert float(cross_product.abs().max()) < 1e-5


def test_limiter_gain_is_smooth_and_noise_never_exceeds_the_limit():
    generator = torch.Generator().manual_seed(0)
    wave = torch.randn(2, 50_001, generator=generator)
    out = limit(wave.clone())
    assert out.abs().max() <= MAX_PEAK + 1e-6
    gain = (out / wave)[0]
    assert gain.diff().abs().max() < 2 / BLOCK


def test_limit_peaks_does_not_depend_on_the_blocks():
    wave = torch.randn(2, 30_011, generator=torch.Generator().manual_seed(1))
    whole = limit(wave * 0.7)
    for step in (100, 5000):
        parts = list(limit_peaks(wave.split(step, 1), 0.7))
        torch.testing.assert_close(torch.cat(parts, 1), whole)


def test_loudness_gain_is_limited_upwards():
    assert loudness_gain(-14.0, -20.0) == pytest.approx(10 ** (6 / 20))
    assert loudness_gain(-14.0, -60.0) == pytest.approx(10.0)  # 20 dB up at most,
    assert loudness_gain(-90.0, -20.0) == pytest.approx(10**-3.5)  # but down as far as it takes
    assert loudness_gain(-math.inf, -20.0) == loudness_gain(-20.0, -math.inf) == 1


def test_makeup_gain_restores_the_loudness_of_peaky_music():
    clicks = tone(3.0, 0.1)
    clicks.unfold(1, 20, 3000)[..., ::2] = 1.0
    plain = torch.cat(list(limit_peaks([clicks], 3.0)), 1)
    target = level(clicks) + 20 * math.log10(3.0)
    assert level(plain) < target - 1
    kept: list[torch.Tensor] = []
    result = LoudnessMatcher(kept, 44100)
    for block in clicks.split(5000, 1):
        result.append(block)
    got = torch.cat(list(result.normalised_to(target)), 1)
    assert level(got) == pytest.approx(target, abs=0.3)
    assert got.abs().max() <= MAX_PEAK + 1e-6
    assert result.n_samples == got.shape[1]
    most = torch.cat(list(result.normalised_to(target + 40)), 1)  # never more than 26 dB up
    assert level(most) < target + 20


def test_makeup_stops_where_more_gain_has_no_effect():
    wave = torch.randn(2, 200_000, generator=torch.Generator().manual_seed(0)) * 0.7
    target = level(wave) + 8
    gain = makeup_gain([wave], 10 ** (8 / 20), target, 44100)
    got, pushed = (level(torch.cat(list(limit_peaks([wave], factor)), 1)) for factor in (gain, 4 * gain))
    assert 20 * math.log10(gain) < 8.01
    assert got < target - 3
    assert pushed - got < 0.5


class CountingList(list):
    """A list that counts how often it is iterated."""

    passes = 0

    def __iter__(self):
        self.passes += 1
        return super().__iter__()


def steps(*levels_db: float) -> torch.Tensor:
    """Return a tone sampled at 8 kHz, (1, T), 4 s at each level; its samples reach its peaks."""
    tone = torch.cos(torch.arange(32_000) * math.tau / 8)
    return torch.cat([10 ** (level_db / 20) * tone for level_db in levels_db])[None]


# The n levels of a tone contribute alike; what a raise lifts above 0 dB is limited to it, so that the music
# becomes louder by 10 lg(sum of the powers, each at most 1, over those before). A step is what is missing
# over the gain in loudness per dB of the step before.
@pytest.mark.parametrize(
    ("levels_db", "missing_lu", "makeup_db", "rounds"),
    [
        ((0, -3), 0.15, 0.0, 1),  # within the tolerance
        ((0, -3), 0.25, 0.25, 2),  # 0.17 are missing after it
        ((0, -6), 1.5, 6.0, 3),  # 1.5 give 0.35; the next step would be 5.0
        ((0, -3), 1.5, 4.02, 4),  # 1.5 give 0.56, 2.52 give 0.69; the next 0.93 give nothing
        ((0, -1, -2, -3, -4, -5), 2.3, 4.75, 4),  # 2.3, 1.39 and 1.06
        ((0, -1, -2, -3, -4, -5), 2.4, 6.0, 4),  # 2.4, 1.51, 1.20 and 0.89, then the rounds are over
        ((0, -9), 0.8, 6.0, 3),  # 0.8 give 0.097: an eighth is enough
        ((0, 0, 0, 0, -9), 1.0, 0.0, 2),  # 1.0 gives 0.03: a thirtieth is not
        ((-40,), 8.0, 6.0, 2),  # never limited, and never more than 6 dB
    ],
)
def test_makeup_rounds_by_hand(levels_db, missing_lu, makeup_db, rounds):
    wave = steps(*levels_db)
    meter = LoudnessMeter(8000)
    meter.push(wave)
    blocks = CountingList(wave.mul(0.5).split(8000, 1))
    gain = makeup_gain(blocks, 2.0, meter.lufs_or_ungated() + missing_lu, 8000, 1.0)
    assert 20 * math.log10(gain / 2) == pytest.approx(makeup_db, abs=0.05)
    assert blocks.passes == rounds


def test_limiter_gain_around_a_peak_by_hand():
    wave = torch.full((1, 21 * BLOCK), 0.5)
    wave[0, 10 * BLOCK + 5] = 2.0
    out = torch.cat(list(limit_peaks([wave], max_peak=1.0)), 1)
    half = BLOCK // 2
    slope = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5]  # a mean of five blocks, of which one more is held at 0.5
    blocks = torch.tensor([1.0] * 4 + slope + [0.5] + slope[::-1] + [1.0] * 4)
    share = (torch.arange(BLOCK) + 0.5) / BLOCK  # from the middle of a block to that of the next
    expected = torch.lerp(blocks[:-1, None], blocks[1:, None], share).flatten()
    torch.testing.assert_close((out / wave)[0, half:-half], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("excess_db", "has_makeup"), [(0.49, False), (0.51, True)])
def test_small_excess_is_limited_without_makeup(excess_db, has_makeup):
    blocks = CountingList()
    result = LoudnessMatcher(blocks, 8000)
    for part in steps(0.0).split(7000, 1):
        result.append(part)
    meter = LoudnessMeter(8000)
    meter.push(steps(0.0))
    out = torch.cat(
        list(result.normalised_to(meter.lufs_or_ungated() + 20 * math.log10(0.99) + excess_db)), 1
    )
    assert float(out.abs().max()) == pytest.approx(0.99, abs=1e-6)
    assert out.shape == (1, 32_000)
    assert (blocks.passes > 1) is has_makeup


def level(waveform: torch.Tensor) -> float:
    meter = LoudnessMeter(44100)
    meter.push(waveform)
    return meter.lufs_or_ungated()
