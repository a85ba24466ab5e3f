"""Test that block-wise filter banks and magnitudes equal whole ones, also at the blocks' edges."""

import pytest
import torch

from cyclegan_audio.audio.mel_filters import block_filter_bank, block_matmul, mel_magnitudes


def banded(n_rows: int, n_columns: int) -> torch.Tensor:
    """Return a banded matrix of three numbers a row; its last eighth of rows is empty."""
    bank = torch.zeros(n_rows, n_columns)
    for row in range(n_rows - n_rows // 8):
        first = row * (n_columns - 3) // n_rows
        bank[row, first : first + 3] = torch.tensor([1.0, 2.0, 3.0]) + row
    return bank


@pytest.mark.parametrize(("n_rows", "n_columns"), [(16, 40), (24, 100), (5, 30)])
def test_block_matmul_equals_the_product_of_the_whole_matrix(n_rows, n_columns):
    bank = banded(n_rows, n_columns)
    groups = block_filter_bank(bank)
    assert len(groups) == min(n_rows, 8)
    assert sum(weights.numel() for _, weights in groups) < bank.numel() / 3
    values = torch.randn(n_columns, 7)
    for out in (torch.full((n_rows, 7), torch.nan), torch.full((7, n_rows), torch.nan).T):
        torch.testing.assert_close(block_matmul(groups, values, out), bank @ values)


@pytest.mark.parametrize("n_frames", [1, 63, 64, 65, 2048, 2049])
def test_mel_magnitudes_for_any_number_of_frames(n_frames):
    frames, window = torch.randn(n_frames, 16), torch.hann_window(16)
    bank = banded(8, 9)
    actual = mel_magnitudes(frames, window, 1e-2, block_filter_bank(bank))
    spectrum = torch.fft.rfft(frames.double() * window.double())
    expected = bank.double() @ (spectrum.abs().square() + 1e-2).sqrt().T
    torch.testing.assert_close(actual.double(), expected, rtol=1e-4, atol=1e-4)
