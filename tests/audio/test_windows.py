"""Splitting mels into windows, cross-fades and reflection padding."""

import pytest
import torch

from cyclegan_audio.audio.windows import fade_in, join_windows, pad_reflect, pad_to_multiple, split_windows


@pytest.mark.parametrize("n_frames", [1, 2, 3, 15, 16, 17, 28, 29, 40, 41, 97])
@pytest.mark.parametrize("overlap", [0, 4, 8])
def test_join_windows_inverts_split_windows(n_frames, overlap):
    mel = torch.randn(5, n_frames, generator=torch.Generator().manual_seed(n_frames))
    windows = split_windows(mel, 16, overlap)
    assert windows.shape[1:] == (5, 16)
    assert torch.equal(windows[0, :, : min(16, n_frames)], mel[:, :16])
    assert torch.equal(join_windows(windows, n_frames, overlap), mel)


def test_split_windows_uses_the_fewest_windows():
    assert [len(split_windows(torch.zeros(1, n), 16, 4)) for n in (1, 16, 17, 28, 29)] == [1, 1, 2, 2, 3]


def test_pad_reflect_goes_back_and_forth():
    assert pad_reflect(torch.tensor([1, 2, 3]), 8).tolist() == [1, 2, 3, 2, 1, 2, 3, 2]
    assert pad_reflect(torch.tensor([7]), 3).tolist() == [7, 7, 7]
    assert pad_reflect(torch.tensor([1, 2, 3]), 2).tolist() == [1, 2, 3]
    long = torch.arange(8.0)[None]
    assert torch.equal(pad_reflect(long, 12), torch.nn.functional.pad(long, (0, 4), mode="reflect"))


def test_step_between_windows_becomes_a_smooth_fade():
    windows = torch.stack([torch.zeros(1, 16), torch.ones(1, 16)])
    joined = join_windows(windows, 24, 8)[0]
    assert joined[:8].eq(0).all()
    assert joined[16:].eq(1).all()
    fade = joined[8:16]
    assert (fade.diff() > 0).all()
    torch.testing.assert_close(fade + fade.flip(0), torch.ones(8))
    torch.testing.assert_close(fade, fade_in(8, fade))


def test_overlap_of_more_than_half_a_window_is_refused():
    with pytest.raises(ValueError, match=r"overlap must be between 0 and 8 .*, got 9"):
        split_windows(torch.zeros(1, 30), 16, 9)


def test_pad_to_multiple_goes_back_and_forth():
    mel = torch.arange(6.0)[None]
    assert pad_to_multiple(mel, 4).tolist() == [[0, 1, 2, 3, 4, 5, 4, 3]]
    assert pad_to_multiple(mel, 3) is mel
    assert pad_to_multiple(torch.tensor([[1.0, 2.0]]), 8).tolist() == [[1, 2, 1, 2, 1, 2, 1, 2]]
    assert pad_to_multiple(torch.tensor([[5.0]]), 4).tolist() == [[5, 5, 5, 5]]


@pytest.mark.parametrize(
    ("length", "expected"),
    [(0, []), (1, [0.5]), (2, [0.1464466, 0.8535534]), (3, [0.0669873, 0.5, 0.9330127])],
)
def test_fades_are_raised_cosines(length, expected):
    assert fade_in(length, torch.zeros(1)).tolist() == pytest.approx(expected, abs=1e-5)
