"""Process a stream block by block at bounded memory: waveform to mel, windows of a mel, mel to waveform.

Stages take blocks by `push` (the last one with `last=True`) and return what has become final. The outputs of
a stage, joined, are its output for the whole stream, for any sizes of the blocks.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.audio.rolling_buffer import RollingBuffer
from cyclegan_audio.audio.windows import check_overlap, fade_in, n_windows, pad_reflect
from cyclegan_audio.utils.devices import parallel_map

MARGIN_FRAMES = 8  # more than an STFT window reaches
FADE_FRAMES = 8
MIN_MULTIPLES = 4  # a shortened window has at least so many multiples


def group_blocks(blocks: Iterable[Tensor], n_samples: int) -> Iterator[Tensor]:
    """Join blocks (C, n) to blocks of at least `n_samples`; the last may be shorter."""
    group: list[Tensor] = []
    for block in blocks:
        group.append(block)
        if sum(part.shape[1] for part in group) >= n_samples:
            yield torch.cat(group, 1)
            group = []
    if group:
        yield torch.cat(group, 1)


def is_audible(mel_db: Tensor, floor_db: float) -> Tensor:
    """Return which frames of a mel (..., M, F) in dB are not digital silence, (..., F)."""
    return (mel_db > floor_db + 1e-3).any(-2)


def to_whole_frames(last: Tensor, n_before: int, mel: MelSpectrogram) -> Tensor:
    """Pad the last samples (..., n) of a piece with zeros to whole frames and at least one STFT window.

    Args:
        last: the samples.
        n_before: samples of the piece before them.
        mel: the definition of the frames.
    """
    hop, total = mel.hop_length, n_before + last.shape[-1]
    length = max(math.ceil(total / hop), math.ceil(mel.n_fft / hop)) * hop
    return F.pad(last, (0, length - total))


class MelStream:
    """The stage from a waveform of whole frames to its mel in dB, equal to `mel.mel_db` of the whole."""

    def __init__(self, mel: MelSpectrogram) -> None:
        self.mel = mel
        self._samples = RollingBuffer()
        self._next = 0  # frame

    def push(self, waveform: Tensor, last: bool = False) -> Tensor:
        """Add samples (T,); return the frames (M, n) that are now final, often none."""
        self._samples.append(waveform)
        hop, frames = self.mel.hop_length, self._samples.stop // self.mel.hop_length
        stop = frames if last else frames - MARGIN_FRAMES
        if stop <= self._next:
            return waveform.new_zeros(self.mel.n_mels, 0)
        start = max(self._next - MARGIN_FRAMES, 0)
        samples = self._samples.read(start * hop, self._samples.stop)
        mel_db = self.mel.mel_db(samples[None])[0, :, self._next - start : None if last else stop - start]
        self._next = stop
        self._samples.discard_before(max(stop - MARGIN_FRAMES, 0) * hop)
        return mel_db


def n_edge_frames(mel: MelSpectrogram) -> int:
    """Return how many frames at each end of a stream have an STFT window that may reach beyond it."""
    return math.ceil(mel.n_fft / mel.hop_length)


class EdgeStream:
    """The stage that replaces the frames at both ends of a stream by reflections of the next whole ones.

    A stream of too few frames stays as it is.

    Attributes:
        n_pending: frames by which the output lags behind.
    """

    def __init__(self, mel: MelSpectrogram) -> None:
        self._n_edge = n_edge_frames(mel)
        self.n_pending = 2 * self._n_edge + 1
        self._pending: Tensor | None = None
        self._has_started = False

    def push(self, frames: Tensor, last: bool = False) -> Tensor:
        """Add frames (M, n); return the frames (M, m) that are now final."""
        frames = frames if self._pending is None else torch.cat([self._pending, frames], 1)
        n_edge, n_needed = self._n_edge, self.n_pending
        is_long = frames.shape[1] >= n_needed
        if is_long and not self._has_started:
            self._has_started = True
            frames = torch.cat([frames[:, n_edge + 1 : n_needed].flip(1), frames[:, n_edge:]], 1)
        if last and is_long:
            return torch.cat([frames[:, :-n_edge], frames[:, -n_needed : -n_edge - 1].flip(1)], 1)
        n_ready = frames.shape[1] if last else max(frames.shape[1] - n_needed, 0)
        self._pending = frames[:, n_ready:]
        return frames[:, :n_ready]


class WindowStream:
    """The stage that applies a function to overlapping windows of frames and cross-fades the results.

    The last window is padded by reflection.

    Args:
        function: maps windows (N, M, window) to the same shape.
        window: frames of a window.
        overlap: frames that neighbours share, at most half a window.
        batch: windows processed at once.
        multiple: the last window may be shortened to a multiple of this many frames; None keeps its length.
        workers: threads that process the windows of a batch, each one window at a time.
    """

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        window: int,
        overlap: int,
        batch: int,
        multiple: int | None = None,
        workers: int = 1,
    ) -> None:
        check_overlap(overlap, window)
        self.function = function
        self.window, self.overlap, self.batch, self.multiple = window, overlap, batch, multiple
        self.workers = workers
        self._frames = RollingBuffer()
        self._next = 0  # first frame of the next window: all frames before it are final
        self._tail: Tensor | None = None  # end of the last window, to be faded out

    def push(self, frames: Tensor, last: bool = False) -> Tensor:
        """Add frames (M, n); return the frames (M, m) that are now final."""
        self._frames.append(frames)
        first, hop = self._next, self.window - self.overlap
        final = [frames.new_zeros(frames.shape[0], 0)]
        while n_ready := self._n_ready(last):
            windows = [self._read_window(self._next + number * hop) for number in range(n_ready)]
            final += [self._cross_fade(result) for result in self._apply(windows)]
            self._next += n_ready * hop
            self._frames.discard_before(self._next - self.window)  # reflection at the end reads a window back
        if last and self._tail is not None:
            final.append(self._tail)
        return torch.cat(final, 1)[:, : self._frames.stop - first if last else None]

    def _n_ready(self, last: bool) -> int:
        """Return how many windows can be processed now."""
        hop = self.window - self.overlap
        if last:
            n_done = self._next // hop
            return min(n_windows(self._frames.stop, self.window, self.overlap) - n_done, self.batch)
        return self.batch if self._frames.stop - self._next >= self.window + (self.batch - 1) * hop else 0

    def _apply(self, windows: list[Tensor]) -> list[Tensor]:
        """Apply the function to windows, of which the last may be shorter."""
        if self.workers > 1:
            calls = (partial(self.function, window[None]) for window in windows)
            return [result[0] for result in parallel_map(calls, self.workers)]
        if windows[0].shape == windows[-1].shape:
            return list(self.function(torch.stack(windows)))
        return [*(self._apply(windows[:-1])), *self.function(windows[-1][None])]

    def _read_window(self, start: int) -> Tensor:
        """Return the frames of one window, (M, window)."""
        stop = start + self.window
        if self.multiple and stop > self._frames.stop:
            length = max(self._frames.stop - start, 2 * self.overlap, MIN_MULTIPLES * self.multiple)
            stop = min(stop, start + -(-length // self.multiple) * self.multiple)
        frames = self._frames.read(max(self._frames.start, start - self.window), stop)
        return pad_reflect(frames, frames.shape[1] + max(stop - self._frames.stop, 0))[:, start - stop :]

    def _cross_fade(self, result: Tensor) -> Tensor:
        """Return one hop of a window's result, its start cross-faded with the end of the previous one."""
        hop, head = self.window - self.overlap, result[:, : self.overlap]
        if self._tail is not None:
            head = torch.lerp(self._tail, head, fade_in(self.overlap, result))
        self._tail = result[:, hop:]
        return torch.cat([head, result[:, self.overlap : hop]], 1)


class WaveformStream:
    """The stage from samples and their frames to new samples, in chunks that are cross-faded.

    The margins of a chunk, where its context ends, are dropped; the power stays constant across the joints.

    Args:
        synthesise: maps samples (C, n) and values of their frames (..., F) to samples (C, n).
        mel: the definition of the frames.
        chunk: frames synthesised at once, more than two margins and a fade.
        workers: threads that process the chunks, if several are ready.
    """

    def __init__(
        self,
        synthesise: Callable[[Tensor, Tensor], Tensor],
        mel: MelSpectrogram,
        chunk: int,
        workers: int = 1,
    ) -> None:
        self.synthesise, self.mel, self.chunk, self.workers = synthesise, mel, chunk, workers
        self._samples, self._frames = RollingBuffer(), RollingBuffer()
        self._next = 0  # first frame of the next chunk
        self._tail: Tensor | None = None  # end of the last chunk, to be faded out

    def push(self, samples: Tensor, frames: Tensor, last: bool = False) -> Tensor:
        """Add samples (C, T) and frames (..., n), which may lag behind; return the final samples (C, m)."""
        self._samples.append(samples)
        self._frames.append(frames)
        total = self._samples.stop // self.mel.hop_length
        chunks = []
        while self._next + self.chunk < (total if last else self._frames.stop):
            chunks.append(self._read_chunk(self._next + self.chunk))
            self._next += self.chunk - 2 * MARGIN_FRAMES - FADE_FRAMES
        if last:
            chunks.append(self._read_chunk(total))
        results = parallel_map((partial(self.synthesise, *chunk) for chunk in chunks), self.workers)
        final = [self._cross_fade(result, last and result is results[-1]) for result in results]
        self._samples.discard_before(self._next * self.mel.hop_length)
        self._frames.discard_before(self._next)
        return torch.cat([samples.new_zeros(samples.shape[0], 0), *final], 1)

    def _read_chunk(self, stop: int) -> tuple[Tensor, Tensor]:
        """Return the samples and the values of the frames from the next one to `stop`."""
        hop = self.mel.hop_length
        samples = self._samples.read(self._next * hop, stop * hop)
        return samples, self._frames.read(self._next, self._next + self.mel.n_frames(samples.shape[1]))

    def _cross_fade(self, result: Tensor, last: bool) -> Tensor:
        """Return a chunk's result without its margins, cross-faded with the end of the previous one."""
        margin, fade = MARGIN_FRAMES * self.mel.hop_length, FADE_FRAMES * self.mel.hop_length
        head = result[:, :0]
        if self._tail is not None:
            head = cross_fade(self._tail, result[:, margin : margin + fade])
            result = result[:, margin + fade :]
        if last:
            return torch.cat([head, result], 1)
        self._tail = result[:, -margin - fade : -margin]
        return torch.cat([head, result[:, : -margin - fade]], 1)


def cross_fade(old: Tensor, new: Tensor) -> Tensor:
    """Fade from `old` to `new`, both (C, T), at constant power.

    The weights sum to 1 and are corrected for the correlation of the two, so that neither a continuing tone
    nor independent noise changes in power.
    """
    rise = fade_in(old.shape[-1], old)
    fall = 1 - rise
    energy = (old.square().sum(-1) * new.square().sum(-1)).sqrt().clamp_min(1e-12)
    correlation = ((old * new).sum(-1) / energy).clamp(0, 1)[:, None]
    power = rise.square() + fall.square() + 2 * correlation * rise * fall
    return (old * fall + new * rise) / power.sqrt()
