"""Shared set-up and fixtures: one thread and fixed seeds for every test, small models, music and corpora."""

import dataclasses
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra.utils import instantiate

from cyclegan_audio.audio.io import save
from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.config import compose
from cyclegan_audio.corpus.preparation.writer import build_settings, prepare_corpus
from cyclegan_audio.corpus.sources import FolderSource
from cyclegan_audio.metrics.genre_classifier import classifier
from cyclegan_audio.metrics.genre_classifier.network import GenreNetSettings
from cyclegan_audio.models.cyclegan import CycleGAN
from cyclegan_audio.utils.hints import NO_HINTS
from tests.corpus.noise_songs import load_mel
from tests.hub_server import Hub, serve


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Give each test one thread (faster for small tensors), the same random numbers, and working signals."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # background commands of a shell ignore it
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # commands under nohup ignore it
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def environment_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep caches and accounts of the user as they are; the settings of the shell change no test."""
    with pytest.MonkeyPatch.context() as patch:
        for name in (NO_HINTS, "HYDRA_FULL_ERROR", "HF_HUB_OFFLINE", "WANDB_API_KEY", "WANDB_MODE"):
            patch.delenv(name, raising=False)
        for name in ("NO_PROXY", "no_proxy"):  # servers of tests are on this machine
            patch.setenv(name, "127.0.0.1,localhost")
        for name in ("TORCH_HOME", "WANDB_DATA_DIR"):
            patch.setenv(name, str(tmp_path_factory.mktemp(name.lower())))
        patch.setenv("NETRC", str(tmp_path_factory.mktemp("home") / "netrc"))  # where W&B looks for a key
        yield


@pytest.fixture(scope="session", params=["hifi", "paper"])
def any_mel(request: pytest.FixtureRequest) -> MelSpectrogram:
    """Return each mel preset."""
    return load_mel(request.param)


@pytest.fixture(scope="session")
def hifi() -> MelSpectrogram:
    """Return the default mel preset."""
    return load_mel("hifi")


@pytest.fixture(scope="session")
def paper() -> MelSpectrogram:
    """Return the mel preset of the paper."""
    return load_mel("paper")


TINY = (
    "model=cyclegan_resnet_small",
    "model.generator.n_filters=4",
    "model.generator.n_blocks=1",
    "model.discriminator.n_filters=4",
)


@pytest.fixture(scope="session")
def tiny() -> tuple[str, ...]:
    """Return overrides for the smallest model."""
    return TINY


@pytest.fixture
def tiny_model() -> Callable[..., CycleGAN]:
    """Return a function that builds the smallest model, with further overrides."""

    def build(*overrides: str) -> CycleGAN:
        torch.manual_seed(0)
        return instantiate(compose("train", [*TINY, *overrides]).model, _convert_="all")

    return build


def quick_classifier_settings() -> GenreNetSettings:
    """Return settings that train genre classifiers for eight small batches only."""
    default = classifier.SETTINGS
    recipes = {
        name: dataclasses.replace(getattr(default, name), min_batches=8, max_batches=8, batch_size=8)
        for name in ("statistics", "convolutions")
    }
    return dataclasses.replace(default, **recipes)


@pytest.fixture(scope="module")
def quick_classifiers() -> Iterator[None]:
    """Train genre classifiers by `quick_classifier_settings`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier, "SETTINGS", quick_classifier_settings())
        yield


def write_music(folder: Path, genre: str, n_tracks: int, seconds: float = 4.5, seed: int = 0) -> None:
    """Write WAV files, 44.1 kHz stereo: `low` is chords under 1 kHz, else noise bursts over chords."""
    rng = np.random.default_rng([seed, len(genre), n_tracks])
    time_s = np.arange(int(seconds * 44100)) / 44100
    for track in range(n_tracks):
        chord = sum(np.sin(2 * np.pi * rng.uniform(100, 900) * time_s) for _ in range(3)) / 10
        hats = rng.normal(0, 0.1, time_s.shape) * (time_s % rng.uniform(0.2, 0.5) < 0.05)
        left = chord if genre == "low" else 0.5 * chord + hats
        save(folder / f"{genre}_{track}.wav", torch.from_numpy(np.stack([left, 0.9 * left])).float(), 44100)


@pytest.fixture(scope="session")
def music(tmp_path_factory) -> Path:
    """Return a folder with music: `low` and `high` (four tracks each) and `paired` (one score)."""
    folder = tmp_path_factory.mktemp("music")
    for genre in ("low", "high"):
        write_music(folder / genre, genre, 4)
        write_music(folder / "paired" / genre, genre, 1, seed=9)
        (folder / "paired" / genre / f"{genre}_0.wav").rename(folder / "paired" / genre / "score.wav")
    return folder


@pytest.fixture(scope="session")
def corpus(music, tmp_path_factory) -> Path:
    """Return a corpus of `music`: clips of 1 s, `mel=hifi`, with a paired set."""
    folder = tmp_path_factory.mktemp("corpus") / "corpus"
    settings = build_settings(compose("prepare", ["clip.seconds=1.0", "screening.voice.enabled=false"]))
    genres = {genre: music / genre for genre in ("low", "high")}
    prepare_corpus(FolderSource(genres, music / "paired"), folder, settings)
    return folder


@pytest.fixture
def hub(monkeypatch, tmp_path) -> Iterator[Hub]:
    """Return a server in place of the Hub, an empty cache, no token, and no time to wait for retries."""
    from huggingface_hub import constants, file_download, utils

    from cyclegan_audio.inference.hub import download_pair

    def sleep(seconds: float) -> None:
        raise AssertionError(f"a retry after {seconds} s")

    with serve() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        template = server.address + "/{repo_id}/resolve/{revision}/{filename}"
        for module in (constants, file_download):  # the second before version 1
            monkeypatch.setattr(module, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub_cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_URL_HOSTS", frozenset({"127.0.0.1"}), raising=False)
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr("time.sleep", sleep)
        getattr(utils, "reset_sessions", lambda: None)()  # before version 1 they keep settings
        download_pair.cache_clear()
        yield server
        download_pair.cache_clear()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Start a headless browser of playwright, for tests with the marker `browser`."""
    api = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no chromium on the path; Debian: apt-get install chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
        )
        yield browser
        browser.close()
