"""Test that stages give the same for any sizes of blocks as for the whole."""

import itertools
import threading

import pytest
import torch
from torch import Tensor

from cyclegan_audio.audio.windows import join_windows, split_windows
from cyclegan_audio.translation.stages import (
    FADE_FRAMES,
    MARGIN_FRAMES,
    MelStream,
    WaveformStream,
    WindowStream,
    cross_fade,
    group_blocks,
    to_whole_frames,
)
from cyclegan_audio.utils.devices import single_threaded
from tests.vocoders.sounds import preset


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0)) * 0.1


def run_stage(stage, values: Tensor, step: int) -> Tensor:
    """Push values (..., T) through a stage in steps, then an empty last block; return the output."""
    parts = [stage.push(part) for part in values.split(step, -1)]
    return torch.cat([*parts, stage.push(values[..., :0], last=True)], -1)


@pytest.mark.parametrize("name", ["hifi", "paper"])
@pytest.mark.parametrize(("n_frames", "step"), [(4, 700), (60, 512), (61, 5000), (200, 70_000)])
def test_mel_stream_equals_the_mel_of_the_whole(name, n_frames, step):
    mel = preset(name)
    wave = noise(n_frames * mel.hop_length)
    got = run_stage(MelStream(mel), wave, step)
    torch.testing.assert_close(got, mel.mel_db(wave[None])[0], rtol=0, atol=1e-3)


@pytest.mark.parametrize("n_frames", [1, 7, 16, 17, 28, 29, 100])
@pytest.mark.parametrize("step", [3, 16, 1000])
@pytest.mark.parametrize("batch", [1, 3])
def test_window_stream_equals_windows_of_the_whole(n_frames, step, batch):
    ramp = torch.arange(16.0)  # a result that depends on the position in the window
    frames = noise(2, n_frames)
    got = run_stage(WindowStream(lambda x: x + ramp, 16, 4, batch), frames, step)
    torch.testing.assert_close(got, join_windows(split_windows(frames, 16, 4) + ramp, n_frames, 4))


@pytest.mark.parametrize("n_frames", [1, 15, 17, 29, 31, 100])
@pytest.mark.parametrize("batch", [1, 3])
def test_last_window_may_be_shorter(n_frames, batch):
    lengths: list[int] = []

    def double(windows: Tensor) -> Tensor:
        lengths.extend([windows.shape[2]] * len(windows))
        return windows * 2

    frames = noise(2, n_frames)
    got = run_stage(WindowStream(double, 16, 4, batch, multiple=2), frames, 16)
    torch.testing.assert_close(got, 2 * frames)
    assert all(length == 16 for length in lengths[:-1])
    left = n_frames - 12 * (len(lengths) - 1)
    assert lengths[-1] == max(left + left % 2, 8)


@pytest.mark.parametrize(("n_frames", "length"), [(41, 32), (54, 32), (57, 34)])
def test_a_shortened_window_has_at_least_twice_the_overlap(n_frames, length):
    """Windows of 40 begin every 24 frames; what is left of the second is 17, 30 or 33."""
    lengths: list[int] = []
    stage = WindowStream(lambda x: lengths.append(x.shape[2]) or x, 40, 16, 1, multiple=2)
    frames = noise(2, n_frames)
    torch.testing.assert_close(run_stage(stage, frames, 9), frames)
    assert lengths == [40, length]


def test_overlap_of_more_than_half_a_window_is_refused():
    with pytest.raises(ValueError, match="overlap must be"):
        WindowStream(lambda x: x, 10, 6, 1)


@pytest.mark.parametrize("n_frames", [5, 40, 41, 64, 200])
@pytest.mark.parametrize("step", [7, 64])
def test_waveform_stream_joins_chunks_without_their_margins(n_frames, step):
    mel, chunk = preset("hifi"), 2 * MARGIN_FRAMES + FADE_FRAMES + 16
    hop = mel.hop_length
    wave, frames = noise(2, n_frames * hop), torch.arange(float(n_frames))[None]
    chunks = []

    def synthesise(piece: Tensor, values: Tensor) -> Tensor:
        first, last = int(values[0, 0]), int(values[0, -1])
        chunks.append((first, last))
        assert piece.shape[1] == values.shape[1] * hop
        piece = piece.clone()
        if first:
            piece[:, : MARGIN_FRAMES * hop] = 99  # results at the edge of a chunk are invalid
        if last < n_frames - 1:
            piece[:, -MARGIN_FRAMES * hop :] = 99
        return piece

    stage = WaveformStream(synthesise, mel, chunk)
    parts = []
    for start in range(0, n_frames, step):
        lagging = frames[
            :, max(start - 9, 0) : max(min(start + step, n_frames) - 9, 0)
        ]  # frames lag behind samples
        parts.append(stage.push(wave[:, start * hop : (start + step) * hop], lagging))
    parts.append(stage.push(wave[:, :0], frames[:, max(n_frames - 9, 0) :], last=True))
    torch.testing.assert_close(torch.cat(parts, 1), wave, rtol=1e-5, atol=1e-6)
    assert all(last - first < chunk for first, last in chunks)


def test_ready_chunks_are_synthesised_in_single_threaded_workers():
    mel, chunk = preset("hifi"), 2 * MARGIN_FRAMES + FADE_FRAMES + 16
    wave, frames = noise(2, 200 * mel.hop_length), noise(3, 200)
    threads: set[tuple[int, int]] = set()
    both_started, turns = threading.Barrier(2, timeout=10), itertools.count()

    def synthesise(piece: Tensor, values: Tensor) -> Tensor:
        threads.add((threading.get_ident(), torch.get_num_threads()))
        if next(turns) < 2:
            both_started.wait()  # so that both threads take part
        return mel.istft(mel.stft(piece) * values.mean(), piece.shape[1])

    parallel = WaveformStream(synthesise, mel, chunk, workers=2).push(wave, frames, last=True)
    assert len(threads) == 2
    assert {n_threads for _, n_threads in threads} == {1}
    turns = itertools.count(2)
    assert torch.equal(WaveformStream(synthesise, mel, chunk).push(wave, frames, last=True), parallel)


def test_windows_by_several_workers_equal_those_by_one():
    def louder(windows: Tensor) -> Tensor:
        assert torch.get_num_threads() == 1
        assert not torch.is_grad_enabled()
        return windows * windows.mean((1, 2), keepdim=True)

    mel = noise(3, 205)
    with single_threaded():
        for multiple in (None, 4):
            sequential = WindowStream(louder, 40, 8, 1, multiple)
            parallel = WindowStream(louder, 40, 8, 2, multiple, workers=2)
            with torch.no_grad():
                expected = torch.cat(
                    [sequential.push(mel[:, :99]), sequential.push(mel[:, 99:], last=True)], 1
                )
                got = torch.cat([parallel.push(mel[:, :99]), parallel.push(mel[:, 99:], last=True)], 1)
            torch.testing.assert_close(got, expected)


def test_windows_and_chunks_are_processed_in_the_calling_thread_by_default():
    threads: set[int] = set()

    def unchanged(values: Tensor, *_: Tensor) -> Tensor:
        threads.add(threading.get_ident())
        return values

    mel = preset("hifi")
    windows, chunks = WindowStream(unchanged, 16, 4, 2), WaveformStream(unchanged, mel, 40)
    assert windows.push(noise(2, 90), last=True).shape == (2, 90)
    assert chunks.push(noise(2, 90 * mel.hop_length), noise(3, 90), last=True).shape[1] == 90 * mel.hop_length
    assert threads == {threading.get_ident()}


def test_group_blocks_joins_to_at_least_the_given_length():
    blocks = noise(2, 50).split(7, 1)
    got = list(group_blocks(blocks, 20))
    assert [block.shape[1] for block in got] == [21, 21, 8]
    assert torch.equal(torch.cat(got, 1), torch.cat(list(blocks), 1))


def test_cross_fade_keeps_power():
    generator = torch.Generator().manual_seed(0)
    old, new = torch.randn(2, 1, 40000, generator=generator)
    torch.testing.assert_close(cross_fade(old, old), old)
    faded = cross_fade(old, new).reshape(10, -1).square().mean(1)
    torch.testing.assert_close(faded, torch.ones(10), rtol=0, atol=0.1)
    assert cross_fade(torch.zeros(1, 8), torch.zeros(1, 8)).eq(0).all()


@pytest.mark.parametrize(
    ("n_last", "n_before", "frames"),
    [(100, 0, 4), (100, 10_000, 20), (512, 2560, 6), (0, 0, 4), (1, 2560, 6)],
)
def test_to_whole_frames_pads_to_frames_and_one_window(n_last, n_before, frames):
    """A window of `hifi` has 2048 samples, four frames of 512."""
    last = noise(2, n_last)
    whole = to_whole_frames(last, n_before, preset("hifi"))
    assert n_before + whole.shape[1] == frames * 512
    assert torch.equal(whole[:, :n_last], last)
    assert whole[:, n_last:].eq(0).all()
