"""Trainings on little music: they say what they do about it, and a resumed run keeps it."""

from pathlib import Path

import torch
from omegaconf import OmegaConf

from cyclegan_audio.data import datamodule

ONCE = ("n_epochs=1", "n_epochs_decay=0", "logger=none", "~callbacks.tagger", "run_dir=out")
MORE = ("resume=out", "n_epochs=2")
NOTE = "clips are also played up to 2 semitones slower and faster (data.varispeed)"


def stored() -> int:
    """Varispeed in the configuration of the run."""
    return OmegaConf.load("out/config.yaml").data.varispeed


def test_a_resumed_run_keeps_its_speeds(run, small, monkeypatch):
    code, shown = run(*small, *ONCE, "data.varispeed=auto")
    assert code == 0, shown
    assert NOTE in shown
    assert stored() == 2
    monkeypatch.setattr(datamodule, "LITTLE_MUSIC", 1)  # as if the corpus had grown
    code, shown = run(*MORE)
    assert code == 0, shown
    assert stored() == 2


def test_runs_from_before_the_setting_go_on_without_it(run, small):
    assert run(*small, *ONCE)[0] == 0
    for path in Path("out/checkpoints").glob("*.ckpt"):
        content = torch.load(path, weights_only=True)
        del content["cyclegan_audio"]["config"]["data"]["varispeed"]
        torch.save(content, path)
    config = OmegaConf.load("out/config.yaml")
    del config.data["varispeed"]
    OmegaConf.save(config, "out/config.yaml")
    code, shown = run(*MORE)
    assert code == 0, shown
    assert NOTE not in shown
