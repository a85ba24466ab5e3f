"""Columns of a comparison: runs that differ only by seed or genres share a column, named by its settings."""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cyclegan_audio.reports.comparison.runs import EvaluatedRun

# Settings that do not affect training or repeat another setting. Genres are compared by direction.
IGNORED_SETTINGS = (
    "run_dir", "resume", "evaluate_jobs", "optimized_metric", "logger", "callbacks", "trainer",
    "acceleration", "model.acceleration",
    "vocoder", "threads", "genre_pair", "data.genre_a", "data.genre_b", "data.num_workers", "data.cache_mb",
)  # fmt: skip
SEED, TARGET = "seed", "_target_"
NOT_SET = "not set"


@dataclasses.dataclass(frozen=True)
class Column:
    """Runs that differ only by seed or genres.

    Attributes:
        name: the settings that distinguish it, for readers: `identity=0`.
        runs: in the order of the command line.
    """

    name: str
    runs: list[EvaluatedRun]

    def runs_in(self, direction: str) -> list[EvaluatedRun]:
        """Return the runs that translate in this direction."""
        return [run for run in self.runs if direction in run.directions]


def training_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that all runs of a column share: those that affect training, without seeds."""
    return {
        key: value
        for key, value in settings.items()
        if key.split(".")[-1] != SEED
        and not any(f"{key}.".startswith(f"{ignored}.") for ignored in IGNORED_SETTINGS)
    }


def columns(runs: Sequence[EvaluatedRun]) -> list[Column]:
    """Group runs by configuration; give each run its own column if all share one or it is unknown."""
    groups: list[tuple[dict[str, Any], list[EvaluatedRun]]] = []
    for run in runs:
        settings = training_settings(run.settings)
        same = [members for others, members in groups if others == settings and settings]
        if same:
            same[0].append(run)
        else:
            groups.append((settings, [run]))
    if len(groups) == 1 and _directions_repeat(groups[0][1]):
        names = _first_unique([f"{SEED}={run.seed}" for run in runs], *_names(runs))
        return [Column(name, [run]) for name, run in zip(names, runs, strict=True)]
    firsts = [members[0] for _, members in groups]
    names = distinct_names([settings for settings, _ in groups], *_names(firsts))
    return [Column(name, members) for name, (_, members) in zip(names, groups, strict=True)]


def _directions_repeat(runs: Sequence[EvaluatedRun]) -> bool:
    directions = [direction for run in runs for direction in run.directions]
    return len(set(directions)) < len(directions)


def _names(runs: Sequence[EvaluatedRun]) -> tuple[list[str], list[str]]:
    return [run.name for run in runs], [str(run.report_folder) for run in runs]


def distinct_names(
    settings: Sequence[Mapping[str, Any]], folder_names: Sequence[str], paths: Sequence[str]
) -> list[str]:
    """Name runs by the settings that differ (`identity=0`), else by their folder names or paths.

    If a component is of another class (`model=CUT`), settings that not all classes have are not named.
    """
    keys = differing_keys(settings)
    kinds = [
        key.removesuffix(TARGET) for key in keys if key.endswith(f".{TARGET}") and _is_in_all(key, settings)
    ]
    keys = [key for key in keys if _is_in_all(key, settings) or not key.startswith(tuple(kinds))]
    names = [_name(one, keys) or name for one, name in zip(settings, folder_names, strict=True)]
    return _first_unique(names, folder_names, paths)


def _is_in_all(key: str, settings: Sequence[Mapping[str, Any]]) -> bool:
    return all(key in one for one in settings)


def _first_unique(*choices: Sequence[str]) -> list[str]:
    """Return the first choice of names that are all different, or the last choice."""
    return list(next((names for names in choices if len(set(names)) == len(names)), choices[-1]))


def differing_keys(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """List keys whose values differ; of keys that always have the same value only the shortest."""
    keys = dict.fromkeys(key for one in settings for key in one)
    shortest: dict[tuple[str, ...], str] = {}
    for key in sorted(keys, key=lambda key: key.count(".")):
        values = tuple(format_setting(one.get(key, NOT_SET)) for one in settings)
        if len(set(values)) > 1:
            shortest.setdefault((key.split(".")[-1], *values), key)
    return [key for key in keys if key in shortest.values()]


def format_setting(value: Any) -> str:
    """Format a setting for readers; 5 and 5.0 are equal."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:g}" if is_number and not abs(value) > sys.float_info.max else str(value)


def _name(settings: Mapping[str, Any], keys: Sequence[str]) -> str:
    lasts = [key.split(".")[-1] for key in keys]
    parts = []
    for key, last in zip(keys, lasts, strict=True):
        label = last if lasts.count(last) == 1 else ".".join(key.split(".")[-2:])
        value = format_setting(settings.get(key, NOT_SET))
        if key.endswith(f".{TARGET}"):
            label, value = key.split(".")[-2], value.split(".")[-1]
        parts.append(f"{label}={Path(value).name if '/' in value else value}")
    return ", ".join(parts) if settings else ""
