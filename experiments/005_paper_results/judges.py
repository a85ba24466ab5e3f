"""The judge (or the linear one), blocks kept apart, clips as they are and made worse: judges.py CORPUS A B

Five folds over tracks (or blocks); every clip is judged once, by a judge that knows nothing of its track, and
by each of its two branches alone.
"""

import argparse
import time

import numpy as np
import torch
from torch import Tensor

from cyclegan_audio.data.corpus import Corpus
from cyclegan_audio.metrics.accuracy import balanced_accuracy, fit_temperature, reliability
from cyclegan_audio.metrics.augmentation import low_pass, noisy
from cyclegan_audio.metrics.genre_net import GenreNet
from cyclegan_audio.metrics.judge import (
    BLOCK,
    LINEAR,
    LOW_PASS_HZ,
    NETWORK,
    SETTINGS,
    GenreClassifier,
    logits,
)
from cyclegan_audio.metrics.linear import train_linear
from cyclegan_audio.metrics.net_training import train_net

FOLDS, SEED = 5, 0
NOISES_DB = (60.0, 50.0, 40.0, 30.0)  # under each clip's loudest point
SPLITS = ("train", "val", "test")


@torch.inference_mode()
def by_branch(net: GenreClassifier, mels_db: Tensor) -> dict[str, Tensor]:
    """Logits (N,) of clips (N, M, F), and those of each branch."""
    if not isinstance(net, GenreNet):
        return {"": logits(net, mels_db)}
    seen = [net.see(block) for block in mels_db.split(BLOCK)]
    statistics = torch.cat([net.statistics(own) for own, _ in seen])
    convolutions = torch.cat([net.convolutions(own) for _, own in seen])
    alone = {", statistics alone": statistics, ", convolutions alone": convolutions}
    return {"": net.verdict(statistics, convolutions), **alone}


def main() -> None:
    """Measure, print after each fold."""
    from sklearn.model_selection import StratifiedGroupKFold

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus")
    parser.add_argument("genres", nargs=2)
    parser.add_argument("--kind", choices=(NETWORK, LINEAR), default=NETWORK)
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
    temperature = np.ones(len(clips))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=SEED)
    for fold, (train, test) in enumerate(folds.split(labels, labels, tracks), 1):
        start = time.process_time()
        net: GenreClassifier
        train_db, train_labels = mels_db[train], torch.from_numpy(labels[train])
        known = train_db, train_labels, tracks[train].tolist(), mel.band_hz, mel.frame_s
        if options.kind == NETWORK:
            net, left_out = train_net(*known, SETTINGS)
        else:
            net, left_out = train_linear(*known)
        temperature[test] = fit_temperature(left_out, train_labels)
        part = f", convolutions have {net.share:.0%}" if isinstance(net, GenreNet) else ""
        print(f"fold {fold}: trained in {time.process_time() - start:.0f} CPU s{part}", flush=True)
        cases = {"as published": mels_db[test]}
        cases["low-passed at 6 kHz"] = low_pass(mels_db[test], mel.band_hz, LOW_PASS_HZ)
        cases |= {f"noise at -{db:g} dB": noisy(mels_db[test], db) for db in NOISES_DB}
        for name, case_db in cases.items():
            for branch, given in by_branch(net, case_db).items():
                found.setdefault(name + branch, np.zeros(len(clips)))[test] = given.numpy()
        tested.append(test)
        done = np.concatenate(tested)
        for name, logit in found.items():
            right = (logit[done] > 0) == (labels[done] > 0)
            value = balanced_accuracy(right.tolist(), labels[done].tolist(), tracks[done].tolist())
            print(
                f"  {name}: {value.mean:.1%} ({value.low:.1%} to {value.high:.1%}), n = {value.n}", flush=True
            )
        calibrated = torch.from_numpy(found["as published"] / temperature)[done]
        in_bins = reliability(calibrated.sigmoid(), torch.from_numpy(labels[done]))
        print(f"  calibration error {in_bins.error:.3f}, n = {in_bins.n}: {in_bins}", flush=True)
        right = (found["as published"][test] > 0) == (labels[test] > 0)
        print(f"  this fold: {right.sum()} of {len(test)}, {len(set(tracks[test]))} blocks", flush=True)
        if options.save:
            np.savez(options.save, labels=labels, tracks=tracks, done=done, **found)


if __name__ == "__main__":
    main()
