"""A checkpoint with a wrong position, state or configuration is refused in one line; nothing is written."""

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cyclegan_audio.utils.errors import USER_ERROR_EXIT_CODE

LAST = Path("out/checkpoints/last.ckpt")
DELETED = object()
NESTED = "\n".join(
    ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]" for n in range(1, 40))]
)
EPOCHS = ("loops", "fit_loop", "epoch_progress", "current")
OURS = "cyclegan_audio"
GROUP = ("optimizer_states", 0, "param_groups", 0)

CASES: list[tuple[tuple[Any, ...], Any, str]] = [  # path in the checkpoint, value, words of the line
    (("loops",), DELETED, "loops must be a mapping"),
    (("loops", "fit_loop"), [], "loops.fit_loop must be a mapping"),
    (EPOCHS, DELETED, "epoch_progress.current must be a mapping"),
    ((*EPOCHS, "completed"), "x", "epoch_progress.current.completed must be an integer >= 0"),
    ((*EPOCHS, "processed"), -1, "epoch_progress.current.processed must be an integer >= 0"),
    ((*EPOCHS, "started"), DELETED, "epoch_progress.current.started is missing"),
    ((OURS, "elapsed_s"), math.nan, "elapsed_s must be a number >= 0"),
    ((OURS, "batches"), "x", "batches must be an integer >= 0"),
    ((OURS, "nonfinite_guard"), {"skipped": "x"}, "nonfinite_guard.skipped must be an integer"),
    ((OURS, "training_intervals"), [1], "training_intervals must be a mapping"),
    ((OURS, "training_intervals"), {"x": [[1]]}, "training_intervals.x.0 must have 2 to 2 items"),
    ((OURS, "mel"), None, "mel must be a mapping"),
    ((OURS, "genres"), DELETED, "was trained on"),
    ((OURS, "composed"), DELETED, "has no configuration"),
    ((OURS, "composed"), "[", "configuration in out cannot be read"),
    ((OURS, "composed"), "x: 1", "lacks model"),
    ((OURS, "composed"), "{model: [], corpus: x}", "lacks model"),
    ((OURS, "composed"), "{model: {}, corpus: x}", "lacks data"),
    ((OURS, "composed"), NESTED, "it has anchors"),
    (("state_dict",), DELETED, "cannot be resumed"),
    (("state_dict", "gen_ab.head.1.bias"), DELETED, "are not of these networks"),
    (("state_dict", "whitening_a.mean"), DELETED, "are not of these networks, or of another version; "),
    (("state_dict", "gen_ab.head.1.bias"), "x", "are not of these networks"),
    (("state_dict", "gen_ab.head.1.bias"), torch.ones(9), "are not of these networks"),
    (("optimizer_states",), [], "optimizer_states must have 1 to 8 items"),
    (("optimizer_states",), DELETED, "optimizer_states must be a list"),
    (("optimizer_states", 0), {}, "cannot be resumed"),
    (("optimizer_states", 0, "param_groups"), "x", "cannot be resumed"),
    (("callbacks",), 1, "cannot be resumed"),
    (("callbacks", "LossLog"), {"names": ["a"], "sums": None, "count": 1}, "LossLog.sums must"),
    (("callbacks", "LossLog"), {"names": ["a"], "sums": torch.ones(3), "count": 1}, "LossLog.sums must"),
    (("callbacks", "LossLog"), {"names": [], "sums": torch.ones(1), "count": -1}, "LossLog.count must"),
    (("callbacks", "NonFiniteRecovery"), {"n_returns": 0, "n_reported": []}, "n_reported must"),
    (("callbacks", "ValidationCallback"), {"best": ("x", 8), "warned": []}, "cannot be resumed"),
    (("callbacks", "ValidationCallback"), {"best": 5, "warned": []}, "cannot be resumed"),
    (("callbacks", "ValidationCallback"), {"best": None, "warned": 5}, "warned must be a list"),
    ((*GROUP, "amsgrad"), True, "cannot be resumed (KeyError"),
    ((*GROUP, "betas"), (5, 5), "cannot be resumed (RuntimeError"),
    ((*GROUP, "capturable"), True, "cannot be resumed (AssertionError"),
    ((*GROUP, "eps"), "x", "cannot be resumed (TypeError"),
    ((*GROUP, "initial_lr"), DELETED, "cannot be resumed (KeyError"),
    ((*GROUP, "initial_lr"), "x", "cannot be resumed (TypeError"),
    (("optimizer_states", 0, "state", 0, "step"), torch.tensor(-1.0), "cannot be resumed (ZeroDivisionError"),
    (("optimizer_states", 0, "state", 0, "exp_avg"), torch.ones(1), "cannot be resumed (RuntimeError"),
]


def changed(content: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    content = copy.deepcopy(content)
    part: Any = content
    for key in path[:-1]:
        part = part[key]
    if value is DELETED:
        del part[path[-1]]
    else:
        part[path[-1]] = value
    return content


@pytest.fixture
def resume(run, out) -> Callable[[dict[str, Any]], tuple[Any, list[str]]]:
    """Return a function that resumes from a checkpoint's content: its exit code and its lines of errors."""

    def call(content: dict[str, Any]) -> tuple[Any, list[str]]:
        torch.save(content, LAST)
        before = LAST.read_bytes()
        code, shown = run("resume=out", "n_epochs=2", "run_dir=again")
        assert "Traceback" not in shown
        assert LAST.read_bytes() == before
        assert not list(Path("again").glob("checkpoints/*"))
        return code, [line for line in shown.splitlines() if line.startswith("error: ")]

    return call


@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_each_wrong_field_of_a_checkpoint_is_named(resume, every):
    content = torch.load(LAST, weights_only=True)
    for path, value, words in CASES[::every]:
        code, errors = resume(changed(content, path, value))
        assert (code, len(errors)) == (USER_ERROR_EXIT_CODE, 1), (path, value, errors)
        assert words in errors[0], (path, value, errors)
