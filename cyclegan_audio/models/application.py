"""A clip's way through a generator, from dB to dB."""

import torch
from torch import Tensor, nn

from cyclegan_audio.audio.mel import MelSettings
from cyclegan_audio.audio.windows import pad_to_multiple


@torch.inference_mode()
def apply_generator(
    generator: nn.Module, mel_db: Tensor, mel: MelSettings, range_db: tuple[float, float]
) -> Tensor:
    """A whole clip (M, F) in dB through a generator, back in dB; `range_db` scales in and out."""
    device = next(generator.parameters()).device
    scaled = mel.normalise(mel_db, range_db)[None, None]
    out = generator(pad_to_multiple(scaled, int(generator.frame_multiple)).to(device))  # type: ignore[arg-type]
    return mel.denormalise(out[0, 0, :, : mel_db.shape[-1]].float().cpu(), range_db)
