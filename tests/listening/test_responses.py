"""Reading answers, and excluding listeners who miss the reference."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cyclegan_audio.listening.analysis import ALL, abx_results, compare_systems, mean_scores
from cyclegan_audio.listening.responses import miss_rate, post_screen, read_responses
from cyclegan_audio.utils.errors import UserError

Answer = Callable[..., Path]
SYSTEMS = ("source", "new", "old", "equaliser", "another piece")


def test_means_and_differences_match_hand_computation(answer: Answer) -> None:
    files = [
        answer("ann"),
        answer("bob", {"new": 90}),
        answer("cem", {"new": 70, "old": 65}),
    ]
    responses, notes = read_responses(files)
    assert notes == []
    score = {(m.system, m.direction): m for m in mean_scores(responses)}
    assert score["new", ALL].score.mean == 80
    assert score["new", "a to b"].score.mean == 80
    # Listeners' means are 80, 90, 70: error 10 / sqrt(3), t of one degree (two items) 12.706, cut off at 100.
    assert score["new", ALL].score.low == pytest.approx(max(0, 80 - 12.706 * 10 / 3**0.5), abs=0.01)
    assert score["new", ALL].score.high == 100
    assert [score[name, ALL].role for name in SYSTEMS] == ["hidden best", "run", "run", "baseline", "anchor"]
    by_pair = {(c.first, c.second): c for c in compare_systems(responses)}
    assert set(by_pair) == {("old", "new"), ("equaliser", "old"), ("equaliser", "new")}
    assert by_pair["old", "new"].difference.mean == pytest.approx((20 + 30 + 5) / 3)
    assert by_pair["old", "new"].p_corrected >= by_pair["old", "new"].p


def test_abx_matches_hand_computation(answer: Answer) -> None:
    results = abx_results(read_responses([answer("ann", right=6), answer("bob", right=4)])[0])
    assert len(results) == 1  # in either order of A and B
    assert results[0].systems == ("new", "old")
    assert (results[0].right, results[0].n) == (10, 12)
    assert results[0].by_listener == {"ann": (6, 6), "bob": (4, 6)}
    assert results[0].p == pytest.approx((66 + 12 + 1) / 2**12)  # 10, 11 or 12 of 12 by guessing
    assert (results[0].low, results[0].high) == pytest.approx((0.5159, 0.9791), abs=1e-4)  # Clopper-Pearson


def test_listener_who_misses_hidden_reference_is_excluded(answer: Answer) -> None:
    responses, _ = read_responses([answer("ann"), answer("deaf", {"source": 89})])
    kept, notes = post_screen(responses)
    assert [one.listener for one in kept] == ["ann"]
    assert notes == ["deaf is excluded: missed the hidden reference in 100 %"]
    assert miss_rate(kept[0]) == 0


def test_latest_answers_of_a_listener_are_used(answer: Answer) -> None:
    files = [answer("ann", {"new": 5}, finished="3"), answer("ann", finished="2")]
    responses, notes = read_responses(files)
    assert len(responses) == 1
    assert responses[0].ratings[1].score == 5
    assert "more than once" in notes[0]


def test_responses_to_another_test_are_refused(answer: Answer) -> None:
    with pytest.raises(UserError, match="another listening test"):
        read_responses([answer("ann"), answer("bob", test="u")])


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 9},
        {"ratings": [{"question": "piece", "direction": "w", "item": "1", "system": "new", "score": 101}]},
        {"ratings": [{"question": "piece", "direction": "w", "item": "1", "system": "new", "score": None}]},
        {"ratings": [{"question": "other", "direction": "w", "item": "1", "system": "new", "score": 1}]},
        {"abx": [{"a": "x", "b": "y", "x": "a", "answer": None}]},
        {"abx": 3},
        {"questions": []},
    ],
)
def test_damaged_file_is_a_user_error(answer: Answer, changes: dict[str, object]) -> None:
    with pytest.raises(UserError, match="is not a file of answers") as error:
        read_responses([answer("ann", **changes)])
    assert "\n" not in str(error.value)


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    for text in ("", "{", "[1]", json.dumps({"format": 2})):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(UserError, match="is not a file of answers"):
            read_responses([tmp_path / "x.json"])
    (tmp_path / "x.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="is not a file of answers"):
        read_responses([tmp_path / "x.json"])


def test_missing_file_suggests_a_similar_one(tmp_path):
    (tmp_path / "ann.json").write_text("{}")
    with pytest.raises(UserError, match=r"an.json does not exist; check the path; did you mean .*ann.json\?"):
        read_responses([tmp_path / "an.json"])
