"""Checks of values from files against the annotations of dataclasses, and of nested plain values."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest

from cyclegan_audio.utils.errors import UserError, check_number, shortened
from cyclegan_audio.utils.fields import Length, Range, check_fields, check_plain, from_mapping


@dataclass
class Song:
    title: Annotated[str, Length(1, 5)]
    bars: Annotated[int, Range(1, 64)]
    tempo: float
    mode: Literal["major", "minor"]
    chords: Annotated[list[str], Length(2, 3)]
    levels: dict[str, list[Annotated[float, Range(-60, 0)]]] = field(default_factory=dict)
    gain_db: Annotated[float, Range(-6, 6)] | None = None
    loop: bool = False
    extra: Any = None


VALID = {"title": "x", "bars": 4, "tempo": 120, "mode": "minor", "chords": ["a", "b"], "other": 1}


def test_valid_values_pass_and_other_keys_are_ignored():
    song = from_mapping(Song, VALID | {"levels": {"a": [0, -6.5]}, "gain_db": -6, "loop": True})
    check_fields(song)
    assert (song.title, song.levels, song.gain_db, song.extra) == ("x", {"a": [0, -6.5]}, -6, None)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("title", "", "song.title must have 1 to 5 items, got ''"),
        ("title", None, "song.title must be a text, got None"),
        ("bars", 0, "song.bars must be an integer >= 1 and <= 64, got 0"),
        ("bars", 4.0, "song.bars must be an integer >= 1 and <= 64, got 4.0"),
        ("bars", True, "song.bars must be an integer >= 1 and <= 64, got True"),
        ("tempo", "x", "song.tempo must be a number, got 'x'"),
        ("tempo", float("nan"), "song.tempo must be a number, got nan"),
        ("mode", "dorian", "song.mode must be major or minor, got 'dorian'"),
        ("mode", [], "song.mode must be major or minor, got []"),
        ("chords", ["a"], "song.chords must have 2 to 3 items, got ['a']"),
        ("chords", ["a", 1], "song.chords.1 must be a text, got 1"),
        ("chords", "ab", "song.chords must be a list, got 'ab'"),
        ("levels", {"a": [-61]}, "song.levels.a.0 must be a number >= -60 and <= 0, got -61"),
        ("levels", {1: []}, "song.levels must be a mapping with texts as keys, got {1: []}"),
        ("gain_db", 7, "song.gain_db must be a number >= -6 and <= 6, got 7"),
        ("loop", 1, "song.loop must be true or false, got 1"),
    ],
)
def test_a_wrong_value_is_named(name, value, message):
    song = from_mapping(Song, VALID | {name: value}, "song")
    with pytest.raises(UserError) as caught:
        check_fields(song, "song")
    assert str(caught.value) == message


def test_a_missing_field_is_named():
    with pytest.raises(UserError, match=r"^song\.bars is missing$"):
        from_mapping(Song, {key: value for key, value in VALID.items() if key != "bars"}, "song")
    with pytest.raises(UserError, match=r"^the metadata must be a mapping with texts as keys, got \[\]$"):
        from_mapping(Song, [])


def test_plain_values_are_counted_with_repetitions_and_have_a_depth():
    check_plain("x", {"a": [1, 2.5, None, True, ("b",)], "c": {}})
    with pytest.raises(UserError, match="x holds set, which is not a plain value"):
        check_plain("x", {"a": [{1}]})
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(UserError, match="x is nested more than 40 levels deep"):
        check_plain("x", loop)
    values: list[Any] = [0]
    for _ in range(30):
        values = [values, values]
    with pytest.raises(UserError, match="x holds more than 2000000 values"):
        check_plain("x", values)


def test_huge_values_have_a_short_message():
    with pytest.raises(UserError, match=r"^n must be an integer >= 0, got a huge int$"):
        check_number("n", 10**5000, low=0, integer=True)
    for value in ("x" * 10**6, [0] * 10**6, {n: n for n in range(10**5)}, "\n\x1b", [[["deep"]]] * 9):
        text = shortened(value)
        assert len(text) < 150
        assert text.isprintable()
