"""Numbers of the whole package, stored: a change that moves one on purpose renews them and says why."""

import json
from typing import Any

import pytest

from tests.stored_numbers import FILE, Numbers, compute

BOUNDS = {  # what CPUs may differ by: rounding, and the generator in bf16 where the CPU is fast at it
    "level of a demo song": {"abs": 0.01},
    "mel": {"abs": 0.01},
    "losses of CycleGAN": {"rel": 0.01},
    "losses of CUT": {"rel": 0.01},
    "translated song": {"abs": 0.2},
    "metrics": {"rel": 0.01, "abs": 0.01},
    "untrained genre classifier": {"abs": 1e-4},
    "pairs of an epoch": {"abs": 1e-6},
}


@pytest.fixture(scope="module")
def numbers() -> Numbers:
    return compute()


def leaves(value: Any, name: str = "") -> dict[str, float]:
    """The numbers of nested values by their path."""
    if isinstance(value, dict):
        return {k: x for key, item in value.items() for k, x in leaves(item, f"{name}/{key}").items()}
    if isinstance(value, list):
        return {k: x for i, item in enumerate(value) for k, x in leaves(item, f"{name}/{i}").items()}
    return {name: value}


@pytest.mark.parametrize("group", BOUNDS)
def test_numbers_are_those_that_are_stored(group: str, numbers: Numbers) -> None:
    stored = json.loads(FILE.read_text())
    assert set(numbers) == set(stored) == set(BOUNDS)
    assert leaves(numbers[group]) == pytest.approx(leaves(stored[group]), **BOUNDS[group])
