"""Tests of the folder of demo songs: layout, reproducibility, resuming, other settings."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from cyclegan_audio.demo import GENRES, DemoSettings, make_demo_songs
from cyclegan_audio.utils.errors import UserError

SMALL = DemoSettings(seed=4, songs_per_genre=1, paired_scores=1, seconds=4.0)


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "songs"
    reported = []
    paths = make_demo_songs(folder, SMALL, workers=1, on_song=reported.append)
    assert reported == paths
    return folder, paths


def test_the_folder_has_the_documented_layout(songs):
    folder, paths = songs
    names = {path.relative_to(folder).as_posix() for path in paths}
    expected = {f"{g}/{g}_000.wav" for g in GENRES} | {f"paired/{g}/score_000.wav" for g in GENRES}
    assert names == expected
    assert len(paths) == SMALL.n_songs == 6
    everything = expected | {name.replace(".wav", ".json") for name in expected} | {"songs.json"}
    assert set(contents(folder)) == everything
    for path in paths:
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.subtype, info.frames) == (44_100, 2, "PCM_16", 176_400)
        events = json.loads(path.with_suffix(".json").read_text())
        assert {"kick", "snare", "chords", "bass", "melody"} <= set(events["onsets_s"])
        assert all(0 <= t < 4 for times in events["onsets_s"].values() for t in times)
        assert events["genre"] in path.parts
    assert json.loads((folder / "songs.json").read_text())["seed"] == 4


def test_two_processes_write_the_same_bytes(songs, tmp_path):
    folder, _ = songs
    reported = []
    make_demo_songs(tmp_path, replace(SMALL, genres=("trap",)), workers=2, on_song=reported.append)
    assert len(reported) == 2
    written = {name: data for name, data in contents(tmp_path).items() if name != "songs.json"}
    assert written == {name: data for name, data in contents(folder).items() if "trap" in name}


def test_a_complete_folder_is_unchanged_and_an_interrupted_one_is_completed(tmp_path):
    small = replace(SMALL, genres=("lofi",), paired_scores=2)

    class Stop(Exception):
        pass

    def stop(path):
        raise Stop

    with pytest.raises(Stop):
        make_demo_songs(tmp_path, small, workers=1, on_song=stop)
    assert not (tmp_path / "songs.json").exists()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.wav")}
    assert len(before) == 1
    reported = []
    paths = make_demo_songs(tmp_path, small, workers=1, on_song=reported.append)
    assert len(paths) == 3
    assert reported == paths[1:]
    assert all(path.stat().st_mtime_ns == when for path, when in before.items())
    reported_again = []
    assert make_demo_songs(tmp_path, small, workers=1, on_song=reported_again.append) == paths
    assert reported_again == []


@pytest.mark.parametrize(
    "change", [{"seed": 5}, {"songs_per_genre": 2}, {"seconds": 5.0}, {"genres": ("lofi",)}]
)
def test_other_settings_are_refused(songs, change):
    folder, _ = songs
    before = contents(folder)
    with pytest.raises(UserError, match="another folder or delete"):
        make_demo_songs(folder, replace(SMALL, **change), workers=1)
    assert contents(folder) == before


def test_an_incomplete_folder_of_another_seed_is_refused(songs, tmp_path):
    make_demo_songs(tmp_path, replace(SMALL, genres=("lofi",)), workers=1)
    (tmp_path / "songs.json").unlink()
    with pytest.raises(UserError, match="another folder or delete"):
        make_demo_songs(tmp_path, replace(SMALL, genres=("lofi",), seed=9), workers=1)


def test_the_same_score_differs_by_genre(songs):
    folder, _ = songs
    sounds = [soundfile.read(folder / "paired" / genre / "score_000.wav")[0] for genre in GENRES]
    ids = {json.loads((folder / "paired" / g / "score_000.json").read_text())["score_id"] for g in GENRES}
    assert len(ids) == 1
    assert not np.allclose(sounds[0], sounds[2], atol=0.05)
