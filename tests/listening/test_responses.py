import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cyclegan_audio.listening.analysis import ALL, contrasts, means, told_apart
from cyclegan_audio.listening.responses import miss_rate, post_screen, read
from cyclegan_audio.utils.errors import UserError

Answer = Callable[..., Path]
SYSTEMS = ("source", "new", "old", "equaliser", "another piece")


def test_means_and_differences_by_hand(answer: Answer) -> None:
    files = [
        answer("ann"),
        answer("bob", {"new": 90}),
        answer("cem", {"new": 70, "old": 65}),
    ]
    answers, notes = read(files)
    assert notes == []
    score = {(m.system, m.way): m for m in means(answers)}
    assert score["new", ALL].score.mean == 80
    assert score["new", "a to b"].score.mean == 80
    # Listeners' means are 80, 90, 70: error 10 / sqrt(3), t of one degree (two items) 12.706, cut off at 100.
    assert score["new", ALL].score.low == pytest.approx(max(0, 80 - 12.706 * 10 / 3**0.5), abs=0.01)
    assert score["new", ALL].score.high == 100
    assert [score[name, ALL].role for name in SYSTEMS] == ["hidden best", "run", "run", "baseline", "anchor"]
    found = {(c.first, c.second): c for c in contrasts(answers)}
    assert set(found) == {("old", "new"), ("equaliser", "old"), ("equaliser", "new")}
    assert found["old", "new"].difference.mean == pytest.approx((20 + 30 + 5) / 3)
    assert found["old", "new"].corrected >= found["old", "new"].p


def test_abx_by_hand(answer: Answer) -> None:
    told = told_apart(read([answer("ann", right=6), answer("bob", right=4)])[0])
    assert len(told) == 1  # whichever stood at the left
    assert told[0].systems == ("new", "old")
    assert (told[0].right, told[0].n) == (10, 12)
    assert told[0].by_listener == {"ann": (6, 6), "bob": (4, 6)}
    assert told[0].p == pytest.approx((66 + 12 + 1) / 2**12)  # 10, 11 or 12 of 12 by guessing
    assert (told[0].low, told[0].high) == pytest.approx((0.5159, 0.9791), abs=1e-4)  # Clopper-Pearson


def test_who_misses_the_hidden_reference_is_left_out(answer: Answer) -> None:
    answers, _ = read([answer("ann"), answer("deaf", {"source": 89})])
    kept, notes = post_screen(answers)
    assert [one.listener for one in kept] == ["ann"]
    assert notes == ["deaf is left out: missed the hidden reference in 100 %"]
    assert miss_rate(kept[0]) == 0


def test_the_last_answers_of_a_listener_count(answer: Answer) -> None:
    files = [answer("ann", {"new": 5}, finished="3"), answer("ann", finished="2")]
    answers, notes = read(files)
    assert len(answers) == 1
    assert answers[0].ratings[1].score == 5
    assert "more than once" in notes[0]


def test_answers_of_another_test(answer: Answer) -> None:
    with pytest.raises(UserError, match="another listening test"):
        read([answer("ann"), answer("bob", test="u")])


@pytest.mark.parametrize(
    "more",
    [
        {"format": 9},
        {"ratings": [{"question": "piece", "way": "w", "item": "1", "system": "new", "score": 101}]},
        {"ratings": [{"question": "piece", "way": "w", "item": "1", "system": "new", "score": None}]},
        {"ratings": [{"question": "other", "way": "w", "item": "1", "system": "new", "score": 1}]},
        {"abx": [{"a": "x", "b": "y", "x": "a", "answer": None}]},
        {"abx": 3},
        {"questions": []},
    ],
)
def test_damaged_answers_are_one_line(answer: Answer, more: dict[str, object]) -> None:
    with pytest.raises(UserError, match="no file of answers") as told:
        read([answer("ann", **more)])
    assert "\n" not in str(told.value)


def test_foreign_files(tmp_path: Path) -> None:
    for text in ("", "{", "[1]", json.dumps({"format": 1})):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(UserError, match="no file of answers"):
            read([tmp_path / "x.json"])
    (tmp_path / "x.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="no file of answers"):
        read([tmp_path / "x.json"])


def test_a_file_that_is_not_there_is_told_with_one_like_it(tmp_path):
    (tmp_path / "ann.json").write_text("{}")
    with pytest.raises(UserError, match=r"an.json does not exist; check the path; did you mean .*ann.json\?"):
        read([tmp_path / "an.json"])
