"""Translation of a stream that has no end: from standard input to standard output."""

import struct
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from cyclegan_audio.audio.loudness import LoudnessMeter
from cyclegan_audio.audio.resampling import Resampler
from cyclegan_audio.translation.analysis_pass import PieceStatistics
from cyclegan_audio.translation.loudness_matching import limit_peaks, loudness_gain
from cyclegan_audio.translation.stages import FADE_FRAMES, MARGIN_FRAMES
from cyclegan_audio.translation.translator import Translator
from cyclegan_audio.utils.errors import UserError

LIVE_CHUNK_FRAMES = 2 * MARGIN_FRAMES + FADE_FRAMES + 32
LIVE_RESAMPLED_S = 0.2
READ_SAMPLES = 2048
FULL_SCALE = 32768
UNKNOWN = 0xFFFFFFFF  # the length that WAV headers of streams state


def latency_s(translator: Translator, rate: int) -> float:
    """Seconds by which the result is late, computing time left out: a window, a chunk, blocks, resampling."""
    mel = translator.mel
    frames = translator.window + MARGIN_FRAMES + LIVE_CHUNK_FRAMES
    ways = (rate, mel.sample_rate), (mel.sample_rate, rate)
    resampling_s = sum(Resampler(*way, LIVE_RESAMPLED_S).latency_s for way in ways)
    return frames * mel.frame_s + 2 * READ_SAMPLES / rate + resampling_s


def translate_live(
    translator: Translator, blocks: Iterable[Tensor], rate: int, channels: int, to: str, amount: float = 1.0
) -> Iterator[Tensor]:
    """Blocks (C, n) at `rate` in Hz to their translation, late by `latency_s`, of the same length in all.

    Nothing is known beforehand: each window is normalised by its own statistics, levels of a mel that is
    scaled by clip are those heard so far, and the level follows the loudness of all that was heard.
    """
    heard, made = LoudnessMeter(rate), LoudnessMeter(rate)
    survey = PieceStatistics(0, 0.0, False, torch.ones(channels, 1))

    def listening() -> Iterator[Tensor]:
        for block in blocks:
            heard.push(block)
            yield block

    def levelled() -> Iterator[Tensor]:
        before = 1.0
        stream = translator.stream(
            listening(),
            rate,
            to,
            survey,
            amount=amount,
            chunk_frames=LIVE_CHUNK_FRAMES,
            resampled_s=LIVE_RESAMPLED_S,
        )
        for block in stream:
            made.push(block)
            after = loudness_gain(heard.lufs_or_ungated(), made.lufs_or_ungated())
            yield block * torch.linspace(before, after, block.shape[1])
            before = after

    return limit_peaks(levelled())


def read_pcm(source: BinaryIO, channels: int) -> Iterator[Tensor]:
    """Blocks (C, n) of 16-bit little-endian samples until the stream ends."""
    size = 2 * channels
    while data := source.read(READ_SAMPLES * size):
        whole = np.frombuffer(data[: len(data) // size * size], "<i2").reshape(-1, channels)
        yield torch.from_numpy(whole.T.astype(np.float32) / FULL_SCALE)


def write_pcm(block: Tensor) -> bytes:
    """(C, n) to 16-bit little-endian samples."""
    return (block.T.clamp(-1, 1 - 1 / FULL_SCALE) * FULL_SCALE).round().numpy().astype("<i2").tobytes()


def read_wav_header(source: BinaryIO) -> tuple[int, int]:
    """Sample rate and channels of a 16-bit WAV stream, which then stands at its first sample.

    Raises:
        UserError: no WAV of 16-bit samples.
    """
    refusal = UserError("standard input is not a WAV of 16-bit samples; use --raw RATE:CHANNELS, or ffmpeg")
    riff = source.read(12)
    if riff[:4] not in (b"RIFF", b"RF64") or riff[8:] != b"WAVE":
        raise refusal
    form: tuple[Any, ...] | None = None
    while len(head := source.read(8)) == 8:
        name, size = struct.unpack("<4sI", head)
        if name == b"data":
            if form is None or form[0] not in (1, 0xFFFE) or form[5] != 16 or not form[1]:
                raise refusal
            return form[2], form[1]
        body = source.read(size + size % 2)
        if name == b"fmt " and len(body) >= 16:
            form = struct.unpack("<HHIIHH", body[:16])
    raise refusal


def wav_header(rate: int, channels: int) -> bytes:
    """The header of a 16-bit WAV stream of unknown length."""
    form = struct.pack("<HHIIHH", 1, channels, rate, 2 * channels * rate, 2 * channels, 16)
    unknown = struct.pack("<I", UNKNOWN)
    return b"".join([b"RIFF", unknown, b"WAVEfmt ", struct.pack("<I", 16), form, b"data", unknown])
