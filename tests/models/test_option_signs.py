"""Each option moves what it is meant to move, in 200 steps of tiny networks on made mels."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "experiments" / "007_options" / "signs.py"
spec = importlib.util.spec_from_file_location("signs", SCRIPT)
assert spec is not None
assert spec.loader is not None
signs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(signs)


@pytest.mark.slow
@pytest.mark.parametrize("name", signs.SIGNS)
def test_option_moves_its_sign(name):
    with_it, without_it = signs.measured(name)
    assert with_it < without_it
