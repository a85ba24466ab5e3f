"""Commands on a run of one direction beside a run of both directions."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cyclegan_audio.config import compose
from cyclegan_audio.listening.listening_test import make_test
from cyclegan_audio.reports.comparison.compare import JSON_FILE, compare
from cyclegan_audio.training.recipes import TranslationRecipe
from cyclegan_audio.training.runner import train

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_classifiers")]


@pytest.fixture
def run(corpus: Path, tiny: tuple[str, ...], tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that trains a model for one epoch."""

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


def test_only_common_directions_are_compared(
    run: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [str(run(model)) for model in ("cyclegan_resnet_small", "cut_small")]
    monkeypatch.chdir(tmp_path)
    page = compare(runs, out="compared")
    numbers = json.loads((page.parent / JSON_FILE).read_text())
    assert [column["name"] for column in numbers["columns"]] == [
        "model=CycleGAN, identity=5, pool_size=50", "model=CUT, identity=0.5, pool_size=0",
    ]  # fmt: skip
    directions = {row["direction"] for row in numbers["table"] if row["contrasts"]}
    assert directions == {"low to high"}
    listening_page = make_test(runs, out="heard", clips=1, abx=2)
    assert "low to high" in listening_page.read_text()
    assert "high to low" not in listening_page.read_text()
