"""Songs with odd DC offsets, drifts, steps and damaged samples: prepare keeps only clips that are sound."""

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.preparation.clip_stream import ClipSettings
from cyclegan_audio.corpus.preparation.writer import CorpusSettings, prepare_corpus
from cyclegan_audio.corpus.sources import FolderSource
from tests.corpus.noise_songs import load_mel, write_genres

DAMAGE = (math.nan, math.inf, -math.inf, 1e20, -1e6, 3e38, 5.0)


def write_odd_song(path: Path, seed: int) -> None:
    """Write 5 s of noise of random level, rate and channels with random offsets and damage."""
    rng = np.random.default_rng(seed)
    rate, channels = int(rng.choice([8000, 22_050, 44_100, 96_000])), int(rng.integers(1, 4))
    n = 5 * rate
    song = rng.normal(0, 10 ** rng.uniform(-2.5, -0.5), (n, channels))
    song += rng.choice([0.0, 0.009, 0.02, 0.3, -0.6, 3.0], channels, p=[0.3, 0.1, 0.3, 0.1, 0.1, 0.1])
    if rng.random() < 0.5:  # a drift
        song += rng.uniform(-0.3, 0.3) * np.sin(np.arange(n)[:, None] / rate * rng.uniform(0.1, 3))
    if rng.random() < 0.5:  # a step
        song[int(rng.integers(n)) :] += rng.uniform(-1, 1)
    if rng.random() < 0.3:  # the converter's rails
        song = song.clip(-1, 1)
    for _ in range(int(rng.integers(0, 3))):
        song[int(rng.integers(n)), int(rng.integers(channels))] = rng.choice(DAMAGE)
    soundfile.write(path, song.astype(np.float32), rate, subtype="FLOAT")


def prepare_odd_songs(folder: Path, seeds: range) -> None:
    genres = write_genres(folder, tracks=3)
    for seed in seeds:
        write_odd_song(folder / "lofi" / f"seed {seed}.wav", seed)
    settings = CorpusSettings(load_mel("hifi"), ClipSettings(1.0), workers=1)
    rows = prepare_corpus(FolderSource(genres), folder / "out", settings)
    assert {row["source"] for row in rows} >= {f"seed {seed}.wav" for seed in seeds}
    corpus = Corpus.open(folder / "out")
    clips = [clip for split in ("train", "val", "test") for clip in corpus.clips("lofi", split)]
    for clip in clips:
        assert corpus.mel_db(clip).isfinite().all(), clip.source
        assert abs(float(corpus.audio(clip).mean())) < 0.02, clip.source
    assert len({clip.source for clip in clips if clip.source.startswith("seed")}) > len(seeds) / 2


@pytest.mark.filterwarnings("ignore:overflow")
def test_odd_offsets(tmp_path):
    prepare_odd_songs(tmp_path, range(12))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("first", range(0, 400, 100))
def test_many_odd_offsets(tmp_path, first):
    prepare_odd_songs(tmp_path, range(first, first + 100))
