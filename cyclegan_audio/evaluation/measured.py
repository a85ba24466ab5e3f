"""One direction measured: every candidate's scores by clip, distances to the target, what is missing."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSettings
from cyclegan_audio.data.corpus import Clip
from cyclegan_audio.devices import in_threads
from cyclegan_audio.evaluation.judges import Judges
from cyclegan_audio.evaluation.measures import (
    BY_NAME,
    HEARD,
    MATCHED,
    MODEL,
    NEAREST,
    OTHER,
    REAL,
    UNTOUCHED,
    VOCODER,
)
from cyclegan_audio.evaluation.vocoded import Vocoded
from cyclegan_audio.metrics.accuracy import share
from cyclegan_audio.metrics.baselines import BandMoments, matched_moments, nearest
from cyclegan_audio.metrics.clip_scores import Scores, fault_scores, genre_scores, piece_scores
from cyclegan_audio.metrics.distances import LEAST_CLIPS, Principal, distances_to, too_few
from cyclegan_audio.metrics.intervals import Estimate, estimate


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
    """

    source: str
    target: str
    clips: list[Clip]
    scores: dict[str, Scores]
    real_clips: list[Clip]
    real: Scores
    distances: dict[str, dict[str, dict[str, Estimate]]]
    missing: list[str]

    def estimate(self, candidate: str, measure: str) -> Estimate | None:
        """Mean with interval over tracks; None where nothing was measured."""
        real = candidate == REAL
        values = (self.real if real else self.scores.get(candidate, {})).get(measure)
        of = BY_NAME[measure]
        if values is None:
            return None
        found = by_track(values, self.real_clips if real else self.clips, share if of.is_share else estimate)
        return found and found.within(of.low, of.high)


def by_track(
    values: np.ndarray,
    clips: Sequence[Clip],
    mean: Callable[[Sequence[float], Sequence[str]], Estimate] = estimate,
) -> Estimate | None:
    """The mean of what is not NaN, its interval over tracks, or over clips where there is one track only."""
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
    judges: Judges,
    vocoded: Vocoded,
    mel: MelSettings,
) -> Measured:
    """Score every candidate.

    Args:
        source, target: genres.
        mels: the clips.
        training: training clips of each genre and their mels, for baselines and as reference of distances.
        judges: see there.
        vocoded: mels of what the vocoder makes of some of the clips.
        mel: the definition of the mels.
    """
    reference_db, real_db = training[target][1], mels.real_db
    moments = {genre: BandMoments.of(mels_db) for genre, (_, mels_db) in training.items()}
    made = {
        MODEL: mels.fake_db,
        UNTOUCHED: real_db,
        MATCHED: matched_moments(real_db, moments[source], moments[target]),
        NEAREST: reference_db[nearest(real_db, reference_db)],
    }
    scores = _all_scores(target, mels, made, vocoded, judges, mel)
    real = scores.pop(REAL)
    n_clips = min(len(mels.clips), len(mels.target_clips), len(reference_db))
    distances = {
        name: _distances(embed, training[target], made, mels)
        for name, embed in judges.embeddings.items()
        if n_clips >= LEAST_CLIPS
    }
    missing = [text for text in (judges.missing, vocoded.missing) if text]
    n_tracks = min(_tracks(mels.clips), _tracks(mels.target_clips))
    missing += [text] if (text := too_few(n_clips, n_tracks)) else []
    return Measured(source, target, mels.clips, scores, mels.target_clips, real, distances, missing)


def _all_scores(
    target: str, mels: Mels, made: dict[str, Tensor], vocoded: Vocoded, judges: Judges, mel: MelSettings
) -> dict[str, Scores]:
    """Scores of every candidate, and of the real target."""
    real_db = mels.real_db
    again = {VOCODER: vocoded.source_db, HEARD: vocoded.fake_db}
    some = {name: mels_db for name, mels_db in again.items() if mels_db is not None}
    some_db = real_db[vocoded.rows]
    found = in_threads(
        [
            *(partial(_scores, real_db, mels_db, target, judges, mel) for mels_db in made.values()),
            partial(piece_scores, real_db, real_db[another(mels.clips)], mel),
            partial(_real_scores, mels.target_db, target, judges, mel),
            *(partial(_scores, some_db, mels_db, target, judges, mel) for mels_db in some.values()),
        ]
    )
    scores = dict(zip((*made, OTHER, REAL, *some), found, strict=True))
    scores |= {name: _widened(scores[name], vocoded.rows, len(mels.clips)) for name in some}
    for name, faults in vocoded.faults.items():
        scores[name] |= _widened(faults, vocoded.rows, len(mels.clips))
    return scores


def _distances(
    embed: Principal, reference: tuple[list[Clip], Tensor], made: dict[str, Tensor], mels: Mels
) -> dict[str, dict[str, Estimate]]:
    """Distances to the reference by kind and candidate, `real_target` among them."""
    sets = [reference[1], mels.target_db, *made.values()]
    fixed_to, real, *embedded = in_threads([partial(embed, mels_db) for mels_db in sets])
    fixed = fixed_to, [clip.track for clip in reference[0]]
    others, tracks = ([clip.track for clip in clips] for clips in (mels.clips, mels.target_clips))
    out, of_real = in_threads(
        [
            partial(distances_to, *fixed, dict(zip(made, embedded, strict=True)), others),
            partial(distances_to, *fixed, {REAL: real}, tracks),
        ]
    )
    return {kind: out[kind] | of_real[kind] for kind in out}


def _scores(real_db: Tensor, made_db: Tensor, target: str, judges: Judges, mel: MelSettings) -> Scores:
    return (
        judges.scores(made_db, target)
        | genre_scores(made_db, mel)
        | piece_scores(real_db, made_db, mel)
        | fault_scores(real_db, made_db)
    )


def _real_scores(target_db: Tensor, target: str, judges: Judges, mel: MelSettings) -> Scores:
    faults = fault_scores(target_db, target_db)
    known = {name: faults[name] for name in ("checkerboard_db", "quiet_db")}
    return genre_scores(target_db, mel) | judges.scores(target_db, target) | known


def another(clips: Sequence[Clip]) -> list[int]:
    """For each clip the row of one from another track, where there is any."""
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
