"""Resuming a stranger's run folder writes and deletes nothing outside of it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from pytorch_lightning.callbacks import ModelCheckpoint

from cyclegan_audio.training.callbacks.checkpoints import AtomicCheckpointIO
from tests.attack.processes import run_command

PRECIOUS = "precious/thesis.txt"
LOGGERS = "cyclegan_audio.training.loggers"


@pytest.fixture
def place(workplace: Path, tmp_path: Path) -> Path:
    """Return a folder with a corpus, a run of a stranger and a precious file."""
    for name in ("corpus", "run"):
        shutil.copytree(workplace / name, tmp_path / name)
    (tmp_path / PRECIOUS).parent.mkdir()
    (tmp_path / PRECIOUS).write_text("precious")
    return tmp_path


def rewrite(place: Path, change: Callable[[dict[str, Any], Any], None]) -> None:
    """Let `change` change the content of the run's checkpoint and its configuration."""
    path = place / "run" / "checkpoints" / "last.ckpt"
    content = torch.load(path, weights_only=True)
    config: Any = OmegaConf.create(content["cyclegan_audio"]["composed"])
    change(content, config)
    content["cyclegan_audio"]["composed"] = OmegaConf.to_yaml(config)
    torch.save(content, path)


def resume(place: Path) -> Any:
    return run_command("train", "resume=run", "corpus=corpus", "n_epochs=2", folder=place)


@pytest.mark.parametrize("named", ["local://{}", "{}", "run/checkpoints/../../precious"])
def test_a_path_in_the_state_of_a_callback_is_not_deleted(place, named):
    """Lightning deletes the file or folder that its own callback remembers as its last checkpoint."""

    def change(content: dict[str, Any], config: Any) -> None:
        del config.trainer["enable_checkpointing"]
        config.trainer.check_val_every_n_epoch = 1
        folder = named.format(place / "precious")
        state = {"best_model_score": None, "best_model_path": folder, "last_model_path": folder}
        content["callbacks"][ModelCheckpoint().state_key] = state

    rewrite(place, change)
    ended = resume(place)
    assert ended.code == 0, ended.output
    assert (place / PRECIOUS).read_text() == "precious"


def test_only_checkpoints_of_the_run_are_deleted(tmp_path):
    own, other = tmp_path / "run" / "epoch=1.ckpt", tmp_path / "other.ckpt"
    own.parent.mkdir()
    own.touch(), other.touch()
    for path in (own, other, tmp_path / "run" / ".." / "other.ckpt", tmp_path):
        AtomicCheckpointIO(tmp_path / "run").remove_checkpoint(path)
    assert other.is_file()
    assert not own.exists()


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("checkpoints/.last.part.ckpt", PRECIOUS),
        ("losses.csv", PRECIOUS),
        ("tensorboard/hparams.yaml", "precious/not_there"),
        ("wandb_id.txt", "precious/not_there"),
        ("wandb/debug.log", "precious/not_there"),
        ("loop", "loop"),
    ],
)
def test_links_out_of_a_run_are_refused(place, link, target):
    path = place / "run" / link
    path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(place / target if link != target else target)
    if link == target:  # it leads nowhere, and so nowhere else
        assert resume(place).code == 0
        return
    ended = resume(place)
    ended.assert_one_line(link)
    assert f"{Path('run') / link} is a link to a file outside of the run" in ended.output
    assert os.listdir(place / "precious") == ["thesis.txt"]
    assert (place / PRECIOUS).read_text() == "precious"


def test_a_run_behind_a_link_and_links_within_a_run_are_resumed(place):
    (place / "run").rename(place / "elsewhere")
    (place / "run").symlink_to("elsewhere")
    (place / "run" / "newest.ckpt").symlink_to("checkpoints/last.ckpt")
    logs = place / "run" / "wandb" / "offline-run-1" / "logs"
    logs.mkdir(parents=True)
    (logs / "debug-core.log").symlink_to(place / PRECIOUS)  # as W&B itself links to its log
    ended = resume(place)
    assert ended.code == 0, ended.output


@pytest.mark.parametrize(("project", "run_id"), [("a/../../b", "abc"), ("a", "../../../precious/abc")])
def test_names_for_wandb_are_no_paths(place, monkeypatch, project, run_id):
    monkeypatch.setenv("WANDB_MODE", "offline")
    (place / "run" / "wandb_id.txt").write_text(run_id)

    def change(content: dict[str, Any], config: Any) -> None:
        config.logger = {
            **{"_target_": f"{LOGGERS}.wandb_logger", "_partial_": True, "run_dir": "${run_dir}"},
            **{"project": project, "name": "${run_dir}", "group": None},
        }

    rewrite(place, change)
    resume(place).assert_one_line(project)
    assert os.listdir(place / "precious") == ["thesis.txt"]
