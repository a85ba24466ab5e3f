"""The independent tagger in reports: its numbers, its section, and what is said where it is missing."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.normalisation import CorpusNormalisation
from cyclegan_audio.metrics.distances import FRECHET, KAD
from cyclegan_audio.metrics.metric_spec import MODEL, REAL_TARGET, TAGGER_SHARE, UNTOUCHED, MetricInput
from cyclegan_audio.metrics.registry import METRICS
from cyclegan_audio.metrics.tagger import GenreAxis, TaggedSounds, checkpoint, load_tagger
from cyclegan_audio.reports.comparison.compare import compare
from cyclegan_audio.reports.evaluation.evaluate import evaluate
from cyclegan_audio.reports.evaluation.metric_tables import metrics_section
from cyclegan_audio.reports.evaluation.provenance import provenance_section
from cyclegan_audio.reports.evaluation.scoring import DirectionMels, _tagger_distances
from cyclegan_audio.reports.evaluation.sounds import GenreTagger, SoundJudge
from cyclegan_audio.reports.evaluation.tagging import panels, tagger_section
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.vocoders import make_vocoder
from tests.page_text import visible_text

MakeRun = Callable[..., Path]
SECTIONS = (metrics_section, tagger_section, provenance_section)
needs_musicnn = pytest.mark.skipif(
    importlib.util.find_spec("musicnn") is None, reason="the package musicnn is not installed"
)


@pytest.fixture(autouse=True)
def short_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the sections that are tested elsewhere."""
    monkeypatch.setattr("cyclegan_audio.reports.evaluation.evaluate.SECTIONS", SECTIONS)


@pytest.fixture
def without_musicnn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(checkpoint, "_installed_folder", lambda: None)
    load_tagger.cache_clear()


def report_of(page: Path) -> dict:
    return json.loads((page.parent / "report.json").read_text())


@pytest.fixture(scope="module")
def pages(make_run: MakeRun) -> list[Path]:
    """Reports of two runs with the same weights, one without identity loss."""
    runs = [make_run("with"), make_run("without", identity=0.0)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cyclegan_audio.reports.evaluation.evaluate.SECTIONS", SECTIONS)
        return [evaluate(run, clips=2, vocoder="mask") for run in runs]


@needs_musicnn
def test_report_gives_share_of_the_way_and_tags(pages: list[Path]) -> None:
    page = pages[0]
    report, text = report_of(page), visible_text(page.read_text())
    share = report["metrics"]["dull to bright"]["metrics"][TAGGER_SHARE]
    assert {"model", "untouched", "matched_moments", "real_target"} <= share.keys()
    assert share["untouched"]["mean"] < 0.5 < share["real_target"]["mean"]
    clips = report["metrics"]["dull to bright"]["clips"]
    assert np.mean(clips[TAGGER_SHARE]) == pytest.approx(share["model"]["mean"])
    assert len(clips["vocoder_error_db"]) == 2
    assert f"independent tagger: {100 * share['model']['mean']:.0f} % of the way, " in report["verdict"]
    assert "Independent tagger: dull to bright" in text
    tags = report["tagger"]["dull to bright"]["tags"]
    assert len(tags) == 50
    changes = {tag: values["change"]["mean"] for tag, values in tags.items()}
    for tag, values in tags.items():
        assert changes[tag] == pytest.approx(values["model"] - values["untouched"], abs=1e-6)
    assert max(changes, key=lambda tag: changes[tag]) in text
    assert "Tags that rose and fell most: dull to bright" in text


@needs_musicnn
def test_comparison_shows_style_over_content_and_tags(pages: list[Path], tmp_path: Path) -> None:
    runs = [page.parent.parent for page in pages]
    report = report_of(pages[1])
    report["tagger"]["dull to bright"]["tags"]["jazz"]["model"] = 0.98765
    (pages[1].parent / "report.json").write_text(json.dumps(report))
    page = compare(runs, out=tmp_path / "out")
    text = visible_text(page.read_text())
    assert "Tags that changed most: dull to bright" in text
    assert "jazz" in text
    assert "99" in text
    assert 'alt="Style moved over content kept"' in page.read_text()
    table = json.loads((page.parent / "compare.json").read_text())["table"]
    row = next(r for r in table if (r["metric"], r["direction"]) == (TAGGER_SHARE, "dull to bright"))
    assert row["columns"].keys() == {"identity=5", "identity=0"}
    assert row["label"] == "share of the way to bright by the independent tagger, %"


def test_missing_tagger_is_named_in_a_line(
    make_run: MakeRun, without_musicnn: None, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [make_run("with"), make_run("without", identity=0.0)]
    pages = [evaluate(run, clips=1, vocoder="mask") for run in runs]
    line = "There is no independent tagger: the package musicnn is not installed"
    report = report_of(pages[0])
    assert line in visible_text(pages[0].read_text())
    assert capsys.readouterr().out.startswith(
        "no independent tagger: the package musicnn is not installed; run: "
    )
    assert any(text.startswith(line) for text in report["metrics"]["dull to bright"]["missing"])
    assert "independent tagger" not in report["verdict"]
    assert TAGGER_SHARE not in report["metrics"]["dull to bright"]["metrics"]
    assert "No run was heard by the independent tagger." in visible_text(compare(runs).read_text())


def test_named_folder_must_hold_the_tagger(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    with pytest.raises(UserError, match=r"\.data-00000-of-00001 cannot be read"):
        evaluate(run, tagger=tmp_path)
    assert not list((run / "report").glob("*"))


@needs_musicnn
def test_corpus_without_training_audio_has_no_tagger(
    make_run: MakeRun, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio = Corpus.audio

    def held_out_audio(self: Corpus, clip: object) -> torch.Tensor:
        if clip.split == "train":
            raise UserError("no audio of training clips; run prepare again with audio=all")
        return audio(self, clip)

    monkeypatch.setattr(Corpus, "audio", held_out_audio)
    report = report_of(evaluate(make_run(), clips=1, vocoder="mask"))["metrics"]["dull to bright"]
    line = "There is no independent tagger: no audio of training clips"
    assert any(text.startswith(line) for text in report["missing"])
    assert "vocoder_error_db" in report["metrics"]


class LevelTagger:
    """Embeds a sound as its peak, and gives its peak as the probability of every tag."""

    def __call__(self, waveforms: list[torch.Tensor], sample_rate: int, cutoff_hz: float) -> TaggedSounds:
        peaks = torch.stack([waveform.abs().max() for waveform in waveforms])[:, None]
        return TaggedSounds(peaks, peaks.expand(-1, 50))


def test_tagger_hears_the_sound_after_the_vocoder(corpus: Corpus) -> None:
    clips, targets = corpus.clips("dull", "test"), corpus.clips("bright", "test")
    training = {genre: corpus.clips(genre, "train") for genre in ("dull", "bright")}
    tagger = GenreTagger.listen(LevelTagger(), corpus, training)
    real_db = torch.stack([corpus.mel_db(clip) for clip in clips])
    mels = {UNTOUCHED: real_db, MODEL: real_db - 20, "matched_moments": real_db - 6}
    sounds = SoundJudge(corpus, make_vocoder("mask"), METRICS, tagger).score(
        ("dull", "bright"), clips, mels, targets
    )
    peaks = {name: tagged.embeddings[:, 0] for name, tagged in sounds.tagged.items()}
    torch.testing.assert_close(peaks[UNTOUCHED], torch.stack([corpus.audio(c).abs().max() for c in clips]))
    torch.testing.assert_close(
        peaks[MODEL] / peaks[UNTOUCHED], torch.full([len(clips)], 0.1), atol=0.02, rtol=0
    )
    torch.testing.assert_close(
        peaks["matched_moments"] / peaks[UNTOUCHED], torch.full([len(clips)], 0.5), atol=0.05, rtol=0
    )
    assert len(peaks[REAL_TARGET]) == len(targets)
    axis = tagger.axis("dull", "bright")
    expected = axis.position(peaks[MODEL][:, None])
    np.testing.assert_allclose(sounds.scores[MODEL][TAGGER_SHARE], expected, rtol=1e-5)
    assert sounds.missing == [
        "The vocoder round trip from the mel alone is missing: the vocoder needs a source; hybrid and "
        "griffin_lim do not."
    ]


def test_tagger_hears_nothing_above_the_bandwidth_of_the_corpus(corpus: Corpus) -> None:
    heard = []

    def tagger(waveforms: list[torch.Tensor], sample_rate: int, cutoff_hz: float | None) -> TaggedSounds:
        heard.append((sample_rate, cutoff_hz))
        return TaggedSounds(torch.zeros(len(waveforms), 200), torch.zeros(len(waveforms), 50))

    limited = corpus.normalised(CorpusNormalisation(cutoff_hz=4000.0))
    training = {genre: corpus.clips(genre, "train")[:1] for genre in ("dull", "bright")}
    GenreTagger.listen(tagger, limited, training).tag([torch.zeros(1, 9)])
    GenreTagger.listen(tagger, corpus, {"dull": training["dull"]})
    rate = corpus.mel.sample_rate
    assert heard == [(rate, 4000.0), (rate, 4000.0), (rate, 4000.0), (rate, None)]


def test_share_is_the_place_on_the_axis(small_mel: MelSpectrogram) -> None:
    metric = next(metric for metric in METRICS if metric.name == TAGGER_SHARE)
    axis = GenreAxis(torch.tensor([1.0, 0.0]), torch.tensor([2.0, 0.0]))
    tagged = TaggedSounds(torch.tensor([[1.0, 5.0], [2.5, 0.0]]), torch.zeros(2, 50))
    clips = MetricInput(torch.zeros(2, 128, 8), small_mel, tagged=tagged, axis=axis)
    assert metric.function(clips).tolist() == [0.0, 0.75]
    assert metric.function(MetricInput(torch.zeros(2, 128, 8), small_mel)) is None


@pytest.mark.parametrize(("n_clips", "kinds"), [(400, {KAD}), (401, {KAD, FRECHET})])
def test_frechet_distance_needs_more_than_400_clips(n_clips: int, kinds: set[str]) -> None:
    class TrackClip:
        def __init__(self, number: int) -> None:
            self.track = f"t{number % 3}"

    generator = torch.Generator().manual_seed(0)
    clips = [TrackClip(number) for number in range(n_clips)]

    def sounds(shift: float) -> TaggedSounds:
        return TaggedSounds(torch.randn(n_clips, 4, generator=generator) + shift, torch.zeros(n_clips, 50))

    tagged = {MODEL: sounds(1.0), UNTOUCHED: sounds(3.0), REAL_TARGET: sounds(0.0)}
    none = torch.zeros(0)
    distances = _tagger_distances((clips, sounds(0.0)), tagged, DirectionMels(clips, none, none, clips, none))
    assert distances.keys() == kinds
    for values in distances.values():
        assert values[REAL_TARGET].mean < values[MODEL].mean < values[UNTOUCHED].mean
        assert abs(values[REAL_TARGET].mean) < 0.1 * values[UNTOUCHED].mean


def test_panels_leave_out_what_is_unknown() -> None:
    known = {"mean": 0.5, "low": 0.4, "high": 0.6}
    metrics = {"chroma": {MODEL: known, UNTOUCHED: known, "other_piece": known}, TAGGER_SHARE: {MODEL: known}}
    (panel,) = panels("a to b", metrics, {"one": [metrics], "none": [{}]})
    assert panel.series.keys() == {"one"}
    assert panel.series["one"][0].style == (0.5, 0.4, 0.6)
    assert panel.landmarks == {}
    real = {**metrics, TAGGER_SHARE: {MODEL: known, REAL_TARGET: {"mean": 1.0, "low": None, "high": None}}}
    (panel,) = panels("a to b", real, {"one": [real]})
    assert panel.landmarks.keys() == {"real target"}
    assert panel.landmarks["real target"].content.mean == 0.5
    assert panels("a to b", {}, {"one": [{}]}) == []
