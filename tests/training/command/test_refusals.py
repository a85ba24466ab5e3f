"""Bad settings give one line and leave no run folder."""

from pathlib import Path

import pytest

from cyclegan_audio.inference.checkpoints import load_model
from cyclegan_audio.utils.errors import UserError


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["genre_pair.b=jazz"], "jazz"),
        (["mel=paper"], "hop_length"),
        (["corpus=nowhere"], "nowhere"),
        (["model.loss_weights.cycle=-1"], "loss_weights.cycle must be a number >= 0, got -1"),
        (["precision=8"], "precision must be one of auto"),
        (["resume=nowhere"], "no run 'nowhere'"),
        (["data.crop_frames=5000"], "crop_frames"),
        (["data.crop_frames=4"], "data.crop_frames=4 is too short for the networks; choose"),
        (["discriminator=multi_scale", "data.crop_frames=8"], "is too short for the networks; choose 48 to"),
        (["data.val_pairs=0"], "data.val_pairs must be an integer >= 1"),
        (["data.num_workers=-1"], "data.num_workers must be an integer >= 0"),
        (["generator=images"], "must be used together"),
        (["data.normalise=[level]"], "data.normalise=level is unknown"),
        (["n_epochs=1.5"], "n_epochs must be an integer >= 0, got 1.5"),
        (["data.batch_size=0"], "data.batch_size must be an integer >= 1, got 0"),
        (["max_minutes=soon"], "max_minutes must be a number >= 0, got 'soon'"),
        (["model.optimizer.lr=fast"], "model.optimizer"),
        (["callbacks.checkpoints.every_epochs=0"], "every_epochs must be an integer >= 1, got 0"),
        (["seed=-1"], "seed must be an integer >= 0 and <= 4294967295, got -1"),
        (["no_such_key=1"], "no_such_key"),
        (["genre_pair=lofi_polka"], "lofi_polka"),
        (["+n_epoch=1"], "did you mean n_epochs?"),
        (["-m", "+n_epoch=1,2"], "did you mean n_epochs?"),
        (["-m", "n_epoch=1,2"], "did you mean n_epochs?"),
        (["-m", "genre_pair=lofi_rnb,lofi_polka"], "lofi_polka"),
        (["--max-minuts", "3"], "did you mean max_minutes?"),
    ],
)
def test_invalid_input_gives_one_line(run, small, arguments, message):
    code, shown = run(*small, "logger=none", *arguments)
    assert code == 2
    line = shown.strip().splitlines()[-1]
    assert line.startswith("error: ")
    assert message in line
    assert list(Path().iterdir()) == []
    assert "Traceback" not in shown


def test_folder_that_cannot_be_written(run, small):
    Path("file").write_text("in the way")
    code, shown = run(*small, "logger=none", "run_dir=file/run")
    assert code == 2
    assert "Traceback" not in shown


@pytest.mark.usefixtures("out")
def test_a_run_is_not_overwritten(run, small):
    before = Path("out/checkpoints/last.ckpt").read_bytes()
    code, shown = run(*small, "logger=none", "run_dir=out")
    assert code == 2
    assert "already holds a run" in shown
    assert Path("out/checkpoints/last.ckpt").read_bytes() == before
    Path("out/checkpoints/last.ckpt").rename("copied.ckpt")
    code, shown = run("resume=copied.ckpt")
    assert code == 2
    assert "is not in a run folder" in shown


def test_a_run_without_a_checkpoint_is_reported_and_starts_again(run, small):
    once = (*small, "logger=none", "n_epochs=1", "n_epochs_decay=0", "run_dir=out")
    Path("out").mkdir()
    Path("out/config.yaml").write_text("seed: 0\n")
    code, shown = run("resume=out")
    assert code == 2
    assert shown.startswith("error: out has no checkpoint")
    assert "run_dir=out" in shown
    with pytest.raises(UserError, match="ended before the first one"):
        load_model("out")
    code, shown = run(*once)
    assert code == 0, shown
    assert load_model("out").batches == 8


@pytest.mark.parametrize(
    ("limit", "change", "message"),
    [
        ("max_minutes=0.0001", "vocoder=mask", "max_minutes=0.0001 limits the whole run, which has used"),
        ("n_epochs=1", "vocoder=mask", "all 1 epochs of the run are done"),
    ],
)
def test_a_complete_run_is_not_changed(run, small, limit, change, message):
    assert run(*small, "logger=none", "n_epochs_decay=0", limit, "run_dir=out")[0] == 0
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in Path("out").rglob("*.*")}
    code, shown = run("resume=out", change)
    assert code == 2
    assert message in shown.strip().splitlines()[-1]
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in Path("out").rglob("*.*")} == before
    last = "out/checkpoints/last.ckpt"  # which of them is best depends on the CPU
    batches = load_model(last).batches
    code, shown = run("resume=out", "max_minutes=60", "n_epochs=2")
    assert code == 0, shown
    assert load_model(last).batches == batches + 8


def test_a_batch_larger_than_the_corpus_gives_a_warning(run, small, caplog):
    code, shown = run(
        *small, "logger=none", "n_epochs=1", "n_epochs_decay=0", "data.batch_size=9", "run_dir=out"
    )
    assert code == 0, shown
    assert "data.batch_size=9 is more than the 8 training clips of low: each batch holds these" in caplog.text
    assert load_model("out").batches == 1
