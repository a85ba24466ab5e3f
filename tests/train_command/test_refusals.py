from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["genre_pair.b=jazz"], "jazz"),
        (["mel=paper"], "hop_length"),
        (["corpus=nowhere"], "nowhere"),
        (["model.loss_weights.cycle=-1"], "must not be negative"),
        (["precision=8"], "choose one of auto"),
        (["resume=nowhere"], "no run 'nowhere'"),
        (["data.crop_frames=5000"], "crop_frames"),
        (["generator=pictures"], "belong together"),
        (["data.match=[level]"], "data.match=level is unknown"),
        (["n_epochs=1.5"], "n_epochs=1.5 is not a whole number"),
        (["data.batch_size=0"], "data.batch_size=0"),
        (["max_minutes=soon"], "max_minutes=soon"),
        (["model.optimizer.lr=fast"], "model.optimizer"),
        (["callbacks.checkpoints.every_epochs=0"], "every_epochs=0"),
        (["seed=-1"], "seed=-1"),
        (["no_such_key=1"], "no_such_key"),
        (["genre_pair=lofi_polka"], "lofi_polka"),
    ],
)
def test_bad_input_is_one_line(run, small, arguments, message):
    code, shown = run(*small, "logger=none", *arguments)
    assert code == 1
    line = shown.strip().splitlines()[-1]
    assert line.startswith("error: ")
    assert message in line
    assert list(Path().iterdir()) == []
    assert "Traceback" not in shown


def test_folder_that_cannot_be_written(run, small):
    Path("file").write_text("in the way")
    code, shown = run(*small, "logger=none", "run_dir=file/run")
    assert code == 1
    assert "Traceback" not in shown


def test_a_run_is_not_overwritten(run, small):
    once = (*small, "logger=none", "n_epochs=1", "n_epochs_decay=0", "run_dir=out")
    assert run(*once)[0] == 0
    before = Path("out/checkpoints/last.ckpt").read_bytes()
    code, shown = run(*once)
    assert code == 1
    assert "holds a run already" in shown
    assert Path("out/checkpoints/last.ckpt").read_bytes() == before
    Path("out/checkpoints/last.ckpt").rename("copied.ckpt")
    code, shown = run("resume=copied.ckpt")
    assert code == 1
    assert "does not lie in a run folder" in shown
