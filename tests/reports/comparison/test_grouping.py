from collections.abc import Callable
from pathlib import Path

from cyclegan_audio.reports.comparison.grouping import columns, differing, learnt_by, name_apart
from cyclegan_audio.reports.comparison.runs import flat, gather


def test_what_is_learnt_by_leaves_out_seeds_folders_and_genres() -> None:
    settings = flat(
        {
            "seed": 1, "run_dir": "x", "genre_pair": {"a": "lofi", "b": "rnb"}, "n_epochs": 3,
            "model": {
                "seed": 1, "acceleration": {"compile": False}, "accelerations": 1, "adam": {"betas": [0.5]}
            },
        }
    )  # fmt: skip
    assert learnt_by(settings) == {"n_epochs": 3, "model.accelerations": 1, "model.adam.betas": [0.5]}


def test_what_differs_is_named_once() -> None:
    one = {"max_minutes": 1, "model.schedule.max_minutes": 1, "a.x": 1, "b.x": 2, "same": 5}
    other = {"max_minutes": 2, "model.schedule.max_minutes": 2, "a.x": 2, "b.x": 1, "same": 5.0}
    assert differing([one, other]) == ["max_minutes", "a.x", "b.x"]


def test_another_class_is_named_without_what_only_it_has() -> None:
    one = {"model._target_": "package.CycleGAN", "model.weights.cycle": 10, "model.weights.identity": 5}
    other = {"model._target_": "package.CUT", "model.weights.identity": 1, "model.contrast.n_patches": 9}
    assert name_apart([one, other], "xy", "xy") == ["model=CycleGAN, identity=5", "model=CUT, identity=1"]


def test_runs_that_differ_by_seed_share_a_column(make_report: Callable[..., Path]) -> None:
    runs = [make_report(f"{i}{s}", identity=i, seed=s) for i in (0, 5.0) for s in (0, 1)]
    runs.append(make_report("rnb", identity=5, seed=0, ways=("lofi to rnb", "rnb to lofi")))
    found = columns(gather(runs)[0])
    assert [column.name for column in found] == ["identity=0", "identity=5"]
    assert [[run.name for run in column.runs] for column in found] == [["00", "01"], ["5.00", "5.01", "rnb"]]
    assert [run.name for run in found[1].of("lofi to trap")] == ["5.00", "5.01"]


def test_runs_of_one_configuration_stand_alone(make_report: Callable[..., Path]) -> None:
    runs = [make_report(f"run{s}", seed=s) for s in (3, 4)]
    assert [column.name for column in columns(gather(runs)[0])] == ["seed=3", "seed=4"]
    again = [*runs, make_report("twin", seed=3)]
    assert [column.name for column in columns(gather(again)[0])] == ["run3", "run4", "twin"]
