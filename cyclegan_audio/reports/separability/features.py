"""What the logistic regressions see of a clip: its picture, or statistics of its bands."""

import dataclasses

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.metrics.band_statistics import STATISTIC_NAMES, band_features
from cyclegan_audio.metrics.genre_classifier.linear import project_to_row_space

PICTURE = (256, 256)  # the paper's
PIXELS, BANDS = "pixels", "band statistics"


@dataclasses.dataclass(frozen=True)
class Features:
    """Features of N clips.

    Attributes:
        name: pixels or band statistics.
        values: (N, D).
        standardise: whether each is to be scaled to mean 0 and spread 1 over training clips,
            and outliers cut off.
        strengths: values of C to choose among.
        back: (D, P) from weights to the picture that they stand for, None where they are that picture.
        shape: of the picture: bands and frames, or statistics and bands (relations of bands are not in it).
    """

    name: str
    values: np.ndarray
    standardise: bool
    strengths: tuple[float, ...]
    back: np.ndarray | None
    shape: tuple[int, int]

    def picture(self, weight: np.ndarray) -> np.ndarray:
        """Turn weights (D,) into a picture of `shape`, low bands first."""
        whole = weight if self.back is None else weight @ self.back
        return whole[: self.shape[0] * self.shape[1]].reshape(self.shape)


def pixels(mels_db: Tensor, strengths: tuple[float, ...]) -> Features:
    """Turn mels (N, M, F) into grey pictures of 256 x 256, each from its minimum (0) to its maximum (1).

    The 65,536 pixels are turned to the N directions that N clips span: distances and products of clips stay
    as they are, so that a regression with an L2 penalty gives the same verdicts, many times faster.
    """
    low, high = mels_db.amin((1, 2), keepdim=True), mels_db.amax((1, 2), keepdim=True)
    grey = (mels_db - low) / (high - low).clamp_min(1e-6)
    picture = F.interpolate(grey[:, None], PICTURE, mode="bilinear", align_corners=False).flatten(1)
    picture -= picture.mean(0)
    turned, back = project_to_row_space(picture.numpy())
    return Features(PIXELS, turned, False, strengths, back, PICTURE)


def bands(mels_db: Tensor, frame_s: float, strengths: tuple[float, ...]) -> Features:
    """Compute statistics of each band over time, then relations of bands: (N, M, F) to (N, D)."""
    statistics = band_features(mels_db, frame_s).double().numpy()
    return Features(BANDS, statistics, True, strengths, None, (len(STATISTIC_NAMES), mels_db.shape[1]))


def trivial(values: Tensor, name: str) -> Features:
    """Take one number a clip (N,) as the only feature."""
    return Features(name, values[:, None].double().numpy(), True, (1.0,), None, (1, 1))
