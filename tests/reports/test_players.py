"""Players of waveforms: equally loud versions over spectrograms of the same length."""

import io

import numpy as np
import pytest
import soundfile
import torch

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.config import compose
from cyclegan_audio.reports.html.page import png_size
from cyclegan_audio.reports.players import MAX_PLAYED_S, PICTURE, Sounding, make_player

MEL = MelSpectrogram.from_dict(dict(compose("train", ["mel=hifi"]).mel))
RATE = MEL.sample_rate


def sounding(label: str, seconds: float, level: float) -> Sounding:
    torch.manual_seed(0)
    waveform = level * torch.randn(round(seconds * RATE)).clamp(-3, 3)
    return Sounding(label, waveform, MEL.mel_db(waveform[None])[0])


def decoded(content: bytes) -> np.ndarray:
    return soundfile.read(io.BytesIO(content))[0]


@pytest.mark.parametrize("equally_loud", [True, False])
def test_versions_are_equally_loud_and_equally_long(equally_loud: bool) -> None:
    versions = [sounding("before", 2.0, 0.2), sounding("after", 1.5, 0.02)]
    player = make_player("title", "note", versions, MEL, PICTURE, equally_loud)
    assert (player.title, player.note, player.seconds, player.loop) == ("title", "note", 1.5, True)
    assert [version.label for version in player.versions] == ["before", "after"]
    sounds = [decoded(version.sound) for version in player.versions]
    assert [len(sound) for sound in sounds] == [round(1.5 * RATE)] * 2
    ratio_db = 20 * np.log10(sounds[0].std() / sounds[1].std())
    assert ratio_db == pytest.approx(0 if equally_loud else 20, abs=0.5)
    assert all(np.abs(sound).max() < 1 for sound in sounds)
    assert [png_size(version.spectrogram_png) for version in player.versions] == [PICTURE] * 2


def test_long_and_silent_sounds() -> None:
    silence = Sounding("after", torch.zeros(20 * RATE), torch.full((MEL.n_mels, 20), float("nan")))
    player = make_player("", "", [sounding("before", 20.0, 0.1), silence], MEL)
    assert player.seconds == MAX_PLAYED_S
    assert np.abs(decoded(player.versions[1].sound)).max() < 1e-3
