"""Write folders of noise as test songs, and load mel settings."""

from pathlib import Path

import numpy as np
import soundfile
from omegaconf import OmegaConf

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.config import CONF_DIR

RATE = 22_050  # not the mel's, to test resampling too


def write_noise(path: Path, seconds: float, seed: int, level: float = 0.1, rate: int = RATE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).normal(0, level, round(seconds * rate))
    soundfile.write(path, noise.clip(-1, 1), rate)


def write_genres(
    folder: Path, names: tuple[str, ...] = ("lofi", "trap"), tracks: int = 4, seconds: float = 2.2
) -> dict[str, Path]:
    """Write a folder per genre with `tracks` files of noise; return the folders by genre."""
    for g, name in enumerate(names):
        for number in range(tracks):
            write_noise(folder / name / f"song {number}.wav", seconds, seed=100 * g + number)
    return {name: folder / name for name in names}


def load_mel(name: str) -> MelSpectrogram:
    return MelSpectrogram.from_dict(OmegaConf.to_container(OmegaConf.load(CONF_DIR / "mel" / f"{name}.yaml")))
