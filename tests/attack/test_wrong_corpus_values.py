"""Put wrong values into the settings, records and manifest of a corpus, with valid checksums."""

import copy
import shutil
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cyclegan_audio.corpus import manifest_file
from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.manifest_file import MANIFEST_FILE, read_manifest, write_manifest
from cyclegan_audio.corpus.preparation.writer import prepare_corpus
from cyclegan_audio.utils.checked_json import read_checked_json, write_checked_json
from cyclegan_audio.utils.errors import UserError
from tests.attack.corpus_damages import SETTINGS, outcome, read_all

WRONG = (None, True, -1, 0, 1e9, float("nan"), "", "../x", "x" * 300, [], [None], {}, {"a": None})


def places(values: Any, path: tuple = ()) -> Iterator[tuple]:
    """Yield the path of keys of each value in nested dicts, and in the first two items of lists."""
    items = values.items() if isinstance(values, dict) else enumerate(values[:2])
    for key, value in items:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


def with_changes(values: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield copies of nested values, each with one value replaced by a wrong one or left out."""
    for place in places(values):
        for wrong in (*WRONG, "left out"):
            changed = copy.deepcopy(values)
            parent = changed
            for key in place[:-1]:
                parent = parent[key]
            if wrong == "left out":
                del parent[place[-1]]
            else:
                parent[place[-1]] = copy.deepcopy(wrong)
            yield f"{place} = {wrong!r}", changed


def sampled(items: list, count: int | None) -> list:
    """Return `count` of the items, spread over all; None: all."""
    return items if count is None else items[:: max(1, len(items) // count)]


@pytest.mark.parametrize("count", [25, pytest.param(None, marks=pytest.mark.slow)])
def test_wrong_values_in_the_settings(original, damaged, count):
    path = damaged / "corpus.json"
    for change, values in sampled(list(with_changes(read_checked_json(path))), count):
        write_checked_json(path, values)
        data, message = outcome(lambda: read_all(damaged))
        assert message or data == original.data, change
        _, message = outcome(lambda: original.prepare(damaged))
        assert not message or "differ: " in message or "format" in message or "also has" in message, change
        if message:
            shutil.copy(original.folder / "corpus.json", path)


@pytest.mark.parametrize("seconds", [None, -1, 0, 1e9, float("nan"), float("inf"), "4", True, [4], 2**70])
def test_impossible_clip_lengths(damaged, seconds):
    path = damaged / "corpus.json"
    values = read_checked_json(path)
    values["clip"]["seconds"] = seconds
    write_checked_json(path, values)
    with pytest.raises(UserError, match=r"corpus.json cannot be read \(clip.seconds must be"):
        Corpus.open(damaged)


@pytest.mark.parametrize("key", ["mel", "clip", "screening", "split", "source", "audio", "genres"])
def test_missing_settings(original, damaged, key, caplog):
    path = damaged / "corpus.json"
    write_checked_json(path, read_checked_json(path) | {key: None})
    with pytest.raises(UserError, match=rf"corpus.json cannot be read \({key} must be a .*, got None\)"):
        Corpus.open(damaged)
    original.prepare(damaged)
    assert "corpus.json is written again, as it is damaged" in caplog.text


@pytest.mark.parametrize("count", [25, pytest.param(None, marks=pytest.mark.slow)])
def test_wrong_values_in_a_record_are_mended(original, damaged, count):
    path = min((damaged / "tracks").iterdir())
    for change, values in sampled(list(with_changes(read_checked_json(path))), count):
        write_checked_json(path, values)
        try:
            prepare_corpus(original.source, damaged, SETTINGS)
            assert len(read_all(damaged)) in (11, 12)  # a stranger's valid record may drop its clip
        except BaseException as error:
            error.add_note(change)
            raise
        shutil.copy(original.folder / "tracks" / path.name, path)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *[("array", name) for name in ("", "../x", "/etc/passwd", "a/b", ".", "a.b", None)],
        *[("index", number) for number in (-1, 2**31 - 1, None)],
        *[("start_s", time) for time in (-1.0, float("nan"), float("inf"), None)],
        *[("duration_s", time) for time in (-1.0, float("nan"), None)],
        *[("min_db", level) for level in (float("nan"), 1e30, None)],
        *[("loudness_lufs", level) for level in (float("nan"), float("inf"), 1e30)],
        *[("genre", name) for name in ("", None)],
        *[("split", name) for name in ("", "training", None)],
        ("mel_crc32", None), ("mel_crc32", 7), ("clip_id", None), ("kept", None), ("source", None),
    ],
)  # fmt: skip
def test_wrong_values_in_the_manifest(original, damaged, column, value):
    rows = read_manifest(damaged)
    rows[0][column] = value
    write_manifest(damaged, rows)
    _, message = outcome(lambda: read_all(damaged))
    assert "manifest.parquet has" in message or ".npy is damaged" in message or ".npy" in message
    original.prepare(damaged)


def test_a_manifest_that_grows_in_memory_is_refused(corpus, tmp_path, monkeypatch):
    """A text that is stored once can stand in each of a million rows."""
    monkeypatch.setattr(manifest_file, "MAX_BYTES", 1 << 24)
    table = pq.read_table(corpus / MANIFEST_FILE)
    long = pa.Table.from_pylist([{**table.to_pylist()[0], "reason": "x" * 10_000}] * 5_000, table.schema)
    pq.write_table(long, tmp_path / MANIFEST_FILE, compression="zstd")
    assert (tmp_path / MANIFEST_FILE).stat().st_size < 1 << 16
    with pytest.raises(UserError, match="rows are too large"):
        read_manifest(tmp_path)
