"""Every clip's own numbers, in columns, for report.json; and one score to sort clips by."""

from typing import Any

import numpy as np

from cyclegan_audio.metrics.metric_spec import MODEL
from cyclegan_audio.metrics.paired_error import mean_abs_db
from cyclegan_audio.reports.evaluation.scoring import Measured
from cyclegan_audio.reports.evaluation.translations import DirectionResult

SCORE = "score: harmonic mean of the genre classifier's probability and the onset correlation with the input"


def clip_table(way: DirectionResult, measured: Measured) -> dict[str, Any]:
    """List in columns where each held-out clip comes from, and the translation's metrics; `paired` likewise.

    The same clips in the same order come from every run on a corpus, so that runs can be compared clip by
    clip.
    """
    columns: dict[str, Any] = {
        "clip_id": [clip.clip_id for clip in measured.clips],
        "track": [clip.track for clip in measured.clips],
        "source": [clip.source for clip in measured.clips],
        "start_s": [clip.start_s for clip in measured.clips],
        "score": clip_scores(measured).tolist(),
        **{f"{name}_db": values for name, values in way.lost_db().items()},
        **{name: values.tolist() for name, values in measured.scores[MODEL].items()},
    }
    paired = {
        "clip_id": [pair.clip.clip_id for pair in way.paired],
        "track": [str(pair.clip.score) for pair in way.paired],
        "start_s": [pair.clip.start_s for pair in way.paired],
        "error_db": [mean_abs_db(pair.fake_db, pair.truth_db) for pair in way.paired],
        "untouched_error_db": [mean_abs_db(pair.real_db, pair.truth_db) for pair in way.paired],
    }
    return {**columns, "paired": paired}


def clip_scores(measured: Measured) -> np.ndarray:
    """Score how well each clip moved and stayed (N,), 0 to 1; without a classifier only how well it stayed."""
    scores = measured.scores[MODEL]
    stays = scores["onset_correlation"].clip(0, 1)
    moves = scores.get("genre_probability")
    if moves is None:
        return stays
    return 2 * moves * stays / np.maximum(moves + stays, 1e-9)
