"""Corpora of the page: names and folders that it takes, what was kept, and their removal."""

import shutil
from pathlib import Path

import pytest

from cyclegan_audio.prepare import genres_to_override
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.web.corpora import (
    FOLDER,
    GenreMusic,
    check_corpus,
    check_folder,
    check_genre,
    corpus_warnings,
    delete_corpus,
    describe_corpus,
    gather_files,
    list_corpora,
    new_folder,
    prepare_arguments,
    training_genres,
)
from cyclegan_audio.web.markdown import as_text


@pytest.fixture
def runs(corpus, tmp_path) -> Path:
    """Return a folder of runs with a corpus of `low` and `high`."""
    shutil.copytree(corpus, tmp_path / FOLDER / "low_high")
    return tmp_path


@pytest.mark.parametrize("name", ["lofi", " drum & bass ", "R'n'B", "90's-house.2", "日本のジャズ"])
def test_names_of_genres(name):
    assert check_genre(name) == name.strip()


@pytest.mark.parametrize(
    "name",
    ["a=b", "a,b", "${oc.env:HOME}", "{a}", "[a]", "../x", "a/b", "-x", "null", "x\ny", "a" * 41, "'a'"],
)
def test_names_with_a_meaning_in_settings_are_refused(name):
    with pytest.raises(UserError, match="cannot be the name of a genre"):
        check_genre(name)


@pytest.mark.parametrize("name", [None, "", "  "])
def test_a_genre_needs_a_name(name):
    with pytest.raises(UserError, match="a genre has no name"):
        check_genre(name)


def test_folders_are_checked(tmp_path):
    assert check_folder("lofi", f" {tmp_path} ") == tmp_path
    with pytest.raises(UserError, match="the music of lofi is missing"):
        check_folder("lofi", "")
    for name in (str(tmp_path / "nowhere"), "~nobody_here/music", "x" * 300, "a\0b"):
        with pytest.raises(UserError, match="is not a folder of this machine"):
            check_folder("lofi", name)


def test_a_folder_that_may_not_be_opened_is_refused(tmp_path, monkeypatch):
    def refuse(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_dir", refuse)
    with pytest.raises(UserError, match="is not a folder of this machine"):
        check_folder("lofi", str(tmp_path))


def test_odd_paths_reach_prepare_as_they_are(tmp_path):
    odd = tmp_path / "${oc.env:HOME},[x]='y' {z}=ü"
    odd.mkdir()
    arguments = prepare_arguments(GenreMusic("a", odd), GenreMusic("b", tmp_path), tmp_path / "corpus")
    assert arguments[:2] == ["--genre", f"a={odd}"]
    (encoded,) = [word for word in genres_to_override([f"genre=a={odd}"]) if word.startswith("genre_folders")]
    assert not set("${},= ").intersection(encoded.removeprefix("genre_folders=["))


def test_two_genres_need_two_names(tmp_path):
    with pytest.raises(UserError, match="both genres are called Jazz"):
        prepare_arguments(GenreMusic("Jazz", tmp_path), GenreMusic("jazz", tmp_path), tmp_path / "corpus")


def test_dropped_files_with_equal_names_are_all_kept(tmp_path):
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "song.wav").write_text(str(number))
    folder = gather_files([tmp_path / str(number) / "song.wav" for number in range(3)], tmp_path / "all")
    assert {file.name: file.read_text() for file in folder.iterdir()} == {
        "song.wav": "0", "song_2.wav": "1", "song_3.wav": "2",
    }  # fmt: skip


def test_new_folders_stay_inside_and_are_new(tmp_path):
    names = [new_folder(tmp_path, name) for name in ("Lo-Fi & Trap", "../../etc", "", "日本", ".app")]
    assert [folder.name for folder in names] == ["lo-fi_trap", "etc", "mine", "mine", "app"]
    assert all(folder.parent == tmp_path for folder in names)
    names[0].mkdir()
    assert new_folder(tmp_path, "Lo-Fi & Trap").name == "lo-fi_trap_2"


def test_a_corpus_is_described_with_its_warnings(runs):
    (folder,) = list_corpora(runs)
    text = describe_corpus(folder)
    assert "minutes of high" in text
    assert as_text(str(folder)) in text
    assert "| kept | " in text
    assert any("bandwidth" in line for line in corpus_warnings(folder))
    assert "* Warning: low ends at" in text
    assert training_genres(folder) == ("high", "low")


def test_the_name_of_a_corpus_is_text(runs):
    folder = runs / FOLDER / "<img src=x>`*a*"
    (runs / FOLDER / "low_high").rename(folder)
    text = describe_corpus(folder)
    assert text.count(as_text(folder.name)) == 2
    assert folder.name not in text


def test_a_corpus_is_deleted_by_its_name_only(runs, tmp_path):
    other = tmp_path / "outside"
    shutil.copytree(runs / FOLDER / "low_high", other)
    for name in (None, "", ".", "..", "../outside", str(other)):
        with pytest.raises(UserError, match="there is no such corpus"):
            delete_corpus(runs, name)
    assert delete_corpus(runs, "low_high") == runs / FOLDER / "low_high"
    assert not (runs / FOLDER / "low_high").exists()
    assert other.is_dir()


def test_a_link_is_not_deleted(runs, tmp_path):
    shutil.move(runs / FOLDER / "low_high", tmp_path / "elsewhere")
    (runs / FOLDER / "low_high").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="is not a corpus that the page has made"):
        delete_corpus(runs, "low_high")
    assert (tmp_path / "elsewhere" / "corpus.json").is_file()


def test_an_unknown_corpus_is_refused(runs):
    assert check_corpus(runs, "low_high").name == "low_high"
    with pytest.raises(UserError, match="there is no such corpus"):
        check_corpus(runs, "../low_high")
