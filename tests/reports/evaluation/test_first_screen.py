"""First screen of a report: which clips are heard, what the scorecard says, and where it says nothing."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cyclegan_audio.metrics.distances import KAD, KERNEL
from cyclegan_audio.metrics.metric_spec import MATCHED_MOMENTS, MODEL, OTHER_PIECE, TAGGER_SHARE, UNTOUCHED
from cyclegan_audio.reports.evaluation.classifiers import STATISTICS, TAGGER
from cyclegan_audio.reports.evaluation.evaluate import evaluate
from cyclegan_audio.reports.evaluation.first_screen import chosen_rows, headline, rank_clips
from cyclegan_audio.reports.evaluation.scorecard import scorecard
from cyclegan_audio.reports.evaluation.scoring import DirectionScores
from cyclegan_audio.reports.evaluation.translations import DirectionResult, PairedClip, TranslatedClip
from cyclegan_audio.reports.html import FAIR, GOOD, POOR, UNKNOWN, Score
from cyclegan_audio.statistics.estimates import Estimate
from tests.page_text import visible_text
from tests.reports.evaluation.test_scoring import clip

N_CLIPS = 5
CLIPS = [clip(i) for i in range(N_CLIPS)]
NOTHING = torch.zeros(1, 1)
KNOWN = {
    "model__genre_classifier": 0.9, "untouched__genre_classifier": 0.05, "real__genre_classifier": 0.97,
    "model__onset_f1": 0.9, "other_piece__onset_f1": 0.4, "untouched__onset_f1": 1.0,
    "model__chroma": 0.9, "other_piece__chroma": 0.1, "untouched__chroma": 1.0,
    "model__bass": 0.3, "other_piece__bass": 0.0, "untouched__bass": 1.0,
    "model__checkerboard_db": 1.0, "untouched__checkerboard_db": 0.5,
    "model__noise_floor_db": -60.0, "untouched__noise_floor_db": -60.0, "real__noise_floor_db": -65.0,
}  # fmt: skip
TAGGED = {"model__tagger_share": 0.8, "untouched__tagger_share": 0.0, "matched_moments__tagger_share": 0.1,
          "real__tagger_share": 1.0}  # fmt: skip


def estimates(**means: float) -> dict[str, Estimate]:
    return {name: Estimate(mean, 0, mean, mean, N_CLIPS, N_CLIPS) for name, mean in means.items()}


def direction_scores(
    spread: float = 0.01, n_tracks: int = N_CLIPS, distance: float = 0.5, **means: float
) -> DirectionScores:
    """Return scores of five clips; keys are CANDIDATE__METRIC, values the clips' mean."""
    by_candidate: dict[str, dict[str, np.ndarray]] = {
        key: {} for key in (MODEL, UNTOUCHED, OTHER_PIECE, MATCHED_MOMENTS, "real")
    }
    for key, value in means.items():
        candidate, name = key.split("__")
        by_candidate[candidate][name] = value + spread * np.array([0, 1, -1, 1, -1])
    real = by_candidate.pop("real")
    clips = [clip(i, f"t{i % n_tracks}") for i in range(N_CLIPS)]
    distances = {STATISTICS: {KERNEL: estimates(**{UNTOUCHED: 2.0, MODEL: distance})}}
    if TAGGER_SHARE in real:
        kads = {UNTOUCHED: 20.0, MODEL: 5.0, MATCHED_MOMENTS: 18.0}
        distances[TAGGER] = {KAD: estimates(**kads)}
    return DirectionScores("lofi", "trap", clips, by_candidate, clips, real, distances, [])


def lines_of(scores: DirectionScores) -> dict[str, Score]:
    return {line.name: line for line in scorecard(scores)}


def test_scorecard_has_five_lines_with_bars_and_intervals() -> None:
    lines = lines_of(direction_scores(**KNOWN, **TAGGED))
    assert [*lines] == ["Genre moves", "Drums stay", "Harmony stays", "Bass stays", "Sound is clean"]
    assert [line.verdict for line in lines.values()] == ["yes", "yes", "yes", "no", "yes"]
    assert [line.tone for line in lines.values()] == [GOOD, GOOD, GOOD, POOR, GOOD]
    genre, drums = lines["Genre moves"], lines["Drums stay"]
    assert genre.place == pytest.approx(
        (0.8, 0.8 - 0.0124, 0.8 + 0.0124), abs=1e-3
    )  # Student's t of 5 tracks
    assert genre.ends == ("untouched lofi", "real trap")
    assert drums.place[0] == pytest.approx((0.9 - 0.4) / (1.0 - 0.4))
    assert drums.limit == pytest.approx((0.7 - 0.4) / (1.0 - 0.4))
    assert drums.value == "83 % (81 to 85)"
    assert "0.90 (0.89 to 0.91)" in drums.definition
    assert headline([*lines.values()]) == (
        "The genre moves; drums and harmony stay; bass does not stay; the sound is clean."
    )
    assert headline([*lines.values()], "an equaliser is as good").endswith("; an equaliser is as good.")


@pytest.mark.parametrize("few", [{"n_tracks": 2}, {"real__genre_classifier": 0.3}])
def test_verdict_is_not_given_where_it_cannot_be_told(few: dict[str, float]) -> None:
    lines = lines_of(direction_scores(**(KNOWN | TAGGED | few)))
    assert (lines["Genre moves"].verdict, lines["Genre moves"].tone) == (
        "cannot be told from this few tracks",
        UNKNOWN,
    )
    text = headline([*lines.values()])
    assert text.startswith("Whether the genre moves cannot be told from this few tracks; ")


def test_genre_needs_both_judges() -> None:
    not_moved = TAGGED | {"model__tagger_share": 0.05}
    line = lines_of(direction_scores(**KNOWN, **not_moved))["Genre moves"]
    assert (line.verdict, line.tone) == ("for one judge of two", FAIR)
    not_for_classifier = KNOWN | TAGGED | {"model__genre_classifier": 0.1}
    line = lines_of(direction_scores(distance=2.0, **not_for_classifier))["Genre moves"]
    assert (line.verdict, line.tone) == ("for one judge of two", FAIR)
    assert "A classifier that learnt lofi and trap" in line.definition
    by_tagger = {key: value for key, value in (KNOWN | TAGGED).items() if "genre_classifier" not in key}
    line = lines_of(direction_scores(**by_tagger))["Genre moves"]
    assert line.verdict == "yes"
    assert line.definition.startswith("The independent tagger decides")
    alone = {key: value for key, value in by_tagger.items() if TAGGER_SHARE not in key}
    assert lines_of(direction_scores(**alone))["Genre moves"].verdict == "no judge"
    few = lines_of(direction_scores(n_tracks=2, **alone))["Genre moves"]
    assert few.verdict == "cannot be told from this few tracks"


def test_intervals_that_contain_the_limit_are_only_probable() -> None:
    def verdict(drums: float, n_tracks: int = N_CLIPS) -> str:
        values = KNOWN | {"model__onset_f1": drums}
        return lines_of(direction_scores(0.05, n_tracks, **values))["Drums stay"].verdict

    assert [verdict(drums) for drums in (0.9, 0.72, 0.68, 0.5)] == ["yes", "probably", "probably not", "no"]


def test_sound_is_as_clean_as_its_worst_fault() -> None:
    faults = {"model__checkerboard_db": 2.0, "model__noise_floor_db": -50.0, "model__vocoder_error_db": 0.6}
    line = lines_of(direction_scores(**(KNOWN | faults)))["Sound is clean"]
    assert line.place[0] == pytest.approx(1 - 0.5 * 10 / 6)  # 10 dB more noise than the input, limit 6 dB
    assert line.verdict == "no"
    for fault in ("checkerboard 75 %", "noise in quiet passages 17 %", "errors of the vocoder 90 %"):
        assert fault in line.definition


def direction(paired: bool = False) -> DirectionResult:
    examples = [TranslatedClip(one, NOTHING, NOTHING) for one in CLIPS]
    pairs = [
        PairedClip(one, one, NOTHING, NOTHING + error, NOTHING)
        for one, error in zip(CLIPS, (3, 1, 4, 0, 2), strict=True)
    ]
    return DirectionResult("lofi", "trap", examples, pairs if paired else [], (NOTHING, NOTHING))


def test_clips_are_ranked_by_tagger_then_pairs_then_classifier() -> None:
    scores = direction_scores(**KNOWN, model__genre_probability=0.5, model__onset_correlation=0.5)
    model = scores.by_candidate[MODEL]
    model["genre_probability"] = np.array([0.1, 0.9, 0.5, 0.3, 0.7])
    model["onset_correlation"] = np.array([0.5, 0.4, 0.3, 0.2, 0.1])
    model[TAGGER_SHARE] = np.array([0.2, math.nan, 1.2, 0.1, 0.5])
    by_tagger = rank_clips(direction(paired=True), scores)
    assert [one.clip.clip_id for one in by_tagger.clips] == ["c2", "c4", "c0", "c3", "c1"]
    assert by_tagger.labels[0] == "120 % of the way"
    assert "independent tagger" in by_tagger.rule
    del model[TAGGER_SHARE]
    by_pairs = rank_clips(direction(paired=True), scores)
    assert [one.clip.clip_id for one in by_pairs.clips] == ["c3", "c1", "c4", "c0", "c2"]
    assert by_pairs.labels[-1] == "error 4.0 dB"
    assert "the trap band plays" in by_pairs.rule
    by_classifier = rank_clips(direction(), scores)
    assert [one.clip.clip_id for one in by_classifier.clips] == ["c1", "c4", "c2", "c3", "c0"]
    assert by_classifier.labels[0] == "90 % trap"
    assert "genre classifier" in by_classifier.rule
    del model["genre_probability"]
    assert [one.clip.clip_id for one in rank_clips(direction(), scores).clips] == [
        "c0",
        "c1",
        "c2",
        "c3",
        "c4",
    ]


def test_best_middle_and_worst() -> None:
    assert [chosen_rows(n) for n in (1, 2, 3, 4, 9)] == [[0], [0, 1], [0, 1, 2], [0, 1, 3], [0, 4, 8]]


@pytest.fixture(scope="module")
def page(make_run: Callable[..., Path]) -> Path:
    """A report with all sections, and four paired clips to choose from."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cyclegan_audio.reports.evaluation.evaluate._load_tagger", lambda *_: "not here")
        return evaluate(make_run("first"), clips=2, vocoder="mask")


def test_page_begins_with_lead_players_rule_and_scorecard(page: Path) -> None:
    text = page.read_text()
    assert re.search(
        r'<p class="lead">The model first learnt from dull and bright in 500 steps to turn dull into bright',
        text,
    )
    marks = [
        'class="lead"',
        'class="player"',
        'class="note"',
        'class="scores"',
        'id="figures"',
        'id="summary"',
        'id="gallery"',
        'id="run"',
    ]
    places = [text.index(mark, text.index("<body>")) for mark in marks]
    assert places == sorted(places)
    view = text[text.index('<section class="view"') : text.index('class="scores"')]
    assert re.findall(r"<h3>(\w+): ", view) == ["Best", "Middle", "Worst"]
    assert view.count("<audio") == 6
    assert "of 4 clips that the bright band plays" in visible_text(view)
    assert "the middle is the median" in visible_text(view)
    assert text.index('<section id="figures"') < text.index("<details")
    for name in ("gallery", "audio", "metrics", "paired", "losses", "reconstruction", "run"):
        assert f'<details id="{name}"' in text
    assert "<details open" not in text
    assert 'id="score"' not in text  # these songs have no record of their strokes
    assert "Comparison with the score: Only demo songs" in visible_text(text)


OPEN_ALL = "document.querySelectorAll('details').forEach(part => { part.open = true; })"
ENLARGED = (
    "[...document.images].filter(one => one.width > one.naturalWidth || one.height > one.naturalHeight)"
)


@pytest.mark.browser
def test_page_fits_a_phone_and_explains_words_on_a_tap(page: Path, chromium: Any) -> None:
    with chromium.new_page(viewport={"width": 390, "height": 844}) as tab:
        tab.goto(page.as_uri())
        tab.evaluate(OPEN_ALL)
        assert tab.evaluate("document.documentElement.scrollWidth") == 390
        tab.evaluate("document.querySelector('.score .tip').click()")
        meaning = tab.evaluate("document.getElementById('tip').textContent")
        assert meaning.startswith("A classifier that learnt dull and bright")
        box = tab.evaluate("document.getElementById('tip').getBoundingClientRect().toJSON()")
        assert box["left"] >= 0
        assert box["right"] <= 390
        tab.set_viewport_size({"width": 2000, "height": 900})
        tab.reload()
        tab.evaluate(OPEN_ALL)
        assert tab.evaluate(f"{ENLARGED}.length") == 0
        assert tab.evaluate("document.querySelectorAll('.view')[0].checkVisibility()")
        tab.evaluate("document.getElementById('view-2').click()")
        assert not tab.evaluate("document.querySelectorAll('.view')[0].checkVisibility()")
        assert tab.evaluate("document.querySelectorAll('.view')[1].checkVisibility()")
