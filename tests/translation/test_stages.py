"""Stages of endless music: cut anywhere, they give what the whole gives."""

import itertools
import threading

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor

from cyclegan_audio.audio.windows import join_windows, split_windows
from cyclegan_audio.config import CONF_DIR
from cyclegan_audio.translation.stages import (
    FADE_FRAMES,
    MARGIN_FRAMES,
    MelStream,
    SoundStream,
    WindowStream,
    cross_fade,
    in_groups,
    to_whole_frames,
)
from cyclegan_audio.utils.devices import single_threaded


def preset(name: str):
    return instantiate(OmegaConf.load(CONF_DIR / "mel" / f"{name}.yaml"))


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0)) * 0.1


def pushed(stage, values: Tensor, step: int) -> Tensor:
    """The values (..., T) through a stage in steps, the last ones and an empty end marked as such."""
    parts = [stage.push(part) for part in values.split(step, -1)]
    return torch.cat([*parts, stage.push(values[..., :0], last=True)], -1)


@pytest.mark.parametrize("name", ["hifi", "paper"])
@pytest.mark.parametrize(("n_frames", "step"), [(4, 700), (60, 512), (61, 5000), (200, 70_000)])
def test_the_mel_of_a_stream_is_that_of_the_whole(name, n_frames, step):
    mel = preset(name)
    wave = noise(n_frames * mel.hop_length)
    got = pushed(MelStream(mel), wave, step)
    torch.testing.assert_close(got, mel.mel_db(wave[None])[0], rtol=0, atol=1e-3)


@pytest.mark.parametrize("n_frames", [1, 7, 16, 17, 28, 29, 100])
@pytest.mark.parametrize("step", [3, 16, 1000])
@pytest.mark.parametrize("batch", [1, 3])
def test_windows_of_a_stream_are_those_of_the_whole(n_frames, step, batch):
    ramp = torch.arange(16.0)  # a result that depends on the place in the window
    frames = noise(2, n_frames)
    got = pushed(WindowStream(lambda x: x + ramp, 16, 4, batch), frames, step)
    torch.testing.assert_close(got, join_windows(split_windows(frames, 16, 4) + ramp, n_frames, 4))


@pytest.mark.parametrize("n_frames", [1, 15, 17, 29, 31, 100])
@pytest.mark.parametrize("batch", [1, 3])
def test_the_last_window_of_a_stream_may_be_shorter(n_frames, batch):
    lengths: list[int] = []

    def double(windows: Tensor) -> Tensor:
        lengths.extend([windows.shape[2]] * len(windows))
        return windows * 2

    frames = noise(2, n_frames)
    got = pushed(WindowStream(double, 16, 4, batch, multiple=2), frames, 16)
    torch.testing.assert_close(got, 2 * frames)
    assert all(length == 16 for length in lengths[:-1])
    left = n_frames - 12 * (len(lengths) - 1)
    assert lengths[-1] == max(left + left % 2, 8)


def test_windows_refuse_to_overlap_by_more_than_half():
    with pytest.raises(ValueError, match="overlap"):
        WindowStream(lambda x: x, 10, 6, 1)


@pytest.mark.parametrize("n_frames", [5, 40, 41, 64, 200])
@pytest.mark.parametrize("step", [7, 64])
def test_sound_joins_without_loss_and_without_its_margins(n_frames, step):
    mel, chunk = preset("hifi"), 2 * MARGIN_FRAMES + FADE_FRAMES + 16
    hop = mel.hop_length
    wave, frames = noise(2, n_frames * hop), torch.arange(float(n_frames))[None]
    seen = []

    def make(piece: Tensor, given: Tensor) -> Tensor:
        first, last = int(given[0, 0]), int(given[0, -1])
        seen.append((first, last))
        assert piece.shape[1] == given.shape[1] * hop
        piece = piece.clone()
        if first:
            piece[:, : MARGIN_FRAMES * hop] = 99  # what lies at the edge of a chunk is not to be trusted
        if last < n_frames - 1:
            piece[:, -MARGIN_FRAMES * hop :] = 99
        return piece

    stage = SoundStream(make, mel, chunk)
    parts = []
    for start in range(0, n_frames, step):
        late = frames[:, max(start - 9, 0) : max(min(start + step, n_frames) - 9, 0)]  # frames lag behind
        parts.append(stage.push(wave[:, start * hop : (start + step) * hop], late))
    parts.append(stage.push(wave[:, :0], frames[:, max(n_frames - 9, 0) :], last=True))
    torch.testing.assert_close(torch.cat(parts, 1), wave, rtol=1e-5, atol=1e-6)
    assert all(last - first < chunk for first, last in seen)


def test_chunks_that_are_ready_are_made_by_threads_of_one_core_each():
    mel, chunk = preset("hifi"), 2 * MARGIN_FRAMES + FADE_FRAMES + 16
    wave, frames = noise(2, 200 * mel.hop_length), noise(3, 200)
    makers: set[tuple[int, int]] = set()
    both_here, turns = threading.Barrier(2, timeout=10), itertools.count()

    def make(piece: Tensor, given: Tensor) -> Tensor:
        makers.add((threading.get_ident(), torch.get_num_threads()))
        if next(turns) < 2:
            both_here.wait()  # so that one thread does not make them all
        return mel.istft(mel.stft(piece) * given.mean(), piece.shape[1])

    among = SoundStream(make, mel, chunk, workers=2).push(wave, frames, last=True)
    assert len(makers) == 2
    assert {threads for _, threads in makers} == {1}
    turns = itertools.count(2)
    assert torch.equal(SoundStream(make, mel, chunk).push(wave, frames, last=True), among)


def test_windows_by_several_workers_are_the_same():
    def louder(windows: Tensor) -> Tensor:
        assert torch.get_num_threads() == 1
        assert not torch.is_grad_enabled()
        return windows * windows.mean((1, 2), keepdim=True)

    mel = noise(3, 205)
    with single_threaded():
        for multiple in (None, 4):
            alone = WindowStream(louder, 40, 8, 1, multiple)
            among = WindowStream(louder, 40, 8, 2, multiple, workers=2)
            with torch.no_grad():
                expected = torch.cat([alone.push(mel[:, :99]), alone.push(mel[:, 99:], last=True)], 1)
                got = torch.cat([among.push(mel[:, :99]), among.push(mel[:, 99:], last=True)], 1)
            torch.testing.assert_close(got, expected)


def test_groups_of_blocks_are_the_whole():
    blocks = noise(2, 50).split(7, 1)
    got = list(in_groups(blocks, 20))
    assert [block.shape[1] for block in got] == [21, 21, 8]
    assert torch.equal(torch.cat(got, 1), torch.cat(list(blocks), 1))


def test_cross_fades_keep_power():
    generator = torch.Generator().manual_seed(0)
    old, new = torch.randn(2, 1, 40000, generator=generator)
    torch.testing.assert_close(cross_fade(old, old), old)
    faded = cross_fade(old, new).reshape(10, -1).square().mean(1)
    torch.testing.assert_close(faded, torch.ones(10), rtol=0, atol=0.1)
    assert cross_fade(torch.zeros(1, 8), torch.zeros(1, 8)).eq(0).all()


@pytest.mark.parametrize(
    ("n_last", "before", "frames"), [(100, 0, 4), (100, 10_000, 20), (512, 2560, 6), (0, 0, 4), (1, 2560, 6)]
)
def test_the_end_is_filled_up_to_whole_frames_and_one_window(n_last, before, frames):
    """A window of `hifi` has 2048 samples, four frames of 512."""
    last = noise(2, n_last)
    whole = to_whole_frames(last, before, preset("hifi"))
    assert before + whole.shape[1] == frames * 512
    assert torch.equal(whole[:, :n_last], last)
    assert whole[:, n_last:].eq(0).all()
