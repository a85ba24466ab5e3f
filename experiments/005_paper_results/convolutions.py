"""Small CNNs as judges, blocks kept apart: convolutions.py CORPUS A B NETWORK

bands: over time, bands are channels. plane: over bands and time. relations: covariances of learned channels,
and convolutions beside. beside: covariances of fixed groups of bands, and convolutions beside. fixed: the
former alone.
"""

import argparse
import copy
import dataclasses
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cyclegan_audio.data.corpus import Corpus
from cyclegan_audio.metrics.genre_net import (
    NetSettings,
    augment,
    low_pass,
    modulation_log_power,
    noisy,
    standardise,
)

FOLDS, VIEWS, PLAIN, POOL, HIDDEN, DROPOUT = 5, 6, 2, 2, 64, 0.3
N_BANDS, GROUPS = 128, 32
RATE, DECAY = 2e-3, 0.99  # of AdamW, and of the average of weights
CASES = ("as published", "< 6 kHz", "-60 dB", "-50", "-40", "-30")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a network is taught; `slow` is the rate of convolutions relative to the last layers'."""

    batch: int = 64
    crop: float = 0.7
    slow: float = 1.0
    mix: float = 0.0
    masked: int = 0
    decay: float = 0.02
    smoothing: float = 0.05
    epochs: int = 20


RECIPES = {
    "bands": Recipe(32, 0.5),
    "plane": Recipe(32, 0.5, mix=0.3, masked=16, decay=0.05, smoothing=0.1),
    "relations": Recipe(),
    "beside": Recipe(slow=0.1),
    "fixed": Recipe(),
}


def moments(x: Tensor) -> Tensor:
    """Mean and standard deviation over time."""
    mean = x.mean(-1)
    return torch.cat(
        [mean.flatten(1), (x.square().mean(-1) - mean.square()).clamp_min(0).add(1e-4).sqrt().flatten(1)], 1
    )


def covariances(x: Tensor) -> Tensor:
    """Of channels over time, (N, C, F) to (N, C (C + 1) / 2)."""
    x = x - x.mean(2, keepdim=True)
    row, column = torch.triu_indices(x.shape[1], x.shape[1])
    return (x @ x.transpose(1, 2) / x.shape[2])[:, row, column]


class Judged(nn.Module):
    """Features of a clip, standardised, one hidden layer, a logit."""

    def top(self, size: int, affine: bool = True) -> None:
        self.norm = nn.BatchNorm1d(size, affine=affine)
        self.hidden, self.last = nn.Linear(size, HIDDEN), nn.Linear(HIDDEN, 1)

    def forward(self, x: Tensor) -> Tensor:
        seen = F.dropout(self.norm(self.features(x)).clamp(-4, 4), DROPOUT, self.training)
        return self.last(F.dropout(F.relu(self.hidden(seen)), DROPOUT, self.training))[:, 0]


class Bands(Judged):
    """Two layers of 64 filters of 3 frames, the second of stride 2; moments of bands and of each layer."""

    def __init__(self) -> None:
        super().__init__()
        self.level = nn.BatchNorm1d(N_BANDS)
        sizes = ((N_BANDS, 1), (64, 2))
        self.filters = nn.ModuleList(nn.Conv1d(n, 64, 3, s, 1, bias=False) for n, s in sizes)
        self.norms = nn.ModuleList(nn.BatchNorm1d(64) for _ in sizes)
        self.top(2 * N_BANDS + 6 * 64)

    def features(self, x: Tensor) -> Tensor:
        x = self.level(x)
        out = [moments(x)]
        for place, (filters, norm) in enumerate(zip(self.filters, self.norms, strict=True)):
            x = norm(filters(x))
            out += [moments(x)] if place == 0 else []
            x = F.relu(x)
            out.append(moments(x))
        return torch.cat(out, 1)


class Plane(Judged):
    """Four layers, the stem of stride 2, the band's place a second channel; moments and maximum over time."""

    def __init__(self, widths: tuple[int, ...] = (16, 24, 32, 48)) -> None:
        super().__init__()
        self.level = nn.BatchNorm1d(N_BANDS)
        layers: list[nn.Module] = []
        for place, (n, width) in enumerate(zip((2, *widths), widths, strict=False)):
            size, stride = 3 if place else 5, (2, 2 if place < 2 else 1)
            layers += [
                nn.Conv2d(n, width, size, stride, size // 2, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            ]
        self.layers = nn.Sequential(*layers)
        self.top(3 * widths[-1] * (N_BANDS >> len(widths)))

    def features(self, x: Tensor) -> Tensor:
        x = self.level(x)[:, None]
        place = torch.linspace(-1, 1, N_BANDS)[None, None, :, None].expand_as(x)
        x = self.layers(torch.cat([x, place], 1).contiguous(memory_format=torch.channels_last))
        return torch.cat([moments(x), x.amax(-1).flatten(1)], 1)


class Relations(Judged):
    """Today's features at half the frames, the groups of bands learned or fixed, and two layers beside."""

    def __init__(self, frame_s: float, learned: bool, width: int, dropout: float) -> None:
        super().__init__()
        self.frame_s = frame_s
        self.groups = nn.Conv1d(N_BANDS, GROUPS, 3, padding=1, bias=False)
        with torch.no_grad():
            self.groups.weight.mul_(0.1 if learned else 0.0)
            for group, bands in enumerate(torch.arange(N_BANDS).chunk(GROUPS)):
                self.groups.weight[group, bands, 1] += 1 / len(bands)
        self.groups.weight.requires_grad_(learned)
        self.beside = nn.ModuleList()
        self.level = nn.BatchNorm1d(GROUPS)
        for n, stride in ((GROUPS, 1), (width, 2)) if width else ():
            filters = nn.Conv1d(n, width, 3, stride, 1, bias=False)
            self.beside.append(
                nn.Sequential(nn.Dropout1d(dropout), filters, nn.BatchNorm1d(width), nn.ReLU())
            )
        self.top(GROUPS * (GROUPS + 1) + 8 * N_BANDS + 4 * width, affine=False)

    def features(self, x: Tensor) -> Tensor:
        groups = self.groups(x)
        out = [moments(x), moments(x.diff(dim=2).abs()), covariances(groups), covariances(groups.diff(dim=2))]
        out += modulation_log_power(x, self.frame_s)
        x = self.level(groups)
        for layer in self.beside:
            x = layer(x)
            out.append(moments(x))
        return torch.cat(out, 1)


def make(name: str, frame_s: float) -> Judged:
    """A network by its name."""
    if name == "bands":
        return Bands()
    if name == "plane":
        return Plane()
    learned, width, dropout = {
        "relations": (True, 64, 0.0),
        "beside": (False, 32, 0.2),
        "fixed": (False, 0, 0.0),
    }[name]
    return Relations(frame_s, learned, width, dropout)


def short(mels_db: Tensor) -> Tensor:
    """As networks see clips."""
    return F.avg_pool1d(standardise(mels_db), POOL)


def examples(views: Tensor, rows: np.ndarray, recipe: Recipe, rng: np.random.Generator) -> Tensor:
    """A random view of each clip, cut in time, some bands masked."""
    kinds = np.r_[np.zeros(PLAIN, int), np.arange(1, VIEWS + 1)]
    chosen = kinds[rng.integers(len(kinds), size=len(rows))]
    length = round(recipe.crop * views.shape[3])
    start = rng.integers(views.shape[3] - length + 1)
    x = torch.stack([views[v, row, :, start : start + length] for v, row in zip(chosen, rows, strict=True)])
    for clip in x if recipe.masked else ():
        count = rng.integers(0, recipe.masked)
        first = rng.integers(N_BANDS - count)
        clip[first : first + count] = 0
    return x


def fit(name: str, frame_s: float, views: Tensor, labels: np.ndarray, train: np.ndarray) -> nn.Module:
    """The average of the weights of a network taught by the views (V, N, M, F) of the rows `train`."""
    torch.manual_seed(0)
    rng, recipe = np.random.default_rng(0), RECIPES[name]
    net = make(name, frame_s).train()
    average, in_epoch = copy.deepcopy(net), len(train) // recipe.batch
    last = [*net.hidden.parameters(), *net.last.parameters()]
    others = [p for key, p in net.named_parameters() if not key.startswith(("hidden.", "last."))]
    rates = [RATE, RATE * recipe.slow]
    parts = [{"params": last}, {"params": others, "lr": rates[1]}]
    optimizer = torch.optim.AdamW(parts, RATE, weight_decay=recipe.decay)
    total = recipe.epochs * in_epoch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=total, pct_start=0.25)
    weights = len(train) / 2 / np.bincount(labels[train])
    for step in range(total):
        if step % in_epoch == 0:
            order = rng.permutation(train)
        rows = order[step % in_epoch * recipe.batch :][: recipe.batch]
        x, target = examples(views, rows, recipe, rng), torch.from_numpy(labels[rows]).float()
        if recipe.mix:
            share = torch.from_numpy(rng.beta(recipe.mix, recipe.mix, size=len(rows))).float()
            other = torch.from_numpy(rng.permutation(len(rows)))
            x = share[:, None, None] * x + (1 - share)[:, None, None] * x[other]
            target = share * target + (1 - share) * target[other]
        target = target * (1 - recipe.smoothing) + recipe.smoothing / 2
        weight = torch.from_numpy(weights[labels[rows]]).float()
        loss = F.binary_cross_entropy_with_logits(net(x), target, weight)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            for mean, value in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
                if mean.is_floating_point():
                    mean.lerp_(value, 1 - min(DECAY, (1 + step) / (10 + step)))
    return average.eval()


def load(corpus: Corpus, genre: str) -> tuple[Tensor, Tensor, list[str]]:
    """All clips of a genre (N, M, F), their views (V, N, M, F / 2) and blocks."""
    clips = [clip for split in ("train", "val", "test") for clip in corpus.clips(genre, split)]
    mels_db = torch.stack([corpus.mel_db(clip) for clip in clips])
    random = torch.Generator().manual_seed(sum(map(ord, genre)))
    settings, hz = dataclasses.replace(NetSettings(), crop_share=1.0), corpus.mel.band_hz
    views = [short(mels_db)]
    for _ in range(VIEWS):
        views.append(torch.cat([short(augment(part, hz, settings, random)) for part in mels_db.split(64)]))
    return mels_db, torch.stack(views), [clip.track for clip in clips]


def main() -> None:
    """Train and test five times; print right clips and the balanced accuracy of all cases."""
    from sklearn.model_selection import StratifiedGroupKFold

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus")
    parser.add_argument("genres", nargs=2)
    parser.add_argument("network", choices=list(RECIPES))
    parser.add_argument("--folds", type=int, nargs="*", default=list(range(FOLDS)), help="of 0 to 4")
    parser.add_argument("--save", metavar="NPZ", help="keep the logits of all clips")
    options = parser.parse_args()
    torch.set_num_threads(1)
    corpus = Corpus.open(options.corpus)
    (a_db, a_views, a_tracks), (b_db, b_views, b_tracks) = (load(corpus, genre) for genre in options.genres)
    mels_db, views, tracks = torch.cat([a_db, b_db]), torch.cat([a_views, b_views], 1), a_tracks + b_tracks
    labels = np.r_[np.zeros(len(a_db), int), np.ones(len(b_db), int)]
    given = {case: np.full(len(labels), np.nan) for case in CASES}
    folds = list(StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0).split(labels, labels, tracks))
    for train, test in (folds[fold] for fold in options.folds):
        start, own_db = time.process_time(), mels_db[test]
        net = fit(options.network, corpus.mel.frame_s * POOL, views, labels, train)
        cpu_s = time.process_time() - start
        worse = [noisy(own_db, db) for db in (60.0, 50.0, 40.0, 30.0)]
        for case, case_db in zip(
            CASES, (own_db, low_pass(own_db, corpus.mel.band_hz, 6000.0), *worse), strict=True
        ):
            with torch.inference_mode():
                given[case][test] = torch.cat([net(short(part)) for part in case_db.split(64)]).numpy()
        right = (given[CASES[0]][test] > 0) == (labels[test] > 0)
        print(f"{right.sum()} of {len(test)}, {cpu_s:.0f} CPU s", flush=True)
    for case, logits in given.items():
        known = ~np.isnan(logits)
        shares = [(logits[known & (labels == label)] > 0).mean() for label in (0, 1)]
        print(f"{case}: {(1 - shares[0] + shares[1]) / 2:.1%}")
    if options.save:
        np.savez(options.save, labels=labels, tracks=np.array(tracks), **given)


if __name__ == "__main__":
    main()
