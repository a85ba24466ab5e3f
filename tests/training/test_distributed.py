"""Two processes (gloo, on the CPU) train as one would with their batches joined."""

import math
import os
import subprocess
import sys
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from pytorch_lightning import Callback, Trainer

from cyclegan_audio.data.datamodule import UnpairedMelDataModule
from cyclegan_audio.inference.checkpoints import load_model
from cyclegan_audio.models.rank_states import rank_modules
from cyclegan_audio.training.distributed import (
    WORLD_SIZE_VARIABLES,
    check_shared_run_dir,
    parent_run_dir,
    rank_environment,
)
from cyclegan_audio.training.resume import set_data_position
from cyclegan_audio.utils.errors import UserError


class KeepGradients(Callback):
    """Writes the gradients of the first steps, and each process's losses."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.kept: list[list[torch.Tensor]] = []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        gradients = [p.grad.clone() for group in optimizer.param_groups for p in group["params"]]
        self.kept.append(gradients)

    def on_train_end(self, trainer, pl_module):
        losses = {name: float(loss) for name, loss in pl_module.losses.items()}
        torch.save(
            {"gradients": self.kept, "losses": losses, "pool": pl_module.pool_a.get_extra_state()},
            self.folder / f"{trainer.world_size}_{trainer.global_rank}.pt",
        )


def train(model, corpus, folder, batch_size, **trainer) -> None:
    data = UnpairedMelDataModule(
        corpus, "low", "high", frame_multiple=4, batch_size=batch_size, crop_frames=32
    )
    Trainer(
        max_epochs=1, limit_train_batches=2, limit_val_batches=0, accelerator="cpu", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        use_distributed_sampler=False, precision="64-true", callbacks=[KeepGradients(folder)], **trainer,
    ).fit(model, data)  # fmt: skip


def test_gradients_of_two_processes_are_those_of_one_with_the_doubled_batch(tiny_model, corpus, tmp_path):
    overrides = ("model.pool_size=0", "model.optimizer._target_=torch.optim.SGD", "~model.optimizer.betas")
    train(tiny_model(*overrides), corpus, tmp_path, batch_size=2)
    train(
        tiny_model(*overrides), corpus, tmp_path, batch_size=1, devices=2,
        strategy="ddp_fork_find_unused_parameters_true",
    )  # fmt: skip
    one, first, second = (torch.load(tmp_path / f"{name}.pt") for name in ("1_0", "2_0", "2_1"))
    assert len(one["gradients"]) == 4  # two batches, two optimisers
    for whole, mine, others in zip(one["gradients"], first["gradients"], second["gradients"], strict=True):
        torch.testing.assert_close(mine, others, rtol=0, atol=0)
        torch.testing.assert_close(mine, whole, rtol=1e-5, atol=1e-6)  # losses are computed in fp32
    for name, loss in one["losses"].items():
        assert first["losses"][name] != second["losses"][name]
        assert (first["losses"][name] + second["losses"][name]) / 2 == pytest.approx(loss, rel=1e-4)
    assert not torch.equal(first["pool"]["rng"], second["pool"]["rng"])


WARM_UP = (  # of 12 batches: 8, the last 2 with discriminators
    *("n_epochs=2", "n_epochs_decay=1", "model.restoration_warm_up=0.65", "model.loss_weights.restoration=5"),
    *("model.source_variation.probability=0.5", "model.cycle_noise=0.1", "model.cycle_every=2"),
    *("model.ema_decay=0.5", "model.pool_size=2"),
)


class KeepRank(Callback):
    """Writes a checkpoint before the seventh batch, and what each process has at the end."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.losses: list[dict[str, float]] = []

    def on_train_batch_start(self, trainer, pl_module, *args):
        if pl_module.batches == 6:
            trainer.save_checkpoint(self.folder / "within.ckpt")

    def on_train_batch_end(self, trainer, pl_module, *args):
        self.losses.append({name: float(loss) for name, loss in pl_module.losses.items()})

    def on_train_end(self, trainer, pl_module):
        ranks = {name: module.get_extra_state() for name, module in rank_modules(pl_module).items()}
        optimizers = [optimizer.state_dict()["state"] for optimizer in trainer.optimizers]
        weights = {name: x for name, x in pl_module.state_dict().items() if "_extra_state" not in name}
        kept = {"weights": weights, "optimizers": optimizers, "ranks": ranks, "losses": self.losses}
        torch.save(kept, self.folder / f"{trainer.global_rank}.pt")


def train_two_processes(model, corpus, folder, checkpoint=None) -> list[dict[str, Any]]:
    """Train with `KeepRank` on two processes, and return what each has at the end."""
    folder.mkdir()
    data = UnpairedMelDataModule(corpus, "low", "high", frame_multiple=4, crop_frames=32)
    data.setup()
    model.set_moments(dict(zip("ab", map(data.train_data.band_moments, "ab"), strict=True)))
    if checkpoint is not None:
        set_data_position(torch.load(checkpoint, weights_only=True), data)
    Trainer(
        max_epochs=3, limit_val_batches=0, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False, devices=2,
        strategy="ddp_fork_find_unused_parameters_true", callbacks=[KeepRank(folder)],
    ).fit(model, data, ckpt_path=checkpoint, weights_only=True)  # fmt: skip
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


def test_processes_stay_in_step_and_resume_within_the_warm_up(tiny_model, corpus, tmp_path):
    first, second = train_two_processes(tiny_model(*WARM_UP), corpus, tmp_path / "whole")
    for kind in ("weights", "optimizers"):
        torch.testing.assert_close(first[kind], second[kind], rtol=0, atol=0)
    drawn = {"pool_a", "pool_b", "inputs.corruption.rng", "inputs.variation.rng", "inputs.rng"}
    assert set(first["ranks"]) == set(second["ranks"]) == drawn
    states = [
        [state["stored"] if "pool" in name else state for name, state in sorted(rank["ranks"].items())]
        for rank in (first, second)
    ]
    assert not any(torch.equal(mine, others) for mine, others in zip(*states, strict=True))

    names = [set(losses) for losses in first["losses"]]
    assert names == [set(losses) for losses in second["losses"]]
    restored, judged = {"gen_total", "restoration_a", "restoration_b"}, {"disc_a", "disc_b"}
    others = {
        name for name in tiny_model(*WARM_UP).loss_terms if not name.startswith(("restoration_", "piece_"))
    }
    assert names[:8] == [restored] * 6 + [restored | judged] * 2
    assert names[8:] == [others, others - {"cycle_a", "cycle_b"}] * 2
    assert all(math.isfinite(loss) for losses in first["losses"] for loss in losses.values())
    assert all(
        mine["gen_total"] != others["gen_total"]
        for mine, others in zip(first["losses"], second["losses"], strict=True)
    )

    checkpoint = tmp_path / "whole" / "within.ckpt"
    resumed = train_two_processes(tiny_model(*WARM_UP), corpus, tmp_path / "resumed", checkpoint)
    for mine, whole in zip(resumed, (first, second), strict=True):
        assert mine["losses"] == whole["losses"][6:]
        for kind in ("weights", "optimizers", "ranks"):
            torch.testing.assert_close(mine[kind], whole[kind], rtol=0, atol=0)


def test_further_ranks_get_the_run_folder_and_the_next_job_is_rank_zero(tmp_path, monkeypatch):
    for name in ("LOCAL_RANK", "SLURM_LOCALID", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert parent_run_dir() is None
    with rank_environment(tmp_path):
        os.environ["LOCAL_RANK"] = os.environ["WORLD_SIZE"] = (
            "0"  # what Lightning leaves in the first process
        )
        assert parent_run_dir() is None
        os.environ["LOCAL_RANK"] = "1"
        assert parent_run_dir() == tmp_path
    assert "LOCAL_RANK" not in os.environ
    assert "WORLD_SIZE" not in os.environ
    assert parent_run_dir() is None


def test_several_machines_need_a_named_folder(monkeypatch):
    for name in WORLD_SIZE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    cfg = OmegaConf.create({"trainer": {"num_nodes": 2}})
    with pytest.raises(UserError, match="run_dir="):
        check_shared_run_dir(cfg, ["seed=1"])
    check_shared_run_dir(cfg, ["run_dir=runs/x"])
    one = OmegaConf.create({"trainer": {}})
    check_shared_run_dir(one, [])
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")
    check_shared_run_dir(one, [])
    for name in WORLD_SIZE_VARIABLES:
        monkeypatch.setenv(name, "2")
        with pytest.raises(UserError, match="run_dir="):
            check_shared_run_dir(one, [])
        check_shared_run_dir(one, ["resume=runs/x"])
        monkeypatch.setenv(name, "1")


@pytest.mark.slow
def test_the_command_trains_and_resumes_on_two_processes(corpus, tiny, tmp_path):
    def command(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "cyclegan_audio.train", *arguments],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "sync_dist" not in done.stderr
        return done.stdout

    once = (
        *tiny, "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "logger=none",
        "precision=32-true",
        "threads=1", f"corpus={corpus}", "genre_pair.a=low", "genre_pair.b=high", "data.crop_frames=32",
        "callbacks.previews.every_epochs=10", "callbacks.previews.clips=1", "model.pool_size=4",
    )  # fmt: skip
    shown = command(*once, "n_epochs=3", "n_epochs_decay=0", "run_dir=whole")
    assert shown.count("trained 12 batches") == 1  # eight clips an epoch, two a step
    command(*once, "n_epochs=2", "n_epochs_decay=0", "run_dir=parts")
    command("resume=parts", "n_epochs=3")
    whole, parts = (torch.load(tmp_path / run / "checkpoints" / "last.ckpt") for run in ("whole", "parts"))
    torch.testing.assert_close(parts["state_dict"], whole["state_dict"], rtol=0, atol=0)
    pools = [rank["pool_a"]["stored"] for rank in whole["cyclegan_audio"]["rank_states"]]
    assert not torch.equal(*pools)
    torch.testing.assert_close(
        [rank["pool_a"]["stored"] for rank in parts["cyclegan_audio"]["rank_states"]], pools
    )
    rows = [(tmp_path / run / "losses.csv").read_text().splitlines() for run in ("whole", "parts")]
    assert len(rows[0]) == len(rows[1]) == 1 + 3
    assert load_model(tmp_path / "parts" / "checkpoints" / "last.ckpt").batches == 12  # not the best
