"""Whole commands on runs that learn one way and both ways, side by side."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cyclegan_audio.config import compose
from cyclegan_audio.listening import run as listening_run
from cyclegan_audio.reports.comparison import run as comparison_run
from cyclegan_audio.training.recipes import TranslationRecipe
from cyclegan_audio.training.runner import train

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_classifiers")]


@pytest.fixture
def run(corpus: Path, tiny: tuple[str, ...], tmp_path: Path) -> Callable[[str], Path]:
    """Trains a model for one epoch."""

    def make(model: str) -> Path:
        cfg = compose(
            "train",
            [*tiny, f"model={model}", f"corpus={corpus}", "genre_pair.a=low", "genre_pair.b=high",
             "n_epochs=1", "n_epochs_decay=0", "data.crop_frames=32", "precision=32-true", "threads=1",
             "logger=none", "callbacks.previews.clips=1"],
        )  # fmt: skip
        train(TranslationRecipe(), cfg, tmp_path / model)
        return tmp_path / model

    return make


def test_a_way_back_is_compared_only_where_both_have_it(
    run: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [str(run(model)) for model in ("cyclegan_small", "cut_small")]
    monkeypatch.chdir(tmp_path)
    page = comparison_run.compare(runs, out="compared")
    found = json.loads((page.parent / comparison_run.JSON_FILE).read_text())
    assert [column["name"] for column in found["columns"]] == [
        "model=CycleGAN, identity=5, pool_size=50", "model=CUT, identity=0.5, pool_size=0",
    ]  # fmt: skip
    ways = {row["way"] for row in found["table"] if row["contrasts"]}
    assert ways == {"low to high"}
    kit = listening_run.make_test(runs, out="heard", clips=1, abx=2)
    assert "low to high" in kit.read_text()
    assert "high to low" not in kit.read_text()
