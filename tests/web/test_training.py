"""Trainings of the page: arguments, jobs, state on the disk, losses and previews."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from cyclegan_audio.config import compose
from cyclegan_audio.config.overrides import quote_values
from cyclegan_audio.inference.translation_model import METADATA_FORMAT
from cyclegan_audio.models.lr_schedules import LinearDecay
from cyclegan_audio.train import LITERAL_KEYS
from cyclegan_audio.training.resume import check_training_left
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.web import corpora
from cyclegan_audio.web.jobs import Jobs
from cyclegan_audio.web.training import (
    MAX_POINTS,
    SIZES,
    describe_state,
    job_name,
    latest_grids,
    list_trainings,
    loss_points,
    previews,
    resume_arguments,
    stop_training,
    train_arguments,
    training_process,
)
from tests.commands import ROOT

HOLD = """
import signal, sys, time
from pathlib import Path
from cyclegan_audio.utils.locks import process_lock
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
with process_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("size", SIZES)
def test_arguments_compose_for_each_size(size, corpus, tmp_path):
    arguments = train_arguments(corpus, tmp_path / "run", size, 90)
    cfg = compose("train", quote_values(arguments, LITERAL_KEYS))
    assert (cfg.corpus, cfg.run_dir) == (str(corpus), str(tmp_path / "run"))
    assert (cfg.genre_pair.a, cfg.genre_pair.b) == ("high", "low")
    assert cfg.max_minutes == 90
    assert not cfg.logger
    assert list(cfg.data.normalise) == ["bandwidth", "loudness"]  # as `prepare` advises for this corpus


def test_a_genre_with_odd_characters_reaches_train(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr("cyclegan_audio.web.training.training_genres", lambda _: ("R'n'B", "drum & bass"))
    arguments = train_arguments(corpus, tmp_path / "run", next(iter(SIZES)), 1)
    cfg = compose("train", quote_values(arguments, LITERAL_KEYS))
    assert (cfg.genre_pair.a, cfg.genre_pair.b) == ("R'n'B", "drum & bass")


@pytest.mark.parametrize(
    ("size", "minutes", "message"),
    [("huge", 60, "there is no model 'huge'"), (None, 0, "must be a number >= 1"), (None, None, "minutes")],
)
def test_wrong_settings_are_refused(size, minutes, message, corpus, tmp_path):
    with pytest.raises(UserError, match=message):
        train_arguments(corpus, tmp_path, size or next(iter(SIZES)), minutes)


def write_losses(run: Path, n_rows: int) -> None:
    rows = [f"{batch},0,1.0,0.1,9,{batch},{batch + 2},," for batch in range(1, n_rows + 1)]
    header = "batch,epoch,elapsed_s,lr,gen_total,cycle_a,cycle_b,disc_a,disc_b"
    (run / "losses.csv").write_text("\n".join([header, *rows]) + "\n")


def test_losses_are_means_of_both_sides_and_thinned(tmp_path):
    assert loss_points(tmp_path) == []
    write_losses(tmp_path, 1000)
    points = loss_points(tmp_path)
    assert {point.loss for point in points} == {"cycle"}
    assert len(points) <= MAX_POINTS
    assert (points[0].batch, points[0].value) == (1000, 1001)
    assert all(point.value == point.batch + 1 for point in points)


def test_the_newest_grids_and_sounds_are_shown(tmp_path):
    for folder, names in {
        "grids": ("epoch_0005_a_to_b.png", "epoch_0010_a_to_b.png", "epoch_0010_b_to_a.png"),
        "audio": (
            "epoch_0005_lo_fi_to_trap_0_fake.wav", "epoch_0010_lo_fi_to_trap_1_fake.wav",
            "epoch_0010_lo_fi_to_trap_1_real.wav", "epoch_0010_trap_to_lo_fi_0_fake.wav",
        ),
    }.items():  # fmt: skip
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / name).touch()
    assert [grid.name for grid in latest_grids(tmp_path)] == [
        "epoch_0010_a_to_b.png",
        "epoch_0010_b_to_a.png",
    ]
    (preview,) = previews(tmp_path)  # the other one has no sound of its source yet
    assert preview.label == "epoch 10, lo fi to trap, clip 2"
    assert preview.before.name == "epoch_0010_lo_fi_to_trap_1_real.wav"
    assert latest_grids(tmp_path / "no") == previews(tmp_path / "no") == []


def test_a_job_prints_ends_and_says_why_it_failed(tmp_path):
    jobs, ended, may_end = Jobs(tmp_path), [], threading.Event()
    jobs.start("translate", "translate", ["--none"], on_end=lambda: ended.append(may_end.wait(60)))
    with pytest.raises(UserError, match="translate is running; wait until it ends, or stop it first"):
        jobs.start("other", "translate", ["--help"])
    may_end.set()
    jobs.wait("translate", 60)
    assert "there is no option --none" in (jobs.failure("translate") or "")
    assert jobs.running() is None
    jobs.start("help", "translate", ["--help"])
    jobs.wait("help", 60)
    assert jobs.failure("help") is None
    assert "usage: cyclegan-audio translate" in jobs.output("help")
    assert "name=value" in Jobs(tmp_path).last_line("help")  # also after a new start of the page
    assert ended == [True]


def test_a_job_without_memory_and_its_last_words(tmp_path, monkeypatch):
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\nprintf 'clips: 12\\n└────┘\\n'\nkill -9 $$\n", encoding="utf-8")
    script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))
    jobs = Jobs(tmp_path)
    jobs.start("prepare", "prepare", [])
    jobs.wait("prepare", 60)
    assert jobs.last_line("prepare") == "clips: 12"
    assert "most likely for lack of memory" in (jobs.failure("prepare") or "")


def test_a_stopped_job_has_not_failed(tmp_path):
    for genre in ("a", "b"):
        (tmp_path / genre).mkdir()
        os.mkfifo(tmp_path / genre / "slow.wav")  # keeps the command busy
    jobs = Jobs(tmp_path)
    music = [corpora.GenreMusic(genre, tmp_path / genre) for genre in ("a", "b")]
    ended = []
    arguments = corpora.prepare_arguments(*music, tmp_path / "corpus")
    jobs.start("prepare", "prepare", arguments, on_end=lambda: (time.sleep(0.3), ended.append(1)))
    jobs.stop("prepare")
    jobs.wait("prepare", 60)
    assert jobs.failure("prepare") is None
    assert ended == [1]  # what follows a job has ended too
    jobs.wait("no such job", 60)


@pytest.mark.parametrize("name", ["mine", "genres/mine"])
def test_a_training_of_an_earlier_page_is_seen_and_stopped(name, tmp_path):
    run, jobs = tmp_path / name, Jobs(tmp_path)
    run.mkdir(parents=True)
    lock = run / ".training"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    assert training_process(run) == holder.pid
    assert jobs.running() == "train mine"
    with pytest.raises(UserError, match="train mine is running"):
        jobs.start("report", "evaluate", ["--help"])
    assert list_trainings(tmp_path) == [run]
    assert describe_state(tmp_path, run, jobs).startswith("training: ")
    stop_training(tmp_path, run, jobs)
    assert holder.wait(30) == 0
    assert training_process(run) is None
    assert jobs.running() is None
    assert "ended before its first checkpoint" in describe_state(tmp_path, run, jobs)


def test_a_stale_lock_is_no_training(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / ".training").write_text(str(os.getpid()))
    assert training_process(tmp_path / "mine") is None


def test_an_ended_run_stands_in_translate(tiny_run):
    runs = tiny_run.parent
    assert list_trainings(runs) == [tiny_run]
    assert "choose it in the tab Translate" in describe_state(runs, tiny_run, Jobs(runs))


def test_every_run_has_a_log_of_its_own(tmp_path):
    names = [job_name(tmp_path, tmp_path / run) for run in ("a/b", "a_b", "日本", "音楽")]
    assert len(set(names)) == 4
    assert names[0].startswith("train_a_b_")
    assert all(name.isascii() and "/" not in name for name in names)


def write_ended_run(run: Path, epochs: int, minutes: float) -> dict[str, Any]:
    """Write the last checkpoint of a run of 25 + 25 epochs, with what a resume reads of it."""
    counts = {"started": epochs, "processed": epochs, "completed": epochs}
    batches = {"current": {"started": 0, "processed": 0, "completed": 0}}
    composed = (
        "{n_epochs: 25, n_epochs_decay: 25, model: {generator: {}}, data: {}, trainer: {}, callbacks: {}}"
    )
    content = {
        "state_dict": {},
        "optimizer_states": [{}],
        "loops": {"fit_loop": {"epoch_progress": {"current": counts}, "epoch_loop.batch_progress": batches}},
        "cyclegan_audio": {
            "format": METADATA_FORMAT, "batches": 9, "elapsed_s": 60 * minutes, "training_intervals": {},
            "composed": composed,
        },
    }  # fmt: skip
    (run / "checkpoints").mkdir(parents=True)
    torch.save(content, run / "checkpoints" / "last.ckpt")
    return content


@pytest.mark.parametrize(("epochs", "n_epochs"), [(50, 75), (0, 25)])
def test_a_run_goes_on_after_its_end(epochs, n_epochs, tmp_path):
    content = write_ended_run(tmp_path / "mine", epochs, 60.5)
    arguments = resume_arguments(tmp_path / "mine", 30)
    assert arguments == [f"resume={tmp_path / 'mine'}", "max_minutes=90.5", f"n_epochs={n_epochs}"]
    check_training_left(content, LinearDecay(n_epochs, 25, 90.5))
    with pytest.raises(UserError, match="nothing is left to train"):
        check_training_left(content, LinearDecay(25, 25, 60.5))
    with pytest.raises(UserError, match="the time in minutes"):
        resume_arguments(tmp_path / "mine", 0)
