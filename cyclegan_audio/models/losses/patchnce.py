"""Contrast between patches: what keeps the content in one-sided training (CUT)."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cyclegan_audio.utils.errors import check_number
from cyclegan_audio.utils.rng import SeededRNG


class PatchNCELoss(nn.Module):
    """The multilayer patchwise contrastive loss of Park et al. 2020, eq. 3, its sum over layers as a mean.

    A patch of the translation must be recognised, among other patches of the same clip, as coming from its
    own place in the source. Features come from the generator's own first half; each layer has a small network
    that projects them on the unit sphere.

    Args:
        widths: channels of the layers.
        n_features: of a projected patch (256 in the paper).
        n_patches: places drawn from a layer (256 in the paper).
        temperature: of the softmax (0.07 in the paper).
        seed: of the places.
    """

    def __init__(
        self, widths: Mapping[str, int], n_features: int, n_patches: int, temperature: float, seed: int = 0
    ) -> None:
        super().__init__()
        check_number("model.contrast.n_features", n_features, low=1, integer=True)
        check_number("model.contrast.n_patches", n_patches, low=2, integer=True)
        check_number("model.contrast.temperature", temperature, low=1e-6)
        self.heads = nn.ModuleDict({name: _head(width, n_features) for name, width in widths.items()})
        self.n_patches, self.temperature = n_patches, temperature
        self.draws = SeededRNG(seed)

    def forward(self, source: Mapping[str, Tensor], translated: Mapping[str, Tensor]) -> Tensor:
        """Mean cross-entropy over layers, clips and patches, from features (B, C, H, W) by layer."""
        losses = []
        for name, head in self.heads.items():
            places = self.draws.sample_indices(self.n_patches, source[name].shape[2:].numel())
            key, query = (
                F.normalize(head(_patches(features[name], places)).float(), dim=-1)
                for features in (source, translated)
            )
            losses.append(patch_nce(query, key.detach(), self.temperature))
        return torch.stack(losses).mean()


def patch_nce(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    """Mean cross-entropy of finding each patch's own key among those of its clip (Park et al. 2020, eq. 2).

    Args:
        query: (B, N, K), of unit length.
        key: (B, N, K), of unit length.
        temperature: divides the cosines.
    """
    logits = query @ key.transpose(1, 2) / temperature
    own = torch.arange(logits.shape[1], device=logits.device).expand(len(logits), -1)
    return F.cross_entropy(logits.flatten(0, 1), own.flatten())


def _patches(features: Tensor, places: Tensor) -> Tensor:
    """(B, C, H, W) to (B, N, C) at flat `places`."""
    return features.flatten(2)[:, :, places.to(features.device)].transpose(1, 2)


def _head(n_in: int, n_out: int) -> nn.Module:
    head = nn.Sequential(nn.Linear(n_in, n_out), nn.ReLU(), nn.Linear(n_out, n_out))
    for layer in head:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, 0.0, 0.02)
            nn.init.zeros_(layer.bias)
    return head
