"""The judge (or the linear one), blocks kept apart, clips as they are and made worse: judges.py CORPUS A B

Five folds over tracks (or blocks); every clip is judged once, by a judge that knows nothing of its track.
"""

import argparse
import time

import numpy as np
import torch

from cyclegan_audio.data.corpus import Corpus
from cyclegan_audio.metrics.accuracy import Reliability, balanced_accuracy, fit_temperature, reliability
from cyclegan_audio.metrics.genre_net import low_pass, noisy, train_net
from cyclegan_audio.metrics.judge import CNN, LINEAR, LOW_PASS_HZ, SETTINGS, GenreClassifier, logits
from cyclegan_audio.metrics.linear import train_linear

FOLDS, SEED = 5, 0
NOISES_DB = (60.0, 50.0, 40.0, 30.0)  # under each clip's loudest point
SPLITS = ("train", "val", "test")


def calibration(given: np.ndarray, labels: np.ndarray, folds: list[np.ndarray]) -> Reliability:
    """Of logits (N,), each fold's temperature fitted on the held-out clips of the other folds."""
    probabilities = np.zeros(len(labels))
    for number, fold in enumerate(folds):
        others = np.concatenate([own for place, own in enumerate(folds) if place != number])
        temperature = fit_temperature(torch.from_numpy(given[others]), torch.from_numpy(labels[others]))
        probabilities[fold] = 1 / (1 + np.exp(-given[fold] / temperature))
    all_folds = np.concatenate(folds)
    return reliability(torch.from_numpy(probabilities[all_folds]), torch.from_numpy(labels[all_folds]))


def main() -> None:
    """Measure, print after each fold."""
    from sklearn.model_selection import StratifiedGroupKFold

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus")
    parser.add_argument("genres", nargs=2)
    parser.add_argument("--kind", choices=(CNN, LINEAR), default=CNN)
    parser.add_argument("--save", metavar="NPZ", help="keep the logits of all clips")
    options = parser.parse_args()
    torch.set_num_threads(1)
    corpus = Corpus.open(options.corpus)
    clips = [clip for genre in options.genres for split in SPLITS for clip in corpus.clips(genre, split)]
    mels_db = torch.stack([corpus.mel_db(clip) for clip in clips])
    labels = np.array([options.genres.index(clip.genre) for clip in clips])
    tracks = np.array([clip.track for clip in clips])
    mel = corpus.mel
    found: dict[str, np.ndarray] = {}
    tested: list[np.ndarray] = []
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=SEED)
    for fold, (train, test) in enumerate(folds.split(labels, labels, tracks), 1):
        start = time.process_time()
        net: GenreClassifier
        train_db, train_labels = mels_db[train], torch.from_numpy(labels[train])
        if options.kind == CNN:
            net = train_net(train_db, train_labels, mel.band_hz, mel.frame_s, SETTINGS)
        else:
            net = train_linear(train_db, train_labels, tracks[train].tolist(), mel.band_hz, mel.frame_s)
        print(f"fold {fold}: trained in {time.process_time() - start:.0f} CPU s")
        cases = {"as published": mels_db[test]}
        cases["low-passed at 6 kHz"] = low_pass(mels_db[test], mel.band_hz, LOW_PASS_HZ)
        cases |= {f"noise at -{db:g} dB": noisy(mels_db[test], db) for db in NOISES_DB}
        for name, case_db in cases.items():
            found.setdefault(name, np.zeros(len(clips)))[test] = logits(net, case_db).numpy()
        tested.append(test)
        done = np.concatenate(tested)
        for name, given in found.items():
            right = (given[done] > 0) == (labels[done] > 0)
            value = balanced_accuracy(right.tolist(), labels[done].tolist(), tracks[done].tolist())
            print(
                f"  {name}: {value.mean:.1%} ({value.low:.1%} to {value.high:.1%}), n = {value.n}", flush=True
            )
        if len(tested) > 1:
            found_in = calibration(found["as published"], labels, tested)
            print(f"  calibration error {found_in.error:.3f}, n = {found_in.n}: {found_in}", flush=True)
        if options.save:
            np.savez(options.save, labels=labels, tracks=tracks, done=done, **found)


if __name__ == "__main__":
    main()
