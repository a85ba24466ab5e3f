"""Training of the neural genre classifier, and what it says of tracks that it was not trained on."""

import copy
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.metrics.folds import track_folds
from cyclegan_audio.metrics.genre_net import BLOCK, GenreNet, NetSettings, augment

FOLDS = 3  # of tracks, to calibrate by


def train_net(
    mels_db: Tensor,
    labels: Tensor,
    groups: Sequence[str],
    band_hz: Tensor,
    frame_s: float,
    settings: NetSettings,
    on_step: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[GenreNet, Tensor]:
    """Train on mels (N, M, F) with labels (N,) of 0 and 1 and their tracks; both genres count alike.

    Args:
        on_step: told the steps done and their total.

    Returns:
        The network, and for each clip the logit (N,) by another that was trained without the third of the
        tracks that the clip is in (NaN where a genre has one track).
    """
    folds = track_folds(labels.numpy(), groups, FOLDS, settings.seed)
    total = settings.views + 1 + len(folds)
    with torch.random.fork_rng():
        net = GenreNet(mels_db.shape[1], frame_s, settings)
    random = torch.Generator().manual_seed(settings.seed)
    views = [net.features(mels_db)]
    for done in range(1, settings.views + 1):
        parts = [augment(block, band_hz, settings, random) for block in mels_db.split(BLOCK)]
        views.append(torch.cat([net.features(part) for part in parts]))
        on_step(done, total)
    both = torch.stack([views[0]] * settings.plain_views + views[1:])
    mean, scale = both.mean((0, 1)), both.flatten(0, 1).std(0, correction=0).clamp_min(1e-6)
    net.mean.copy_(mean)
    net.scale.copy_(scale)
    seen, given = net.standardised(both), torch.full((len(labels),), torch.nan)
    for done, (train, test) in enumerate(folds, settings.views + 1):
        other = fit(copy.deepcopy(net), seen[:, train], labels[train], settings)
        with torch.inference_mode():
            given[test] = other.verdict(other.hidden(seen[0, test]))
        on_step(done, total)
    return fit(net, seen, labels, settings), given


def fit(net: GenreNet, seen: Tensor, labels: Tensor, settings: NetSettings) -> GenreNet:
    """The network taught by standardised features (V, N, D) of V views and labels (N,)."""
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        net.embedding.reset_parameters()
        net.last.reset_parameters()
        net.train()
        counts = torch.bincount(labels, minlength=2).clamp_min(1)
        weight = (len(labels) / (2 * counts))[labels]
        targets = labels * (1 - settings.label_smoothing) + settings.label_smoothing / 2
        in_epoch = max(1, len(labels) // settings.batch_size)
        total = max(settings.epochs * in_epoch, settings.min_batches)
        optimizer = torch.optim.AdamW(net.parameters(), settings.lr, weight_decay=settings.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.lr, total_steps=total)
        for step in range(total):
            if step % in_epoch == 0:
                batches = torch.randperm(len(labels)).tensor_split(in_epoch)
            rows = batches[step % in_epoch]
            given = net.verdict(net.hidden(seen[torch.randint(len(seen), (len(rows),)), rows]))
            loss = F.binary_cross_entropy_with_logits(given, targets[rows], weight[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net.eval()
