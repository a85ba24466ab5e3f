"""Each training option has its intended effect in 200 steps of tiny networks on synthetic mels."""

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
def test_option_has_its_effect(name):
    with_option, without_option = signs.measured(name)
    assert with_option < without_option
