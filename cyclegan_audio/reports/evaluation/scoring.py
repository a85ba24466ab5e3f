"""One direction measured: every candidate's scores by clip, distances to the target, what is missing."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.corpus.corpus import Clip
from cyclegan_audio.metrics.baselines import BandMoments, match_moments, nearest_neighbours
from cyclegan_audio.metrics.distances import MIN_CLIPS, PCAEmbedding, distances_to, small_sample_warning
from cyclegan_audio.metrics.metric_spec import (
    MATCHED_MOMENTS,
    MODEL,
    NEAREST_REAL,
    OTHER_PIECE,
    REAL_TARGET,
    UNTOUCHED,
    VOCODED,
    VOCODED_SOURCE,
    MetricInput,
    MetricSpec,
    Scores,
    compute_metrics,
)
from cyclegan_audio.metrics.registry import METRICS
from cyclegan_audio.reports.evaluation.classifiers import Classifiers
from cyclegan_audio.reports.evaluation.vocoder_round_trip import Vocoded
from cyclegan_audio.statistics.estimates import Estimate, estimate
from cyclegan_audio.statistics.proportions import proportion
from cyclegan_audio.utils.devices import parallel_map


@dataclasses.dataclass(frozen=True)
class Measured:
    """Scores of one direction.

    Attributes:
        source, target: genres.
        clips: the held-out clips that were translated.
        scores: candidate to measure to (N,) numbers; those of the vocoder are NaN where it was not tried.
        real_clips, real: held-out clips of the target genre, and their scores.
        distances: embedding to kind to candidate (and `real_target`) to estimate.
        missing: sentences on what could not be measured and why.
        metrics: what was measured.
    """

    source: str
    target: str
    clips: list[Clip]
    scores: dict[str, Scores]
    real_clips: list[Clip]
    real: Scores
    distances: dict[str, dict[str, dict[str, Estimate]]]
    missing: list[str]
    metrics: Sequence[MetricSpec] = METRICS

    def estimate(self, candidate: str, name: str) -> Estimate | None:
        """Average a metric, with its interval over tracks; None where nothing was measured."""
        real = candidate == REAL_TARGET
        values = (self.real if real else self.scores.get(candidate, {})).get(name)
        of = next((metric for metric in self.metrics if metric.name == name), None)
        if values is None or of is None:
            return None
        found = by_track(
            values, self.real_clips if real else self.clips, proportion if of.is_proportion else estimate
        )
        return found and found.clamp(of.low, of.high)


def by_track(
    values: np.ndarray,
    clips: Sequence[Clip],
    mean: Callable[[Sequence[float], Sequence[str]], Estimate] = estimate,
) -> Estimate | None:
    """Average what is not NaN, with an interval over tracks, or over clips where there is one track only."""
    known = [(float(v), clip) for v, clip in zip(values, clips, strict=True) if not math.isnan(v)]
    if not known:
        return None
    groups = [clip.track for _, clip in known]
    if len(set(groups)) < 2:
        groups = [clip.clip_id for _, clip in known]
    return mean([value for value, _ in known], groups)


@dataclasses.dataclass(frozen=True)
class Mels:
    """The clips of one direction with their mels (N, M, F) in dB.

    Attributes:
        clips, real_db, fake_db: held-out clips of the source, before and after.
        target_clips, target_db: held-out clips of the target genre.
    """

    clips: list[Clip]
    real_db: Tensor
    fake_db: Tensor
    target_clips: list[Clip]
    target_db: Tensor


@torch.inference_mode()
def measure(
    source: str,
    target: str,
    mels: Mels,
    training: dict[str, tuple[list[Clip], Tensor]],
    classifiers: Classifiers,
    vocoded: Vocoded,
    mel: MelSpectrogram,
    metrics: Sequence[MetricSpec] = METRICS,
) -> Measured:
    """Score every candidate.

    Args:
        source, target: genres.
        mels: the clips.
        training: training clips of each genre and their mels, for baselines and as reference of distances.
        classifiers: see there.
        vocoded: what the vocoder makes of some of the clips.
        mel: the definition of the mels.
        metrics: what to measure.
    """
    reference_db, real_db = training[target][1], mels.real_db
    moments = {genre: BandMoments.of(mels_db) for genre, (_, mels_db) in training.items()}
    made = {
        MODEL: mels.fake_db,
        UNTOUCHED: real_db,
        MATCHED_MOMENTS: match_moments(real_db, moments[source], moments[target]),
        NEAREST_REAL: reference_db[nearest_neighbours(real_db, reference_db)],
    }
    base = MetricInput(
        mels.target_db, mel, target=target, classifier=classifiers.classifier, linear=classifiers.linear
    )
    scores = _all_scores(base, mels, made, vocoded, metrics)
    real = scores.pop(REAL_TARGET)
    n_clips = min(len(mels.clips), len(mels.target_clips), len(reference_db))
    distances = {
        name: _distances(embed, training[target], made, mels)
        for name, embed in classifiers.embeddings.items()
        if n_clips >= MIN_CLIPS
    }
    missing = [text for text in (classifiers.missing, vocoded.missing) if text]
    n_tracks = min(_tracks(mels.clips), _tracks(mels.target_clips))
    missing += [text] if (text := small_sample_warning(n_clips, n_tracks)) else []
    return Measured(source, target, mels.clips, scores, mels.target_clips, real, distances, missing, metrics)


def _all_scores(
    real: MetricInput,
    mels: Mels,
    made: dict[str, Tensor],
    vocoded: Vocoded,
    metrics: Sequence[MetricSpec],
) -> dict[str, Scores]:
    """Compute the metrics of every candidate, and of the clips of the real target."""
    real_db, rows, n_clips = mels.real_db, vocoded.rows, len(mels.clips)
    made_of = partial(dataclasses.replace, real, source_db=real_db)
    some_of = partial(dataclasses.replace, real, source_db=real_db[rows])
    remade = {
        name: vocoded.sounds[name].mels_db for name in (VOCODED_SOURCE, VOCODED) if name in vocoded.sounds
    }
    piece = [metric for metric in metrics if metric.uses_other_piece]
    candidates = {
        **{name: (metrics, made_of(mels_db=mels_db)) for name, mels_db in made.items()},
        OTHER_PIECE: (piece, made_of(mels_db=real_db[another(mels.clips)])),
        REAL_TARGET: (metrics, real),
        **{name: (metrics, some_of(mels_db=mels_db)) for name, mels_db in remade.items()},
    }
    found = parallel_map(partial(compute_metrics, *pair) for pair in candidates.values())
    scores = dict(zip(candidates, found, strict=True))
    scores |= {name: _widened(scores[name], rows, n_clips) for name in remade}
    for name, sounds in vocoded.sounds.items():
        scores[name] |= _widened(compute_metrics(metrics, sounds), rows, n_clips)
    return scores


def _distances(
    embed: PCAEmbedding, reference: tuple[list[Clip], Tensor], made: dict[str, Tensor], mels: Mels
) -> dict[str, dict[str, Estimate]]:
    """Distances to the reference by kind and candidate, `real_target` among them."""
    sets = [reference[1], mels.target_db, *made.values()]
    fixed_to, real, *embedded = parallel_map([partial(embed, mels_db) for mels_db in sets])
    fixed = fixed_to, [clip.track for clip in reference[0]]
    others, tracks = ([clip.track for clip in clips] for clips in (mels.clips, mels.target_clips))
    out, of_real = parallel_map(
        [
            partial(distances_to, *fixed, dict(zip(made, embedded, strict=True)), others),
            partial(distances_to, *fixed, {REAL_TARGET: real}, tracks),
        ]
    )
    return {kind: out[kind] | of_real[kind] for kind in out}


def another(clips: Sequence[Clip]) -> list[int]:
    """Find for each clip the row of one from another track, where there is any."""
    half = max(len(clips) // 2, 1)
    rows = []
    for i, clip in enumerate(clips):
        order = [(i + half + step) % len(clips) for step in range(len(clips))]
        rows.append(next((j for j in order if clips[j].track != clip.track), order[0]))
    return rows


def _widened(scores: Scores, rows: Sequence[int], count: int) -> Scores:
    """Scores of some rows as scores of all, NaN elsewhere."""
    out = {name: np.full(count, np.nan) for name in scores}
    for name, values in scores.items():
        out[name][list(rows)] = values
    return out


def _tracks(clips: Sequence[Clip]) -> int:
    return len({clip.track for clip in clips})
