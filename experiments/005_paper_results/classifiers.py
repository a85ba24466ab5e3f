"""Cross-validate the genre classifier on clean and degraded clips: python classifiers.py CORPUS A B

Five folds over tracks (or blocks), shuffled by each seed. Every clip is classified once, by a classifier that
was not trained on its track, and by each of its two branches alone.
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
NOISES_DB = (60.0, 50.0, 40.0, 30.0)  # below the loudest point of each clip
SPLITS = ("train", "val", "test")


class Clips(NamedTuple):
    """Mels (N, M, F), labels (N,) and tracks (N,) of clips, and the settings of the mels."""

    mels_db: Tensor
    labels: np.ndarray
    tracks: np.ndarray
    mel: MelSpectrogram


def read_clips(corpus: Corpus, genres: list[str]) -> Clips:
    """Load all clips of two genres, of every split."""
    clips = [clip for genre in genres for split in SPLITS for clip in corpus.clips(genre, split)]
    labels = np.array([genres.index(clip.genre) for clip in clips])
    tracks = np.array([clip.track for clip in clips])
    return Clips(torch.stack([corpus.mel_db(clip) for clip in clips]), labels, tracks, corpus.mel)


@torch.inference_mode()
def by_branch(net: ClassifierNetwork, mels_db: Tensor) -> dict[str, Tensor]:
    """Compute logits (N,) of clips (N, M, F), and those of each branch."""
    if not isinstance(net, GenreNet):
        return {"": logits(net, mels_db)}
    inputs = [net.branch_inputs(block) for block in mels_db.split(BLOCK)]
    statistics = torch.cat([net.statistics(x) for x, _ in inputs])
    convolutions = torch.cat([net.convolutions(x) for _, x in inputs])
    alone = {", statistics alone": statistics, ", convolutions alone": convolutions}
    return {"": net.combine_logits(statistics, convolutions), **alone}


def cross_validated(options: argparse.Namespace, clips: Clips, seed: int) -> dict[str, np.ndarray]:
    """Compute the cross-validated logits (N,) of each case, and print after each fold."""
    from sklearn.model_selection import StratifiedGroupKFold

    mels_db, labels, tracks, mel = clips.mels_db, clips.labels, clips.tracks, clips.mel
    all_logits: dict[str, np.ndarray] = {}
    temperature, done = np.ones(len(labels)), np.zeros(0, int)
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for fold, (train, test) in enumerate(folds.split(labels, labels, tracks), 1):
        start = time.process_time()
        net: ClassifierNetwork
        train_db, train_labels = mels_db[train], torch.from_numpy(labels[train])
        known = train_db, train_labels, tracks[train].tolist(), mel.band_hz, mel.frame_s
        if options.kind == NETWORK:
            net, held_out = train_net(*known, SETTINGS)
        else:
            net, held_out = train_linear(*known)
        temperature[test] = fit_temperature(held_out, train_labels)
        part = f", convolutions weigh {net.mixing_weight:.0%}" if isinstance(net, GenreNet) else ""
        print(f"fold {fold}: trained in {time.process_time() - start:.0f} CPU s{part}", flush=True)
        cases = {"as published": mels_db[test]}
        cases["low-passed at 6 kHz"] = low_pass(mels_db[test], mel.band_hz, LOW_PASS_HZ)
        cases |= {f"noise at -{db:g} dB": add_noise(mels_db[test], db) for db in NOISES_DB}
        for name, case_db in cases.items():
            for branch, case_logits in by_branch(net, case_db).items():
                all_logits.setdefault(name + branch, np.zeros(len(labels)))[test] = case_logits.numpy()
        done = np.concatenate([done, test])
        correct = (all_logits["as published"][test] > 0) == (labels[test] > 0)
        print(f"  this fold: {correct.sum()} of {len(test)}, {len(set(tracks[test]))} blocks", flush=True)
        if options.save:
            np.savez(options.save, labels=labels, tracks=tracks, done=done, **all_logits)
    calibrated = torch.from_numpy(all_logits["as published"] / temperature)
    in_bins = reliability(calibrated.sigmoid(), torch.from_numpy(labels))
    print(f"calibration error {in_bins.error:.3f}, n = {in_bins.n}: {in_bins}", flush=True)
    return all_logits


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus")
    parser.add_argument("genres", nargs=2)
    parser.add_argument("--kind", choices=(NETWORK, LINEAR), default=NETWORK)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the folds")
    parser.add_argument("--save", metavar="NPZ", help="save the logits of all clips (of the last seed)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    clips = read_clips(Corpus.open(options.corpus), options.genres)
    means: dict[str, list[float]] = {}
    for seed in options.seeds:
        print(f"seed {seed}", flush=True)
        for name, logit in cross_validated(options, clips, seed).items():
            correct = (logit > 0) == (clips.labels > 0)
            value = balanced_accuracy(correct.tolist(), clips.labels.tolist(), clips.tracks.tolist())
            means.setdefault(name, []).append(value.mean)
            print(
                f"  {name}: {value.mean:.1%} ({value.low:.1%} to {value.high:.1%}), n = {value.n}", flush=True
            )
    for name, values in means.items():
        print(f"{name}, mean of {len(values)} seeds: {np.mean(values):.1%}")


if __name__ == "__main__":
    main()
