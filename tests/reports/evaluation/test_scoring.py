"""Between floor and ceiling, in words, by clip, and against the score."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.corpus.corpus import Clip, Corpus
from cyclegan_audio.metrics.distances import KERNEL
from cyclegan_audio.metrics.metric_spec import HEARD, MODEL, OTHER, UNTOUCHED
from cyclegan_audio.reports.evaluation.classifiers import STATISTICS
from cyclegan_audio.reports.evaluation.metric_tables import position
from cyclegan_audio.reports.evaluation.per_clip import clip_scores
from cyclegan_audio.reports.evaluation.score_alignment import against_score
from cyclegan_audio.reports.evaluation.scoring import Measured, another
from cyclegan_audio.reports.evaluation.seams import stretches
from cyclegan_audio.reports.evaluation.summary import metrics_summary
from cyclegan_audio.reports.evaluation.translations import DirectionResult, PairedExample
from cyclegan_audio.statistics.estimates import Estimate


def clip(number: int, track: str = "", start_s: float = 0.0) -> Clip:
    track = track or f"t{number}"
    place = ("lofi", f"{track}.wav", start_s, 4.0, track, track, track)
    return Clip(f"c{number}", *place, 0, None, "test", 0.0, 0.0, 0.0)


CLIPS = [clip(i) for i in range(4)]


def measured(**means: float) -> Measured:
    """Four clips of four tracks; keys are CANDIDATE__MEASURE, values each clip's number."""
    scores: dict[str, dict[str, np.ndarray]] = {key: {} for key in (MODEL, UNTOUCHED, OTHER, HEARD)}
    real = {}
    for key, value in means.items():
        candidate, name = key.split("__")
        (real if candidate == "real" else scores[candidate])[name] = value + np.array([0.0, 0.01, -0.01, 0.0])
    kernel = {
        key: Estimate(value, 0, value, value, 4, 4) for key, value in {UNTOUCHED: 2.0, MODEL: 0.5}.items()
    }
    return Measured("lofi", "trap", CLIPS, scores, CLIPS, real, {STATISTICS: {KERNEL: kernel}}, [])


GOOD = {
    "model__genre_classifier": 0.9, "untouched__genre_classifier": 0.05, "model__onset_f1": 0.8, "model__chroma": 0.7,
    "model__bass": 0.3, "model__hats_per_s": 6.0, "untouched__hats_per_s": 3.0, "model__high_band_db": -35.0,
    "real__high_band_db": -30.0, "model__filter_share": 0.5, "model__checkerboard_db": 1.0,
    "untouched__checkerboard_db": 0.5, "model__quiet_db": -60.0, "untouched__quiet_db": -65.0,
    "real__quiet_db": -60.0,
}  # fmt: skip


def test_what_is_good_and_what_is_not_is_said() -> None:
    line = metrics_summary([measured(**GOOD)])
    assert line.startswith(
        "lofi to trap: the genre moves (the genre classifier hears trap in 90 % of clips, 5 % untou"
    )
    assert "the kernel distance falls by 75 %" in line
    assert "the drums stay; the harmony stays; the bass line does not stay" in line
    assert "hi-hats appear (3.0 to 6.0 a second)" in line
    assert "the top end is dull (-5 dB beside the target's)" in line
    assert "filter" not in line
    assert "lattice" not in line


def test_faults_are_said() -> None:
    bad = GOOD | {
        "model__genre_classifier": 0.1, "model__onset_f1": 0.3, "model__hats_per_s": 1.0, "model__filter_share": 0.95,
        "model__checkerboard_db": 9.0, "model__quiet_db": -40.0, "heard__vocoder_error_db": 5.0,
    }  # fmt: skip
    line = metrics_summary([measured(**bad)])
    assert "the genre moves in part" in line
    assert "the drums do not stay" in line
    assert "hi-hats vanish" in line
    assert "it is a mere filter (95 % of the change)" in line
    assert "a lattice of 8 dB is seen" in line
    assert "silence became noise (+20 dB)" in line
    assert "the vocoder adds faults of its own (+5 dB)" in line


def test_without_a_judge_distances_speak() -> None:
    quiet = {"model__quiet_db": -60.0, "untouched__quiet_db": -60.0}
    assert "no genre classifier; the kernel distance falls by 75 %" in metrics_summary(
        [measured(model__onset_f1=0.9, **quiet)]
    )


def test_position_between_floor_and_ceiling() -> None:
    assert position(3.0, 2.0, 4.0) == pytest.approx(0.5)
    assert position(30.0, 40.0, 20.0) == pytest.approx(0.5)
    assert position(1.0, 2.0, 2.0) is None


def test_score_wants_both_genre_and_rhythm() -> None:
    both = measured(model__genre_probability=0.9, model__onset_correlation=0.9)
    one = measured(model__genre_probability=0.98, model__onset_correlation=0.1)
    assert clip_scores(both).mean() == pytest.approx(0.9, abs=0.01)
    assert clip_scores(one).mean() < 0.2
    assert clip_scores(measured(model__onset_correlation=0.4)).mean() == pytest.approx(0.4)


def test_nan_is_left_out_of_the_mean() -> None:
    some = measured(model__silence_gain_db=3.0)
    some.scores[MODEL]["silence_gain_db"][:3] = np.nan
    value = some.estimate(MODEL, "silence_gain_db")
    assert value is not None
    assert (value.n, value.mean) == (1, 3.0)
    some.scores[MODEL]["silence_gain_db"][:] = np.nan
    assert some.estimate(MODEL, "silence_gain_db") is None


def test_shares_stay_between_none_and_all() -> None:
    some = measured()
    some.scores[MODEL]["genre_classifier"] = np.where(np.arange(len(some.clips)) == 0, 0.0, 1.0)
    share = some.estimate(MODEL, "genre_classifier")
    assert share is not None
    assert 0.0 < share.low < share.mean < share.high < 1.0
    some.scores[MODEL]["genre_classifier"][:] = 1.0
    share = some.estimate(MODEL, "genre_classifier")
    assert share is not None
    assert share.low < share.mean == share.high == 1.0


def test_another_piece_is_of_another_track() -> None:
    clips = [clip(i, track=f"t{i // 3}") for i in range(9)]
    assert all(clips[j].track != clips[i].track for i, j in enumerate(another(clips)))
    assert another([clip(0)]) == [0]


def test_stretches_follow_each_other_without_a_gap() -> None:
    clips = [clip(i, "a", 4.0 * i) for i in range(6)] + [clip(7, "a", 40.0), clip(8, "b", 44.0)]
    assert [[c.start_s for c in run] for run in stretches(clips, 4)] == [[0, 4, 8, 12], [16, 20]]


def test_translations_against_the_record_beside_demo_songs(
    corpus: Corpus, tmp_path: Path, small_mel: MelSpectrogram
) -> None:
    """The target's band plays eighths; a copy of its mel finds them all, one that stands still finds none."""
    eighths = np.arange(0.1, 8, 0.25)
    rate = small_mel.sample_rate
    sound = torch.zeros(4 * rate)
    for time_s in eighths[eighths < 4]:
        start = int(time_s * rate)
        sound[start : start + 200] = 0.3 * torch.randn(200, generator=torch.Generator().manual_seed(start))
    truth_db = small_mel.mel_db(sound[None])[0]
    still_db = truth_db.mean(1, keepdim=True).expand_as(truth_db)
    pair, other = corpus.paired_clips("dull", "bright")[0]
    example = PairedExample(pair, other, still_db, truth_db, truth_db)
    way = DirectionResult("dull", "bright", [], [example], (still_db[:, 0], still_db[:, 0]))
    moved = Corpus.open(corpus.folder)
    moved.folder = tmp_path / "corpus"
    assert against_score(way, moved) is None
    for genre in ("dull", "bright"):
        path = tmp_path / "songs" / "paired" / genre / Path(pair.source).with_suffix(".json").name
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"onsets_s": {"hat_closed": eighths.tolist(), "kick": [0.11]}}))
    found = against_score(way, moved)
    assert found is not None
    assert found["target_hats_f1"]["model"].mean > 0.9
    assert found["target_hats_f1"]["untouched"].mean == 0
    assert found["onset_f1"]["truth"].mean > 0.9
