"""Scores of one direction: every metric of every candidate by clip, and distances to the target genre."""

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
from cyclegan_audio.metrics.distances import (
    FRECHET,
    KAD,
    MIN_CLIPS,
    Distance,
    PCAEmbedding,
    distances_to,
    frechet_distance,
    kernel_audio_distance,
    small_sample_warning,
)
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
from cyclegan_audio.metrics.tagger import TaggedSounds
from cyclegan_audio.reports.evaluation.classifiers import TAGGER, Classifiers
from cyclegan_audio.reports.evaluation.sounds import SoundJudge, SoundScores
from cyclegan_audio.statistics.estimates import Estimate, estimate
from cyclegan_audio.statistics.proportions import proportion
from cyclegan_audio.utils.devices import parallel_map

MIN_CLIPS_FRECHET = 400  # twice the dimensions of the tagger's embedding, whose covariance it needs
SCORE = "score: harmonic mean of the genre classifier's probability and the onset correlation with the input"


@dataclasses.dataclass(frozen=True)
class DirectionScores:
    """Scores of one direction of translation.

    Attributes:
        source, target: genres.
        clips: the N held-out clips that were translated.
        by_candidate: candidate to metric to (N,) values.
        real_clips, real_scores: held-out clips of the target genre, and their values by metric.
        distances: embedding to kind to candidate (and `real_target`) to estimate.
        missing: sentences that say what could not be computed and why.
        metrics: the metrics that were computed.
        tagged: candidate to what the independent tagger hears; empty without it.
    """

    source: str
    target: str
    clips: list[Clip]
    by_candidate: dict[str, Scores]
    real_clips: list[Clip]
    real_scores: Scores
    distances: dict[str, dict[str, dict[str, Estimate]]]
    missing: list[str]
    metrics: Sequence[MetricSpec] = METRICS
    tagged: dict[str, TaggedSounds] = dataclasses.field(default_factory=dict)

    def estimate(self, candidate: str, name: str) -> Estimate | None:
        """Average a metric, with its interval over tracks; None where it was not computed."""
        is_real = candidate == REAL_TARGET
        values = (self.real_scores if is_real else self.by_candidate.get(candidate, {})).get(name)
        metric = next((metric for metric in self.metrics if metric.name == name), None)
        if values is None or metric is None:
            return None
        clips = self.real_clips if is_real else self.clips
        mean = mean_over_tracks(values, clips, proportion if metric.is_proportion else estimate)
        return mean and mean.clamp(metric.low, metric.high)


def clip_scores(scores: DirectionScores) -> np.ndarray:
    """Score each translated clip (N,), 0 to 1, by `SCORE`; without a classifier by onset correlation."""
    by_metric = scores.by_candidate[MODEL]
    content = by_metric["onset_correlation"].clip(0, 1)
    style = by_metric.get("genre_probability")
    if style is None:
        return content
    return 2 * style * content / np.maximum(style + content, 1e-9)


def mean_over_tracks(
    values: np.ndarray,
    clips: Sequence[Clip],
    mean: Callable[[Sequence[float], Sequence[str]], Estimate] = estimate,
) -> Estimate | None:
    """Average the values that are not NaN, with an interval over tracks, or over clips of a single track."""
    known = [(float(v), clip) for v, clip in zip(values, clips, strict=True) if not math.isnan(v)]
    if not known:
        return None
    groups = [clip.track for _, clip in known]
    if len(set(groups)) < 2:
        groups = [clip.clip_id for _, clip in known]
    return mean([value for value, _ in known], groups)


@dataclasses.dataclass(frozen=True)
class DirectionMels:
    """Clips of one direction with their mels (N, M, F) in dB.

    Attributes:
        clips, real_db, fake_db: held-out clips of the source genre, before and after translation.
        target_clips, target_db: held-out clips of the target genre.
    """

    clips: list[Clip]
    real_db: Tensor
    fake_db: Tensor
    target_clips: list[Clip]
    target_db: Tensor


@torch.inference_mode()
def score_direction(
    source: str,
    target: str,
    mels: DirectionMels,
    training: dict[str, tuple[list[Clip], Tensor]],
    classifiers: Classifiers,
    judge: SoundJudge,
    mel: MelSpectrogram,
    metrics: Sequence[MetricSpec] = METRICS,
) -> DirectionScores:
    """Compute the metrics of every candidate of one direction.

    Args:
        source, target: genres.
        mels: the clips with their mels.
        training: training clips of each genre and their mels, for baselines and as reference of distances.
        classifiers: genre classifiers and embeddings.
        judge: measures the sound of the clips.
        mel: the definition of the mels.
        metrics: the metrics to compute.
    """
    reference_db, real_db = training[target][1], mels.real_db
    moments = {genre: BandMoments.of(mels_db) for genre, (_, mels_db) in training.items()}
    candidates_db = {
        MODEL: mels.fake_db,
        UNTOUCHED: real_db,
        MATCHED_MOMENTS: match_moments(real_db, moments[source], moments[target]),
        NEAREST_REAL: reference_db[nearest_neighbours(real_db, reference_db)],
    }
    base = MetricInput(
        mels.target_db, mel, target=target, classifier=classifiers.classifier, linear=classifiers.linear
    )
    sounds = judge.score((source, target), mels.clips, candidates_db, mels.target_clips)
    scores = _all_scores(base, mels, candidates_db, sounds, metrics)
    real_scores = scores.pop(REAL_TARGET)
    n_clips = min(len(mels.clips), len(mels.target_clips), len(reference_db))
    distances = {
        name: _distances(embed, training[target], candidates_db, mels)
        for name, embed in classifiers.embeddings.items()
        if n_clips >= MIN_CLIPS
    }
    if not isinstance(judge.tagger, str) and sounds.tagged and n_clips >= MIN_CLIPS:
        reference = judge.tagger.training[target], judge.tagger.references[target]
        distances[TAGGER] = _tagger_distances(reference, sounds.tagged, mels)
    missing = [text for text in (classifiers.missing, *sounds.missing) if text]
    n_tracks = min(_tracks(mels.clips), _tracks(mels.target_clips))
    missing += [text] if (text := small_sample_warning(n_clips, n_tracks)) else []
    return DirectionScores(
        source, target, mels.clips, scores, mels.target_clips, real_scores, distances, missing, metrics,
        sounds.tagged,
    )  # fmt: skip


def _all_scores(
    real: MetricInput,
    mels: DirectionMels,
    candidates_db: dict[str, Tensor],
    sounds: SoundScores,
    metrics: Sequence[MetricSpec],
) -> dict[str, Scores]:
    """Compute the metrics of all candidates and of real clips of the target genre."""
    real_db = mels.real_db
    translated_input = partial(dataclasses.replace, real, source_db=real_db)
    heard = {VOCODED_SOURCE: VOCODED_SOURCE, VOCODED: MODEL}
    heard_db = {name: sounds.mels_db[key] for name, key in heard.items() if key in sounds.mels_db}
    all_db = candidates_db | heard_db
    other_piece_metrics = [metric for metric in metrics if metric.uses_other_piece]
    candidates = {
        **{name: (metrics, translated_input(mels_db=mels_db)) for name, mels_db in all_db.items()},
        OTHER_PIECE: (other_piece_metrics, translated_input(mels_db=real_db[other_track_rows(mels.clips)])),
        REAL_TARGET: (metrics, real),
    }
    computed = parallel_map(partial(compute_metrics, *pair) for pair in candidates.values())
    scores = dict(zip(candidates, computed, strict=True))
    for name, of_sound in sounds.scores.items():
        scores[name] |= of_sound
    return scores


def _distances(
    embed: PCAEmbedding,
    reference: tuple[list[Clip], Tensor],
    candidates_db: dict[str, Tensor],
    mels: DirectionMels,
) -> dict[str, dict[str, Estimate]]:
    """Compute distances to the reference by kind and candidate, `real_target` included."""
    sets = [reference[1], mels.target_db, *candidates_db.values()]
    fixed_to, real, *embedded = parallel_map([partial(embed, mels_db) for mels_db in sets])
    fixed = fixed_to, [clip.track for clip in reference[0]]
    others, tracks = ([clip.track for clip in clips] for clips in (mels.clips, mels.target_clips))
    out, of_real = parallel_map(
        [
            partial(distances_to, *fixed, dict(zip(candidates_db, embedded, strict=True)), others),
            partial(distances_to, *fixed, {REAL_TARGET: real}, tracks),
        ]
    )
    return {kind: out[kind] | of_real[kind] for kind in out}


def _tagger_distances(
    reference: tuple[Sequence[Clip], TaggedSounds], tagged: dict[str, TaggedSounds], mels: DirectionMels
) -> dict[str, dict[str, Estimate]]:
    """Compute distances to the reference in the tagger's embedding, as `_distances` does."""
    kinds: dict[str, Distance] = {KAD: kernel_audio_distance}
    others = {name: sounds.embeddings for name, sounds in tagged.items() if name != REAL_TARGET}
    real = tagged[REAL_TARGET].embeddings
    if min(len(mels.clips), len(real), len(reference[0])) > MIN_CLIPS_FRECHET:
        kinds[FRECHET] = frechet_distance
    fixed = reference[1].embeddings, [clip.track for clip in reference[0]]
    tracks, real_tracks = ([clip.track for clip in clips] for clips in (mels.clips, mels.target_clips))
    out = distances_to(*fixed, others, tracks, kinds)
    of_real = distances_to(*fixed, {REAL_TARGET: real}, real_tracks, kinds)
    return {kind: out[kind] | of_real[kind] for kind in out}


def other_track_rows(clips: Sequence[Clip]) -> list[int]:
    """Return for each clip the row of a clip from another track; any row where all are from one track."""
    half = max(len(clips) // 2, 1)
    rows = []
    for i, clip in enumerate(clips):
        order = [(i + half + step) % len(clips) for step in range(len(clips))]
        rows.append(next((j for j in order if clips[j].track != clip.track), order[0]))
    return rows


def _tracks(clips: Sequence[Clip]) -> int:
    return len({clip.track for clip in clips})
