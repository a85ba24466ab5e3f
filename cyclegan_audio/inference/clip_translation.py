"""Apply generators to mels: normalised batches, whole clips in dB, clips with their cycle and identity."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.audio.windows import pad_to_multiple
from cyclegan_audio.utils.devices import device_of


@contextmanager
def generator_precision(generator: nn.Module, bf16: bool) -> Iterator[None]:
    """Compute in bf16 on the generator's device within the block if `bf16`."""
    with torch.autocast(device_of(generator).type, torch.bfloat16, enabled=bf16):
        yield


def run_generator(generator: nn.Module, mels: Tensor, bf16: bool = False) -> Tensor:
    """Apply a generator, on its device, to mels (N, 1, M, F) in [-1, 1] of any length.

    Args:
        generator: a network with `frame_multiple`; F is padded to a multiple of it by reflection.
        mels: on any device.
        bf16: whether the generator computes in bf16.

    Returns:
        The translations, of the same shape, in fp32, on the generator's device.
    """
    padded = pad_to_multiple(mels, int(generator.frame_multiple))  # type: ignore[arg-type]
    with generator_precision(generator, bf16):
        out = generator(padded.to(device_of(generator)))
    return out[..., : mels.shape[-1]].float()


@torch.inference_mode()
def translate_mel_db(
    generator: nn.Module, mel_db: Tensor, mel: MelSpectrogram, range_db: tuple[float, float]
) -> Tensor:
    """Translate a whole clip (M, F) in dB; `range_db` scales both input and output."""
    out = run_generator(generator, mel.normalise(mel_db, range_db)[None, None])
    return mel.denormalise(out[0, 0].cpu(), range_db)


def translate_with_cycle(
    generators: Mapping[str, nn.Module],
    direction: str,
    mel_db: Tensor,
    mel: MelSpectrogram,
    postprocess: Callable[[Tensor], Tensor] = lambda mel_db: mel_db,
) -> dict[str, Tensor]:
    """Translate a clip, translate it back, and apply the generator of its own genre.

    Args:
        generators: generators by direction, such as `ab`; the other direction may be missing.
        direction: direction of the translation.
        mel_db: the clip (M, F) in dB.
        mel: the mel-spectrogram of the clip.
        postprocess: applied to every output (M, F) in dB.

    Returns:
        Each (M, F) in dB: `real`, `fake`, and with a generator of the other direction `rec` and `idt`.
    """
    range_db = mel.range_db(mel_db)

    def translate(direction: str, source_db: Tensor) -> Tensor:
        return postprocess(translate_mel_db(generators[direction], source_db, mel, range_db))

    mels_db = {"real": mel_db, "fake": translate(direction, mel_db)}
    back = direction[::-1]
    if back not in generators:
        return mels_db
    return mels_db | {"rec": translate(back, mels_db["fake"]), "idt": translate(back, mel_db)}
