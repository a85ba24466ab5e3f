"""Translate an endless stream, and read and write it as PCM or WAV on standard input and output."""

import struct
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from cyclegan_audio.audio.dc_blocker import LIVE_CUTOFF_HZ, block_dc
from cyclegan_audio.audio.loudness import LoudnessMeter
from cyclegan_audio.audio.resampling import Resampler
from cyclegan_audio.translation.amounts import AmountLike
from cyclegan_audio.translation.analysis_pass import PieceStatistics
from cyclegan_audio.translation.input_levels import HEADROOM, check_samples
from cyclegan_audio.translation.levelling import LIVE_DELAY_S
from cyclegan_audio.translation.loudness_matching import limit_peaks, loudness_gain
from cyclegan_audio.translation.stages import FADE_FRAMES, MARGIN_FRAMES, EdgeStream
from cyclegan_audio.translation.translator import Translator
from cyclegan_audio.utils.errors import UserError

LIVE_CHUNK_FRAMES = 2 * MARGIN_FRAMES + FADE_FRAMES + 32
LIVE_RESAMPLE_BLOCK_S = 0.2
READ_SAMPLES = 2048
FULL_SCALE = 32768
UNKNOWN_LENGTH = 0xFFFFFFFF  # in WAV headers of streams


def latency_s(translator: Translator, rate: int) -> float:
    """Return the output's delay in seconds without computing time: window, chunk, blocks, rates, levels."""
    mel = translator.mel
    frames = translator.window + EdgeStream(mel).n_pending + MARGIN_FRAMES + LIVE_CHUNK_FRAMES
    conversions = (rate, mel.sample_rate), (mel.sample_rate, rate)
    resampling_s = sum(Resampler(*rates, LIVE_RESAMPLE_BLOCK_S).latency_s for rates in conversions)
    n_samples = 2 * READ_SAMPLES + translator.n_continued(rate)
    return frames * mel.frame_s + n_samples / rate + resampling_s + LIVE_DELAY_S


def translate_live(
    translator: Translator,
    blocks: Iterable[Tensor],
    rate: int,
    channels: int,
    to: str,
    amount: AmountLike = 1.0,
) -> Iterator[Tensor]:
    """Translate blocks (C, n) of a stream; the result has the same length and a delay of `latency_s`.

    There is no analysis pass: each window is normalised by its own statistics, a mel with `scaling: clip`
    uses the range so far, and the output follows the loudness of the input so far. A quiet passage is lifted
    to the level so far (`levelling`) once it has lasted 3 s. Samples beyond 4 (12 dB above full scale) are
    clipped, and a high-pass at 1 Hz subtracts a DC offset.

    Args:
        translator: translates the blocks.
        blocks: blocks of the stream.
        rate: sample rate in Hz.
        channels: number of channels C.
        to: the genre to translate to.
        amount: share of the change in dB, from 0 to 1.
    """
    input_meter, output_meter = LoudnessMeter(rate), LoudnessMeter(rate)
    statistics = PieceStatistics(0, 0.0, False, torch.ones(channels, 1))

    def metered_input() -> Iterator[Tensor]:
        checked = check_samples(blocks, rate, "the stream")
        limited = (block.clamp(-HEADROOM, HEADROOM) for block in checked)
        for block in block_dc(limited, rate, LIVE_CUTOFF_HZ):
            input_meter.push(block)
            yield block

    def at_input_loudness() -> Iterator[Tensor]:
        previous_gain = 1.0
        stream = translator.stream(
            metered_input(),
            rate,
            to,
            statistics,
            amount=amount,
            chunk_frames=LIVE_CHUNK_FRAMES,
            resample_block_s=LIVE_RESAMPLE_BLOCK_S,
        )
        for block in stream:
            output_meter.push(block)
            gain = loudness_gain(input_meter.lufs_or_ungated(), output_meter.lufs_or_ungated())
            yield block * torch.linspace(previous_gain, gain, block.shape[1])
            previous_gain = gain

    return limit_peaks(at_input_loudness())


def read_pcm(source: BinaryIO, channels: int) -> Iterator[Tensor]:
    """Read blocks (C, n) of 16-bit little-endian samples until the stream ends."""
    size = 2 * channels
    while data := source.read(READ_SAMPLES * size):
        samples = np.frombuffer(data[: len(data) // size * size], "<i2").reshape(-1, channels)
        yield torch.from_numpy(samples.T.astype(np.float32) / FULL_SCALE)


def write_pcm(block: Tensor) -> bytes:
    """Convert a block (C, n) to 16-bit little-endian samples."""
    return (block.T.clamp(-1, 1 - 1 / FULL_SCALE) * FULL_SCALE).round().numpy().astype("<i2").tobytes()


def read_wav_header(source: BinaryIO) -> tuple[int, int]:
    """Read the header of a 16-bit WAV stream up to its first sample; return sample rate and channels.

    Raises:
        UserError: not a WAV of 16-bit samples.
    """
    error = UserError("standard input is not a WAV of 16-bit samples; use --raw RATE:CHANNELS, or ffmpeg")
    riff = source.read(12)
    if riff[:4] not in (b"RIFF", b"RF64") or riff[8:] != b"WAVE":
        raise error
    wav_format: tuple[Any, ...] | None = None
    while len(head := source.read(8)) == 8:
        name, size = struct.unpack("<4sI", head)
        if name == b"data":
            if wav_format is None or wav_format[0] not in (1, 0xFFFE):
                raise error
            if wav_format[5] != 16 or not wav_format[1]:
                raise error
            return wav_format[2], wav_format[1]
        body = source.read(size + size % 2)
        if name == b"fmt " and len(body) >= 16:
            wav_format = struct.unpack("<HHIIHH", body[:16])
    raise error


def wav_header(rate: int, channels: int) -> bytes:
    """Return the header of a 16-bit WAV stream of unknown length."""
    wav_format = struct.pack("<HHIIHH", 1, channels, rate, 2 * channels * rate, 2 * channels, 16)
    unknown = struct.pack("<I", UNKNOWN_LENGTH)
    return b"".join([b"RIFF", unknown, b"WAVEfmt ", struct.pack("<I", 16), wav_format, b"data", unknown])
