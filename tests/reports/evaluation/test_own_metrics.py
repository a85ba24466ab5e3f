"""Metrics defined outside the package: their values, and their place in reports and comparisons."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from cyclegan_audio import reports
from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.metrics.metric_spec import (
    CONTENT,
    MODEL,
    OTHER_PIECE,
    STYLE,
    UNTOUCHED,
    MetricInput,
    MetricSpec,
    compute_metrics,
)
from cyclegan_audio.metrics.registry import METRICS
from cyclegan_audio.metrics.summary_rules import threshold_rule
from cyclegan_audio.reports.comparison.compare import compare
from cyclegan_audio.reports.evaluation.evaluate import evaluate
from cyclegan_audio.reports.evaluation.metric_tables import metrics_section
from cyclegan_audio.reports.evaluation.provenance import provenance_section


def loudest_db(clips: MetricInput) -> torch.Tensor:
    return clips.mels_db.amax((1, 2))


def change_db(clips: MetricInput) -> torch.Tensor:
    return (clips.mels_db - clips.source.mels_db).abs().mean((1, 2))


LOUDEST = MetricSpec("loudest_db", "loudest point in {target}", STYLE, loudest_db, unit="dB", digits=1)
CHANGE = MetricSpec(
    "change_db", "mean change", CONTENT, change_db, True, unit="dB", floor=OTHER_PIECE, ceiling=UNTOUCHED,
    summary=threshold_rule(MODEL, 0.1, "It changes from 0.1 dB.", "it changes by {:.1f} dB"),
)  # fmt: skip
MINE = (*METRICS, LOUDEST, CHANGE)


def test_own_metrics_are_reported_and_compared(
    make_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "cyclegan_audio.reports.evaluation.evaluate.SECTIONS", (metrics_section, provenance_section)
    )
    runs = [make_run("with"), make_run("without", identity=0.0)]
    pages = [evaluate(run, clips=2, vocoder="mask", metrics=MINE).read_text() for run in runs]
    report = json.loads((runs[0] / "report" / "report.json").read_text())
    direction = report["metrics"]["dull to bright"]
    assert {*direction["metrics"]["loudest_db"]} >= {"model", "untouched", "nearest", "real_target", "ends"}
    assert "other_piece" not in direction["metrics"]["loudest_db"]
    change = direction["metrics"]["change_db"]
    assert change["untouched"]["mean"] == 0 < change["model"]["mean"]
    assert "real_target" not in change
    expected = 1 - change["model"]["mean"] / change["other_piece"]["mean"]
    assert change["position"] == pytest.approx(expected)
    assert np.mean(direction["clips"]["change_db"]) == pytest.approx(change["model"]["mean"])
    assert "loudest point in bright, dB" in pages[0]
    assert f"it changes by {change['model']['mean']:.1f} dB" in report["verdict"]
    assert "It changes from 0.1 dB." in pages[0]

    page = compare(runs, metrics=MINE)
    rows = json.loads((page.parent / "compare.json").read_text())["table"]
    compared = {row["metric"]: row for row in rows if row["direction"] == "dull to bright"}
    assert compared["loudest_db"]["label"] == "loudest point in bright, dB"
    assert compared["change_db"]["floor"] == pytest.approx(change["other_piece"]["mean"])
    assert "mean change, dB" in page.read_text()


def test_guide_describes_every_metric() -> None:
    guide = (Path(reports.__file__).parent / "README.md").read_text()
    assert [metric.name for metric in METRICS if f"| `{metric.name}` |" not in guide] == []


def test_many_clips_are_computed_in_blocks(small_mel: MelSpectrogram) -> None:
    mels_db = torch.arange(150.0)[:, None, None].expand(-1, 128, 8)
    scores = compute_metrics([LOUDEST, CHANGE], MetricInput(mels_db, small_mel, mels_db - 2))
    np.testing.assert_array_equal(scores["loudest_db"], np.arange(150.0))
    np.testing.assert_array_equal(scores["change_db"], np.full(150, 2.0))
    assert set(compute_metrics([LOUDEST, CHANGE], MetricInput(mels_db, small_mel))) == {"loudest_db"}


def test_metrics_of_audio_need_waveforms(small_mel: MelSpectrogram) -> None:
    peaks = MetricSpec(
        "peak",
        "peak",
        STYLE,
        lambda clips: [float(w.max()) for w in clips.waveforms or ()],
        uses_waveforms=True,
    )
    mels_db = torch.zeros(2, 128, 8)
    sounds = MetricInput(mels_db, small_mel, waveforms=[torch.ones(1, 9), torch.zeros(1, 9)])
    assert compute_metrics([peaks, LOUDEST], sounds)["peak"].tolist() == [1, 0]
    assert set(compute_metrics([peaks, LOUDEST], MetricInput(mels_db, small_mel))) == {"loudest_db"}


def test_invalid_metric_is_refused(small_mel: MelSpectrogram) -> None:
    one_for_all = MetricSpec("one", "one", STYLE, lambda clips: clips.mels_db.mean())
    with pytest.raises(
        ValueError, match=r"metric one returned shape \(\); return one number per clip, \(2,\)"
    ):
        compute_metrics([one_for_all], MetricInput(torch.zeros(2, 128, 8), small_mel))
    with pytest.raises(ValueError, match="group must be one of"):
        MetricSpec("odd", "odd", "oddities", loudest_db)
    with pytest.raises(ValueError, match=r"must be one of .*, got 'silence'"):
        MetricSpec("odd", "odd", STYLE, loudest_db, floor="silence")
