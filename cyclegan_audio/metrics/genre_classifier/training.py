"""Training of the neural genre classifier, and what it says of tracks that it was not trained on."""

import copy
import threading
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.metrics.genre_classifier.augmentation import augment, shift_bands
from cyclegan_audio.metrics.genre_classifier.calibration import fit_mixing_weight
from cyclegan_audio.metrics.genre_classifier.network import (
    BLOCK,
    Branch,
    BranchSettings,
    GenreNet,
    GenreNetSettings,
)
from cyclegan_audio.statistics.resampling import track_folds
from cyclegan_audio.utils.devices import parallel_map

FOLDS = 3  # of tracks, to calibrate by

ProgressCallback = Callable[[int, int], None]


class AugmentedViews:
    """What the branches see of clips as they are and of augmented ones, made once.

    Attributes:
        statistics: (V, N, D), the clips as they are first.
        pictures: V of (N, M, F), half precision; those of the clips as they are are longer.
    """

    def __init__(
        self,
        net: GenreNet,
        mels_db: Tensor,
        band_hz: Tensor,
        settings: GenreNetSettings,
        work: "ProgressCounter",
    ) -> None:
        self.settings = settings
        self.kinds = np.r_[np.zeros(settings.plain_views, int), np.arange(1, settings.views + 1)]

        def seen(view: int) -> tuple[Tensor, Tensor]:
            random, parts = torch.Generator().manual_seed(settings.seed + view), []
            for block in mels_db.split(BLOCK):
                parts.append(net.branch_inputs(augment(block, band_hz, settings, random) if view else block))
                work.add(len(block))
            return torch.cat([own for own, _ in parts]), torch.cat([own.half() for _, own in parts])

        made = parallel_map([partial(seen, view) for view in range(settings.views + 1)])
        self.statistics = torch.stack([statistics for statistics, _ in made])
        self.mels = [pictures for _, pictures in made]

    def sample_statistics(self, rows: np.ndarray, random: np.random.Generator) -> Tensor:
        """A random view of each of the clips `rows`: (n, D)."""
        return self.statistics[random.choice(self.kinds, len(rows)), rows]

    def sample_mels(self, rows: np.ndarray, random: np.random.Generator) -> Tensor:
        """The same in another key, cut in time, some neighbouring bands hidden: (n, M, F)."""
        settings, cuts = self.settings, []
        length = max(1, round(settings.convolution_crop_share * self.mels[-1].shape[2]))
        for kind, row in zip(random.choice(self.kinds, len(rows)), rows, strict=True):
            picture = self.mels[kind][row]
            start = random.integers(picture.shape[1] - length + 1)
            cuts.append(picture[:, start : start + length])
        bands = random.integers(-settings.shift_bands, settings.shift_bands + 1, len(rows))
        x = shift_bands(torch.stack(cuts).float(), torch.from_numpy(bands))
        count = random.integers(settings.masked_bands, size=(len(rows), 1))
        first = random.integers(x.shape[1] - count + 1)
        band = np.arange(x.shape[1])
        return x.masked_fill(torch.from_numpy((band >= first) & (band < first + count))[:, :, None], 0.0)


class ProgressCounter:
    """Tells how many examples of all have been worked through, by any thread; stops all on request."""

    def __init__(self, total: int, on_step: ProgressCallback) -> None:
        self.done, self.total, self.on_step, self.stopped = 0, total, on_step, False
        self.lock = threading.Lock()

    def add(self, examples: int) -> None:
        """Some are done.

        Raises:
            InterruptedError: another thread wants all to stop.
        """
        if self.stopped:
            raise InterruptedError
        with self.lock:
            self.done += examples
            self.on_step(self.done, self.total)


def n_batches(recipe: BranchSettings, n_clips: int) -> tuple[int, int]:
    """Count the batches in all and in an epoch."""
    in_epoch = max(1, n_clips // recipe.batch_size)
    return min(max(recipe.epochs * in_epoch, recipe.min_batches), recipe.max_batches), in_epoch


def train_net(
    mels_db: Tensor,
    labels: Tensor,
    groups: Sequence[str],
    band_hz: Tensor,
    frame_s: float,
    settings: GenreNetSettings,
    on_step: ProgressCallback = lambda done, total: None,
) -> tuple[GenreNet, Tensor]:
    """Train on mels (N, M, F) with labels (N,) of 0 and 1 and their tracks; both genres count alike.

    Branches and folds are trained in as many threads as torch has; their number changes no result. What part
    each branch has in the verdict follows from the clips that its folds left out.

    Args:
        on_step: told the examples worked through and their total.

    Returns:
        The network, and for each clip the logit (N,) by another that was trained without the third of the
        tracks that the clip is in (NaN where a genre has one track).
    """
    folds = track_folds(labels.numpy(), groups, FOLDS, settings.seed)
    taught = [np.arange(len(labels)), *(train for train, _ in folds)]
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        nets = [GenreNet(mels_db.shape[1], frame_s, settings)]
    nets += [copy.deepcopy(nets[0]) for _ in folds]
    recipes = settings.convolutions, settings.statistics
    sizes = [n_batches(recipe, len(rows))[0] * recipe.batch_size for rows in taught for recipe in recipes]
    work = ProgressCounter((settings.views + 1) * len(labels) + sum(sizes), on_step)
    views = AugmentedViews(nets[0], mels_db, band_hz, settings, work)
    fit = partial(fit_branch, labels=labels, settings=settings, work=work)
    calls = []
    for net, rows in zip(nets, taught, strict=True):
        net.statistics.fit_standardisation(views.statistics[np.ix_(views.kinds, rows)])
        calls += [
            partial(fit, net.convolutions, settings.convolutions, views.sample_mels, rows=rows),
            partial(fit, net.statistics, settings.statistics, views.sample_statistics, rows=rows),
        ]
    try:
        parallel_map(calls)
    finally:
        work.stopped = True
    given = torch.full((2, len(labels)), torch.nan)
    for other, (_, test) in zip(nets[1:], folds, strict=True):
        given[:, test] = branch_logits(other.eval(), views, test)
    if folds:
        nets[0].mixing_weight.fill_(fit_mixing_weight(given[0], given[1], labels, groups))
    return nets[0].eval(), nets[0].combine_logits(given[0], given[1])


@torch.no_grad()
def branch_logits(net: GenreNet, views: AugmentedViews, rows: np.ndarray) -> Tensor:
    """Compute logits (2, n) of clips as they are, by statistics and by convolutions."""
    plain = views.mels[0][rows].float()
    of_pictures = torch.cat([net.convolutions(block) for block in plain.split(BLOCK)])
    return torch.stack([net.statistics(views.statistics[0][rows]), of_pictures])


def fit_branch(
    branch: Branch,
    recipe: BranchSettings,
    draw: Callable[[np.ndarray, np.random.Generator], Tensor],
    labels: Tensor,
    rows: np.ndarray,
    settings: GenreNetSettings,
    work: ProgressCounter,
) -> None:
    """Teach a branch what `draw` shows of the clips `rows`, of all with labels (N,)."""
    random = np.random.default_rng(settings.seed)
    total, in_epoch = n_batches(recipe, len(rows))
    counts = torch.bincount(labels[rows], minlength=2).clamp_min(1)
    weight = (len(rows) / (2 * counts))[labels]
    targets = labels * (1 - recipe.label_smoothing) + recipe.label_smoothing / 2
    optimizer = torch.optim.AdamW(
        branch.parameters(), settings.lr, weight_decay=recipe.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.lr, total_steps=total)
    averaged, n_averaged = copy.deepcopy(branch.state_dict()), 0
    branch.train()
    for step in range(total):
        if step % in_epoch == 0:
            batches = np.array_split(random.permutation(rows), in_epoch)
        own = batches[step % in_epoch]
        seen, target = draw(own, random), targets[own]
        if recipe.mixup:
            seen, target = mixup(seen, target, recipe.mixup, random)
        loss = F.binary_cross_entropy_with_logits(branch(seen, random), target, weight[own])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step >= total * (1 - settings.weight_averaging_share):
            n_averaged += 1
            for name, value in branch.state_dict().items():
                if value.is_floating_point():
                    averaged[name].lerp_(value, 1 / n_averaged)
        work.add(recipe.batch_size)
    branch.load_state_dict(averaged)


def mixup(seen: Tensor, target: Tensor, mixup: float, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Mix each example (n, M, F) and target (n,) with another of the batch."""
    share = torch.from_numpy(random.beta(mixup, mixup, len(seen))).float()
    other = torch.from_numpy(random.permutation(len(seen)))
    of_seen = share[:, None, None]
    return of_seen * seen + (1 - of_seen) * seen[other], share * target + (1 - share) * target[other]
