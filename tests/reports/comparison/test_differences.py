import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from cyclegan_audio.metrics.registry import METRICS
from cyclegan_audio.reports.comparison import differences
from cyclegan_audio.reports.comparison.differences import BETTER, NONE, SEEDS, SLIGHT, WORSE, Row, rows
from cyclegan_audio.reports.comparison.grouping import Column, columns
from cyclegan_audio.reports.comparison.runs import gather
from cyclegan_audio.reports.comparison.summary import conclusion, warnings
from cyclegan_audio.reports.comparison.values import ByClip
from cyclegan_audio.statistics.significance import welch_test
from cyclegan_audio.utils.errors import UserError

MakeReport = Callable[..., Path]
OTHER_CLIPS = tuple(f"u{i}/{j}" for i in range(8) for j in range(2))


def compared(runs: Sequence[Path]) -> tuple[list[Column], dict[str, Row]]:
    """Columns, and the rows of one direction by measure."""
    made = columns(gather(runs)[0])
    return made, {row.measure.name: row for row in rows(made) if row.way == "lofi to trap"}


def test_paired_difference_by_hand(make_report: MakeReport) -> None:
    made, found = compared([make_report("with"), make_report("without", identity=0, cycle_db=4.2)])
    row = found["cycle_db"]
    contrast = row.contrasts["identity=0"]
    assert (row.floor, row.ceiling) == (9.0, 0.0)
    assert contrast.difference.mean == pytest.approx(1.2)
    assert (contrast.difference.n, contrast.difference.groups) == (16, 8)
    assert contrast.difference.low == pytest.approx(1.2)  # the same noise in both
    assert contrast.of_way.mean == pytest.approx(-1.2 / 9)
    assert contrast.p == 2 / 2**8
    assert contrast.corrected == pytest.approx(2 * 2 / 2**8, abs=1e-3)  # the other direction does as well
    assert contrast.said == WORSE
    assert found["onset_f1"].contrasts["identity=0"].said == NONE
    words = conclusion(list(found.values()), made)
    assert words == (
        "lofi to trap, identity=0 against identity=5: Worse in there and back, error (+1.20 dB). No "
        "significant difference in the 1 other measure (16 clips in 8 groups; one run in a column, so that "
        "a difference may be its seed's luck)."
    )


def test_seeds_must_agree(make_report: MakeReport) -> None:
    """The mean of two seeds is better on every clip, but the seeds differ by more than the columns."""
    first = [make_report(f"a{seed}", seed=seed, onset_f1=0.5 + 0.2 * seed) for seed in (0, 1)]
    second = [make_report(f"b{seed}", 0, seed, onset_f1=0.6 + 0.2 * seed, cycle_db=2.0) for seed in (0, 1)]
    made, found = compared([*first, *second])
    onsets = found["onset_f1"].contrasts["identity=0"]
    assert onsets.difference.mean == pytest.approx(0.1)
    assert onsets.corrected < 0.05
    assert onsets.over_seeds is not None
    assert onsets.over_seeds.low < 0 < onsets.over_seeds.high
    assert onsets.said == SEEDS
    assert found["cycle_db"].contrasts["identity=0"].said == BETTER
    assert len(found["cycle_db"].runs["identity=5"]) == 2
    assert "within the spread of seeds in onsets" in conclusion(list(found.values()), made)


def test_a_sure_difference_may_be_slight(make_report: MakeReport) -> None:
    _, found = compared([make_report("a"), make_report("b", identity=0, onset_f1=0.53)])
    assert found["onset_f1"].contrasts["identity=0"].said == SLIGHT


def test_more_columns_are_corrected_for(make_report: MakeReport) -> None:
    runs = [make_report(f"{i}", identity=i, cycle_db=3 + i) for i in (0, 1, 2)]
    _, found = compared(runs)
    corrected = found["cycle_db"].contrasts["identity=1"].corrected
    assert corrected == pytest.approx(2 * 2 * 2 / 2**8, abs=2e-3)  # columns, directions


def test_other_clips_are_compared_unpaired_and_said_so(make_report: MakeReport) -> None:
    made, found = compared([make_report("a"), make_report("b", 0, 1, 5.0, clips=OTHER_CLIPS)])
    contrast = found["cycle_db"].contrasts["identity=0"]
    assert not contrast.is_paired
    assert contrast.difference.mean == pytest.approx(2.0, abs=0.1)
    assert contrast.said == WORSE
    assert "judged on different clips" in " ".join(warnings(made))
    assert "different clips" in conclusion(list(found.values()), made)


def test_shares_of_other_clips_have_an_interval_though_all_are_called_target() -> None:
    classifier = next(measure for measure in METRICS if measure.name == "genre_classifier")
    clips = [f"t{track}/{clip}" for track in range(4) for clip in range(2)]
    where = ({clip: clip.split("/")[0] for clip in clips}, dict.fromkeys(clips, 0.0))
    all_of_them, half = (
        differences._pooled([ByClip(dict(zip(clips, values, strict=True)), *where)], classifier)
        for values in ([1.0] * 8, [1.0, 0.0] * 4)
    )
    assert 0.5 < all_of_them.low < 0.8
    same, p = welch_test(all_of_them, all_of_them)
    assert same.low < -0.1 < 0.1 < same.high
    assert p == pytest.approx(1.0)
    less, p = welch_test(all_of_them, half)
    assert less.mean == -0.5
    assert 0.001 < p < 0.1


def test_distances_have_seeds_only(make_report: MakeReport) -> None:
    _, found = compared([make_report("a"), make_report("b", 0)])
    contrast = found["classifier_kernel_distance"].contrasts["identity=0"]
    assert math.isnan(contrast.corrected)
    assert contrast.said == NONE
    assert (found["classifier_kernel_distance"].floor, found["classifier_kernel_distance"].ceiling) == (
        3.0,
        0.0,
    )


def test_nearer_the_ceiling() -> None:
    hats, lattice = (m for m in METRICS if m.name in ("hats_per_s", "checkerboard_db"))
    assert differences._nearer(hats, 5.0, 3.0, 4.0) == 1
    assert differences._nearer(hats, 5.0, 7.0, 8.0) == -1
    assert differences._nearer(hats, 5.0, 4.0, 6.0) == 0
    assert differences._nearer(hats, math.nan, 4.0, 6.0) == 0
    assert differences._nearer(lattice, 5.0, 4.0, 2.0) == 1


def test_what_cannot_be_compared(make_report: MakeReport) -> None:
    one = make_report("one")
    for others, message in (
        ([], "one run alone"),
        ([make_report("mel", 0, mel="bb")], "different mels"),
        ([make_report("genres", 0, ways=("lofi to rnb", "rnb to lofi"))], "no other run does"),
    ):
        with pytest.raises(UserError, match=message):
            warnings(columns(gather([one, *others])[0]))
