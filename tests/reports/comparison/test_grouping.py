"""Runs that differ by seed share a column; columns are named by what differs."""

from collections.abc import Callable
from pathlib import Path

from cyclegan_audio.reports.comparison.grouping import (
    columns,
    differing_keys,
    distinct_names,
    training_settings,
)
from cyclegan_audio.reports.comparison.runs import find_runs, flatten


def test_training_settings_omit_seeds_folders_and_genres() -> None:
    settings = flatten(
        {
            "seed": 1, "run_dir": "x", "genre_pair": {"a": "lofi", "b": "rnb"}, "n_epochs": 3,
            "model": {
                "seed": 1, "acceleration": {"compile": False}, "accelerations": 1, "adam": {"betas": [0.5]}
            },
        }
    )  # fmt: skip
    assert training_settings(settings) == {"n_epochs": 3, "model.accelerations": 1, "model.adam.betas": [0.5]}


def test_differing_keys_lists_each_setting_once() -> None:
    one = {"max_minutes": 1, "model.schedule.max_minutes": 1, "a.x": 1, "b.x": 2, "same": 5}
    other = {"max_minutes": 2, "model.schedule.max_minutes": 2, "a.x": 2, "b.x": 1, "same": 5.0}
    assert differing_keys([one, other]) == ["max_minutes", "a.x", "b.x"]


def test_names_of_other_classes_use_common_settings_only() -> None:
    one = {"model._target_": "package.CycleGAN", "model.weights.cycle": 10, "model.weights.identity": 5}
    other = {"model._target_": "package.CUT", "model.weights.identity": 1, "model.contrast.n_patches": 9}
    assert distinct_names([one, other], "xy", "xy") == ["model=CycleGAN, identity=5", "model=CUT, identity=1"]


def test_runs_that_differ_by_seed_share_a_column(make_report: Callable[..., Path]) -> None:
    runs = [make_report(f"{i}{s}", identity=i, seed=s) for i in (0, 5.0) for s in (0, 1)]
    runs.append(make_report("rnb", identity=5, seed=0, directions=("lofi to rnb", "rnb to lofi")))
    grouped = columns(find_runs(runs)[0])
    assert [column.name for column in grouped] == ["identity=0", "identity=5"]
    assert [[run.name for run in column.runs] for column in grouped] == [
        ["00", "01"],
        ["5.00", "5.01", "rnb"],
    ]
    assert [run.name for run in grouped[1].runs_in("lofi to trap")] == ["5.00", "5.01"]


def test_runs_of_one_configuration_have_a_column_each(make_report: Callable[..., Path]) -> None:
    runs = [make_report(f"run{s}", seed=s) for s in (3, 4)]
    assert [column.name for column in columns(find_runs(runs)[0])] == ["seed=3", "seed=4"]
    again = [*runs, make_report("twin", seed=3)]
    assert [column.name for column in columns(find_runs(again)[0])] == ["run3", "run4", "twin"]
