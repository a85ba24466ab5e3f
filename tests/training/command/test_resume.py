"""A stopped and resumed run equals an undisturbed one."""

import shutil
from pathlib import Path

import pytest
import torch

from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.manifest_file import read_manifest, write_manifest
from cyclegan_audio.data.datamodule import UnpairedMelDataset
from cyclegan_audio.inference.checkpoints import load_model
from cyclegan_audio.training.callbacks.checkpoints import CheckpointCallback
from cyclegan_audio.utils.errors import INTERRUPTED_EXIT_CODE
from tests.loss_table import rows

# Of the run in the folder `out`, which stands for its best: that may stay the one from before the resume.
LAST = "out/checkpoints/last.ckpt"


PLAIN = ("model=cyclegan_resnet_small",)
WHITENED = ("generator=patch_residual", "discriminator=patch_whitened", "model.ema_decay=0.9")


RANDOM_INPUTS = ("model.loss_weights.restoration=5", "model.source_variation.probability=0.5")
LITTLE_MUSIC = (
    *("model.adversarial.augmentation.probability=0.5", "model.adversarial.consistency_weight=1"),
    "model.adversarial.lecam_weight=0.1",
)
AFTER_WARM_UP = (
    *("model=cyclegan_resnet_small", *RANDOM_INPUTS, *LITTLE_MUSIC, "model.restoration_warm_up=0.3"),
    *("model.cycle_noise=0.1", "model.cycle_every=2", "model.schedule.warm_up_batches=20"),
)
DISCRIMINATORS_WARM_UP = (*WHITENED, *RANDOM_INPUTS, "model.restoration_warm_up=0.5")
CYCLEGAN_SMALL = ("model=cyclegan_small", "model.generator.n_blocks=1")
WITHIN_WARM_UP = ("model=cut_small", *RANDOM_INPUTS, "model.restoration_warm_up=0.9")


@pytest.mark.parametrize(
    "model",
    [
        PLAIN,
        ("model=cut_small",),
        WHITENED,
        AFTER_WARM_UP,
        DISCRIMINATORS_WARM_UP,
        WITHIN_WARM_UP,
        CYCLEGAN_SMALL,
    ],
)
def test_stopped_and_resumed_equals_undisturbed(run, small, pictured, monkeypatch, model):
    """Stopped within the second of three epochs and resumed: the same weights, pools, rows, bit for bit."""
    small = (*(pictured if model is PLAIN else small), *model, "data.gain_db=6", "data.time_shift=true")
    assert run(*small, "logger=none", "run_dir=whole")[0] == 0
    at_start = CheckpointCallback.on_train_batch_start

    def stop_at_eleven(self, trainer, module, *args):
        if module.batches == 11:
            self._request_stop(2, None)
        at_start(self, trainer, module, *args)

    monkeypatch.setattr(CheckpointCallback, "on_train_batch_start", stop_at_eleven)
    code, shown = run(*small, "logger=none", "run_dir=broken")
    assert code
    assert "resume=" in shown
    assert load_model("broken").batches == 11
    monkeypatch.setattr(CheckpointCallback, "on_train_batch_start", at_start)
    code, shown = run("resume=broken")
    assert code == 0, shown

    def held_out(folder: str) -> list[dict[str, str]]:
        return [row | {"elapsed_s": ""} for row in rows(Path(folder), "validation.csv")]

    whole, broken = (
        torch.load(f"{run}/checkpoints/last.ckpt", weights_only=True) for run in ("whole", "broken")
    )
    assert whole["cyclegan_audio"]["batches"] == broken["cyclegan_audio"]["batches"]
    torch.testing.assert_close(broken["state_dict"], whole["state_dict"], rtol=0, atol=0)
    torch.testing.assert_close(broken["optimizer_states"], whole["optimizer_states"], rtol=0, atol=0)
    assert [row["batch"] for row in rows(Path("broken"))] == [row["batch"] for row in rows(Path("whole"))]
    assert rows(Path("broken"))[-1]["gen_total"] == rows(Path("whole"))[-1]["gen_total"]
    assert held_out("broken") == held_out("whole")


def test_a_run_keeps_the_moments_of_its_training_clips(run, small, corpus, monkeypatch):
    """Pooled over all frames of all training clips of a genre, as the corpus scales them; once a run."""
    assert run(*small, *WHITENED, "n_epochs_decay=0", "n_epochs=1", "logger=none", "run_dir=out")[0] == 0
    state = torch.load(LAST, weights_only=True)["state_dict"]
    opened = Corpus.open(corpus)
    for domain, genre in (("a", "low"), ("b", "high")):
        mels = [opened.mel.normalise(opened.mel_db(clip)) for clip in opened.clips(genre, "train")]
        frames = torch.cat(mels, 1).double()
        mean, spread = frames.mean(1).float(), frames.std(1, correction=0).clamp_min(0.02).float()
        of_networks = [name for name in state if name.endswith(".mean")]
        assert len(of_networks) == 2 + 2 + 4 + 4  # the model, discriminators, generators and their averages
        for name in (f"whitening_{domain}", f"disc_{domain}.whitening", f"ema.networks.gen_{domain}"):
            other = {"a": "ab", "b": "ba"}[domain]
            name = f"{name[:-1]}{other}.module.source" if name.startswith("ema") else name
            torch.testing.assert_close(state[f"{name}.mean"], mean)
            torch.testing.assert_close(state[f"{name}.spread"], spread)

    def fail(*_):
        raise AssertionError("a resumed run has its moments")

    monkeypatch.setattr(UnpairedMelDataset, "band_moments", fail)
    code, shown = run("resume=out", "n_epochs=2")
    assert code == 0, shown
    resumed = torch.load(LAST, weights_only=True)["state_dict"]
    assert torch.equal(resumed["whitening_b.mean"], state["whitening_b.mean"])


def test_moments_that_nothing_needs_are_not_measured(run, small, monkeypatch):
    def fail(*_):
        raise AssertionError("no network whitens mels")

    monkeypatch.setattr(UnpairedMelDataset, "band_moments", fail)
    code, shown = run(*small, "n_epochs=1", "n_epochs_decay=0", "logger=none", "run_dir=out")
    assert code == 0, shown


def test_networks_for_another_mel_are_refused(run, small):
    code, shown = run(*small, "generator=patch_residual", "model.generator.n_mels=64")
    assert code == 2
    assert "model.generator.n_mels is 64, but the mels of the corpus have 128 bands" in shown
    assert shown.count("\n") == 1


def test_a_stop_in_the_last_batch_ends_the_sweep(run, small, monkeypatch):
    at_end = CheckpointCallback.on_train_epoch_end

    def stop_at_the_end(self, trainer, module):
        self._request_stop(2, None)
        at_end(self, trainer, module)

    monkeypatch.setattr(CheckpointCallback, "on_train_epoch_end", stop_at_the_end)
    once = (*small, "logger=none", "n_epochs=1", "n_epochs_decay=0", "hydra.sweep.dir=sweep")
    code, _ = run("-m", *once, "model.loss_weights.identity=0,5")
    assert code == INTERRUPTED_EXIT_CODE
    assert [path.name for path in Path("sweep").glob("*_*")] == ["0_low_high"]
    assert load_model("sweep/0_low_high").batches == 8


def test_resume_may_change_loggers_and_previews(run, pictured):
    assert run(*pictured, "logger=none", "run_dir=out", "n_epochs=1", "n_epochs_decay=0")[0] == 0
    code, shown = run("resume=out", "n_epochs=2", "vocoder=mask", "callbacks.previews.every_epochs=1")
    assert code == 0, shown
    assert (Path("out") / "audio" / "epoch_0002_low_to_high_0_fake.wav").is_file()
    assert "MaskVocoder" in (Path("out") / "config.yaml").read_text()


def test_clips_that_moved_into_training_give_a_warning_and_are_kept(run, small, corpus):
    shutil.copytree(corpus, "corpus")
    others = (*(argument for argument in small if not argument.startswith("corpus=")), "corpus=corpus")
    assert run(*others, "logger=none", "run_dir=out", "n_epochs=1", "n_epochs_decay=0")[0] == 0
    before = load_model(LAST).training_intervals
    manifest = read_manifest(Path("corpus"))
    moved = [row | {"split": row["split"].replace("test", "train")} for row in manifest]
    write_manifest(Path("corpus"), moved)
    code, shown = run("resume=out", "n_epochs=2")
    assert code == 0, shown
    assert "the training clips of the corpus have changed" in shown
    after = load_model(LAST).training_intervals
    assert set(before) < set(after)


def test_resume_with_more_epochs(run, small):
    assert run(*small, "logger=none", "run_dir=out")[0] == 0
    first = load_model(LAST)
    code, shown = run("resume=out", "n_epochs=4")
    assert code == 0, shown
    assert load_model(LAST).batches == first.batches // 3 * 5
    assert load_model(LAST).training_intervals == first.training_intervals
    assert float(rows(Path("out"))[-1]["lr"]) == pytest.approx(1e-4)  # decays after the fourth epoch now


@pytest.mark.usefixtures("out")
@pytest.mark.parametrize(
    ("change", "option"),
    [
        ("model.cycle_noise=0.05", "model.cycle_noise"),
        ("model.loss_weights.restoration=5", "model.loss_weights.restoration"),
        ("model.adversarial.instance_noise=0.1", "noise, augmentation or consistency of model.adversarial"),
        ("model.adversarial.lecam_weight=0.1", "model.adversarial.lecam_weight"),
    ],
)
def test_resume_names_the_option_whose_state_is_new(run, change, option):
    code, shown = run("resume=out", "n_epochs=2", change)
    assert code == 2
    assert f"resume= cannot turn {option} on or off" in shown


def test_resume_names_the_option_whose_state_is_not_needed(run, small):
    once = (*small, *RANDOM_INPUTS, "logger=none", "run_dir=out", "n_epochs=1", "n_epochs_decay=0")
    assert run(*once)[0] == 0
    code, shown = run("resume=out", "n_epochs=2", "model.source_variation.probability=0")
    assert code == 2
    assert "resume= cannot turn model.source_variation.probability on or off" in shown


@pytest.mark.usefixtures("out")
@pytest.mark.parametrize("change", ["model=cyclegan", "optimiser=sgd"])
def test_resume_refuses_other_networks(run, change):
    code, shown = run("resume=out", change)
    assert code == 2
    assert shown.strip().splitlines()[-1].startswith("error: ")


@pytest.mark.usefixtures("out")
@pytest.mark.parametrize(
    ("crop", "message"), [("5000", "longer than clips"), ("4", "too short for the networks")]
)
def test_resume_with_a_crop_that_does_not_fit_is_one_line(run, crop, message):
    before = {path: path.read_bytes() for path in Path("out").rglob("*.*")}
    code, shown = run("resume=out", "n_epochs=2", f"data.crop_frames={crop}")
    assert code == 2
    (line,) = shown.strip().splitlines()
    assert line.startswith("error: data.crop_frames=")
    assert message in line
    assert {path: path.read_bytes() for path in Path("out").rglob("*.*")} == before
