"""Test classifiers on another source with and without `data.normalise`: python matching.py AUDIO CORPUS

AUDIO is a folder with lofi/ and trap/, each from two sources: drum loops of one publisher (`_hh_` in the
name), and free tracks. CORPUS is made there, without the rule on near-duplicates, as each loop is in it
twice: as it is, and dulled. Each training set is drawn `--seeds` times: four fifths of its files.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from cyclegan_audio.audio.io import decode, find_audio, save
from cyclegan_audio.config import build, compose
from cyclegan_audio.corpus.corpus import Clip, Corpus
from cyclegan_audio.corpus.normalisation import KINDS, CorpusNormalisation
from cyclegan_audio.corpus.preparation.writer import CorpusSettings, prepare_corpus
from cyclegan_audio.corpus.screening import NearDuplicates, ScreeningRules
from cyclegan_audio.corpus.sources import FolderSource
from cyclegan_audio.metrics.band_statistics import band_statistics
from cyclegan_audio.metrics.genre_classifier.linear import fit_logistic

GENRES = ("lofi", "trap")
DULL_RATE, DULL_DB = 24_000, -8.0  # what another uploader might do: nothing above 12 kHz, and quieter
SHARE = 0.8
LOOPS, FREE, DULL = "loops", "free", "dull"
# name: what lo-fi and trap are trained on, what they are tested on
QUESTIONS = {
    "loops, files apart": ((LOOPS, LOOPS), (LOOPS, LOOPS)),
    "loops, then free tracks": ((LOOPS, LOOPS), (FREE, FREE)),
    "free tracks, then loops": ((FREE, FREE), (LOOPS, LOOPS)),
    "lo-fi loops + free trap, then the other way round": ((LOOPS, FREE), (FREE, LOOPS)),
    "free lo-fi + trap loops, then the other way round": ((FREE, LOOPS), (LOOPS, FREE)),
    "lo-fi loops + dulled trap loops, then the other way round": ((LOOPS, DULL), (DULL, LOOPS)),
    "dulled lo-fi loops + trap loops, then the other way round": ((DULL, LOOPS), (LOOPS, DULL)),
}
Feature = Callable[[torch.Tensor, float], torch.Tensor]


def main() -> None:
    """Prepare, train, test and print balanced accuracies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("audio", type=Path)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    corpus = make_corpus(options.audio, options.corpus)
    clips = [
        clip
        for genre in corpus.genres
        for split in ("train", "val", "test")
        for clip in corpus.clips(genre, split)
    ]
    for genre in GENRES:
        for source in (LOOPS, FREE, DULL):
            chosen = of(clips, genre, source)
            print(f"{genre}, {source}: {len(chosen)} clips of {len({c.source for c in chosen})} files")
    for name, question in QUESTIONS.items():
        for label, feature in (("band statistics", statistics), ("levels of bands", levels)):
            for kinds in ((), KINDS):
                accuracies = [
                    ask(corpus, clips, question, feature, kinds, seed) for seed in range(options.seeds)
                ]
                kind_name = "matched" if kinds else "raw"
                print(
                    f"{name} | {label} | {kind_name}: {np.mean(accuracies):.2f} "
                    f"({min(accuracies):.2f}-{max(accuracies):.2f})",
                    flush=True,
                )


def make_corpus(audio: Path, folder: Path) -> Corpus:
    """Prepare the corpus of loops, free tracks and dulled loops, each as a separate genre."""
    music = folder.with_name(f"{folder.name}_music")
    for genre in GENRES:
        for path in find_audio(audio / genre):
            source = LOOPS if "_hh_" in path.name else FREE
            target = music / f"{genre}_{source}" / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.is_symlink():
                target.symlink_to(path.resolve())
            dulled = music / f"{genre}_{DULL}" / f"{path.stem}.flac"
            if source == LOOPS and not dulled.is_file():
                waveform, rate = decode(path, sample_rate=DULL_RATE)
                save(dulled, waveform * 10 ** (DULL_DB / 20), rate)
    rules = ScreeningRules(near_duplicates=NearDuplicates(enabled=False))
    settings = CorpusSettings(build("mel", compose("prepare").mel), screening=rules, audio="none")
    genres = {path.name: path for path in sorted(music.iterdir())}
    prepare_corpus(FolderSource(genres), folder, settings)
    return Corpus.open(folder)


def of(clips: Sequence[Clip], genre: str, source: str) -> list[Clip]:
    """Return the clips of a genre from a source."""
    return [clip for clip in clips if clip.genre == f"{genre}_{source}"]


def statistics(mels_db: torch.Tensor, frame_s: float) -> torch.Tensor:
    """Compute statistics of each band over time, without level and contrast, (N, D)."""
    return band_statistics(mels_db, frame_s).flatten(1)


def levels(mels_db: torch.Tensor, frame_s: float) -> torch.Tensor:
    """Compute mean and spread of each band in dB, (N, D)."""
    del frame_s
    return torch.cat([mels_db.mean(2), mels_db.std(2)], 1)


def ask(
    corpus: Corpus, clips: list[Clip], question: tuple, feature: Feature, kinds: Sequence[str], seed: int
) -> float:
    """Compute the balanced accuracy on clips outside of training."""
    rng = np.random.default_rng(seed)
    train, test = [], []
    for genre, known, asked in zip(GENRES, *question, strict=True):
        drawn = draw(of(clips, genre, known), rng)
        train.append(drawn)
        names = {Path(clip.source).stem for clip in drawn}
        test.append([clip for clip in of(clips, genre, asked) if Path(clip.source).stem not in names])
    match = CorpusNormalisation.from_clips(
        dict(zip(GENRES, train, strict=True)), kinds, corpus.mel, str(corpus.folder)
    )
    x, labels = features_of(corpus.normalised(match), train, feature)
    centre, scale = x.mean(0), x.std(0) + 1e-6
    fit = fit_logistic((x - centre) / scale, labels, [c.track for part in train for c in part], seed=seed)
    x, labels = features_of(corpus.normalised(match), test, feature)
    right = (fit.logits((x - centre) / scale) > 0) == (labels > 0)
    return float(np.mean([right[labels == label].mean() for label in (0, 1)]))


def draw(clips: list[Clip], rng: np.random.Generator) -> list[Clip]:
    """Sample the clips of four fifths of the files; of a single file, four fifths of its clips."""
    files = sorted({clip.source for clip in clips})
    if len(files) == 1:
        return [clips[i] for i in sorted(rng.permutation(len(clips))[: round(SHARE * len(clips))])]
    chosen = set(rng.permutation(files)[: round(SHARE * len(files))].tolist())
    return [clip for clip in clips if clip.source in chosen]


def features_of(
    corpus: Corpus, parts: Sequence[Sequence[Clip]], feature: Feature
) -> tuple[np.ndarray, np.ndarray]:
    """Compute features (N, D) and labels (N,) of the clips of both genres."""
    mels_db = torch.stack([corpus.mel_db(clip) for part in parts for clip in part])
    labels = np.repeat([0, 1], [len(part) for part in parts])
    return feature(mels_db, corpus.mel.frame_s).numpy(), labels


if __name__ == "__main__":
    main()
