"""Folds that keep each track whole."""

from collections.abc import Sequence

import numpy as np

Folds = list[tuple[np.ndarray, np.ndarray]]


def track_folds(labels: np.ndarray, groups: Sequence[str], count: int, seed: int) -> Folds:
    """Split rows to train on and to test on `count` times, or as often as the genre of fewest tracks allows.

    Args:
        labels: (N,) of 0 and 1; each fold has both in about their shares.
        groups: the track of each row.

    Returns:
        Nothing where a genre has one track.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    tracks = np.asarray(groups)
    n_folds = min([count, *(len(set(tracks[labels == label])) for label in (0, 1))])
    if n_folds < 2:
        return []
    return list(StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed).split(labels, labels, tracks))
