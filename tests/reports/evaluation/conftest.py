"""Fixtures: a small corpus of synthetic audio with paired clips, and runs with small untrained generators."""

import csv
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from cyclegan_audio.audio.io import save
from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.config import CONF_DIR
from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.leakage import Intervals
from cyclegan_audio.corpus.preparation.clip_stream import ClipSettings
from cyclegan_audio.corpus.preparation.writer import CorpusSettings, prepare_corpus
from cyclegan_audio.corpus.sources import FolderSource
from cyclegan_audio.inference.translation_model import make_metadata
from cyclegan_audio.models.directions import DIRECTIONS
from cyclegan_audio.models.networks.generators import ResnetGenerator

SECONDS = 4.0
GENERATOR = {
    "_target_": "cyclegan_audio.models.networks.generators.ResnetGenerator",
    "n_filters": 4,
    "n_blocks": 1,
}


@pytest.fixture(scope="module", autouse=True)
def no_long_training(quick_classifiers: None) -> None:
    """Train genre classifiers for a short time only."""


@pytest.fixture(scope="session")
def small_mel() -> MelSpectrogram:
    """The default mel at half its sample rate, for speed."""
    values = OmegaConf.load(CONF_DIR / "mel" / "hifi.yaml")
    return dataclasses.replace(MelSpectrogram.from_dict(dict(values)), sample_rate=22050, f_max_hz=11025.0)


def song(rng: np.random.Generator, rate: int, hats: float) -> torch.Tensor:
    """Return two clips of a tone with four noise bursts a second, with amplitude `hats`."""
    time_s = np.arange(int(2 * SECONDS * rate)) / rate
    tone = 0.3 * np.sin(2 * np.pi * rng.uniform(100, 400) * time_s)
    noise = rng.standard_normal(len(time_s)) * np.exp(-40 * ((time_s + rng.uniform(0, 0.25)) % 0.25))
    return torch.from_numpy(tone + hats * noise).float()


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory, small_mel: MelSpectrogram) -> Corpus:
    """Two genres of four songs, and two scores in both."""
    folder = tmp_path_factory.mktemp("evaluated")
    rate = small_mel.sample_rate
    for genre, hats in (("dull", 0.001), ("bright", 0.2)):
        for number in range(4):
            rng = np.random.default_rng([number, genre == "dull"])
            write_song(folder / genre / f"{genre}_{number}.wav", song(rng, rate, hats), rate)
        for number in range(2):
            rng = np.random.default_rng(100 + number)
            write_song(folder / "paired" / genre / f"score_{number}.wav", song(rng, rate, hats), rate)
    source = FolderSource({genre: folder / genre for genre in ("dull", "bright")}, folder / "paired")
    prepare_corpus(source, folder / "corpus", CorpusSettings(small_mel, ClipSettings(SECONDS), audio="all"))
    return Corpus.open(folder / "corpus")


def write_song(path: Path, waveform: torch.Tensor, rate: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save(path, waveform, rate)


@pytest.fixture(scope="session")
def make_run(
    tmp_path_factory: pytest.TempPathFactory, small_mel: MelSpectrogram, corpus: Corpus
) -> Callable[..., Path]:
    """Return a function that makes a run folder with untrained generators and ten rows of losses."""

    def make(
        name: str = "run",
        identity: float = 5.0,
        mel: MelSpectrogram = small_mel,
        training_intervals: Intervals | None = None,
        directions: Sequence[str] = DIRECTIONS,
        init_from: str | None = None,
    ) -> Path:
        torch.manual_seed(0)
        generator = ResnetGenerator(n_filters=4, n_blocks=1).state_dict()
        state = {
            f"gen_{direction}.{name}": value for direction in directions for name, value in generator.items()
        }
        config = {
            "model": {"generator": GENERATOR, "loss_weights": {"identity": identity}},
            "data": {"corpus": str(corpus.folder)},
            "init_from": init_from,
        }
        card = make_metadata(("dull", "bright"), mel, 344, config, training_intervals or {}, directions)
        run = tmp_path_factory.mktemp("runs") / name
        (run / "checkpoints").mkdir(parents=True)
        torch.save(
            {"cyclegan_audio": {**card, "batches": 500}, "state_dict": state},
            run / "checkpoints" / "last.ckpt",
        )
        with (run / "losses.csv").open("w", newline="") as file:
            rows = csv.DictWriter(
                file, ["batch", "epoch", "lr", "cycle_a", "cycle_b", "identity_a", "disc_a"]
            )
            rows.writeheader()
            for i in range(10):
                place = {"batch": 50 * (i + 1), "epoch": i, "lr": 2e-4}
                rows.writerow({**place, "cycle_a": 2 - 0.1 * i, "cycle_b": 1 + i, "disc_a": 0.3})
        return run

    return make
