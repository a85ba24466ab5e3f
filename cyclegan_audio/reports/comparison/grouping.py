"""Runs in columns: those that differ by their seed only share one."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cyclegan_audio.reports.comparison.runs import EvaluatedRun

# What does not change what is learnt, or says the same in two places; genres are told apart by direction.
LEFT_OUT = (
    "run_dir", "resume", "evaluate_jobs", "optimized_metric", "logger", "callbacks", "trainer",
    "acceleration", "model.acceleration",
    "vocoder", "threads", "genre_pair", "data.genre_a", "data.genre_b", "data.num_workers", "data.cache_mb",
)  # fmt: skip
SEED, KIND = "seed", "_target_"
NOT_SET = "not set"


@dataclasses.dataclass(frozen=True)
class Column:
    """Runs that differ by seed, or by genres, only.

    Attributes:
        name: what sets it apart, for readers: `identity=0`.
        runs: in the order in which they were named.
    """

    name: str
    runs: list[EvaluatedRun]

    def of(self, way: str) -> list[EvaluatedRun]:
        """Return its runs that translate in this direction."""
        return [run for run in self.runs if way in run.ways]


def learnt_by(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that two runs of one column share."""
    return {
        key: value
        for key, value in settings.items()
        if key.split(".")[-1] != SEED and not any(f"{key}.".startswith(f"{left}.") for left in LEFT_OUT)
    }


def columns(runs: Sequence[EvaluatedRun]) -> list[Column]:
    """Group runs by configuration; each stands alone where all share one, or where it is not known."""
    groups: list[tuple[dict[str, Any], list[EvaluatedRun]]] = []
    for run in runs:
        own = learnt_by(run.settings)
        alike = [members for settings, members in groups if settings == own and own]
        if alike:
            alike[0].append(run)
        else:
            groups.append((own, [run]))
    if len(groups) == 1 and _ways_repeat(groups[0][1]):
        names = _unique([f"{SEED}={run.seed}" for run in runs], *_names(runs))
        return [Column(name, [run]) for name, run in zip(names, runs, strict=True)]
    firsts = [members[0] for _, members in groups]
    names = name_apart([own for own, _ in groups], *_names(firsts))
    return [Column(name, members) for name, (_, members) in zip(names, groups, strict=True)]


def _ways_repeat(runs: Sequence[EvaluatedRun]) -> bool:
    ways = [way for run in runs for way in run.ways]
    return len(set(ways)) < len(ways)


def _names(runs: Sequence[EvaluatedRun]) -> tuple[list[str], list[str]]:
    return [run.name for run in runs], [str(run.report_folder) for run in runs]


def name_apart(settings: Sequence[Mapping[str, Any]], own: Sequence[str], places: Sequence[str]) -> list[str]:
    """Name runs by what differs between settings (`identity=0`), else by their own names or places.

    Where a part is of another class (`model=CUT`), what not all classes have is not named.
    """
    keys = differing(settings)
    kinds = [key.removesuffix(KIND) for key in keys if key.endswith(f".{KIND}") and _in_all(key, settings)]
    keys = [key for key in keys if _in_all(key, settings) or not key.startswith(tuple(kinds))]
    return _unique([_name(one, keys) or name for one, name in zip(settings, own, strict=True)], own, places)


def _in_all(key: str, settings: Sequence[Mapping[str, Any]]) -> bool:
    return all(key in own for own in settings)


def _unique(*choices: Sequence[str]) -> list[str]:
    """The first choice of names in which no two are alike, or the last."""
    return list(next((names for names in choices if len(set(names)) == len(names)), choices[-1]))


def differing(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """List keys whose values are not the same everywhere; of two that always say the same the shorter one."""
    keys = dict.fromkeys(key for own in settings for key in own)
    found: dict[tuple[str, ...], str] = {}
    for key in sorted(keys, key=lambda key: key.count(".")):
        values = tuple(shown(own.get(key, NOT_SET)) for own in settings)
        if len(set(values)) > 1:
            found.setdefault((key.split(".")[-1], *values), key)
    return [key for key in keys if key in found.values()]


def shown(value: Any) -> str:
    """Format a setting for readers; 5 and 5.0 are the same."""
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _name(settings: Mapping[str, Any], keys: Sequence[str]) -> str:
    lasts = [key.split(".")[-1] for key in keys]
    parts = []
    for key, last in zip(keys, lasts, strict=True):
        label = last if lasts.count(last) == 1 else ".".join(key.split(".")[-2:])
        value = shown(settings.get(key, NOT_SET))
        if last == KIND:
            label, value = key.split(".")[-2], value.split(".")[-1]
        parts.append(f"{label}={Path(value).name if '/' in value else value}")
    return ", ".join(parts) if settings else ""
