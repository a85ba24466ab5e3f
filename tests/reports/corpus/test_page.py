"""The page of a corpus: counts, figures and players; the same corpus gives the same bytes."""

import base64
import html
import io
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from cyclegan_audio import prepare
from cyclegan_audio.config import compose
from cyclegan_audio.corpus.bias import genre_stats
from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.manifest_file import read_manifest
from cyclegan_audio.corpus.preparation.writer import build_settings, prepare_corpus
from cyclegan_audio.corpus.sources import FolderSource, MelRecording, SourceFile
from cyclegan_audio.reports.corpus import PAGE, dropped_clips, write_corpus_page
from tests.page_text import EXTERNAL, page_text, visible_text

RATE = 22_050
DEFECTS = {  # in the third second of a song
    "silence": lambda noise: 0 * noise,
    "dc offset": lambda noise: noise + 0.2,
    "clipping": lambda noise: (20 * noise).clip(-0.5, 0.5),
}
BAD = ("clipping", "silence")  # reasons; the offset is subtracted


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> FolderSource:
    """Two genres of noise, `$low$` with half the spectrum; some seconds are bad, a song too short."""
    folder = tmp_path_factory.mktemp("music")
    rng = np.random.default_rng(0)
    for genre in ("$low$", "high"):
        for number, (reason, spoil) in enumerate(DEFECTS.items()):
            noise = rng.normal(0, 0.1, 4 * RATE)
            if genre == "$low$":
                noise = np.convolve(noise, np.sinc(np.arange(-32, 33) / 2) / 2, "same")
            else:
                noise[2 * RATE : 3 * RATE] = spoil(noise[2 * RATE : 3 * RATE])
            (folder / genre).mkdir(exist_ok=True)
            soundfile.write(folder / genre / f"{number} <{reason}>.flac", noise.clip(-1, 1), RATE)
    soundfile.write(folder / "high" / "short.wav", rng.normal(0, 0.1, RATE // 2), RATE)
    return FolderSource({genre: folder / genre for genre in ("$low$", "high")})


@pytest.fixture(scope="module")
def corpus(source, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("corpus") / "corpus"
    prepare_corpus(source, folder, build_settings(compose("prepare", ["clip.seconds=1", "workers=1"])))
    return folder


@pytest.fixture(scope="module")
def page(corpus, source) -> str:
    return write_page(corpus, source, ("high is louder",))


def write_page(folder: Path, source: FolderSource, warnings: tuple[str, ...] = ()) -> str:
    rows = read_manifest(folder)
    return write_corpus_page(folder, rows, genre_stats(rows), warnings, source).read_text()


def sounds(page: str) -> list[tuple[str, str, np.ndarray]]:
    """Return title, origin and samples of every player."""
    texts = r'<h3>([^\n]*)</h3>\s*<p class="origin">([^\n]*)</p>.*?'
    pattern = texts + r'<audio[^>]* src="data:audio/mpeg;base64,([^"]*)"'
    return [
        (title, origin, soundfile.read(io.BytesIO(base64.b64decode(data)))[0])
        for title, origin, data in re.findall(pattern, page, re.DOTALL)
    ]


def test_page_has_counts_figures_and_players(corpus, page):
    rows = read_manifest(corpus)
    kept = [row for row in rows if row["kept"]]
    assert f"{len(kept)} clips kept" in page
    assert "Warning: high is louder." in page
    for reason in BAD:
        assert re.search(rf'<th scope="row">{reason}</th><td>0</td><td>1</td>', page)
    text = visible_text(page)
    assert "DC offset subtracted from one file: high: 1 <dc offset>.flac (+0.200)." in text
    assert "Reasons without an example: shorter than a clip." in page
    assert page.count("<figure>") == 4
    assert not EXTERNAL.search(page)
    first_screen = page[: page.index('<section id="counts"')]
    assert re.findall("<h3>([^<]*)</h3>", first_screen) == [
        f"{genre} {number}" for genre in ("$low$", "high") for number in (1, 2, 3)
    ]
    assert '<details id="spectra"' in page
    assert not re.search("[{}]", page_text(page))
    players = sounds(page)
    assert len(players) == 6 + 6 + len(BAD)
    assert all(len(samples) == 44_100 for _, _, samples in players)


def test_players_match_their_labels(corpus, page):
    opened = Corpus.open(corpus)
    players = sounds(html.unescape(page))
    for genre in opened.genres:
        of_genre = [one for one in players if one[0].startswith(f"{genre} ")]
        assert len(of_genre) == 6
        clips = [clip for split in ("train", "val", "test") for clip in opened.clips(genre, split)]
        by_place = {f"{clip.source} at {clip.start_s:.2f} s": clip for clip in clips}
        for _, place, samples in of_genre:
            audio = opened.audio(by_place.pop(place)).numpy()  # MP3 keeps noise below its cutoff
            assert np.corrcoef(samples, audio)[0, 1] > 0.7
            assert samples.std() == pytest.approx(audio.std(), rel=0.15)


def test_one_dropped_clip_per_reason_is_cut_again(corpus, source):
    dropped = dropped_clips.one_clip_per_reason(read_manifest(corpus), source, 1.0, Corpus.open(corpus).mel)
    assert [one.row["reason"] for one in dropped] == list(BAD)
    assert {one.row["start_s"] for one in dropped} == {2.0}
    by_reason = {one.row["reason"]: one for one in dropped}
    assert by_reason["silence"].mono.square().mean() < 1e-5
    assert by_reason["clipping"].mel_db.shape == (128, Corpus.open(corpus).clip_frames)


def test_a_clip_is_cut_again_without_its_dc_offset(corpus, source):
    rows = [row for row in read_manifest(corpus) if row["source"] == "1 <dc offset>.flac"]
    (row,) = (row for row in rows if row["genre"] == "high" and row["start_s"] == 2)
    for offset, mean in ((row["dc_offset"], 0.0), (None, 0.2)):
        dropped = row | {"kept": False, "reason": "of a test", "dc_offset": offset}
        (clip,) = dropped_clips.one_clip_per_reason([dropped], source, 1.0, Corpus.open(corpus).mel)
        assert clip.mono.mean() == pytest.approx(mean, abs=0.01)


def test_same_corpus_gives_the_same_page_and_keeps_the_file(corpus, source, page, tmp_path):
    shutil.copytree(corpus, tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / PAGE).write_text(page)
    written = (tmp_path / "elsewhere" / PAGE).stat().st_mtime_ns
    assert write_page(tmp_path / "elsewhere", source, ("high is louder",)) == page
    assert (tmp_path / "elsewhere" / PAGE).stat().st_mtime_ns == written


def test_page_names_missing_audio_and_source_files(corpus, source, tmp_path):
    shutil.copytree(corpus, tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / "audio")
    gone = FolderSource({genre: tmp_path / "gone" for genre in source.genres})
    page = write_page(tmp_path / "out", gone)
    assert sounds(page) == []
    assert "high, no audio in the corpus: 1: " in page
    assert "Reasons without an example: clipping; shorter than a clip; silence." in page


class Mels(MelRecording):
    """Three mels of one second, the second of them unreadable."""

    def mels(self, mel, n_frames):
        yield 0.0, torch.full((mel.n_mels, n_frames), -50.0), ""
        yield 1.0, None, "torn"
        yield 2.0, torch.full((mel.n_mels, n_frames), -20.0), ""


def test_dropped_mels_have_no_audio(corpus):
    class Source:
        def files(self) -> list[SourceFile]:
            return [Mels("a", Path("x"), "x")]

    reasons = ("", "torn", "near-duplicate")
    rows = [
        {
            "genre": "a",
            "source": "x",
            "start_s": float(n),
            "duration_s": 1.0,
            "kept": not reason,
            "reason": reason,
        }
        for n, reason in enumerate(reasons)
    ]
    (dropped,) = dropped_clips.one_clip_per_reason(rows, Source(), 1.0, Corpus.open(corpus).mel)
    assert (dropped.row["reason"], float(dropped.mel_db.max()), dropped.mono) == (
        "near-duplicate",
        -20.0,
        None,
    )


@pytest.fixture
def run(monkeypatch, tmp_path, source):
    """Run prepare on the source into tmp_path/out, with further arguments."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")

    def command(*more: str) -> Path:
        genres = [word for name, path in source.genres.items() for word in ("--genre", f"{name}={path}")]
        out = tmp_path / "out"
        monkeypatch.setattr(
            sys, "argv", ["prepare", *genres, f"corpus={out}", "clip.seconds=1", "workers=1", *more]
        )
        prepare.main()
        return out

    return command


def test_prepare_writes_the_page_unless_switched_off(run, caplog):
    out = run("page=false")
    assert not (out / PAGE).exists()
    (out / ".1.part.html").write_text("left by a kill")
    run()
    assert (out / PAGE).read_text().endswith("</html>")
    assert not list(out.glob(".*"))


def test_failed_page_keeps_the_corpus(run, monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("no\nfont")

    monkeypatch.setattr("cyclegan_audio.reports.corpus.write_corpus_page", broken)
    (run("page=false") / PAGE).write_text("of another corpus")
    out = run()
    assert "the corpus is complete" in caplog.text
    assert "(no font)" in caplog.text
    assert not (out / PAGE).exists()
    assert Corpus.open(out).n_clips > 0
