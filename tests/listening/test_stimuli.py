import numpy as np
import pytest
import torch

from cyclegan_audio.audio.loudness import LoudnessMeter
from cyclegan_audio.listening.stimuli import equally_loud, low_passed
from cyclegan_audio.utils.errors import UserError

RATE = 44100


def tone(hz: float, level: float = 0.1, seconds: float = 2.0) -> torch.Tensor:
    return level * torch.sin(2 * torch.pi * hz * torch.arange(int(seconds * RATE)) / RATE)


def lufs(sound: torch.Tensor) -> float:
    meter = LoudnessMeter(RATE)
    meter.push(sound[None])
    return meter.integrated_lufs()


def test_sounds_become_equally_loud() -> None:
    made, level = equally_loud([tone(100), tone(1000, 0.01), tone(5000, 0.5)], RATE)
    assert level == -23
    assert [lufs(sound) for sound in made] == pytest.approx([-23] * 3, abs=0.1)
    assert all(sound[0] == sound[-1] == 0 for sound in made)
    assert float((made[1][2000:-2000] / tone(1000, 0.01)[2000:-2000]).nanmedian()) > 1  # a gain, nothing else


def test_a_peaky_sound_makes_all_softer() -> None:
    clicks = torch.zeros(2 * RATE)
    clicks[:: RATE // 4] = 1.0
    made, level = equally_loud([tone(1000), clicks], RATE)
    assert level < -30
    assert [lufs(sound) for sound in made] == pytest.approx([level] * 2, abs=0.2)  # the fade takes some
    assert float(made[1].abs().max()) == pytest.approx(10 ** (-1 / 20), abs=1e-3)


def test_silence_is_refused() -> None:
    with pytest.raises(UserError, match="silent"):
        equally_loud([tone(1000), torch.zeros(RATE)], RATE)


def test_the_anchor_keeps_what_lies_below_and_its_place() -> None:
    kept, gone = low_passed(tone(1000), RATE), low_passed(tone(8000), RATE)
    assert torch.allclose(kept[4410:-4410], tone(1000)[4410:-4410], atol=1e-3)  # no delay
    assert float(gone[4410:-4410].abs().max()) < 1e-3
    assert np.isfinite(kept.numpy()).all()
