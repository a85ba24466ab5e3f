"""Score translations of unpaired validation clips during training, to select the best checkpoint.

Mels are (B, 1, M, F) in [-1, 1], real or translated. Differences are relative to those between real clips of
the two genres, so that values compare across corpora and mel settings. No classifier is needed.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.models.directions import DIRECTIONS, ordered

MIN_SPREAD = 1e-4  # of a statistic over clips, below which it is not informative
CELL = 4  # bands or frames: the period of two upsamplings by two in a generator
BLOCK = 8 * CELL  # bands or frames within which a checkerboard is taken to be regular


def style_statistics(mels: Tensor) -> Tensor:
    """Compute mean, standard deviation and mean absolute step over time of each band, (B, 3 M)."""
    mels = mels.float()[:, 0]
    return torch.cat([mels.mean(2), mels.std(2), mels.diff(dim=2).abs().mean(2)], dim=1)


def energy_distance(one: Tensor, other: Tensor) -> Tensor:
    """Compute 2 E|x - y| - E|x - x'| - E|y - y'| of two sets (n, D) and (m, D) (Szekely and Rizzo 2013).

    It is at least 0, and 0 only for equal sets, so that mode collapse is penalised.
    """
    between, within = torch.cdist(one, other).mean(), [torch.cdist(x, x).mean() for x in (one, other)]
    return 2 * between - within[0] - within[1]


def style_distance(fake: Tensor, source: Tensor, target: Tensor) -> float:
    """Compute the distance of translations to the target genre, relative to that of their sources (1).

    Energy distance of `style_statistics`, each in units of its standard deviation over all real clips.
    """
    x, y, z = (style_statistics(mels) for mels in (fake, source, target))
    unit = torch.cat([y, z]).std(0, correction=0).clamp_min(MIN_SPREAD)
    x, y, z = x / unit, y / unit, z / unit
    return float(energy_distance(x, z) / energy_distance(y, z).clamp_min(MIN_SPREAD))


def mean_abs_difference(one: Tensor, other: Tensor) -> float:
    """Compute the mean absolute difference of two batches of equal shape."""
    return float(F.l1_loss(one.float(), other.float()))


def diversity(mels: Tensor) -> float:
    """Compute the mean absolute difference between clips of a batch; 0 for fewer than two."""
    points = mels.float().flatten(1)
    n_clips, n_values = points.shape
    return float(torch.cdist(points, points, p=1).sum()) / (max(1, n_clips * (n_clips - 1)) * n_values)


def checkerboard(mels: Tensor) -> float:
    """Compute the fraction of fine detail that repeats with the period of upsampling, in 32 x 32 blocks.

    Detail is the difference to a 5 x 5 mean. White noise has 0.016, a checkerboard 1.
    """
    x = mels.float()
    detail = x - F.avg_pool2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), 5, stride=1)
    height, width = (size - size % BLOCK for size in x.shape[2:])
    blocks = F.unfold(detail[:, :, :height, :width], BLOCK, stride=BLOCK)  # (B, BLOCK^2, blocks)
    cells = blocks.unflatten(1, (BLOCK // CELL, CELL, BLOCK // CELL, CELL)).mean((1, 3))
    return float(cells.square().mean() / detail[:, :, :height, :width].square().mean().clamp_min(1e-12))


def discriminator_auc(score_real: Tensor, score_fake: Tensor) -> float:
    """Compute how often a discriminator scores a real patch above a translated one (AUC); 0.5 is chance."""
    real, fake = score_real.float().flatten(), score_fake.float().flatten().sort().values
    below = torch.searchsorted(fake, real, right=False) + torch.searchsorted(fake, real, right=True)
    return float(below.double().mean()) / (2 * len(fake))


def temporal_decorrelation(fake: Tensor, source: Tensor) -> float:
    """Compute 1 minus the mean correlation with the source over time: 0 for a copy, 1 for another piece.

    Each band's mean over time is subtracted first, so that an equaliser has 0.
    """
    x, y = (mels.float() - mels.float().mean(3, keepdim=True) for mels in (fake, source))
    correlation = F.cosine_similarity(x.flatten(1), y.flatten(1), dim=1, eps=MIN_SPREAD)
    return float(1 - correlation.mean())


def validation_metrics(clips: Mapping[str, Tensor]) -> dict[str, float]:
    """Compute validation metrics of a model; lower is better.

    Args:
        clips: mels by name: `real_a` and `real_b`, `fake_*` of the target domains and, if the model has them,
            reconstructions `rec_*` and identity outputs `idt_*`.

    Returns:
        `genre_*` by direction: `style_distance`. `cycle_*` and `identity_*` by domain: error of the
        reconstruction and of the identity output, relative to the difference between the genres. `lost_*` by
        direction, instead of `cycle_*` for models without a reverse direction: `temporal_decorrelation`.
        `score`: the mean over directions of genre plus cycle (or lost).
    """
    scale = max(mean_abs_difference(clips["real_a"], clips["real_b"]), MIN_SPREAD)
    metrics, scores = {}, []
    for direction in _directions(clips):
        reals = ordered((clips["real_a"], clips["real_b"]), direction)
        source, fake = direction[0], clips[f"fake_{direction[1]}"]
        metrics[f"genre_{direction}"] = style_distance(fake, *reals)
        if f"rec_{source}" in clips:
            content = metrics[f"cycle_{source}"] = (
                mean_abs_difference(clips[f"rec_{source}"], reals[0]) / scale
            )
        else:
            content = metrics[f"lost_{direction}"] = temporal_decorrelation(fake, reals[0])
        scores.append(metrics[f"genre_{direction}"] + content)
    for domain in ("a", "b"):
        if f"idt_{domain}" in clips:
            metrics[f"identity_{domain}"] = (
                mean_abs_difference(clips[f"idt_{domain}"], clips[f"real_{domain}"]) / scale
            )
    return {"score": sum(scores) / len(scores), **metrics}


def validation_diagnostics(clips: Mapping[str, Tensor]) -> dict[str, float]:
    """Compute indicators of training failures, by direction.

    Returns:
        `moved_*`: difference of translation and source, relative to the difference between the genres (near
        0: the model copies). `variety_*`: `diversity` of translations relative to their sources' (near 0:
        mode collapse; 1 for a single clip). `checkerboard_*`: `checkerboard` of translations relative to the
        target's clips.
    """
    scale = max(mean_abs_difference(clips["real_a"], clips["real_b"]), MIN_SPREAD)
    indicators = {}
    for direction in _directions(clips):
        source, target = ordered((clips["real_a"], clips["real_b"]), direction)
        fake = clips[f"fake_{direction[1]}"]
        indicators[f"moved_{direction}"] = mean_abs_difference(fake, source) / scale
        indicators[f"variety_{direction}"] = (
            diversity(fake) / diversity(source) if diversity(source) > 0 else 1.0
        )
        indicators[f"checkerboard_{direction}"] = checkerboard(fake) / max(checkerboard(target), MIN_SPREAD)
    return indicators


def _directions(clips: Mapping[str, Tensor]) -> list[str]:
    """Return the directions for which there are translations."""
    return [direction for direction in DIRECTIONS if f"fake_{direction[1]}" in clips]
