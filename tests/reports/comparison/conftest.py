"""Fixtures: reports written by hand in the format of `evaluate`."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

N_TRACKS, CLIPS_A_TRACK = 8, 2
DIRECTIONS = ("lofi to trap", "trap to lofi")
TAGS = {
    tag: {"model": value, "untouched": 0.2, "real_target": 0.3, "change": {"mean": value - 0.2}}
    for tag, value in (("jazz", 0.1), ("House", 0.25), ("Hip-Hop", 0.7))
}


def estimate_of(mean: float) -> dict[str, float]:
    return {"mean": mean, "low": mean - 0.1, "high": mean + 0.1, "n": 16, "groups": N_TRACKS}


def metrics_of(values: Mapping[str, Sequence[float]], clips: Sequence[str]) -> dict[str, Any]:
    table = {
        "clip_id": list(clips),
        "track": [clip.split("/")[0] for clip in clips],
        "start_s": [4.0 * i for i in range(len(clips))],
        "paired": {"clip_id": [], "track": [], "start_s": [], "error_db": [], "untouched_error_db": []},
        **{name: list(numbers) for name, numbers in values.items()},
    }
    onsets = {
        "model": estimate_of(0.5), "untouched": estimate_of(1.0), "other_piece": estimate_of(0.0),
        "ends": {"floor": "other_piece", "ceiling": "untouched"},
    }  # fmt: skip
    share = {
        "model": estimate_of(0.6), "untouched": estimate_of(0.1), "real_target": estimate_of(0.9),
        "matched_moments": estimate_of(0.2), "ends": {"floor": "untouched", "ceiling": "real_target"},
    }  # fmt: skip
    kernel = {"model": estimate_of(1.0), "untouched": estimate_of(3.0), "real_target": estimate_of(0.0)}
    return {
        "metrics": {"onset_f1": onsets, "tagger_share": share},
        "distances": {"genre_classifier": {"kernel": kernel}},
        "missing": [],
        "clips": table,
    }


@pytest.fixture
def make_report(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a run folder with settings and report, by default of eight tracks."""

    def make(
        name: str,
        identity: float = 5.0,
        seed: int = 0,
        cycle_db: float = 3.0,
        onset_f1: float = 0.5,
        directions: Sequence[str] = DIRECTIONS,
        clips: Sequence[str] = tuple(f"t{i}/{j}" for i in range(N_TRACKS) for j in range(CLIPS_A_TRACK)),
        mel: str = "aa",
    ) -> Path:
        rng = np.random.default_rng(seed)
        values = {
            "cycle_db": cycle_db + 0.3 * rng.random(len(clips)),
            "onset_f1": onset_f1 + 0.02 * rng.standard_normal(len(clips)),
            "silence_gain_db": [None] * len(clips),
        }
        genres = directions[0].split(" to ")
        report = {
            "metrics": {direction: metrics_of(values, clips) for direction in directions}
            | {"classifiers": {}},
            "tagger": {direction: {"tags": TAGS} for direction in directions},
            "reconstruction": {"this_run": {genre: {"other_clip": estimate_of(9.0)} for genre in genres}},
            "run": {"checkpoint": "gone.ckpt", "mel": {"hash": mel}, "batches_trained": 7, "corpus": "gone"},
        }
        folder = tmp_path / name
        (folder / "report").mkdir(parents=True)
        (folder / "report" / "report.json").write_text(json.dumps(report))
        (folder / "config.yaml").write_text(
            f"seed: {seed}\nrun_dir: {folder}\nmax_minutes: 1\ndata: {{seed: {seed}, corpus: c}}\n"
            f"model: {{loss_weights: {{identity: {identity}, cycle: 10}}, schedule: {{max_minutes: 1}}}}\n"
        )
        return folder

    return make
