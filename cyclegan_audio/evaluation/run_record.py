"""What was run: so that a report alone says where its numbers come from."""

import os
import platform
from datetime import datetime

import torch

import cyclegan_audio
from cyclegan_audio.config import slug
from cyclegan_audio.evaluation.translations import Evaluated
from cyclegan_audio.pages import Section, Table


def run_section(evaluated: Evaluated) -> Section:
    """Genres, data, mel settings, checkpoint, machine, versions, time."""
    pair, mel = evaluated.pair, evaluated.mel
    record = {
        "run": evaluated.run,
        "checkpoint": str(evaluated.checkpoint),
        "genres": " and ".join(pair.genres),
        "batches trained": pair.batches,
        "corpus": str(evaluated.corpus.folder),
        "held-out clips": _counted(evaluated),
        "left out, as trained on": _left_out(evaluated),
        "mel": f"{mel.name} ({mel.hash}): {mel.sample_rate} Hz, {mel.n_mels} bands, STFT {mel.n_fft}, step "
        f"{mel.hop_length}",
        "vocoder": evaluated.vocoder,
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


def _counted(evaluated: Evaluated) -> str:
    return ", ".join(
        f"{len(direction.examples)} of {direction.source} and {len(direction.paired)} paired"
        for direction in evaluated.directions
    )


def _left_out(evaluated: Evaluated) -> str:
    if not evaluated.pair.training_spans:
        return "not known: this checkpoint does not keep what it was trained on"
    return f"{evaluated.left_out} clips of the other splits"


def _machine(device: torch.device) -> str:
    used = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, generators on {used}"
