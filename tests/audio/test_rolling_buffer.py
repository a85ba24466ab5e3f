import pytest
import torch

from cyclegan_audio.audio.rolling_buffer import RollingBuffer


def filled(*lengths: int) -> RollingBuffer:
    """A buffer with the values 0, 1, 2... in blocks of these lengths, and their negatives in a second row."""
    buffer, place = RollingBuffer(), 0
    for length in lengths:
        row = torch.arange(place, place + length)
        buffer.append(torch.stack([row, -row]))
        place += length
    return buffer


def row(start: int, stop: int) -> list[list[int]]:
    return [list(range(start, stop)), [-n for n in range(start, stop)]]


@pytest.mark.parametrize("lengths", [(30,), (3,) * 10, (1, 0, 28, 0, 1)])
def test_any_part_comes_back_however_it_was_appended(lengths):
    buffer = filled(*lengths)
    assert (buffer.start, buffer.stop) == (0, 30)
    for start in range(31):
        for stop in range(start, 31):
            assert buffer.between(start, stop).tolist() == row(start, stop)


def test_what_lies_beyond_the_end_is_left_out():
    buffer = filled(3, 4)
    assert buffer.between(5, 99).tolist() == row(5, 7)
    assert buffer.between(7, 99).shape == (2, 0)


def test_places_stay_when_the_beginning_is_forgotten():
    buffer = RollingBuffer()
    for start in range(0, 30, 3):
        buffer.append(torch.arange(start, start + 3)[None])
        buffer.forget(start - 4)
    assert (buffer.start, buffer.stop) == (23, 30)
    assert buffer.between(25, 28).tolist() == [[25, 26, 27]]
    assert buffer.between(28, 99).tolist() == [[28, 29]]
    buffer.forget(10)  # before the start: nothing changes
    assert buffer.start == 23
    with pytest.raises(ValueError, match="holds 23 to 30, so not 22 to 24"):
        buffer.between(22, 24)


def test_all_of_it_can_be_forgotten_and_it_goes_on():
    buffer = filled(4, 4)
    buffer.forget(99)
    assert (buffer.start, buffer.stop) == (8, 8)
    assert buffer.between(8, 9).shape == (2, 0)
    buffer.append(torch.ones(2, 2, dtype=torch.int64))
    assert buffer.between(8, 10).tolist() == [[1, 1], [1, 1]]


def test_memory_stays_the_same_however_long_the_signal_is():
    buffer = RollingBuffer()
    for _ in range(1000):
        buffer.append(torch.zeros(100))
        buffer.forget(buffer.stop - 250)
        assert sum(len(block) for block in buffer._blocks) <= 400
    assert buffer.stop == 100_000


def test_what_is_read_is_a_copy():
    buffer = filled(5)
    buffer.between(0, 5).zero_()
    assert buffer.between(0, 5).tolist() == row(0, 5)


def test_an_empty_buffer_has_nothing_to_read():
    buffer = RollingBuffer()
    buffer.append(torch.zeros(2, 0))
    with pytest.raises(ValueError, match="holds 0 to 0"):
        buffer.between(0, 1)
