"""The classifier (or the linear one), blocks kept apart, clips as they are and made worse: classifiers.py CORPUS A B

Five folds over tracks (or blocks), dealt anew by each seed; for each, every clip is judged once, by a classifier
that knows nothing of its track, and by each of its two branches alone.
"""

import argparse
import time
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.metrics.genre_classifier.augmentation import add_noise, low_pass
from cyclegan_audio.metrics.genre_classifier.calibration import fit_temperature, reliability
from cyclegan_audio.metrics.genre_classifier.classifier import (
    BLOCK,
    LINEAR,
    LOW_PASS_HZ,
    NETWORK,
    SETTINGS,
    ClassifierNetwork,
    logits,
)
from cyclegan_audio.metrics.genre_classifier.linear import train_linear
from cyclegan_audio.metrics.genre_classifier.network import GenreNet
from cyclegan_audio.metrics.genre_classifier.training import train_net
from cyclegan_audio.statistics.proportions import balanced_accuracy

FOLDS = 5
NOISES_DB = (60.0, 50.0, 40.0, 30.0)  # under each clip's loudest point
SPLITS = ("train", "val", "test")


class Clips(NamedTuple):
    """Mels (N, M, F), labels (N,), tracks (N,), and what the mels are."""

    mels_db: Tensor
    labels: np.ndarray
    tracks: np.ndarray
    mel: MelSpectrogram


def read_clips(corpus: Corpus, genres: list[str]) -> Clips:
    """All clips of two genres, of every split."""
    clips = [clip for genre in genres for split in SPLITS for clip in corpus.clips(genre, split)]
    labels = np.array([genres.index(clip.genre) for clip in clips])
    tracks = np.array([clip.track for clip in clips])
    return Clips(torch.stack([corpus.mel_db(clip) for clip in clips]), labels, tracks, corpus.mel)


@torch.inference_mode()
def by_branch(net: ClassifierNetwork, mels_db: Tensor) -> dict[str, Tensor]:
    """Logits (N,) of clips (N, M, F), and those of each branch."""
    if not isinstance(net, GenreNet):
        return {"": logits(net, mels_db)}
    seen = [net.branch_inputs(block) for block in mels_db.split(BLOCK)]
    statistics = torch.cat([net.statistics(own) for own, _ in seen])
    convolutions = torch.cat([net.convolutions(own) for _, own in seen])
    alone = {", statistics alone": statistics, ", convolutions alone": convolutions}
    return {"": net.combine_logits(statistics, convolutions), **alone}


def cross_validated(options: argparse.Namespace, clips: Clips, seed: int) -> dict[str, np.ndarray]:
    """Logits (N,) of each case; prints after each fold."""
    from sklearn.model_selection import StratifiedGroupKFold

    mels_db, labels, tracks, mel = clips.mels_db, clips.labels, clips.tracks, clips.mel
    found: dict[str, np.ndarray] = {}
    temperature, done = np.ones(len(labels)), np.zeros(0, int)
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for fold, (train, test) in enumerate(folds.split(labels, labels, tracks), 1):
        start = time.process_time()
        net: ClassifierNetwork
        train_db, train_labels = mels_db[train], torch.from_numpy(labels[train])
        known = train_db, train_labels, tracks[train].tolist(), mel.band_hz, mel.frame_s
        if options.kind == NETWORK:
            net, left_out = train_net(*known, SETTINGS)
        else:
            net, left_out = train_linear(*known)
        temperature[test] = fit_temperature(left_out, train_labels)
        part = f", convolutions have {net.mixing_weight:.0%}" if isinstance(net, GenreNet) else ""
        print(f"fold {fold}: trained in {time.process_time() - start:.0f} CPU s{part}", flush=True)
        cases = {"as published": mels_db[test]}
        cases["low-passed at 6 kHz"] = low_pass(mels_db[test], mel.band_hz, LOW_PASS_HZ)
        cases |= {f"noise at -{db:g} dB": add_noise(mels_db[test], db) for db in NOISES_DB}
        for name, case_db in cases.items():
            for branch, given in by_branch(net, case_db).items():
                found.setdefault(name + branch, np.zeros(len(labels)))[test] = given.numpy()
        done = np.concatenate([done, test])
        right = (found["as published"][test] > 0) == (labels[test] > 0)
        print(f"  this fold: {right.sum()} of {len(test)}, {len(set(tracks[test]))} blocks", flush=True)
        if options.save:
            np.savez(options.save, labels=labels, tracks=tracks, done=done, **found)
    calibrated = torch.from_numpy(found["as published"] / temperature)
    in_bins = reliability(calibrated.sigmoid(), torch.from_numpy(labels))
    print(f"calibration error {in_bins.error:.3f}, n = {in_bins.n}: {in_bins}", flush=True)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus")
    parser.add_argument("genres", nargs=2)
    parser.add_argument("--kind", choices=(NETWORK, LINEAR), default=NETWORK)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the folds")
    parser.add_argument("--save", metavar="NPZ", help="keep the logits of all clips (of the last seed)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    clips = read_clips(Corpus.open(options.corpus), options.genres)
    means: dict[str, list[float]] = {}
    for seed in options.seeds:
        print(f"seed {seed}", flush=True)
        for name, logit in cross_validated(options, clips, seed).items():
            right = (logit > 0) == (clips.labels > 0)
            value = balanced_accuracy(right.tolist(), clips.labels.tolist(), clips.tracks.tolist())
            means.setdefault(name, []).append(value.mean)
            print(
                f"  {name}: {value.mean:.1%} ({value.low:.1%} to {value.high:.1%}), n = {value.n}", flush=True
            )
    for name, values in means.items():
        print(f"{name}, mean of {len(values)} seeds: {np.mean(values):.1%}")


if __name__ == "__main__":
    main()
