"""Random numbers that a checkpoint restores."""

import torch

from cyclegan_audio.utils.rng import SeededRNG


def test_draws_go_on_where_they_were_saved():
    first, second = SeededRNG(1), SeededRNG(2)
    first.uniform((3,))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.uniform((5,)), second.uniform((5,)))
    assert torch.equal(first.normal_like(torch.zeros(2, 2)), second.normal_like(torch.zeros(2, 2)))
    indices = first.sample_indices(4, 9)
    assert torch.equal(indices, second.sample_indices(4, 9))
    assert len(set(indices.tolist())) == 4
    assert sorted(first.sample_indices(9, 4).tolist()) == [0, 1, 2, 3]
