"""Mels through a generator: one function for every use, and a clip's states from dB to dB."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.audio.windows import pad_to_multiple


@contextmanager
def precision(generator: nn.Module, bf16: bool) -> Iterator[None]:
    """Let `generator` compute in bf16 within the block, where that is wanted."""
    with torch.autocast(_device(generator).type, torch.bfloat16, enabled=bf16):
        yield


def run_generator(generator: nn.Module, mels: Tensor, bf16: bool = False) -> Tensor:
    """Run mels (N, 1, M, F) in [-1, 1] of any length through a generator, on its device.

    Args:
        generator: with a `frame_multiple`, to which F is padded by reflection.
        mels: on any device.
        bf16: whether the generator computes in bf16.

    Returns:
        What the generator makes of them, of the same shape, in fp32.
    """
    padded = pad_to_multiple(mels, int(generator.frame_multiple))  # type: ignore[arg-type]
    with precision(generator, bf16):
        out = generator(padded.to(_device(generator)))
    return out[..., : mels.shape[-1]].float()


@torch.inference_mode()
def apply_generator(
    generator: nn.Module, mel_db: Tensor, mel: MelSpectrogram, range_db: tuple[float, float]
) -> Tensor:
    """Translate a whole clip (M, F) in dB; `range_db` scales in and out."""
    out = run_generator(generator, mel.normalise(mel_db, range_db)[None, None])
    return mel.denormalise(out[0, 0].cpu(), range_db)


def translate_states(
    generators: Mapping[str, nn.Module],
    direction: str,
    mel_db: Tensor,
    mel: MelSpectrogram,
    finish: Callable[[Tensor], Tensor] = lambda mel_db: mel_db,
) -> dict[str, Tensor]:
    """Translate a clip, translate it back, and send it through the generator of its own genre.

    Args:
        generators: by direction, such as `ab`; one of the other direction may be missing.
        direction: to translate in.
        mel_db: the clip (M, F) in dB.
        mel: its settings.
        finish: what every output (M, F) in dB is brought to.

    Returns:
        Each (M, F) in dB: `real`, `fake`, and with a generator of the other direction `rec` and `idt`.
    """
    range_db = mel.range_db(mel_db)

    def through(way: str, source_db: Tensor) -> Tensor:
        return finish(apply_generator(generators[way], source_db, mel, range_db))

    states = {"real": mel_db, "fake": through(direction, mel_db)}
    back = direction[::-1]
    if back not in generators:
        return states
    return states | {"rec": through(back, states["fake"]), "idt": through(back, mel_db)}


def _device(generator: nn.Module) -> torch.device:
    return next(generator.parameters(), torch.empty(0)).device
