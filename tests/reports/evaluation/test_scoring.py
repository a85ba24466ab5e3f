"""Scores of a direction: first lines, position between floor and ceiling, clip scores, score alignment."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.corpus.corpus import Clip, Corpus
from cyclegan_audio.metrics.distances import KAD, KERNEL
from cyclegan_audio.metrics.metric_spec import MATCHED_MOMENTS, MODEL, OTHER_PIECE, UNTOUCHED
from cyclegan_audio.metrics.registry import METRICS
from cyclegan_audio.metrics.tagger import TaggedSounds
from cyclegan_audio.reports.evaluation.classifiers import STATISTICS, TAGGER
from cyclegan_audio.reports.evaluation.ground_truth import score_alignment
from cyclegan_audio.reports.evaluation.metric_tables import _bar, format_distance, position
from cyclegan_audio.reports.evaluation.scoring import DirectionScores, clip_scores, other_track_rows
from cyclegan_audio.reports.evaluation.seams import stretches
from cyclegan_audio.reports.evaluation.summary import metrics_summary
from cyclegan_audio.reports.evaluation.tagging import tag_numbers
from cyclegan_audio.reports.evaluation.translations import DirectionResult, PairedClip
from cyclegan_audio.statistics.estimates import Estimate


def clip(number: int, track: str = "", start_s: float = 0.0) -> Clip:
    track = track or f"t{number}"
    place = ("lofi", f"{track}.wav", start_s, 4.0, track, track, track)
    return Clip(f"c{number}", *place, 0, None, "test", 0.0, 0.0, 0.0)


CLIPS = [clip(i) for i in range(4)]


def direction_scores(**means: float) -> DirectionScores:
    """Four clips of four tracks; keys are CANDIDATE__METRIC, values each clip's number."""
    by_candidate: dict[str, dict[str, np.ndarray]] = {
        key: {} for key in (MODEL, UNTOUCHED, OTHER_PIECE, MATCHED_MOMENTS)
    }
    real = {}
    for key, value in means.items():
        candidate, name = key.split("__")
        (real if candidate == "real" else by_candidate[candidate])[name] = value + np.array(
            [0.0, 0.01, -0.01, 0.0]
        )
    kernel = {
        key: Estimate(value, 0, value, value, 4, 4) for key, value in {UNTOUCHED: 2.0, MODEL: 0.5}.items()
    }
    return DirectionScores(
        "lofi", "trap", CLIPS, by_candidate, CLIPS, real, {STATISTICS: {KERNEL: kernel}}, []
    )


GOOD = {
    "model__genre_classifier": 0.9, "untouched__genre_classifier": 0.05, "model__onset_f1": 0.8,
    "model__chroma": 0.7, "model__bass": 0.3, "model__hats_per_s": 6.0, "untouched__hats_per_s": 3.0,
    "model__high_band_db": -35.0,
    "real__high_band_db": -30.0, "model__filter_share": 0.5, "model__checkerboard_db": 1.0,
    "untouched__checkerboard_db": 0.5, "model__noise_floor_db": -60.0, "untouched__noise_floor_db": -65.0,
    "real__noise_floor_db": -60.0,
}  # fmt: skip


def test_summary_names_what_changed_and_what_stayed() -> None:
    line = metrics_summary([direction_scores(**GOOD)])
    assert line.startswith(
        "lofi to trap: the style changes (the genre classifier labels 90 % of clips trap, 5 % untouched"
    )
    assert "the kernel distance falls by 75 %" in line
    assert "the drums are preserved; the harmony is preserved; the bass line is not preserved" in line
    assert "hi-hats appear (3.0 to 6.0 per second)" in line
    assert "the high band is dull (-5 dB compared with the target's)" in line
    assert "filter" not in line
    assert "checkerboard" not in line


@pytest.mark.parametrize("real", [0.97, 0.3])
def test_summary_says_where_the_classifier_may_guess(real: float) -> None:
    line = metrics_summary([direction_scores(**GOOD, real__genre_classifier=real)])
    assert ("the style changes (" in line) == (real > 0.9)
    assert ("whether the style changes cannot be told from these tracks (" in line) == (real < 0.9)


def test_summary_of_two_tracks_has_no_verdict() -> None:
    scores = direction_scores(**GOOD)
    clips = [clip(i, f"t{i % 2}") for i in range(4)]
    for few in ({"clips": clips}, {"real_clips": clips}):
        line = metrics_summary([dataclasses.replace(scores, **few)])
        assert "whether the style changes cannot be told from these tracks (the genre classifier" in line


def test_summary_names_artefacts() -> None:
    bad = GOOD | {
        "model__genre_classifier": 0.1, "model__onset_f1": 0.3, "model__hats_per_s": 1.0,
        "model__filter_share": 0.95, "model__checkerboard_db": 9.0,
        "model__noise_floor_db": -40.0, "model__vocoder_error_db": 5.0,
    }  # fmt: skip
    line = metrics_summary([direction_scores(**bad)])
    assert "the style changes partly" in line
    assert "the drums are not preserved" in line
    assert "hi-hats vanish" in line
    assert "the change is mostly a fixed filter (95 %)" in line
    assert "checkerboard artefacts 8 dB above the input's" in line
    assert "silence became noise (+20 dB)" in line
    assert "the vocoder adds errors (+5 dB)" in line


def test_summary_without_genre_classifier_uses_distances() -> None:
    quiet = {"model__noise_floor_db": -60.0, "untouched__noise_floor_db": -60.0}
    assert "no genre classifier; the kernel distance falls by 75 %" in metrics_summary(
        [direction_scores(model__onset_f1=0.9, **quiet)]
    )


def test_summary_says_that_the_kernel_distance_rises() -> None:
    scores = direction_scores(model__onset_f1=0.9)
    scores.distances[STATISTICS][KERNEL][MODEL] = Estimate(4.0, 0, 4.0, 4.0, 4, 4)
    assert "the kernel distance rises by 100 %" in metrics_summary([scores])


MOVED = "80 % of the way, untouched 0 %, an equaliser 10 %, real trap 100 %"


@pytest.mark.parametrize(
    ("share", "kad", "equaliser", "kad_of_equaliser", "words"),
    [
        (0.8, 5.0, 0.1, 18.0, f"confirms a change ({MOVED}; KAD falls by 75 %)"),
        (0.2, 5.0, 0.1, 18.0, "does not confirm a change (20 % of the way"),
        (0.8, 30.0, 0.1, 40.0, f"does not confirm a change ({MOVED}; KAD rises by 50 %)"),
        (0.8, 5.0, 0.9, 18.0, "does not confirm a change"),
        (0.8, 5.0, 0.1, 4.0, "does not confirm a change"),
    ],
)  # fmt: skip
def test_summary_says_whether_the_independent_tagger_confirms(
    share: float, kad: float, equaliser: float, kad_of_equaliser: float, words: str
) -> None:
    names = {"model": share, "untouched": 0.0, "matched_moments": equaliser, "real": 1.0}
    scores = direction_scores(**{f"{name}__tagger_share": value for name, value in names.items()})
    assert f"independent tagger: {100 * share:.0f} % of the way" in metrics_summary([scores])
    kads = {MODEL: kad, UNTOUCHED: 20.0, MATCHED_MOMENTS: kad_of_equaliser}
    scores.distances[TAGGER] = {KAD: {key: Estimate(v, 0, v, v, 4, 4) for key, v in kads.items()}}
    assert f"; an independent tagger {words}" in metrics_summary([scores])


def test_summary_without_a_known_distance_of_the_tagger() -> None:
    names = {"model": 0.8, "untouched": -0.001, "matched_moments": 0.1, "real": 1.0}
    scores = direction_scores(**{f"{name}__tagger_share": value for name, value in names.items()})
    kads = {MODEL: math.nan, UNTOUCHED: 20.0, MATCHED_MOMENTS: 18.0}
    scores.distances[TAGGER] = {KAD: {key: Estimate(v, 0, v, v, 4, 4) for key, v in kads.items()}}
    assert f"; independent tagger: {MOVED}" in metrics_summary([scores])
    assert format_distance(scores.distances[TAGGER][KAD][MODEL]) == "-"


def test_bar_whose_interval_begins_at_the_floor_keeps_it() -> None:
    names = {"model": 0.005, "untouched": 0.0, "real": 6.0}
    scores = direction_scores(**{f"{name}__hats_per_s": value for name, value in names.items()})
    metric = next(metric for metric in METRICS if metric.name == "hats_per_s")
    value, bar = scores.estimate(MODEL, "hats_per_s"), _bar(scores, metric)
    assert value is not None
    assert bar is not None
    assert value.low == 0
    assert bar[1] == 0 < bar[0] < bar[2]


def test_tags_leave_out_clips_that_are_not_finite() -> None:
    before, after = torch.full((4, 50), 0.2), torch.full((4, 50), 0.5)
    after[0] = math.nan

    def numbers(after: torch.Tensor) -> dict:
        tagged = {key: TaggedSounds(tags, tags) for key, tags in ((MODEL, after), (UNTOUCHED, before))}
        return tag_numbers(DirectionScores("lofi", "trap", CLIPS, {}, CLIPS, {}, {}, [], tagged=tagged))

    rock = numbers(after)["rock"]
    assert (rock[MODEL], rock["change"]["mean"], rock["change"]["n"]) == pytest.approx((0.5, 0.3, 3))
    assert numbers(after * math.nan) == {}
    after[1:3] = torch.tensor([[1.0], [0.0]])
    change = numbers(after)["rock"]["change"]
    assert change["high"] == 1.0  # Student's t would give more


def test_position_between_floor_and_ceiling() -> None:
    assert position(3.0, 2.0, 4.0) == pytest.approx(0.5)
    assert position(30.0, 40.0, 20.0) == pytest.approx(0.5)
    assert position(1.0, 2.0, 2.0) is None


def test_score_needs_both_style_and_rhythm() -> None:
    both = direction_scores(model__genre_probability=0.9, model__onset_correlation=0.9)
    one = direction_scores(model__genre_probability=0.98, model__onset_correlation=0.1)
    assert clip_scores(both).mean() == pytest.approx(0.9, abs=0.01)
    assert clip_scores(one).mean() < 0.2
    assert clip_scores(direction_scores(model__onset_correlation=0.4)).mean() == pytest.approx(0.4)


def test_mean_ignores_nan() -> None:
    scores = direction_scores(model__silence_gain_db=3.0)
    scores.by_candidate[MODEL]["silence_gain_db"][:3] = np.nan
    value = scores.estimate(MODEL, "silence_gain_db")
    assert value is not None
    assert (value.n, value.mean) == (1, 3.0)
    scores.by_candidate[MODEL]["silence_gain_db"][:] = np.nan
    assert scores.estimate(MODEL, "silence_gain_db") is None


def test_intervals_of_shares_stay_in_0_to_1() -> None:
    scores = direction_scores()
    scores.by_candidate[MODEL]["genre_classifier"] = np.where(np.arange(len(scores.clips)) == 0, 0.0, 1.0)
    share = scores.estimate(MODEL, "genre_classifier")
    assert share is not None
    assert 0.0 < share.low < share.mean < share.high < 1.0
    scores.by_candidate[MODEL]["genre_classifier"][:] = 1.0
    share = scores.estimate(MODEL, "genre_classifier")
    assert share is not None
    assert share.low < share.mean == share.high == 1.0


def test_other_piece_is_from_another_track() -> None:
    clips = [clip(i, track=f"t{i // 3}") for i in range(9)]
    assert all(clips[j].track != clips[i].track for i, j in enumerate(other_track_rows(clips)))
    assert other_track_rows([clip(0)]) == [0]


def test_stretches_are_consecutive_clips() -> None:
    clips = [clip(i, "a", 4.0 * i) for i in range(6)] + [clip(7, "a", 40.0), clip(8, "b", 44.0)]
    assert [[c.start_s for c in run] for run in stretches(clips, 4)] == [[0, 4, 8, 12], [16, 20]]


def test_score_alignment_of_demo_songs(corpus: Corpus, tmp_path: Path, small_mel: MelSpectrogram) -> None:
    """The target's band plays eighths: its mel has them all as onsets, a constant mel has none."""
    eighths = np.arange(0.1, 8, 0.25)
    rate = small_mel.sample_rate
    sound = torch.zeros(4 * rate)
    for time_s in eighths[eighths < 4]:
        start = int(time_s * rate)
        sound[start : start + 200] = 0.3 * torch.randn(200, generator=torch.Generator().manual_seed(start))
    truth_db = small_mel.mel_db(sound[None])[0]
    still_db = truth_db.mean(1, keepdim=True).expand_as(truth_db)
    pair, other = corpus.paired_clips("dull", "bright")[0]
    example = PairedClip(pair, other, still_db, truth_db, truth_db)
    direction = DirectionResult("dull", "bright", [], [example], (still_db[:, 0], still_db[:, 0]))
    moved = Corpus.open(corpus.folder)
    moved.folder = tmp_path / "corpus"
    assert score_alignment(direction, moved) is None
    for genre in ("dull", "bright"):
        path = tmp_path / "songs" / "paired" / genre / Path(pair.source).with_suffix(".json").name
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"onsets_s": {"hat_closed": eighths.tolist(), "kick": [0.11]}}))
    alignment = score_alignment(direction, moved)
    assert alignment is not None
    assert alignment["target_hats_f1"]["model"].mean > 0.9
    assert alignment["target_hats_f1"]["untouched"].mean == 0
    assert alignment["onset_f1"]["truth"].mean > 0.9
