"""Train the network of the genre classifier, and compute cross-validated logits of its training clips."""

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
from cyclegan_audio.statistics.jackknife import track_folds
from cyclegan_audio.utils.devices import parallel_map

FOLDS = 3  # of tracks, for calibration

ProgressCallback = Callable[[int, int], None]


class AugmentedViews:
    """Inputs of both branches for each clip and its augmented versions, computed once.

    Attributes:
        statistics: (V, N, D); version 0 is the original.
        mels: V tensors (N, M, F) in half precision; the original is longer than its augmented versions.
        versions: version numbers to sample from; the original occurs several times.
    """

    def __init__(
        self,
        net: GenreNet,
        mels_db: Tensor,
        band_hz: Tensor,
        settings: GenreNetSettings,
        progress: "ProgressCounter",
    ) -> None:
        self.settings = settings
        self.versions = np.r_[np.zeros(settings.plain_views, int), np.arange(1, settings.views + 1)]

        def inputs_of_version(version: int) -> tuple[Tensor, Tensor]:
            random, parts = torch.Generator().manual_seed(settings.seed + version), []
            for block in mels_db.split(BLOCK):
                mels = augment(block, band_hz, settings, random) if version else block
                parts.append(net.branch_inputs(mels))
                progress.add(len(block))
            return torch.cat([x for x, _ in parts]), torch.cat([x.half() for _, x in parts])

        inputs = parallel_map([partial(inputs_of_version, v) for v in range(settings.views + 1)])
        self.statistics = torch.stack([statistics for statistics, _ in inputs])
        self.mels = [mels for _, mels in inputs]

    def sample_statistics(self, rows: np.ndarray, random: np.random.Generator) -> Tensor:
        """Sample the statistics (n, D) of a random version of each of the clips `rows`."""
        return self.statistics[random.choice(self.versions, len(rows)), rows]

    def sample_mels(self, rows: np.ndarray, random: np.random.Generator) -> Tensor:
        """Sample mels (n, M, F) of random versions, shifted in key, cropped in time and with masked bands."""
        settings, crops = self.settings, []
        length = max(1, round(settings.convolution_crop_share * self.mels[-1].shape[2]))
        for version, row in zip(random.choice(self.versions, len(rows)), rows, strict=True):
            mel = self.mels[version][row]
            start = random.integers(mel.shape[1] - length + 1)
            crops.append(mel[:, start : start + length])
        bands = random.integers(-settings.shift_bands, settings.shift_bands + 1, len(rows))
        x = shift_bands(torch.stack(crops).float(), torch.from_numpy(bands))
        count = random.integers(settings.masked_bands, size=(len(rows), 1))
        first = random.integers(x.shape[1] - count + 1)
        band = np.arange(x.shape[1])
        return x.masked_fill(torch.from_numpy((band >= first) & (band < first + count))[:, :, None], 0.0)


class ProgressCounter:
    """Counts the processed examples of all threads for a progress callback; can stop all threads."""

    def __init__(self, total: int, on_step: ProgressCallback) -> None:
        self.done, self.total, self.on_step, self.stopped = 0, total, on_step, False
        self.lock = threading.Lock()

    def add(self, examples: int) -> None:
        """Report that `examples` more have been processed.

        Raises:
            InterruptedError: `stopped` was set by another thread.
        """
        if self.stopped:
            raise InterruptedError
        with self.lock:
            self.done += examples
            self.on_step(self.done, self.total)


def n_batches(branch_settings: BranchSettings, n_clips: int) -> tuple[int, int]:
    """Return the number of batches in total and per epoch."""
    per_epoch = max(1, n_clips // branch_settings.batch_size)
    return min(
        max(branch_settings.epochs * per_epoch, branch_settings.min_batches), branch_settings.max_batches
    ), per_epoch


def train_net(
    mels_db: Tensor,
    labels: Tensor,
    groups: Sequence[str],
    band_hz: Tensor,
    frame_s: float,
    settings: GenreNetSettings,
    on_step: ProgressCallback = lambda done, total: None,
) -> tuple[GenreNet, Tensor]:
    """Train on mels (N, M, F) with labels (N,) of 0 and 1 and their tracks; both genres have equal weight.

    Branches and folds are trained in parallel in as many threads as torch has, with the same result for any
    number. The weight of the branches is fitted to the cross-validated logits.

    Args:
        mels_db: the clips.
        labels: 1 for the second genre.
        groups: the track of each clip.
        band_hz: centre frequency of each band.
        frame_s: seconds from frame to frame.
        settings: settings of the network and its training.
        on_step: called with the number of processed examples and their total.

    Returns:
        The network, and cross-validated logits (N,) of the clips, by networks that were trained without the
        clip's fold of tracks (NaN if a genre has one track).
    """
    folds = track_folds(labels.numpy(), groups, FOLDS, settings.seed)
    training_rows = [np.arange(len(labels)), *(train for train, _ in folds)]
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        nets = [GenreNet(mels_db.shape[1], frame_s, settings)]
    nets += [copy.deepcopy(nets[0]) for _ in folds]
    both_settings = settings.convolutions, settings.statistics
    sizes = [n_batches(s, len(rows))[0] * s.batch_size for rows in training_rows for s in both_settings]
    progress = ProgressCounter((settings.views + 1) * len(labels) + sum(sizes), on_step)
    views = AugmentedViews(nets[0], mels_db, band_hz, settings, progress)
    fit = partial(fit_branch, labels=labels, settings=settings, progress=progress)
    jobs = []
    for net, rows in zip(nets, training_rows, strict=True):
        net.statistics.fit_standardisation(views.statistics[np.ix_(views.versions, rows)])
        jobs += [
            partial(fit, net.convolutions, settings.convolutions, views.sample_mels, rows=rows),
            partial(fit, net.statistics, settings.statistics, views.sample_statistics, rows=rows),
        ]
    try:
        parallel_map(jobs)
    finally:
        progress.stopped = True
    held_out = torch.full((2, len(labels)), torch.nan)
    for fold_net, (_, test) in zip(nets[1:], folds, strict=True):
        held_out[:, test] = branch_logits(fold_net.eval(), views, test)
    if folds:
        nets[0].mixing_weight.fill_(fit_mixing_weight(held_out[0], held_out[1], labels, groups))
    return nets[0].eval(), nets[0].combine_logits(held_out[0], held_out[1])


@torch.no_grad()
def branch_logits(net: GenreNet, views: AugmentedViews, rows: np.ndarray) -> Tensor:
    """Compute logits (2, n) of the original clips `rows` by the statistics and convolutional branches."""
    mels = views.mels[0][rows].float()
    by_convolutions = torch.cat([net.convolutions(block) for block in mels.split(BLOCK)])
    return torch.stack([net.statistics(views.statistics[0][rows]), by_convolutions])


def fit_branch(
    branch: Branch,
    branch_settings: BranchSettings,
    sample: Callable[[np.ndarray, np.random.Generator], Tensor],
    labels: Tensor,
    rows: np.ndarray,
    settings: GenreNetSettings,
    progress: ProgressCounter,
) -> None:
    """Train a branch on the clips `rows`, whose inputs `sample` returns; labels (N,) are of all clips."""
    random = np.random.default_rng(settings.seed)
    total, per_epoch = n_batches(branch_settings, len(rows))
    counts = torch.bincount(labels[rows], minlength=2).clamp_min(1)
    weight = (len(rows) / (2 * counts))[labels]
    targets = labels * (1 - branch_settings.label_smoothing) + branch_settings.label_smoothing / 2
    optimizer = torch.optim.AdamW(
        branch.parameters(), settings.lr, weight_decay=branch_settings.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.lr, total_steps=total)
    averaged, n_averaged = copy.deepcopy(branch.state_dict()), 0
    branch.train()
    for step in range(total):
        if step % per_epoch == 0:
            batches = np.array_split(random.permutation(rows), per_epoch)
        batch = batches[step % per_epoch]
        inputs, target = sample(batch, random), targets[batch]
        if branch_settings.mixup:
            inputs, target = mixup(inputs, target, branch_settings.mixup, random)
        loss = F.binary_cross_entropy_with_logits(branch(inputs, random), target, weight[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step >= total * (1 - settings.weight_averaging_share):
            n_averaged += 1
            for name, value in branch.state_dict().items():
                if value.is_floating_point():
                    averaged[name].lerp_(value, 1 / n_averaged)
        progress.add(branch_settings.batch_size)
    branch.load_state_dict(averaged)


def mixup(x: Tensor, target: Tensor, alpha: float, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Mix each example (n, M, F) and target (n,) with another of the batch (Zhang et al. 2018)."""
    weight = torch.from_numpy(random.beta(alpha, alpha, len(x))).float()
    other = torch.from_numpy(random.permutation(len(x)))
    x_weight = weight[:, None, None]
    return x_weight * x + (1 - x_weight) * x[other], weight * target + (1 - weight) * target[other]
