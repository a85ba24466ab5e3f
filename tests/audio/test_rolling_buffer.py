"""A rolling buffer returns the samples that were appended, at bounded memory."""

import pytest
import torch

from cyclegan_audio.audio.rolling_buffer import RollingBuffer


def filled(*lengths: int) -> RollingBuffer:
    """Return a buffer of 0, 1, 2... in blocks of these lengths, with their negatives in a second row."""
    buffer, position = RollingBuffer(), 0
    for length in lengths:
        row = torch.arange(position, position + length)
        buffer.append(torch.stack([row, -row]))
        position += length
    return buffer


def row(start: int, stop: int) -> list[list[int]]:
    return [list(range(start, stop)), [-n for n in range(start, stop)]]


@pytest.mark.parametrize("lengths", [(30,), (3,) * 10, (1, 0, 28, 0, 1)])
def test_any_part_can_be_read_for_any_block_lengths(lengths):
    buffer = filled(*lengths)
    assert (buffer.start, buffer.stop) == (0, 30)
    for start in range(31):
        for stop in range(start, 31):
            assert buffer.read(start, stop).tolist() == row(start, stop)


def test_read_stops_at_the_end():
    buffer = filled(3, 4)
    assert buffer.read(5, 99).tolist() == row(5, 7)
    assert buffer.read(7, 99).shape == (2, 0)


def test_positions_stay_after_the_start_is_discarded():
    buffer = RollingBuffer()
    for start in range(0, 30, 3):
        buffer.append(torch.arange(start, start + 3)[None])
        buffer.discard_before(start - 4)
    assert (buffer.start, buffer.stop) == (23, 30)
    assert buffer.read(25, 28).tolist() == [[25, 26, 27]]
    assert buffer.read(28, 99).tolist() == [[28, 29]]
    buffer.discard_before(10)  # before the start: nothing changes
    assert buffer.start == 23
    with pytest.raises(ValueError, match="cannot read 22 to 24: the buffer holds 23 to 30"):
        buffer.read(22, 24)


def test_buffer_continues_after_all_is_discarded():
    buffer = filled(4, 4)
    buffer.discard_before(99)
    assert (buffer.start, buffer.stop) == (8, 8)
    assert buffer.read(8, 9).shape == (2, 0)
    buffer.append(torch.ones(2, 2, dtype=torch.int64))
    assert buffer.read(8, 10).tolist() == [[1, 1], [1, 1]]


def test_memory_is_bounded():
    buffer = RollingBuffer()
    for _ in range(1000):
        buffer.append(torch.zeros(100))
        buffer.discard_before(buffer.stop - 250)
        assert sum(len(block) for block in buffer._blocks) <= 400
    assert buffer.stop == 100_000


def test_read_returns_a_copy():
    buffer = filled(5)
    buffer.read(0, 5).zero_()
    assert buffer.read(0, 5).tolist() == row(0, 5)


def test_empty_buffer_cannot_be_read():
    buffer = RollingBuffer()
    buffer.append(torch.zeros(2, 0))
    with pytest.raises(ValueError, match="holds 0 to 0"):
        buffer.read(0, 1)
