"""The command `classify` on a small corpus: page, numbers, warnings, and errors."""

import json
import re
import sys
from pathlib import Path

import pytest

from cyclegan_audio.classify import main
from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.reports.separability.classify import ClassifySettings, classify
from cyclegan_audio.utils.errors import UserError
from tests.page_text import EXTERNAL, page_text, visible_text

SETTINGS = ClassifySettings(8, 4, 1, 3, [0.01], [0.01])


def test_classify_writes_page_and_numbers(corpus: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    out = tmp_path / "out"
    few = [
        "n_train=8",
        "n_test=4",
        "n_seeds=1",
        "n_folds=3",
        "pixel_strengths=[0.01]",
        "band_strengths=[0.01]",
    ]
    monkeypatch.setattr(
        sys, "argv",
        ["classify", f"corpus={corpus}", "genre_pair.a=low", "genre_pair.b=high", f"out={out}", *few],
    )  # fmt: skip
    main()
    printed = capsys.readouterr().out
    assert "low and high are separable" in printed
    genres = "genre_pair.a=low genre_pair.b=high"
    assert printed.endswith(
        f"page: {out / 'classify.html'}\nnext: cyclegan-audio train corpus={corpus} {genres}\n"
    )
    assert "roll-off alone separates them" in printed  # chords under 1 kHz against noise
    numbers = json.loads((out / "classify.json").read_text())
    assert numbers["verdict"] in printed.replace("\n", " ")
    n_train, n_test = numbers["split_sizes"]
    assert n_train + n_test <= min(numbers["clips"])
    assert n_train / n_test == pytest.approx(2, rel=0.2)
    results = {(k["features"], k["protocol"], k["solver"]): k for k in numbers["accuracy"]["results"]}
    assert len(results) == 5
    assert results["band statistics", "split by track", "lbfgs"]["accuracy"] > 0.9
    assert set(numbers["accuracy"]["single_features"]) == {"loudness", "bandwidth", "roll-off"}
    page = (out / "classify.html").read_text()
    assert page.count("data:image/png") >= 4
    assert not EXTERNAL.search(page)
    scores = re.findall(
        r'class="tip name" href="#[^"]*">([^<]*)</a>\s*<strong class="verdict">([^<]*)<', page
    )
    assert dict(scores)["Told apart by band statistics"] == "yes"
    assert dict(scores)["Told apart by roll-off alone"] == "yes"
    assert page.index('class="scores"') < page.index('<section id="predictions"') < page.index("<details")
    assert "exceeds the split by track by more than 3%" in visible_text(page)
    assert not re.search("[{}]", page_text(page))
    assert {path.name for path in out.iterdir()} == {"classify.html", "classify.json"}


def test_bad_input_is_a_user_error(corpus: Path, tmp_path: Path) -> None:
    opened = Corpus.open(corpus)
    with pytest.raises(UserError, match="no genre 'jazz'"):
        classify(opened, ("low", "jazz"), tmp_path, SETTINGS)
    with pytest.raises(UserError, match="both genres"):
        classify(opened, ("low", "low"), tmp_path, SETTINGS)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="out="):
        classify(opened, ("low", "high"), tmp_path / "file", SETTINGS)
    with pytest.raises(UserError, match="n_folds must be an integer >= 2, got 1"):
        ClassifySettings(8, 4, 1, 1, [0.01], [0.01])
