"""Systems and loudness of a listening test's sounds."""

import numpy as np
import pytest
import torch

from cyclegan_audio.audio.loudness import LoudnessMeter
from cyclegan_audio.listening.stimuli import low_pass, match_loudness
from cyclegan_audio.utils.errors import UserError

RATE = 44100


def tone(hz: float, level: float = 0.1, seconds: float = 2.0) -> torch.Tensor:
    return level * torch.sin(2 * torch.pi * hz * torch.arange(int(seconds * RATE)) / RATE)


def lufs(sound: torch.Tensor) -> float:
    meter = LoudnessMeter(RATE)
    meter.push(sound[None])
    return meter.integrated_lufs()


def test_sounds_get_equal_loudness() -> None:
    scaled, level = match_loudness([tone(100), tone(1000, 0.01), tone(5000, 0.5)], RATE)
    assert level == -23
    assert [lufs(sound) for sound in scaled] == pytest.approx([-23] * 3, abs=0.1)
    assert all(sound[0] == sound[-1] == 0 for sound in scaled)
    assert float((scaled[1][2000:-2000] / tone(1000, 0.01)[2000:-2000]).nanmedian()) > 1  # a gain only


def test_peaky_sound_lowers_all_levels() -> None:
    clicks = torch.zeros(2 * RATE)
    clicks[:: RATE // 4] = 1.0
    scaled, level = match_loudness([tone(1000), clicks], RATE)
    assert level < -30
    assert [lufs(sound) for sound in scaled] == pytest.approx(
        [level] * 2, abs=0.2
    )  # the fade lowers it a little
    assert float(scaled[1].abs().max()) == pytest.approx(10 ** (-1 / 20), abs=1e-3)


def test_silence_is_refused() -> None:
    with pytest.raises(UserError, match="silent"):
        match_loudness([tone(1000), torch.zeros(RATE)], RATE)


def test_anchor_is_low_passed_without_delay() -> None:
    kept, gone = low_pass(tone(1000), RATE), low_pass(tone(8000), RATE)
    assert torch.allclose(kept[4410:-4410], tone(1000)[4410:-4410], atol=1e-3)  # no delay
    assert float(gone[4410:-4410].abs().max()) < 1e-3
    assert np.isfinite(kept.numpy()).all()
