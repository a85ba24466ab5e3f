"""Section of provenance: run, checkpoint, corpus, settings, machine and versions behind a report."""

import os
import platform
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import torch
from omegaconf import OmegaConf

import cyclegan_audio
from cyclegan_audio.config import compose, slug
from cyclegan_audio.inference.run_paths import VALIDATION
from cyclegan_audio.reports.evaluation.translations import EvaluationData
from cyclegan_audio.reports.html import Section, Table
from cyclegan_audio.utils.csv_table import CSVTable
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.printing import get_logger

log = get_logger(__name__)
PAPERS: tuple[list[str], ...] = ([], ["experiment=paper_exact"])  # of `train`: on mels, on colour images
OTHER_SETTINGS = ("acceleration", "schedule", "seed")  # neither networks nor losses
MAX_TEXT = 200  # characters about a model, which a stranger's file may name


def provenance_section(evaluated: EvaluationData) -> Section:
    """Return a table of genres, data, mel settings, checkpoint, machine, versions and time."""
    model, mel = evaluated.model, evaluated.mel
    record = {
        "run": evaluated.run,
        "checkpoint": str(evaluated.checkpoint),
        "genres": " and ".join(model.genres),
        "model": describe_model(model.config.get("model")),
        "began with": describe_start(model.config.get("init_from")),
        "batches trained": model.batches,
        "validation score": _validation_score(evaluated),
        "corpus": str(evaluated.corpus.folder),
        "held-out clips": _clip_counts(evaluated),
        "excluded as training clips": _excluded(evaluated),
        "music": str(evaluated.corpus.normalisation) or "as in the corpus",
        "mel": f"{mel.name} ({mel.hash}): {mel.sample_rate} Hz, {mel.n_mels} bands, STFT {mel.n_fft}, hop "
        f"{mel.hop_length}",
        "vocoder": evaluated.vocoder,
        "averaged over shifts": evaluated.shifts,
        "run without identity loss": evaluated.second_run or "none",
        "machine": _machine(model.device),
        "versions": f"cyclegan_audio {cyclegan_audio.__version__}, torch {torch.__version__}, Python "
        f"{platform.python_version()}",
        "created": datetime.now().astimezone().isoformat(timespec="seconds"),
        "translation time": f"{evaluated.seconds:.0f} s",
    }
    rows = [[key, str(value)] for key, value in record.items()]
    numbers = {slug(key).replace("-", "_"): value for key, value in record.items()}
    numbers["mel"] = mel.to_dict()
    return Section("run", "Provenance", tables=[Table("", [], rows)], numbers=numbers)


def describe_model(settings: object) -> str:
    """Name the class and the generator of a run's `model` settings, and say whether it is the paper's.

    It is the paper's if networks, losses, their weights and the optimizer are. A pretrained model keeps the
    settings of its generator only, and an exported one none.
    """
    if not isinstance(settings, Mapping):
        return "unknown"
    if any(_of_networks_and_losses(settings) == _of_networks_and_losses(paper) for paper in _papers()):
        return f"{class_name(settings)} (the paper's)"
    parts = [class_name(settings)] if "_target_" in settings else []
    generator = settings.get("generator")
    if isinstance(generator, Mapping):
        arguments = [f"{key} {value}" for key, value in generator.items() if not str(key).startswith("_")]
        parts.append(f"generator {class_name(generator)} ({', '.join(arguments)})".removesuffix(" ()"))
    return ", ".join(parts)[:MAX_TEXT] or "unknown"


def _papers() -> list[Any]:
    return [OmegaConf.to_container(compose("train", paper).model, resolve=True) for paper in PAPERS]


def _of_networks_and_losses(settings: Any) -> Any:
    if not isinstance(settings, Mapping):
        return settings
    return {key: _of_networks_and_losses(settings[key]) for key in settings if key not in OTHER_SETTINGS}


def class_name(settings: Mapping[str, Any]) -> str:
    """Return the name of the class that settings build."""
    return str(settings.get("_target_")).rsplit(".", 1)[-1]


def describe_start(run: object) -> str:
    """Say with which networks a training began: `run` is its `init_from`, maybe of a file from a stranger."""
    return "new networks" if run is None else f"the networks of {run}"[:MAX_TEXT]


def _validation_score(evaluated: EvaluationData) -> str:
    """Return the validation score of the checkpoint and the best of the run."""
    path = evaluated.run_folder / VALIDATION if evaluated.run_folder else None
    if path is None or not path.is_file():
        return f"unknown: there is no {VALIDATION} beside this checkpoint"
    try:
        table = CSVTable(path, ("batch", "score"))
        columns = [table.numbers(name) for name in ("batch", "score")] if table.rows else [[], []]
    except UserError as error:
        log.warning("warning: the report has no validation score: %s", error)
        return f"unknown: {error}"
    scores = dict(zip(*columns, strict=True))
    if evaluated.model.batches not in scores:
        return "not computed at this checkpoint"
    score, best = scores[evaluated.model.batches], min(scores.values())
    return f"{score:.3f} (best of the run {best:.3f}; lower is better; best.ckpt has the best)"


def _clip_counts(evaluated: EvaluationData) -> str:
    return ", ".join(
        f"{len(direction.examples)} of {direction.source} and {len(direction.paired)} paired"
        for direction in evaluated.directions
    )


def _excluded(evaluated: EvaluationData) -> str:
    if not evaluated.model.training_intervals:
        return "unknown: this checkpoint does not store its training intervals"
    return f"{evaluated.n_excluded} clips of the other splits"


def _machine(device: torch.device) -> str:
    used = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, generators on {used}"
