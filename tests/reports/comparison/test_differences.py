"""Differences between columns, their significance and their sign."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from cyclegan_audio.metrics.registry import METRICS
from cyclegan_audio.reports.comparison import differences
from cyclegan_audio.reports.comparison.differences import (
    BETTER,
    NOT_SIGNIFICANT,
    SMALL,
    WITHIN_SEEDS,
    WORSE,
    MetricComparison,
    compare_metrics,
)
from cyclegan_audio.reports.comparison.grouping import Column, columns
from cyclegan_audio.reports.comparison.runs import ClipValues, find_runs
from cyclegan_audio.reports.comparison.summary import comparability_warnings, conclusion
from cyclegan_audio.statistics.significance import welch_test
from cyclegan_audio.utils.errors import UserError

MakeReport = Callable[..., Path]
OTHER_CLIPS = tuple(f"u{i}/{j}" for i in range(8) for j in range(2))


def compared(runs: Sequence[Path]) -> tuple[list[Column], dict[str, MetricComparison]]:
    """Return columns, and the rows of one direction by metric."""
    grouped = columns(find_runs(runs)[0])
    return grouped, {
        row.metric.name: row for row in compare_metrics(grouped) if row.direction == "lofi to trap"
    }


def test_paired_difference_by_hand(make_report: MakeReport) -> None:
    grouped, by_metric = compared([make_report("with"), make_report("without", identity=0, cycle_db=4.2)])
    row = by_metric["cycle_db"]
    contrast = row.contrasts["identity=0"]
    assert (row.floor, row.ceiling) == (9.0, 0.0)
    assert contrast.difference.mean == pytest.approx(1.2)
    assert (contrast.difference.n, contrast.difference.groups) == (16, 8)
    assert contrast.difference.low == pytest.approx(1.2)  # the same noise in both
    assert contrast.relative.mean == pytest.approx(-1.2 / 9)
    assert contrast.p == 2 / 2**8
    assert contrast.p_corrected == pytest.approx(2 * 2 / 2**8, abs=1e-3)  # the other direction does as well
    assert contrast.verdict == WORSE
    assert by_metric["onset_f1"].contrasts["identity=0"].verdict == NOT_SIGNIFICANT
    summary = conclusion(list(by_metric.values()), grouped)
    assert summary == (
        "lofi to trap, identity=0 against identity=5: Worse in cycle error (+1.20 dB). No significant "
        "difference in the 1 other metric (16 clips in 8 groups; a column has a single run, so a difference "
        "may be due to the random seed)."
    )


def test_difference_must_exceed_the_spread_of_seeds(make_report: MakeReport) -> None:
    """The mean of two seeds is better on every clip, but the seeds differ by more than the columns."""
    first = [make_report(f"a{seed}", seed=seed, onset_f1=0.5 + 0.2 * seed) for seed in (0, 1)]
    second = [make_report(f"b{seed}", 0, seed, onset_f1=0.6 + 0.2 * seed, cycle_db=2.0) for seed in (0, 1)]
    grouped, by_metric = compared([*first, *second])
    onsets = by_metric["onset_f1"].contrasts["identity=0"]
    assert onsets.difference.mean == pytest.approx(0.1)
    assert onsets.p_corrected < 0.05
    assert onsets.over_seeds is not None
    assert onsets.over_seeds.low < 0 < onsets.over_seeds.high
    assert onsets.verdict == WITHIN_SEEDS
    assert by_metric["cycle_db"].contrasts["identity=0"].verdict == BETTER
    assert len(by_metric["cycle_db"].means["identity=5"]) == 2
    assert "within the spread of seeds in onsets" in conclusion(list(by_metric.values()), grouped)


def test_significant_difference_may_be_small(make_report: MakeReport) -> None:
    _, by_metric = compared([make_report("a"), make_report("b", identity=0, onset_f1=0.53)])
    assert by_metric["onset_f1"].contrasts["identity=0"].verdict == SMALL


def test_p_is_corrected_for_columns(make_report: MakeReport) -> None:
    runs = [make_report(f"{i}", identity=i, cycle_db=3 + i) for i in (0, 1, 2)]
    _, by_metric = compared(runs)
    p_corrected = by_metric["cycle_db"].contrasts["identity=1"].p_corrected
    assert p_corrected == pytest.approx(2 * 2 * 2 / 2**8, abs=2e-3)  # columns, directions


def test_different_clips_are_compared_unpaired(make_report: MakeReport) -> None:
    grouped, by_metric = compared([make_report("a"), make_report("b", 0, 1, 5.0, clips=OTHER_CLIPS)])
    contrast = by_metric["cycle_db"].contrasts["identity=0"]
    assert not contrast.is_paired
    assert contrast.difference.mean == pytest.approx(2.0, abs=0.1)
    assert contrast.verdict == WORSE
    assert "evaluated on different clips" in " ".join(comparability_warnings(grouped))
    assert "different clips" in conclusion(list(by_metric.values()), grouped)


def test_share_of_one_still_has_an_interval() -> None:
    classifier = next(metric for metric in METRICS if metric.name == "genre_classifier")
    clips = [f"t{track}/{clip}" for track in range(4) for clip in range(2)]
    origin = ({clip: clip.split("/")[0] for clip in clips}, dict.fromkeys(clips, 0.0))
    all_of_them, half = (
        differences._pooled_mean([ClipValues(dict(zip(clips, values, strict=True)), *origin)], classifier)
        for values in ([1.0] * 8, [1.0, 0.0] * 4)
    )
    assert 0.5 < all_of_them.low < 0.8
    same, p = welch_test(all_of_them, all_of_them)
    assert same.low < -0.1 < 0.1 < same.high
    assert p == pytest.approx(1.0)
    less, p = welch_test(all_of_them, half)
    assert less.mean == -0.5
    assert 0.001 < p < 0.1


def test_distances_have_no_p(make_report: MakeReport) -> None:
    _, by_metric = compared([make_report("a"), make_report("b", 0)])
    contrast = by_metric["genre_classifier_kernel_distance"].contrasts["identity=0"]
    assert math.isnan(contrast.p_corrected)
    assert contrast.verdict == NOT_SIGNIFICANT
    assert (
        by_metric["genre_classifier_kernel_distance"].floor,
        by_metric["genre_classifier_kernel_distance"].ceiling,
    ) == (
        3.0,
        0.0,
    )


def test_improvement_is_towards_the_ceiling() -> None:
    hats, checkerboard = (m for m in METRICS if m.name in ("hats_per_s", "checkerboard_db"))
    assert differences._improvement(hats, 5.0, 3.0, 4.0) == 1
    assert differences._improvement(hats, 5.0, 7.0, 8.0) == -1
    assert differences._improvement(hats, 5.0, 4.0, 6.0) == 0
    assert differences._improvement(hats, math.nan, 4.0, 6.0) == 0
    assert differences._improvement(checkerboard, 5.0, 4.0, 2.0) == 1


def test_incomparable_runs_are_refused(make_report: MakeReport) -> None:
    one = make_report("one")
    for others, message in (
        ([], "two or more runs, got 1"),
        ([make_report("mel", 0, mel="bb")], "different mel settings"),
        ([make_report("genres", 0, directions=("lofi to rnb", "rnb to lofi"))], "no other run translates"),
    ):
        with pytest.raises(UserError, match=message):
            comparability_warnings(columns(find_runs([one, *others])[0]))
