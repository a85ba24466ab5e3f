"""Contrastive loss between patches (PatchNCE), which keeps the content in CUT, and CUT's two loss terms."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cyclegan_audio.models.losses.terms import LossTerm
from cyclegan_audio.utils.errors import check_number
from cyclegan_audio.utils.rng import SeededRNG


class ContrastTerm(LossTerm):
    """Contrast between patches of the translation and of its source (Park et al. 2020, eq. 3)."""

    suffix = "source"
    always_computed = True

    def forward(self, model: Any, mels: Mapping[str, Tensor], direction: str) -> Tensor:
        """Contrast `fake_*` with its source: `source_*` if sources are varied, else `real_*`."""
        source = mels.get(f"source_{direction[0]}", mels[f"real_{direction[0]}"])
        return _contrast(model, source, mels[f"fake_{direction[1]}"])


class IdentityContrastTerm(LossTerm):
    """Contrast between patches of the target's mels and of the generator's output for them."""

    suffix = "target"

    def forward(self, model: Any, mels: Mapping[str, Tensor], direction: str) -> Tensor:
        """Contrast `idt_*` with `real_*`."""
        target = direction[1]
        return _contrast(model, mels[f"real_{target}"], mels[f"idt_{target}"])


def _contrast(model: Any, source: Tensor, translated: Tensor) -> Tensor:
    features = model.gen_ab.features
    return model.contrast(features(source), features(translated))


class PatchNCELoss(nn.Module):
    """Multilayer patchwise contrastive loss (Park et al. 2020, eq. 3), averaged over layers, not summed.

    A patch of the translation must be recognised, among other patches of the same clip, as coming from its
    position in the source. The features come from the generator's first half; each layer has a small
    network that projects them onto the unit sphere.

    Args:
        widths: channels of the layers.
        n_features: features of a projected patch (256 in the paper).
        n_patches: random positions in each layer (256 in the paper).
        temperature: temperature of the softmax (0.07 in the paper).
        seed: seed of the positions.
    """

    def __init__(
        self, widths: Mapping[str, int], n_features: int, n_patches: int, temperature: float, seed: int = 0
    ) -> None:
        super().__init__()
        check_number("model.contrast.n_features", n_features, low=1, integer=True)
        check_number("model.contrast.n_patches", n_patches, low=2, integer=True)
        check_number("model.contrast.temperature", temperature, low=1e-6)
        heads = {name: _projection_head(width, n_features) for name, width in widths.items()}
        self.heads = nn.ModuleDict(heads)
        self.n_patches, self.temperature = n_patches, temperature
        self.rng = SeededRNG(seed)

    def forward(self, source: Mapping[str, Tensor], translated: Mapping[str, Tensor]) -> Tensor:
        """Compute the mean cross-entropy over layers, clips and patches of features (B, C, H, W) by layer."""
        losses = []
        for name, head in self.heads.items():
            positions = self.rng.sample_indices(self.n_patches, source[name].shape[2:].numel())
            key, query = (
                F.normalize(head(_gather_patches(features[name], positions)).float(), dim=-1)
                for features in (source, translated)
            )
            losses.append(patch_nce(query, key.detach(), self.temperature))
        return torch.stack(losses).mean()


def patch_nce(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    """Compute the mean cross-entropy of matching each patch with its key (Park et al. 2020, eq. 2).

    Args:
        query: (B, N, K), of unit length.
        key: (B, N, K), of unit length.
        temperature: divides the cosines.
    """
    logits = query @ key.transpose(1, 2) / temperature
    labels = torch.arange(logits.shape[1], device=logits.device).expand(len(logits), -1)
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten())


def _gather_patches(features: Tensor, positions: Tensor) -> Tensor:
    """Return (B, N, C) of (B, C, H, W) at flat `positions`."""
    return features.flatten(2)[:, :, positions.to(features.device)].transpose(1, 2)


def _projection_head(n_in: int, n_out: int) -> nn.Module:
    head = nn.Sequential(nn.Linear(n_in, n_out), nn.ReLU(), nn.Linear(n_out, n_out))
    for layer in head:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, 0.0, 0.02)
            nn.init.zeros_(layer.bias)
    return head
