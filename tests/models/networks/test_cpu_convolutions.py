"""Fast convolutions of CPUs against plain ones in float64."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.models.networks import cpu_convolutions
from cyclegan_audio.models.networks.cpu_convolutions import (
    MIN_CHANNELS_INFERENCE,
    MIN_CHANNELS_TRAINING,
    RowConv2d,
    WinogradConv2d,
    transform_matrices,
)
from cyclegan_audio.models.networks.generators import ResnetGenerator
from cyclegan_audio.models.networks.norm import collect_statistics, with_statistics


@pytest.fixture(autouse=True)
def cpu_with_faster_winograd(monkeypatch):
    monkeypatch.setattr(cpu_convolutions, "IS_FASTER_HERE", True)


def conv(n_in: int, n_out: int) -> WinogradConv2d:
    torch.manual_seed(0)
    layer = WinogradConv2d(n_in, n_out)
    torch.nn.init.normal_(layer.weight, 0.0, 0.02)
    return layer


def conv_float64(layer: WinogradConv2d, x: Tensor) -> Tensor:
    return F.conv2d(x.double(), layer.weight.double(), layer.bias.double())


def relative_error(actual: Tensor, expected: Tensor) -> float:
    return float((actual.double() - expected).norm() / expected.norm())


def test_products_of_a_tile_are_its_convolution():
    a, g, b = transform_matrices()
    tile, kernel = torch.randn(6, 6), torch.randn(3, 3)
    expected = F.conv2d(tile[None, None], kernel[None, None])[0, 0]
    result = (a @ ((g @ kernel.flatten()) * (b @ tile.flatten()))).view(4, 4)
    torch.testing.assert_close(result, expected, rtol=1e-5, atol=5e-5)  # fp32: 0.3e-5 to 1e-5, by the numbers
    assert (a.shape[1], kernel.numel() * expected.numel()) == (36, 144)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [(6, 6), (34, 46), (9, 23), (3, 3)])
def test_output_and_gradients_equal_float64(size, memory_format, monkeypatch):
    layer = conv(MIN_CHANNELS_TRAINING, MIN_CHANNELS_TRAINING + 8)
    monkeypatch.setattr(torch.nn.Conv2d, "forward", None)  # no fallback
    x = torch.randn(2, MIN_CHANNELS_TRAINING, *size).contiguous(memory_format=memory_format).requires_grad_()
    expected = conv_float64(layer, x)
    grad = torch.randn_like(expected, memory_format=memory_format)
    result = layer(x)
    assert result.is_contiguous(memory_format=memory_format)
    assert relative_error(result, expected) < 3e-6
    inputs = [x, layer.weight, layer.bias]
    exact_gradients = torch.autograd.grad(expected, inputs, grad)
    for actual, right in zip(torch.autograd.grad(result, inputs, grad.float()), exact_gradients, strict=True):
        assert relative_error(actual, right.double()) < 5e-6


def test_weights_without_gradient_get_none():
    layer = conv(MIN_CHANNELS_TRAINING, MIN_CHANNELS_TRAINING).requires_grad_(False)
    x = torch.randn(1, MIN_CHANNELS_TRAINING, 10, 10, requires_grad=True)
    layer(x).sum().backward()
    assert x.grad is not None
    assert layer.weight.grad is None


@pytest.mark.parametrize(
    ("n_channels", "learns", "precise", "autocast", "taken"),
    [
        (MIN_CHANNELS_TRAINING, True, False, False, True),
        (MIN_CHANNELS_TRAINING - 8, True, False, False, False),
        (MIN_CHANNELS_TRAINING, False, False, False, False),
        (MIN_CHANNELS_INFERENCE, False, False, False, True),
        (MIN_CHANNELS_INFERENCE, True, True, False, False),
        (MIN_CHANNELS_INFERENCE, True, False, True, False),
    ],
)
def test_winograd_is_used_only_where_it_is_faster(n_channels, learns, precise, autocast, taken, monkeypatch):
    calls = []
    apply = cpu_convolutions._Winograd.apply
    monkeypatch.setattr(cpu_convolutions._Winograd, "apply", lambda *args: calls.append(1) or apply(*args))
    layer = conv(n_channels, n_channels)
    x = torch.randn(1, n_channels, 10, 10)
    if precise:
        layer, x = layer.double(), x.double()
    with torch.set_grad_enabled(learns), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        layer(x)
        monkeypatch.setattr(cpu_convolutions, "IS_FASTER_HERE", False)
        layer(x)
    assert len(calls) == taken


def test_an_export_uses_the_plain_convolution():
    layer = conv(MIN_CHANNELS_INFERENCE, MIN_CHANNELS_INFERENCE).eval()
    program = torch.export.export(layer, (torch.randn(1, MIN_CHANNELS_INFERENCE, 10, 10),))
    assert [n.target for n in program.graph.nodes if n.op == "call_function"] == [
        torch.ops.aten.conv2d.default
    ]


@torch.no_grad()
def test_a_wide_generator_is_the_same_with_and_without_winograd(monkeypatch):
    torch.manual_seed(0)
    network = ResnetGenerator(n_filters=MIN_CHANNELS_INFERENCE // 4, n_blocks=2).eval()
    x = torch.rand(1, 1, 32, 44) * 2 - 1
    outs = [network(x), with_statistics(network, collect_statistics(network, [x]))(x)]
    monkeypatch.setattr(WinogradConv2d, "_is_faster", lambda *_: False)
    plain = network(x)
    for out in outs:
        assert not torch.equal(out, plain)
        torch.testing.assert_close(out, plain, rtol=0, atol=2e-5)


@pytest.mark.parametrize(("n_in", "n_out"), [(16, 1), (3, 2), (1, 16), (3, 8)])
def test_row_convolution_is_the_convolution(n_in, n_out):
    torch.manual_seed(0)
    row = RowConv2d(n_in, n_out, 7)
    x = torch.randn(2, n_in, 20, 31, requires_grad=True)
    y = torch.nn.functional.conv2d(x.double(), row.weight.double(), row.bias.double())
    grad = torch.randn_like(y)
    expected = torch.autograd.grad(y, [x, row.weight, row.bias], grad)
    result = torch.autograd.grad(row(x), [x, row.weight, row.bias], grad.float())
    torch.testing.assert_close(row(x).double(), y, atol=1e-5, rtol=1e-5)
    for actual, exact in zip(result, expected, strict=True):
        torch.testing.assert_close(actual, exact.float(), atol=1e-3, rtol=1e-4)
