"""Features of clips for logistic regression: pixels of the spectrogram, or band statistics."""

import dataclasses

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.metrics.band_statistics import NAMES, statistics_and_relations
from cyclegan_audio.metrics.genre_classifier.linear import spanned

IMAGE_SIZE = (256, 256)  # as in the paper
PIXELS, BANDS = "pixels", "band statistics"


@dataclasses.dataclass(frozen=True)
class Features:
    """Features of N clips.

    Attributes:
        name: pixels or band statistics.
        values: (N, D).
        standardise: whether to scale each feature to mean 0 and standard deviation 1 over the training clips,
            and to clip outliers.
        c_values: values of C (inverse strength of the penalty) to choose from.
        to_image: (D, P) maps weights to an image; None where the weights are the image.
        shape: of the image: bands and frames, or statistics and bands (without relations of bands).
    """

    name: str
    values: np.ndarray
    standardise: bool
    c_values: tuple[float, ...]
    to_image: np.ndarray | None
    shape: tuple[int, int]

    def weight_image(self, weight: np.ndarray) -> np.ndarray:
        """Turn weights (D,) into an image of `shape`, low bands first."""
        image = weight if self.to_image is None else weight @ self.to_image
        return image[: self.shape[0] * self.shape[1]].reshape(self.shape)


def pixel_features(mels_db: Tensor, c_values: tuple[float, ...]) -> Features:
    """Turn mels (N, M, F) into grey images of 256 x 256, each scaled from its minimum (0) to its maximum (1).

    The 65,536 pixels are projected onto the N directions that N clips span. Distances and products of clips
    do not change, so a regression with an L2 penalty gives the same predictions, many times faster.
    """
    low, high = mels_db.amin((1, 2), keepdim=True), mels_db.amax((1, 2), keepdim=True)
    grey = (mels_db - low) / (high - low).clamp_min(1e-6)
    image = F.interpolate(grey[:, None], IMAGE_SIZE, mode="bilinear", align_corners=False).flatten(1)
    image -= image.mean(0)
    projected, to_image = spanned(image.numpy())
    return Features(PIXELS, projected, False, c_values, to_image, IMAGE_SIZE)


def band_features(mels_db: Tensor, frame_s: float, c_values: tuple[float, ...]) -> Features:
    """Compute statistics of each band over time and relations of bands: (N, M, F) to (N, D)."""
    statistics = statistics_and_relations(mels_db, frame_s).double().numpy()
    return Features(BANDS, statistics, True, c_values, None, (len(NAMES), mels_db.shape[1]))


def single_feature(values: Tensor, name: str) -> Features:
    """Use one number for each clip (N,) as the only feature."""
    return Features(name, values[:, None].double().numpy(), True, (1.0,), None, (1, 1))
