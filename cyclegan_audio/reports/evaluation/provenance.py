"""What was run: so that a report alone says where its numbers come from."""

import csv
import os
import platform
from datetime import datetime

import torch

import cyclegan_audio
from cyclegan_audio.config import slug
from cyclegan_audio.inference.run_paths import VALIDATION
from cyclegan_audio.reports.evaluation.translations import EvaluationData
from cyclegan_audio.reports.html import Section, Table


def run_section(evaluated: EvaluationData) -> Section:
    """List genres, data, mel settings, checkpoint, machine, versions, time."""
    pair, mel = evaluated.pair, evaluated.mel
    record = {
        "run": evaluated.run,
        "checkpoint": str(evaluated.checkpoint),
        "genres": " and ".join(pair.genres),
        "batches trained": pair.batches,
        "held-out score": _score(evaluated),
        "corpus": str(evaluated.corpus.folder),
        "held-out clips": _counted(evaluated),
        "left out, as trained on": _left_out(evaluated),
        "music": str(evaluated.corpus.normalisation) or "as it is in the corpus",
        "mel": f"{mel.name} ({mel.hash}): {mel.sample_rate} Hz, {mel.n_mels} bands, STFT {mel.n_fft}, step "
        f"{mel.hop_length}",
        "vocoder": evaluated.vocoder,
        "averaged over shifts": evaluated.shifts,
        "run without identity loss": evaluated.second_run or "none",
        "machine": _machine(pair.device),
        "versions": f"cyclegan_audio {cyclegan_audio.__version__}, torch {torch.__version__}, Python "
        f"{platform.python_version()}",
        "made": datetime.now().astimezone().isoformat(timespec="seconds"),
        "translating took": f"{evaluated.seconds:.0f} s",
    }
    rows = [[key, str(value)] for key, value in record.items()]
    numbers = {slug(key).replace("-", "_"): value for key, value in record.items()}
    numbers["mel"] = mel.to_dict()
    return Section("run", "What was run", tables=[Table("", [], rows)], numbers=numbers)


def _score(evaluated: EvaluationData) -> str:
    """That of the checkpoint, beside the run's best, from its table of held-out clips."""
    path = evaluated.run_folder / VALIDATION if evaluated.run_folder else None
    if path is None or not path.is_file():
        return f"not known: no {VALIDATION} lies beside this checkpoint"
    with path.open(newline="", encoding="utf-8") as file:
        scores = {int(row["batch"]): float(row["score"]) for row in csv.DictReader(file)}
    if evaluated.pair.batches not in scores:
        return "not measured at this checkpoint"
    own, best = scores[evaluated.pair.batches], min(scores.values())
    return f"{own:.3f} (the run's best {best:.3f}; less is better; it chooses best.ckpt)"


def _counted(evaluated: EvaluationData) -> str:
    return ", ".join(
        f"{len(direction.examples)} of {direction.source} and {len(direction.paired)} paired"
        for direction in evaluated.directions
    )


def _left_out(evaluated: EvaluationData) -> str:
    if not evaluated.pair.training_intervals:
        return "not known: this checkpoint does not keep what it was trained on"
    return f"{evaluated.left_out} clips of the other splits"


def _machine(device: torch.device) -> str:
    used = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, generators on {used}"
