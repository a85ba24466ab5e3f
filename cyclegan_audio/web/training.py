"""A training of the page: arguments of `train`, state of its run on the disk, losses and previews."""

import hashlib
import math
import os
import re
import signal
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cyclegan_audio.config import slug
from cyclegan_audio.inference.run_paths import CHECKPOINTS, LAST, LOCK, LOSSES
from cyclegan_audio.reports.evaluation.training_losses import read_losses
from cyclegan_audio.utils.errors import UserError, check_number
from cyclegan_audio.utils.locks import lock_holder
from cyclegan_audio.web.corpora import corpus_warnings, training_genres
from cyclegan_audio.web.jobs import Jobs, locked_runs
from cyclegan_audio.web.models import list_runs

MAX_POINTS = 300  # of each curve
MAX_TRAINING_MINUTES = 7 * 24 * 60
SIZES = {  # overrides of `train`
    "Small, for a computer without a GPU": ("model=cyclegan_small", "data.crop_frames=128"),
    "The paper's, for a GPU": (),
    "Equaliser, in seconds, to compare with": ("model=equaliser",),
}
_ADVICE = re.compile(r"data\.normalise=\[(\w+)\]")  # in the warnings of `prepare`
_SIDE = re.compile(r"_(ab|ba|a|b)$")  # of the name of a loss
_FAKE = re.compile(r"epoch_\d{4,9}_.+_\d{1,9}_fake\.wav")
_TOTAL = "gen_total"  # the sum of all losses of the generators


@dataclass(frozen=True)
class LossPoint:
    """The mean of a loss over both directions or genres, after some batches."""

    batch: int
    value: float
    loss: str


@dataclass(frozen=True)
class Preview:
    """A held-out clip before and after its translation, after an epoch of training."""

    label: str
    before: Path
    after: Path


def train_arguments(corpus: Path, run: Path, size: str, minutes: float) -> list[str]:
    """Return the arguments of `train`, with the normalisation that `prepare` advises for the corpus.

    Raises:
        UserError: an invalid size or time, or a corpus that has not two genres.
    """
    if size not in SIZES:
        raise UserError(f"there is no model {size!r}; choose one of the list")
    check_number("the time in minutes", minutes, 1, MAX_TRAINING_MINUTES)
    one, other = training_genres(corpus)
    advice = sorted({match for line in corpus_warnings(corpus) for match in _ADVICE.findall(line)})
    normalise = [f"data.normalise=[{','.join(advice)}]"] if advice else []
    genres = [f"genre_pair.a={one}", f"genre_pair.b={other}"]
    limits = [f"max_minutes={minutes:g}", "logger=none"]
    return [f"corpus={corpus}", *genres, f"run_dir={run}", *SIZES[size], *normalise, *limits]


def resume_arguments(run: Path, minutes: float) -> list[str]:
    """Return the arguments of `train` that continue a run for some minutes, also one that has ended.

    Raises:
        UserError: an invalid time, or a run that cannot go on.
    """
    from cyclegan_audio.training.resume import train_longer  # takes seconds

    check_number("the time in minutes", minutes, 1, MAX_TRAINING_MINUTES)
    return [f"resume={run}", *train_longer(str(run), minutes)]


def job_name(runs: Path, run: Path) -> str:
    """Return the name of the job that trains a run, which is that of its log; no other run has it."""
    name = str(run.relative_to(runs))
    return f"train_{slug(name)}_{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}"


def list_trainings(runs: Path, started: Sequence[Path] = ()) -> list[Path]:
    """List runs that train and those that can go on, the newest first.

    Args:
        runs: the folder of `--runs`.
        started: further runs, which may have no files yet.
    """
    resumable = [run for run in list_runs(runs) if (run / CHECKPOINTS / LAST).is_file()]
    return list(dict.fromkeys([*reversed(started), *locked_runs(runs), *resumable]))


def training_process(run: Path) -> int | None:
    """Return the process that trains in a run's folder; None if none does."""
    return lock_holder(run / LOCK)


def stop_training(runs: Path, run: Path, jobs: Jobs) -> None:
    """Ask a training to write its checkpoint and end, also one that an earlier start of the page began."""
    jobs.stop(job_name(runs, run))
    process = training_process(run)
    if process is not None and not jobs.is_running(job_name(runs, run)):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGTERM)


def is_training(runs: Path, run: Path, jobs: Jobs) -> bool:
    """Return whether a run trains now."""
    return jobs.is_running(job_name(runs, run)) or training_process(run) is not None


def describe_state(runs: Path, run: Path, jobs: Jobs) -> str:
    """Return in a line whether a run trains, why it failed, or that it has ended."""
    name = job_name(runs, run)
    if is_training(runs, run, jobs):
        return f"training: {jobs.last_line(name) or 'starting, which takes up to a minute'}"
    if (failure := jobs.failure(name)) is not None:
        return f"failed: {failure}"
    if (run / CHECKPOINTS / LAST).is_file():
        return 'finished; choose it in the tab Translate. "Go on" trains it for longer.'
    return "it ended before its first checkpoint; start it again"


def loss_points(run: Path) -> list[LossPoint]:
    """Return the curves of the losses so far, at most `MAX_POINTS` points each; none before the first row.

    Raises:
        UserError: losses.csv is damaged.
    """
    if not (run / LOSSES).is_file():
        return []
    batches, losses = read_losses(run / LOSSES)
    by_term: dict[str, list[list[float | None]]] = defaultdict(list)
    for name, values in losses.items():
        if name != _TOTAL:
            by_term[_SIDE.sub("", name)].append(values)
    step = max(1, -(-len(batches) // MAX_POINTS))
    points = []
    for term, columns in by_term.items():
        for index in range(len(batches) - 1, -1, -step):
            numbers = [x for column in columns if (x := column[index]) is not None and math.isfinite(x)]
            if numbers:
                points.append(LossPoint(int(batches[index]), sum(numbers) / len(numbers), term))
    return points


def latest_grids(run: Path) -> list[Path]:
    """Return the newest spectrogram grid of each direction."""
    grids = sorted((run / "grids").glob("epoch_*_*.png"))
    return [grid for grid in grids if grid.name[:10] == grids[-1].name[:10]]


def previews(run: Path) -> list[Preview]:
    """Return the sounds of the newest previews."""
    fakes = sorted(file for file in (run / "audio").glob("*.wav") if _FAKE.fullmatch(file.name))
    newest = [fake for fake in fakes if fake.name[:10] == fakes[-1].name[:10]]
    pairs = [(fake, fake.with_name(fake.name.replace("_fake.wav", "_real.wav"))) for fake in newest]
    return [Preview(_preview_label(fake), real, fake) for fake, real in pairs if real.is_file()]


def _preview_label(fake: Path) -> str:
    """Return `epoch 5, lofi to trap, clip 1` for `epoch_0005_lofi_to_trap_0_fake.wav`."""
    _, epoch, *words, number, _ = fake.stem.split("_")
    return f"epoch {int(epoch)}, {' '.join(words)}, clip {int(number) + 1}"
