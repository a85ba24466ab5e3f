"""Pool of past fakes."""

import torch

from cyclegan_audio.models.image_pool import ImagePool


def test_pool_fills_then_exchanges_half():
    pool = ImagePool(size=4, seed=0)
    first = [torch.full((1, 1, 2, 2), float(i)) for i in range(4)]
    assert all(torch.equal(pool(fake), fake) for fake in first)
    exchanged = 0
    for i in range(4, 404):
        fake = torch.full((1, 1, 2, 2), float(i))
        out = pool(fake)
        assert float(out[0, 0, 0, 0]) <= i
        exchanged += not torch.equal(out, fake)
    assert 160 < exchanged < 240  # half of 400, four standard deviations
    assert pool.n_stored == 4


def test_what_is_not_finite_is_kept_as_0():
    broken = torch.tensor([1.0, torch.nan, torch.inf, -torch.inf]).view(1, 1, 2, 2)
    for size in (0, 1):
        assert ImagePool(size)(broken).flatten().tolist() == [1, 0, 0, 0]


def test_fakes_of_another_shape_begin_the_pool_anew():
    pool = ImagePool(size=2)
    pool(torch.zeros(2, 1, 2, 2))
    assert pool.n_stored == 2
    wide = torch.arange(2.0).view(2, 1, 1, 1).expand(2, 1, 2, 3)
    assert torch.equal(pool(wide), wide)
    assert pool.n_stored == 2
    assert pool.stored.shape == (2, 1, 2, 3)


def test_the_usual_pool_keeps_fifty_by_the_draws_of_seed_0():
    fakes = torch.arange(120.0).view(120, 1, 1, 1)
    usual, other = ImagePool()(fakes), ImagePool(50, seed=1)(fakes)
    assert torch.equal(usual, ImagePool(50, seed=0)(fakes))
    assert torch.equal(usual[:50], fakes[:50])
    assert not torch.equal(usual[50:], fakes[50:])
    assert not torch.equal(usual, other)


def test_a_pool_restored_into_another_size_keeps_what_fits():
    pool = ImagePool(size=3)
    pool(torch.arange(3.0).view(3, 1, 1, 1))
    smaller, larger, none = ImagePool(2), ImagePool(5), ImagePool(0)
    for other, count in ((smaller, 2), (larger, 3), (none, 0)):
        other.load_state_dict(pool.state_dict())
        assert other.n_stored == count
    assert larger.stored.flatten().tolist() == [0, 1, 2, 0, 0]
    assert smaller.stored.flatten().tolist() == [0, 1]
    assert none.stored is None


def test_pool_of_zero_passes_and_gradients_stop():
    fake = torch.ones(1, 1, 2, 2, requires_grad=True)
    assert torch.equal(ImagePool(0)(fake), fake)
    assert not ImagePool(0)(fake).requires_grad
    assert not ImagePool(3)(fake).requires_grad


def test_restored_pool_goes_on_exactly():
    fakes = [torch.full((2, 1, 2, 2), float(i)) for i in range(30)]
    pool = ImagePool(size=5, seed=3)
    for fake in fakes[:15]:
        pool(fake)
    twin = ImagePool(size=5, seed=99)
    twin.load_state_dict(pool.state_dict())
    assert all(torch.equal(pool(fake), twin(fake)) for fake in fakes[15:])
