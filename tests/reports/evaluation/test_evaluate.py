"""The command `evaluate` on a small corpus: page, numbers, and errors."""

import base64
import dataclasses
import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from matplotlib.image import imread

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.leakage import training_intervals
from cyclegan_audio.evaluate import main
from cyclegan_audio.reports.evaluation.evaluate import evaluate
from cyclegan_audio.reports.evaluation.provenance import provenance_section
from cyclegan_audio.reports.evaluation.reconstruction import reconstruction_section
from cyclegan_audio.reports.evaluation.spectrograms import spectrograms_section
from cyclegan_audio.utils.errors import UserError
from tests.page_text import EXTERNAL, page_text, visible_text

MakeRun = Callable[..., Path]
DATA = re.compile(r'(?:src|href)="data:([a-z/]+);base64,([^"]*)"')


@pytest.fixture(scope="module")
def report(make_run: MakeRun) -> Path:
    """The folder of a report on two clips a genre."""
    run = make_run()
    page = evaluate(run, clips=2, vocoder="mask")
    assert page == run / "report" / "report.html"
    return page.parent


def test_report_is_self_contained(report: Path) -> None:
    text = (report / "report.html").read_text()
    numbers = json.loads((report / "report.json").read_text())
    body = text[text.index("<body>") :]
    assert re.match(r"(Acts as a filter|Does not|Beats).*\ndull to bright: ", numbers["verdict"])
    assert " ".join(numbers["verdict"].split()) in visible_text(body)

    links = re.findall(r'(?:src|href|srcset|url)\s*[=(]\s*"?([^")>\s]*)', body.partition("<script>")[0])
    assert links
    assert all(link.startswith(("data:", "#")) for link in links)
    assert not EXTERNAL.search(text)
    assert len(text) < 8_000_000

    assert not re.search("[{}]", page_text(text))
    contents = [(kind, base64.b64decode(data)) for kind, data in DATA.findall(text)]
    pictures = [imread(io.BytesIO(data)) for kind, data in contents if kind == "image/png"]
    assert (
        text.count("<figure>") >= 9
    )  # both directions: bars, spectrograms, gallery, histogram; and the losses
    assert all(picture[..., :3].std() > 0.05 for picture in pictures)
    sounds = [soundfile.read(io.BytesIO(data)) for kind, data in contents if kind == "audio/mpeg"]
    assert (
        len(sounds) == 40
    )  # both directions: 2 held-out clips of 4 sounds, 2 paired ones of 4, 2 first of 2
    for samples, rate in sounds:
        assert len(samples) / rate == pytest.approx(4, abs=0.2)
        assert np.abs(samples).max() > 0.01


def test_report_numbers(report: Path) -> None:
    numbers = json.loads((report / "report.json").read_text())
    losses = numbers["losses"]
    assert set(losses) == {"cycle_a", "cycle_b", "disc_a"}  # identity_a has no values
    assert (losses["cycle_a"]["fell"], losses["cycle_a"]["exploded"]) == (True, False)
    assert (losses["cycle_b"]["fell"], losses["cycle_b"]["exploded"]) == (False, True)
    assert losses["cycle_a"]["first_tenth"] == 2.0
    assert losses["cycle_a"]["last_tenth"] == pytest.approx(1.1)
    cycle = numbers["reconstruction"]["this_run"]["dull"]["cycle"]
    assert cycle["mean"] > 0
    assert cycle["n"] == 2
    assert set(numbers["paired"]) == {"dull to bright", "bright to dull"}
    assert numbers["paired"]["dull to bright"]["error_db"]["untouched"]["n"] == 4
    metrics = numbers["metrics"]["dull to bright"]
    correlation = metrics["metrics"]["onset_correlation"]
    assert correlation["untouched"]["mean"] == pytest.approx(1)
    ends = correlation["other_piece"]["mean"], correlation["untouched"]["mean"]
    expected = (correlation["model"]["mean"] - ends[0]) / (ends[1] - ends[0])
    assert correlation["position"] == pytest.approx(expected)
    assert metrics["distances"] == {}
    assert "at least 4 clips, got 2" in " ".join(metrics["missing"])
    clips = metrics["clips"]
    assert np.mean(clips["onset_correlation"]) == pytest.approx(correlation["model"]["mean"])
    assert len(set(clips["clip_id"])) == len(clips["track"]) == 2
    assert len(clips["paired"]["error_db"]) == 4
    assert np.mean(clips["cycle_db"]) == pytest.approx(cycle["mean"])
    for classifier in numbers["metrics"]["classifiers"].values():
        for name in ("accuracy", "accuracy_low_passed", "accuracy_noisy"):
            assert classifier[name]["low"] <= classifier[name]["mean"] <= classifier[name]["high"]
        assert sum(classifier["reliability"]["counts"]) == classifier["accuracy"]["n"] > 0
    assert "Accuracy of the classifiers on real clips" in visible_text((report / "report.html").read_text())
    assert numbers["run"]["batches_trained"] == 500
    assert numbers["run"]["mel"]["sample_rate"] == 22050


def test_second_run_adds_figure_1_8(
    make_run: MakeRun, report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "cyclegan_audio.reports.evaluation.evaluate.SECTIONS", (spectrograms_section, reconstruction_section)
    )
    run, second = make_run(), make_run("second", identity=0.0)
    assert "needs a second run" in (report / "report.html").read_text()
    both = evaluate(run, clips=1, vocoder="mask", without_identity=second, out=tmp_path / "both").read_text()
    assert "needs a second run" not in both
    assert both.count("<figure>") == 3
    assert "dull, without identity loss" in both
    with pytest.raises(UserError, match="identity weight 5"):
        evaluate(run, without_identity=run)
    with pytest.raises(UserError, match="began with 'demo_trap', which may know the identity loss"):
        evaluate(run, without_identity=make_run("started", identity=0.0, init_from="demo_trap"))


def test_model_of_one_direction_is_evaluated_in_it(make_run: MakeRun) -> None:
    run = make_run("one_way", directions=("ab",))
    page = evaluate(run, clips=1, vocoder="mask", shifts=2)
    text, numbers = visible_text(page.read_text()), json.loads((page.parent / "report.json").read_text())
    assert text.startswith("dull to bright: one_way")
    assert numbers["run"]["averaged_over_shifts"] == 2
    assert "translates dull to bright only" in text
    assert "one direction only, so there is no cycle" in text
    assert "there and back" not in text
    assert "bright to dull" not in text
    assert set(numbers["paired"]) == {"dull to bright"}
    assert set(numbers["metrics"]) == {"dull to bright", "classifiers"}
    metrics = numbers["metrics"]["dull to bright"]
    assert {"real_target", "model", "untouched"} <= set(metrics["metrics"]["hats_per_s"])
    assert "cycle_db" not in metrics["clips"]
    assert numbers["reconstruction"] == {}
    with pytest.raises(UserError, match="two models that translate in both directions"):
        evaluate(run, without_identity=make_run("twin", identity=0.0, directions=("ab",)))


def test_corpus_without_pairs_and_audio(
    make_run: MakeRun, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_audio(self: Corpus, clip: object) -> None:
        raise UserError("the corpus keeps no audio; run prepare again with audio=all")

    monkeypatch.setattr(Corpus, "paired_clips", lambda self, a, b: [])
    monkeypatch.setattr(Corpus, "audio", no_audio)
    page = evaluate(make_run(), clips=1).read_text()
    text = visible_text(page)
    assert "No comparison with a ground truth" in text
    assert (
        "Metrics of the sound (vocoder, clicks, independent tagger) are missing: the corpus keeps no audio"
        in text
    )
    assert "Only demo songs come with a record" in text
    assert "There are no distances: they need at least 4 clips, got 1" in text
    assert "No audio: the corpus keeps no audio" in text
    assert "<audio" not in page
    assert not re.search(r'id="(score|paired|audio|tagger)"', page)


def test_bad_input(make_run: MakeRun, corpus: Corpus, small_mel: MelSpectrogram, tmp_path: Path) -> None:
    run = make_run()
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"last\.ckpt"):
        evaluate(tmp_path / "empty")
    with pytest.raises(UserError, match="is not a corpus"):
        evaluate(run, corpus=tmp_path / "empty")
    other = make_run("other", mel=dataclasses.replace(small_mel, hop_length=256))
    with pytest.raises(UserError, match="hop_length 256 against 512"):
        evaluate(other, corpus=corpus.folder)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--out"):
        evaluate(run, out=tmp_path / "file")
    with pytest.raises(UserError, match="unknown vocoder 'magic'"):
        evaluate(run, vocoder="magic", out=tmp_path / "out")
    with pytest.raises(UserError, match="device 'abacus' is not available"):
        evaluate(run, device="abacus")
    assert not (run / "report").exists()


def test_no_held_out_clips(make_run: MakeRun, corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = corpus.clips
    monkeypatch.setattr(
        Corpus, "clips", lambda self, genre, split: [] if split == "test" else clips(genre, split)
    )
    with pytest.raises(UserError, match="no test clips of dull"):
        evaluate(make_run())


def test_training_clips_are_excluded(
    make_run: MakeRun, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_classifier(corpus: Corpus, genres: tuple[str, str]) -> None:
        raise UserError("too little music to train a genre classifier")

    monkeypatch.setattr("cyclegan_audio.reports.evaluation.classifiers.genre_classifier_for", no_classifier)
    monkeypatch.setattr(
        "cyclegan_audio.reports.evaluation.evaluate.SECTIONS", (reconstruction_section, provenance_section)
    )
    test = corpus.clips("dull", "test")
    run = make_run("trained", training_intervals=training_intervals(test[:1]))
    (run / "validation.csv").write_text("batch,score\n250,0.5\n500,1.25\n")
    numbers = json.loads((evaluate(run, clips=9, vocoder="mask").parent / "report.json").read_text())
    assert numbers["reconstruction"]["this_run"]["dull"]["cycle"]["n"] == len(test) - 1
    assert "no genre classifier" in numbers["verdict"]
    assert numbers["run"]["excluded_as_training_clips"] == "1 clips of the other splits"
    assert numbers["run"]["validation_score"].startswith("1.250 (best of the run 0.500;")
    assert numbers["run"]["music"] == "as in the corpus"
    with pytest.raises(UserError, match="no test clips of dull"):
        evaluate(make_run("all", training_intervals=training_intervals(test)))


def test_missing_corpus_is_an_error(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    run, is_dir = make_run(), Path.is_dir
    monkeypatch.setattr(Path, "is_dir", lambda self: is_dir(self) and self.name != "corpus")
    with pytest.raises(UserError, match="--corpus DIR"):
        evaluate(run)


def test_error_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["evaluate", str(tmp_path / "nothing")])
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: no run")
    assert len(error.strip().splitlines()) == 1


def test_zero_clips_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["evaluate", "run", "--clips", "0"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
