"""Tests of the verb `prepare`: genres and folders, errors, shards."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cyclegan_audio import prepare
from cyclegan_audio.config import compose
from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.sources import FolderSource
from cyclegan_audio.utils.errors import UserError
from tests.corpus.noise_songs import write_genres, write_noise

# genre: folder, with special characters of shells, Hydra's grammar and interpolations
AWKWARD = {
    "lofi": "Lofi [2018] & more",
    "r&b": "Bob's, vol. #1",
    "trap": "~x=y",
    "${oc.env:HOME}": "${x}",
    "Musik für 'dich'": 'a "b" \\ {c: d}, 100%41',
    "???": "null",
}


BOTH = ("--genre", "lofi=lofi", "--genre", "trap=trap", "corpus=out")


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run the command with these arguments in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")

    def command(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["prepare", *arguments])
        prepare.main()

    return command


def test_paths_and_genres_are_literal(run, tmp_path, capsys):
    options = []
    for number, (genre, folder) in enumerate(AWKWARD.items()):
        for track in range(3):
            write_noise(tmp_path / folder / f"a=b [{track}], c.wav", 1.1, seed=10 * number + track)
        options += ["--genre", f"{genre}={folder}"]
    run(*options, "corpus=out", "clip.seconds=1", "workers=2", "screening.voice.enabled=false")
    corpus = Corpus.open("out")
    assert set(corpus.genres) == set(AWKWARD)
    for genre in AWKWARD:
        assert corpus.clips(genre, "train")[0].source.startswith("a=b [")
    assert not [path for path in (tmp_path / "out").rglob("*") if "=" in path.name]
    output = capsys.readouterr().out
    assert "kept" in output
    assert "0.3 minutes of music in out" in output
    assert "page: out/corpus.html\n" in output
    assert output.endswith(
        "next: cyclegan-audio train corpus=out 'genre_pair.a=${oc.env:HOME}' 'genre_pair.b=???'\n"
    )
    assert not re.search(r"[\r\x1b]", output)
    assert {path.name for path in tmp_path.iterdir()} == {"out", *AWKWARD.values()}  # Hydra leaves nothing


def test_other_arguments_go_to_hydra():
    arguments = ["mel=paper", "genre=a=x y", "-m", "seed=1,2", "genre=b==c"]
    assert prepare.genres_to_override(arguments) == [
        "mel=paper",
        "-m",
        "seed=1,2",
        "genre_folders=['a%3Dx%20y','b%3D%3Dc']",
    ]
    assert prepare.genres_to_override(["source=demo"]) == ["source=demo"]


def test_the_configuration_may_name_folders(tmp_path):
    genres = write_genres(tmp_path)
    cfg = compose("prepare", [f"+source.genres.{name}={folder}" for name, folder in genres.items()])
    assert len(prepare.make_source(cfg).files()) == 8


@pytest.mark.parametrize("same", ["lofi", "lofi/", "link", "lofi/deeper", "."])
@pytest.mark.parametrize("swapped", [False, True])
def test_genres_that_share_music_are_refused(run, tmp_path, capsys, same, swapped):
    write_noise(tmp_path / "lofi" / "deeper" / "a.wav", 1.1, seed=0)
    (tmp_path / "link").symlink_to("lofi")
    genres = [f"one={same}", "two=lofi"] if not swapped else ["one=lofi", f"two={same}"]
    with pytest.raises(SystemExit):
        run("--genre", genres[0], "--genre", genres[1], "corpus=out")
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "share" in error
    assert error.endswith("give each genre a folder of its own\n")
    assert error.count("\n") == 1
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--genre", "lofi=lofi", "corpus=out"], "only the genre 'lofi' is given"),
        (["corpus=out"], "no genre is given"),
        (["--genre", "lofi=lofi", "--genre", "lofi=trap", "corpus=out"], "given twice"),
        (["--genre", "lofi", "corpus=out"], "needs NAME=FOLDER"),
        (["corpus=out", "--genre"], "--genre needs NAME=FOLDER"),
        (["--genre", "lofi=lofi", "--genre", "trap=nowhere", "corpus=out"], "trap: nowhere is not a folder"),
        (["--genre", "lofi=lofi", "--genre", "trap=empty", "corpus=out"], "empty has no audio files"),
        (["--genre", "lofi=lofi", "--genre", "trap=trap"], "add corpus=FOLDER"),
        (["--genre", "lofi=lofi", "source=demo", "corpus=out"], "source=folders, mixes or images"),
        (
            ["--genre", "lofi=lofi", "--genre", "trap=trap", "corpus=out", "audio=some"],
            "audio=some is unknown",
        ),
        (["--genre", "lofi=lofi", "--genre", "trap=trap", "corpus=out", "clip.seconds=0"], "too short"),
        (["--genre", "lofi=lofi", "--genre", "trap=trap", "corpus=out", "clip.secnds=4"], "secnds"),
        (
            [*BOTH, "clip.seconds=abc"],
            "clip.seconds must be a number >= 0, got 'abc'",
        ),
        ([*BOTH, "workers=many"], "workers must be an integer >= 1, got 'many'"),
        ([*BOTH, "split.val=[1]"], "split.val must be a number >= 0 and <= 1, got [1]"),
        ([*BOTH, "split.by=song"], "split.by=song"),
        (
            [*BOTH, "shard=2", "num_shards=2"],
            "shard must be an integer >= 0 and <= 1, got 2",
        ),
        ([*BOTH, "merge=true"], "holds no shards"),
    ],
)
def test_invalid_input_gives_one_line_and_writes_nothing(run, tmp_path, capsys, arguments, message):
    write_genres(tmp_path, tracks=1, seconds=1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit) as ended:
        run(*arguments)
    output = capsys.readouterr().err
    assert ended.value.code == 2
    assert message in output
    assert output.startswith("error: ")
    assert len(output.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_genre_without_a_name_is_refused(tmp_path):
    folder = write_genres(tmp_path, ("lofi",), tracks=1)["lofi"]
    with pytest.raises(UserError, match="has no name"):
        FolderSource({" ": folder, "lofi": folder}).files()


def test_help_has_the_genre_option(run, capsys):
    run("--help")
    assert "--genre NAME=FOLDER" in capsys.readouterr().out


@pytest.mark.parametrize(
    "launcher",
    [(), pytest.param(("launcher=joblib",), marks=pytest.mark.slow)],  # loky's processes start slowly
    ids=["in turn", "joblib"],
)
def test_shards_through_a_launcher_merge_to_the_corpus_of_one_command(run, tmp_path, capfd, launcher):
    write_genres(tmp_path, seconds=1.2)
    choice = (*BOTH[:-1], "clip.seconds=1")
    run(*choice, "corpus=alone", "workers=1")
    run("-m", "shard=0,1", "num_shards=2", *choice, "corpus=shared", "workers=1", *launcher)
    assert "shard 1 of 2 is done" in capfd.readouterr().out
    run(*choice, "merge=true", "num_shards=2", "corpus=shared")
    alone, shared = (
        {str(p.relative_to(tmp_path / name)): p.read_bytes() for p in (tmp_path / name).rglob("*.*")}
        for name in ("alone", "shared")
    )
    assert len(Corpus.open(tmp_path / "shared").clips("lofi", "train")) == 2
    assert shared == alone
    assert {path.name for path in tmp_path.iterdir()} == {"lofi", "trap", "alone", "shared", "runs"}


def test_a_genre_without_training_clips_is_warned_of_and_not_suggested(tmp_path, capsys, caplog):
    splits = {"jazz": "train", "lofi": "val", "trap": "train"}
    rows = [
        {"genre": genre, "source": "a.wav", "split": split, "kept": True, "reason": "", "duration_s": 30.0}
        for genre, split in splits.items()
    ]
    prepare.print_summary(tmp_path, rows)
    assert "warning: lofi has no training clips" in caplog.text
    error = capsys.readouterr().out
    assert "1.5 minutes of music in" in error
    assert error.endswith("genre_pair.a=jazz genre_pair.b=trap\n")
    prepare.print_summary(tmp_path, rows[:2])
    assert "next:" not in capsys.readouterr().out


def test_songs_that_lost_most_and_subtracted_offsets_are_told(run, tmp_path, capsys):
    write_genres(tmp_path, tracks=3, seconds=3.2)
    for name in ("loop", "offset"):
        samples, rate = soundfile.read(tmp_path / "trap" / "song 0.wav")
        changed = np.tile(samples[:rate], 5) if name == "loop" else samples[::-1] + 0.05
        soundfile.write(tmp_path / "trap" / f"{name}.wav", changed, rate)
    run(*BOTH, "clip.seconds=1", "workers=1", "page=false")
    output = capsys.readouterr().out
    assert re.search(r"^trap: loop\.wav lost [345] of 5 clips: [345] x near-duplicate$", output, re.M)
    assert "DC offset subtracted from one file: trap: offset.wav (+0.05" in output
    assert "max_alike=N keeps N in training\n" in output
    for name in ("loop", "offset"):
        (tmp_path / "trap" / f"{name}.wav").unlink()
    run(*BOTH, "clip.seconds=1", "workers=1", "page=false")
    assert not re.search("lost|DC offset|max_alike", capsys.readouterr().out)
