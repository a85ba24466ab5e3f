"""How good a pair is on held-out clips of two genres, without pairs of clips: what a checkpoint is chosen by.

Mels are (B, 1, M, F) in [-1, 1], real or translated. Everything is relative to what the clips themselves
differ by, so that the numbers mean the same for every corpus and mel. No network classifiers.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.models.directions import DIRECTIONS, source_and_target

MIN_SPREAD = 1e-4  # of a statistic over clips, under which it says nothing
CELL = 4  # points: the period of two doublings in a generator
BLOCK = 8 * CELL  # points: how far a checkerboard is taken to look the same


def genre_statistics(mels: Tensor) -> Tensor:
    """Summarise each band by mean, spread and mean step from frame to frame, (B, 3 M)."""
    mels = mels.float()[:, 0]
    return torch.cat([mels.mean(2), mels.std(2), mels.diff(dim=2).abs().mean(2)], dim=1)


def energy_distance(one: Tensor, other: Tensor) -> Tensor:
    """Measure 2 E|x - y| - E|x - x'| - E|y - y'| of two sets (n, D) and (m, D) (Szekely and Rizzo 2013).

    Scalar, at least 0, and 0 only for equal sets: one typical point instead of a set is far from it.
    """
    between, within = torch.cdist(one, other).mean(), [torch.cdist(x, x).mean() for x in (one, other)]
    return 2 * between - within[0] - within[1]


def genre_distance(fake: Tensor, source: Tensor, target: Tensor) -> float:
    """Measure how far translated clips are from the target genre: 1 as far as their sources, 0 not at all.

    Energy distance of `genre_statistics`, each statistic in units of its spread over all real clips.
    """
    made, before, wanted = (genre_statistics(mels) for mels in (fake, source, target))
    unit = torch.cat([before, wanted]).std(0, correction=0).clamp_min(MIN_SPREAD)
    made, before, wanted = made / unit, before / unit, wanted / unit
    return float(energy_distance(made, wanted) / energy_distance(before, wanted).clamp_min(MIN_SPREAD))


def difference(one: Tensor, other: Tensor) -> float:
    """Average the absolute difference of two batches of equal shape."""
    return float(F.l1_loss(one.float(), other.float()))


def diversity(mels: Tensor) -> float:
    """Average the absolute difference between clips of a batch; 0 for fewer than two."""
    points = mels.float().flatten(1)
    n_clips, n_values = points.shape
    return float(torch.cdist(points, points, p=1).sum()) / (max(1, n_clips * (n_clips - 1)) * n_values)


def checkerboard(mels: Tensor) -> float:
    """Measure the share of fine detail that repeats with the up-sampling's period, in 32 x 32 points.

    Detail is what a mean over 5 x 5 points leaves. White noise has 0.016, a checkerboard 1.
    """
    x = mels.float()
    detail = x - F.avg_pool2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), 5, stride=1)
    height, width = (size - size % BLOCK for size in x.shape[2:])
    blocks = F.unfold(detail[:, :, :height, :width], BLOCK, stride=BLOCK)  # (B, BLOCK^2, blocks)
    cells = blocks.unflatten(1, (BLOCK // CELL, CELL, BLOCK // CELL, CELL)).mean((1, 3))
    return float(cells.square().mean() / detail[:, :, :height, :width].square().mean().clamp_min(1e-12))


def discriminator_auc(score_real: Tensor, score_fake: Tensor) -> float:
    """Measure how often a discriminator scores a real patch above a translated one; 0.5 by chance."""
    real, fake = score_real.float().flatten(), score_fake.float().flatten().sort().values
    below = torch.searchsorted(fake, real, right=False) + torch.searchsorted(fake, real, right=True)
    return float(below.double().mean()) / (2 * len(fake))


def movement_lost(fake: Tensor, source: Tensor) -> float:
    """Measure how much of the source's movement in time is lost: 0 for a copy, 1 for another piece.

    1 minus the correlation over bands and frames, once each band's mean over time is taken out; the mean over
    clips. An equaliser loses nothing.
    """
    made, own = (mels.float() - mels.float().mean(3, keepdim=True) for mels in (fake, source))
    likeness = F.cosine_similarity(made.flatten(1), own.flatten(1), dim=1, eps=MIN_SPREAD)
    return float(1 - likeness.mean())


def held_out_metrics(clips: Mapping[str, Tensor]) -> dict[str, float]:
    """Measure a pair on held-out clips, lower is better, with the sum as `score`.

    Args:
        clips: `real_*` of `a` and `b`, `fake_*` of the genres translated to and, where there are, `rec_*`
            (both) and `idt_*`.

    Returns:
        `genre_*` by direction: `genre_distance` of the translations. `cycle_*` and `identity_*` by domain:
        what is lost on the way there and back, and by a translation to the clip's own genre, as a share of
        what two clips of the two genres differ by. `lost_*` by direction, where there is no way back:
        `movement_lost`. `score`: the mean over directions of genre plus cycle or lost.
    """
    apart = max(difference(clips["real_a"], clips["real_b"]), MIN_SPREAD)
    found, parts = {}, []
    for direction in _directions(clips):
        reals = source_and_target((clips["real_a"], clips["real_b"]), direction)
        source, fake = direction[0], clips[f"fake_{direction[1]}"]
        found[f"genre_{direction}"] = genre_distance(fake, *reals)
        if f"rec_{source}" in clips:
            kept = found[f"cycle_{source}"] = difference(clips[f"rec_{source}"], reals[0]) / apart
        else:
            kept = found[f"lost_{direction}"] = movement_lost(fake, reals[0])
        parts.append(found[f"genre_{direction}"] + kept)
    for domain in ("a", "b"):
        if f"idt_{domain}" in clips:
            found[f"identity_{domain}"] = difference(clips[f"idt_{domain}"], clips[f"real_{domain}"]) / apart
    return {"score": sum(parts) / len(parts), **found}


def held_out_signs(clips: Mapping[str, Tensor]) -> dict[str, float]:
    """Measure signs that something goes wrong, by direction.

    Returns:
        `moved_*`: how far a translation is from its source, as a share of what two clips of the two genres
        differ by (near 0: it copies). `variety_*`: how much translations differ among each other, as a share
        of their sources' (near 0: one output for all; 1 where there is one clip). `checkerboard_*`: of the
        translations over that of the target's clips.
    """
    apart = max(difference(clips["real_a"], clips["real_b"]), MIN_SPREAD)
    found = {}
    for direction in _directions(clips):
        source, target = source_and_target((clips["real_a"], clips["real_b"]), direction)
        fake = clips[f"fake_{direction[1]}"]
        found[f"moved_{direction}"] = difference(fake, source) / apart
        found[f"variety_{direction}"] = diversity(fake) / diversity(source) if diversity(source) > 0 else 1.0
        found[f"checkerboard_{direction}"] = checkerboard(fake) / max(checkerboard(target), MIN_SPREAD)
    return found


def _directions(clips: Mapping[str, Tensor]) -> list[str]:
    """Those of which there are translations."""
    return [direction for direction in DIRECTIONS if f"fake_{direction[1]}" in clips]
