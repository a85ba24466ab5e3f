"""Tests of the `Source` protocol: sources of the package follow it, and external classes need no more."""

import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from cyclegan_audio import prepare
from cyclegan_audio.config import CONF_DIR
from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.sources import MelRecording, Source, SourceFile
from tests.corpus.noise_songs import write_noise


@dataclass(frozen=True)
class Tone(MelRecording):
    """Three clips of a tone in noise, synthesised on demand."""

    hz: float = 0.0

    def digest(self):
        return hashlib.sha256(repr(self.hz).encode()).hexdigest()

    def mels(self, mel, n_frames):
        for clip in range(3):
            yield float(clip), mel.mel_db(self.wave(clip, mel.sample_rate)[None])[0], ""

    def wave(self, clip, rate):
        noise = torch.randn(rate, generator=torch.Generator().manual_seed(round(self.hz) + clip))
        return 0.1 * torch.sin(2 * torch.pi * self.hz * torch.arange(rate) / rate) + 0.01 * noise


class ToneSource:
    """Lists recordings that are computed, without files."""

    default_corpus = None
    split_by = "track"

    def __init__(self, base_hz: dict[str, float]) -> None:
        self.base_hz = base_hz

    def files(self):
        return [
            Tone(genre, Path(f"{genre} {number}"), f"tone {number}", hz=hz * (1 + number))
            for genre, hz in sorted(self.base_hz.items())
            for number in range(4)
        ]

    def describe(self):
        return {"kind": "tones", "base_hz": self.base_hz}


class ListedSource:
    """Lists one folder of audio files whose names start with the genre."""

    split_by = "track"

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.default_corpus = self.folder.parent / "listed"

    def files(self):
        paths = sorted(self.folder.glob("*.wav"))
        return [SourceFile(path.name.partition("-")[0], path, path.name) for path in paths]

    def describe(self):
        return {"kind": "listed", "folder": str(self.folder)}


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Return a function that runs `prepare` with a source configured outside of the package."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")

    def command(source: type, options: dict, *arguments: str) -> None:
        path = tmp_path / "my_conf" / "source" / "mine.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"_target_": f"{__name__}.{source.__name__}"} | options))
        shared = ("source=mine", "clip.seconds=1", "page=false", "workers=2")
        monkeypatch.setattr(sys, "argv", ["prepare", "--config-dir", "my_conf", *shared, *arguments])
        prepare.main()

    return command


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONF_DIR / "source").glob("*.yaml")))
def test_sources_of_the_package_follow_the_protocol(name):
    source = instantiate(OmegaConf.load(CONF_DIR / "source" / f"{name}.yaml"), _convert_="all")
    assert isinstance(source, Source)
    assert source.split_by in ("track", "block")
    assert source.default_corpus is None or isinstance(source.default_corpus, Path)
    assert json.loads(json.dumps(source.describe()))["kind"] == name


def test_an_external_source_may_compute_its_music(run):
    run(ToneSource, {"base_hz": {"low": 110.0, "high": 880.0}}, "corpus=out")
    corpus = Corpus.open("out")
    assert corpus.genres == ("high", "low")
    clips = [clip for split in ("train", "val", "test") for clip in corpus.clips("low", split)]
    times = {(clip.source, clip.start_s) for clip in clips}
    assert times == {(f"tone {number}", start_s) for number in range(4) for start_s in range(3)}
    clip = next(clip for clip in clips if (clip.source, clip.start_s) == ("tone 2", 1.0))
    (tone,) = [file for file in ToneSource({"low": 110.0}).files() if file.source == "tone 2"]
    expected = corpus.mel.mel_db(tone.wave(1, corpus.mel.sample_rate)[None])[0]
    torch.testing.assert_close(corpus.mel_db(clip), expected, atol=1e-3, rtol=0)
    described = json.loads(Path("out/corpus.json").read_text())["source"]
    assert described == {"kind": "tones", "base_hz": {"low": 110.0, "high": 880.0}}


def test_an_external_source_may_list_files_by_other_rules(run, tmp_path):
    for index, genre in enumerate(("jazz", "lofi")):
        for number in range(3):
            write_noise(tmp_path / "all" / f"{genre}-{number}.wav", 2.2, seed=10 * index + number)
    run(ListedSource, {"folder": "all"})
    corpus = Corpus.open("listed")
    assert corpus.genres == ("jazz", "lofi")
    (train,) = {clip.source for clip in corpus.clips("jazz", "train")}
    assert train.startswith("jazz-")
    assert corpus.audio(corpus.clips("jazz", "train")[0]).std() == pytest.approx(0.1, rel=0.1)
