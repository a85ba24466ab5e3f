"""Build the network musicnn: convolutions over time and over bands, then pooling over time."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

N_MELS = 96
N_TAGS, EMBEDDING_SIZE = 50, 200
N_TIMBRAL, N_TEMPORAL, N_MIDDLE = 204, 51, 64
TIMBRAL_BANDS = (38, 67)  # 40 and 70 % of the bands
TEMPORAL_FRAMES = (128, 64, 32)
FRAMES = 7  # of the other filters
N_FRONT = len(TIMBRAL_BANDS) * N_TIMBRAL + len(TEMPORAL_FRAMES) * N_TEMPORAL
N_POOLED = 2 * (N_FRONT + 3 * N_MIDDLE)
EPSILON = 1e-3  # TensorFlow's default


class Musicnn(nn.Module):
    """The music tagger musicnn (Pons and Serra 2019, arXiv 1909.06654).

    Filters as high as 40 and 70 % of the bands detect timbres, filters as long as two seconds detect
    rhythms. Each keeps its maximum over the bands. Three more layers over time follow; the maximum and the
    mean over time of all layers give the embedding, and the embedding gives the tags.
    """

    def __init__(self) -> None:
        super().__init__()
        self.input_norm = nn.BatchNorm2d(1, EPSILON)
        timbral = [(N_TIMBRAL, (FRAMES, bands)) for bands in TIMBRAL_BANDS]
        temporal = [(N_TEMPORAL, (frames, 1)) for frames in TEMPORAL_FRAMES]
        front = timbral + temporal
        self.front = nn.ModuleList(nn.Conv2d(1, filters, kernel) for filters, kernel in front)
        self.front_norm = nn.ModuleList(nn.BatchNorm1d(filters, EPSILON) for filters, _ in front)
        inputs = (N_FRONT, N_MIDDLE, N_MIDDLE)
        self.middle = nn.ModuleList(nn.Conv1d(n, N_MIDDLE, FRAMES, padding=FRAMES // 2) for n in inputs)
        self.middle_norm = nn.ModuleList(nn.BatchNorm1d(N_MIDDLE, EPSILON) for _ in inputs)
        self.pooled_norm = nn.BatchNorm1d(N_POOLED, EPSILON)
        self.dense = nn.Linear(N_POOLED, EMBEDDING_SIZE)
        self.dense_norm = nn.BatchNorm1d(EMBEDDING_SIZE, EPSILON)
        self.output = nn.Linear(EMBEDDING_SIZE, N_TAGS)

    def forward(self, log_mels: Tensor) -> tuple[Tensor, Tensor]:
        """Map log mels (N, F, 96) to embeddings (N, 200) and logits of the tags (N, 50)."""
        x = self.input_norm(log_mels[:, None])
        layers = [torch.cat([self._front(n, x) for n in range(len(self.front))], 1)]
        for convolution, norm in zip(self.middle, self.middle_norm, strict=True):
            out = norm(convolution(layers[-1]).relu())
            layers.append(out if len(layers) == 1 else out + layers[-1])
        joined = torch.cat(layers, 1)
        pooled = torch.stack([joined.amax(2), joined.mean(2)], 2).flatten(1)
        embedding = self.dense_norm(self.dense(self.pooled_norm(pooled)).relu())
        return embedding, self.output(embedding)

    def _front(self, n: int, x: Tensor) -> Tensor:
        """Return the maximum over the bands of a front layer: (N, 1, F, 96) to (N, filters, F).

        Filters take the sign of their norm, so that the maximum can be found before the norm and on few
        values: a third of the time.
        """
        layer, norm = self.front[n], self.front_norm[n]
        assert isinstance(layer, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm1d)
        assert layer.bias is not None
        frames = layer.kernel_size[0]
        padded = F.pad(x, (0, 0, (frames - 1) // 2, frames // 2))  # TensorFlow's "same"
        sign = norm.weight.sign()
        signed = F.conv2d(padded, layer.weight * sign[:, None, None, None], layer.bias * sign)
        extreme = F.max_pool2d(signed, (1, signed.shape[3])).squeeze(3) * sign[:, None]
        return norm(extreme.relu())
