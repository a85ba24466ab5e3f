"""Instance norm, and statistics shared between windows."""

from functools import partial

import pytest
import torch
from torch import nn

from cyclegan_audio.models.networks.generators import ResnetGenerator, UNetGenerator
from cyclegan_audio.models.networks.norm import InstanceNorm, collect_statistics, with_statistics


def reference(x: torch.Tensor, eps: float = 1e-5) -> torch.Tensor:
    x = x.double()
    mean = x.mean((2, 3), keepdim=True)
    return (x - mean) / (x.var((2, 3), correction=0, keepdim=True) + eps).sqrt()


@pytest.mark.parametrize("x_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("grad_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("batch", [1, 3])
def test_values_and_gradients_equal_float64_in_every_memory_format(x_format, grad_format, batch):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, 5, 8, 12, generator=generator).contiguous(memory_format=x_format).requires_grad_()
    grad = torch.randn(batch, 5, 8, 12, generator=generator).contiguous(memory_format=grad_format)
    out = InstanceNorm()(x)
    out.backward(grad)

    exact = x.detach().double().requires_grad_()
    wanted = reference(exact)
    wanted.backward(grad.double())
    torch.testing.assert_close(out.double(), wanted, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(x.grad.double(), exact.grad, atol=1e-5, rtol=1e-4)


def test_equals_torch_instance_norm():
    x = torch.randn(2, 3, 6, 10)
    torch.testing.assert_close(InstanceNorm()(x), nn.InstanceNorm2d(3)(x), atol=1e-5, rtol=1e-5)


def test_outside_statistics_by_hand():
    norm = InstanceNorm(eps=0.0)
    x = torch.tensor([[[[1.0, 3.0], [5.0, 7.0]]]])
    fixed = with_statistics(norm, {"": (torch.tensor([1.0]), torch.tensor([4.0]))})
    assert fixed(x).tolist() == [[[[0.0, 1.0], [2.0, 3.0]]]]
    assert abs(float(norm(x).mean())) < 1e-6


def test_the_smallest_variance_is_added_to_any():
    x = torch.tensor([[[[1.0, 4.0], [4.0, 7.0]]]])  # variance 4.5
    given = {"": (torch.tensor([1.0]), torch.tensor([2.0]))}
    fixed = with_statistics(InstanceNorm(eps=0.25), given)
    assert fixed(x).flatten().tolist() == pytest.approx([0, 2, 2, 4])  # over a spread of 1.5
    for layout in (torch.contiguous_format, torch.channels_last):
        two = x.expand(1, 2, 2, 2).contiguous(memory_format=layout)
        out = InstanceNorm(eps=1.75)(two)[0, 1].flatten()
        assert out.tolist() == pytest.approx([-1.2, 0, 0, 1.2])  # over a spread of 2.5
    conv = nn.Conv2d(1, 1, 1)
    nn.init.constant_(conv.weight, 3.0)
    nn.init.constant_(conv.bias, 1.0)
    folded = with_statistics(nn.Sequential(conv, InstanceNorm(eps=0.25)), {"1": given[""]})
    assert folded(x).flatten().tolist() == pytest.approx([2, 8, 8, 14])  # (3 x + 1 - 1) / 1.5
    assert InstanceNorm().eps == 1e-5


@pytest.mark.parametrize(
    "make",
    [
        partial(ResnetGenerator, n_filters=4, n_blocks=1),
        partial(ResnetGenerator, n_filters=4, n_blocks=1, upsampling="nearest"),
        partial(UNetGenerator, n_filters=4, n_levels=3),
    ],
)
def test_statistics_of_one_input_reproduce_its_output_and_pool_over_several(make):
    torch.manual_seed(0)
    network = make().eval()
    first, second = torch.rand(1, 1, 16, 16) * 2 - 1, torch.rand(1, 1, 16, 16) * 2 - 1
    with torch.no_grad():
        plain = network(first)
        fixed = with_statistics(network, collect_statistics(network, [first]))
        torch.testing.assert_close(fixed(first), plain, atol=1e-4, rtol=1e-3)
        assert torch.equal(network(first), plain)
        alone, among = (collect_statistics(network, [first, second], workers) for workers in (1, 2))
        assert all(torch.equal(a, b) for name in alone for a, b in zip(alone[name], among[name], strict=True))
        pooled = collect_statistics(InstanceNorm(), [first, second])[""]
        both = torch.cat([first.flatten(), second.flatten()])
    torch.testing.assert_close(pooled[0][0], both.mean(), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(pooled[1][0], both.var(correction=0), atol=1e-6, rtol=1e-5)


def test_statistics_of_another_network_are_refused():
    with pytest.raises(ValueError, match="belong to another network"):
        with_statistics(InstanceNorm(), {"other": ()})
