"""The page on a free port."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from cyclegan_audio.config import compose
from cyclegan_audio.inference.run_paths import LOCK
from cyclegan_audio.inference.translation_model import make_metadata
from cyclegan_audio.utils.locks import lock_holder
from tests.commands import ROOT
from tests.corpus.noise_songs import load_mel

START_S = 300


def free_port() -> int:
    """Return a port that nothing uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class ServedPage:
    """The page in a process of its own."""

    process: subprocess.Popen[bytes]
    runs: Path
    cache: Path
    port: int
    log: Path

    @property
    def address(self) -> str:
        """Return where the browser finds it."""
        return f"http://127.0.0.1:{self.port}"


def start_page(folder: Path) -> ServedPage:
    """Start the page and wait until it answers."""
    port, log, temporary = free_port(), folder / "page.log", folder / "temporary"
    temporary.mkdir()
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
        "TMPDIR": str(temporary),
        "GRADIO_SHARE": "true",  # must have no effect, as the next
        "GRADIO_ALLOWED_PATHS": "/etc",
    }
    command = [sys.executable, "-m", "tests.web.tiny_page", str(folder / "runs"), str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    until = time.monotonic() + START_S
    while f"http://127.0.0.1:{port}" not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.2)
    (cache,) = temporary.glob("cyclegan_audio_app_*")
    return ServedPage(process, folder / "runs", cache, port, log)


@pytest.fixture
def tiny_run(tiny_model, tmp_path) -> Path:
    """Return a run of the smallest model between `low` and `high`, as a training leaves it."""
    model = tiny_model()
    overrides = ["model=cyclegan_resnet_small", "model.generator.n_filters=4", "model.generator.n_blocks=1"]
    config = {"model": OmegaConf.to_container(compose("train", overrides).model, resolve=True)}
    model.metadata = make_metadata(("low", "high"), load_mel("hifi"), 344, config, training_intervals={})
    content = {"state_dict": model.state_dict()}
    model.on_save_checkpoint(content)
    folder = tmp_path / "trained" / "tiny" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(content, folder / "last.ckpt")
    return folder.parent


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPage]:
    """Serve the page for all tests of a session."""
    pytest.importorskip("gradio")
    page = start_page(tmp_path_factory.mktemp("served"))
    yield page
    page.process.send_signal(signal.SIGTERM)
    page.process.wait(60)
    for lock in page.runs.glob(f"*/{LOCK}"):  # of a test that failed
        if (trainer := lock_holder(lock)) is not None:
            os.kill(trainer, signal.SIGTERM)
    assert not page.cache.exists()
