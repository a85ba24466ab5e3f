"""Long music piece by piece: chunks with context that is thrown away, and seams that keep their power."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSettings
from cyclegan_audio.audio.windows import fade_in

CHUNK_FRAMES = 1024
MARGIN_FRAMES = 8  # beyond the reach of one STFT window
FADE_FRAMES = 8


def spans(n_frames: int) -> Iterator[tuple[int, int]]:
    """Chunks (start, stop) that cover `n_frames`; neighbours share two margins and a fade."""
    start = 0
    while start + CHUNK_FRAMES < n_frames:
        yield start, start + CHUNK_FRAMES
        start += CHUNK_FRAMES - 2 * MARGIN_FRAMES - FADE_FRAMES
    yield start, n_frames


def long_mel_db(waveform: Tensor, mel: MelSettings) -> Tensor:
    """The mel (M, F) of a waveform (T,) of whole frames, as `mel.mel_db` gives it, in bounded memory."""
    n_frames = waveform.shape[-1] // mel.hop_length
    parts = []
    for start in range(0, max(n_frames, 1), CHUNK_FRAMES):
        stop = start + CHUNK_FRAMES
        before = min(start, MARGIN_FRAMES)
        last = stop + MARGIN_FRAMES >= n_frames
        piece = waveform[(start - before) * mel.hop_length : (stop + MARGIN_FRAMES) * mel.hop_length]
        parts.append(mel.mel_db(piece[None])[0, :, before : None if last else before + CHUNK_FRAMES])
        if last:
            break
    return torch.cat(parts, 1)


def in_chunks(make: Callable[[int, int], Tensor], n_frames: int, hop_length: int) -> Tensor:
    """Join what `make(start, stop)` gives for each chunk, (C, (stop - start) * hop_length), to one waveform.

    Margins are thrown away, seams are cross-faded by `cross_fade`.
    """
    margin, fade = MARGIN_FRAMES * hop_length, FADE_FRAMES * hop_length
    out: Tensor | None = None
    for start, stop in spans(n_frames):
        piece = make(start, stop)
        if out is None:
            out = piece.new_zeros(piece.shape[0], n_frames * hop_length)
        begin, end = start * hop_length, stop * hop_length
        if start:
            head = piece[:, margin : margin + fade]
            meeting = out[:, begin + margin : begin + margin + fade]
            out[:, begin + margin : begin + margin + fade] = cross_fade(meeting, head)
            out[:, begin + margin + fade : end] = piece[:, margin + fade :]
        else:
            out[:, :end] = piece
    assert out is not None
    return out


def cross_fade(old: Tensor, new: Tensor) -> Tensor:
    """Fade from `old` to `new`, both (C, T).

    Weights that sum to 1, corrected for the correlation of the two, so that neither a continuing tone nor
    fresh noise changes in power.
    """
    rise = fade_in(old.shape[-1], old)
    fall = 1 - rise
    energy = (old.square().sum(-1) * new.square().sum(-1)).sqrt().clamp_min(1e-12)
    correlation = ((old * new).sum(-1) / energy).clamp(0, 1)[:, None]
    power = rise.square() + fall.square() + 2 * correlation * rise * fall
    return (old * fall + new * rise) / power.sqrt()
