"""Endless music, part by part: its mel, what the generator makes of it, and its sound, at bounded memory.

Each stage takes parts by `push` (the last one with `last=True`) and returns what has become final; what a
stage returns, joined, is what it would make of the whole, however the parts were cut.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.audio.rolling_buffer import RollingBuffer
from cyclegan_audio.audio.windows import fade_in, n_windows, pad_reflect
from cyclegan_audio.utils.devices import parallel_map

MARGIN_FRAMES = 8  # beyond the reach of one STFT window
FADE_FRAMES = 8
SHORTEST = 4  # multiples of frames that a function of windows takes, at least


def in_groups(blocks: Iterable[Tensor], n_samples: int) -> Iterator[Tensor]:
    """Blocks (C, n) joined to such of at least `n_samples`; the last may be shorter."""
    held: list[Tensor] = []
    for block in blocks:
        held.append(block)
        if sum(part.shape[1] for part in held) >= n_samples:
            yield torch.cat(held, 1)
            held = []
    if held:
        yield torch.cat(held, 1)


class MelStream:
    """The mel in dB of a waveform of whole frames, as `mel.mel_db` gives it for the whole."""

    def __init__(self, mel: MelSpectrogram) -> None:
        self.mel = mel
        self._samples = RollingBuffer()
        self._done = 0  # frames

    def push(self, waveform: Tensor, last: bool = False) -> Tensor:
        """(T,) to the frames (M, n) that are final now, often none."""
        self._samples.append(waveform)
        hop, frames = self.mel.hop_length, self._samples.stop // self.mel.hop_length
        stop = frames if last else frames - MARGIN_FRAMES
        if stop <= self._done:
            return waveform.new_zeros(self.mel.n_mels, 0)
        begin = max(self._done - MARGIN_FRAMES, 0)
        piece = self._samples.read(begin * hop, self._samples.stop)
        found = self.mel.mel_db(piece[None])[0, :, self._done - begin : None if last else stop - begin]
        self._done = stop
        self._samples.discard_before(max(stop - MARGIN_FRAMES, 0) * hop)
        return found


def to_whole_frames(last: Tensor, before: int, mel: MelSpectrogram) -> Tensor:
    """The last samples (..., n) of a piece, zeros after them up to whole frames and at least one STFT window.

    Args:
        last: the samples.
        before: samples that came before them.
        mel: owner of the frames.
    """
    hop, total = mel.hop_length, before + last.shape[-1]
    length = max(math.ceil(total / hop), math.ceil(mel.n_fft / hop)) * hop
    return F.pad(last, (0, length - total))


class WindowStream:
    """A function of windows over an endless row of frames, cross-faded where windows meet.

    The last window is filled by reflection.

    Args:
        function: windows (N, M, window) to the same shape.
        window: frames.
        overlap: frames that neighbours share, at most half a window.
        batch: windows at once.
        multiple: the last window may be shorter, a multiple of so many frames; None where it may not.
        workers: windows of a batch are made by so many threads, one by one.
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
        if not 0 <= overlap <= window // 2:
            raise ValueError(f"overlap {overlap} must be between 0 and half of the window {window}")
        self.function = function
        self.window, self.overlap, self.batch, self.multiple = window, overlap, batch, multiple
        self.workers = workers
        self._frames = RollingBuffer()
        self._next = 0  # where the next window begins: all before it is final
        self._tail: Tensor | None = None  # of the last window, to be faded out

    def push(self, frames: Tensor, last: bool = False) -> Tensor:
        """(M, n) to the frames (M, m) that are final now."""
        self._frames.append(frames)
        final, hop = self._next, self.window - self.overlap
        done = [frames.new_zeros(frames.shape[0], 0)]
        while count := self._ready(last):
            windows = [self._window(self._next + number * hop) for number in range(count)]
            done += [self._fade(made) for made in self._made(windows)]
            self._next += count * hop
            self._frames.discard_before(self._next - self.window)  # reflection at the end takes as much
        if last and self._tail is not None:
            done.append(self._tail)
        return torch.cat(done, 1)[:, : self._frames.stop - final if last else None]

    def _ready(self, last: bool) -> int:
        """Windows to make now."""
        hop = self.window - self.overlap
        if last:
            made = self._next // hop
            return min(n_windows(self._frames.stop, self.window, self.overlap) - made, self.batch)
        return self.batch if self._frames.stop - self._next >= self.window + (self.batch - 1) * hop else 0

    def _made(self, windows: list[Tensor]) -> list[Tensor]:
        """What the function makes of windows, of which the last may be shorter."""
        if self.workers > 1:
            calls = (partial(self.function, window[None]) for window in windows)
            return [made[0] for made in parallel_map(calls, self.workers)]
        if windows[0].shape == windows[-1].shape:
            return list(self.function(torch.stack(windows)))
        return [*(self._made(windows[:-1])), *self.function(windows[-1][None])]

    def _window(self, start: int) -> Tensor:
        """The frames of one window, (M, window)."""
        stop = start + self.window
        if self.multiple and stop > self._frames.stop:
            wanted = max(self._frames.stop - start, 2 * self.overlap, SHORTEST * self.multiple)
            stop = min(stop, start + -(-wanted // self.multiple) * self.multiple)
        piece = self._frames.read(max(self._frames.start, start - self.window), stop)
        return pad_reflect(piece, piece.shape[1] + max(stop - self._frames.stop, 0))[:, start - stop :]

    def _fade(self, made: Tensor) -> Tensor:
        """One hop of a window's result, its beginning faded in over the end of the one before."""
        hop, head = self.window - self.overlap, made[:, : self.overlap]
        if self._tail is not None:
            head = torch.lerp(self._tail, head, fade_in(self.overlap, made))
        self._tail = made[:, hop:]
        return torch.cat([head, made[:, self.overlap : hop]], 1)


class SoundStream:
    """Sound of endless frames, chunk by chunk: context is thrown away, seams keep their power.

    Args:
        make: (C, n) samples and (..., F) values of their frames to (C, n) samples.
        mel: owner of steps and frames.
        chunk: frames made at once, more than two margins and a fade.
        workers: chunks made at the same time, where so many are ready.
    """

    def __init__(
        self, make: Callable[[Tensor, Tensor], Tensor], mel: MelSpectrogram, chunk: int, workers: int = 1
    ) -> None:
        self.make, self.mel, self.chunk, self.workers = make, mel, chunk, workers
        self._samples, self._frames = RollingBuffer(), RollingBuffer()
        self._next = 0  # frame where the next chunk begins
        self._tail: Tensor | None = None  # of the last chunk, to be faded out

    def push(self, samples: Tensor, frames: Tensor, last: bool = False) -> Tensor:
        """(C, T) and the next frames (..., n), which may lag behind, to the samples (C, m) that are final."""
        self._samples.append(samples)
        self._frames.append(frames)
        total = self._samples.stop // self.mel.hop_length
        pieces = []
        while self._next + self.chunk < (total if last else self._frames.stop):
            pieces.append(self._piece(self._next + self.chunk))
            self._next += self.chunk - 2 * MARGIN_FRAMES - FADE_FRAMES
        if last:
            pieces.append(self._piece(total))
        made = parallel_map((partial(self.make, *piece) for piece in pieces), self.workers)
        done = [self._joined(sound, last and sound is made[-1]) for sound in made]
        self._samples.discard_before(self._next * self.mel.hop_length)
        self._frames.discard_before(self._next)
        return torch.cat([samples.new_zeros(samples.shape[0], 0), *done], 1)

    def _piece(self, stop: int) -> tuple[Tensor, Tensor]:
        """The samples and the values of the frames from the next to `stop`."""
        hop = self.mel.hop_length
        piece = self._samples.read(self._next * hop, stop * hop)
        return piece, self._frames.read(self._next, self._next + self.mel.n_frames(piece.shape[1]))

    def _joined(self, made: Tensor, last: bool) -> Tensor:
        """The sound of a chunk without its margins, faded in over the end of the one before."""
        margin, fade = MARGIN_FRAMES * self.mel.hop_length, FADE_FRAMES * self.mel.hop_length
        head = made[:, :0]
        if self._tail is not None:
            head = cross_fade(self._tail, made[:, margin : margin + fade])
            made = made[:, margin + fade :]
        if last:
            return torch.cat([head, made], 1)
        self._tail = made[:, -margin - fade : -margin]
        return torch.cat([head, made[:, : -margin - fade]], 1)


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
