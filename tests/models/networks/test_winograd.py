import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.models.networks import winograd
from cyclegan_audio.models.networks.generators import ResnetGenerator
from cyclegan_audio.models.networks.norm import collect_statistics, with_statistics
from cyclegan_audio.models.networks.winograd import FEWEST_CHANNELS, FEWEST_FORWARD, WinogradConv2d, matrices


@pytest.fixture(autouse=True)
def a_cpu_where_it_pays(monkeypatch):
    monkeypatch.setattr(winograd, "PAYS_HERE", True)


def conv(n_in: int, n_out: int) -> WinogradConv2d:
    torch.manual_seed(0)
    layer = WinogradConv2d(n_in, n_out)
    torch.nn.init.normal_(layer.weight, 0.0, 0.02)
    return layer


def exact(layer: WinogradConv2d, x: Tensor) -> Tensor:
    return F.conv2d(x.double(), layer.weight.double(), layer.bias.double())


def off(mine: Tensor, wanted: Tensor) -> float:
    return float((mine.double() - wanted).norm() / wanted.norm())


def test_products_of_a_tile_are_its_convolution():
    a, g, b = matrices()
    tile, kernel = torch.randn(6, 6), torch.randn(3, 3)
    wanted = F.conv2d(tile[None, None], kernel[None, None])[0, 0]
    got = (a @ ((g @ kernel.flatten()) * (b @ tile.flatten()))).view(4, 4)
    torch.testing.assert_close(got, wanted, rtol=1e-5, atol=5e-5)  # fp32: 0.3e-5 to 1e-5, by the numbers
    assert (a.shape[1], kernel.numel() * wanted.numel()) == (36, 144)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [(6, 6), (34, 46), (9, 23), (3, 3)])
def test_output_and_gradients_equal_float64(size, memory_format, monkeypatch):
    layer = conv(FEWEST_CHANNELS, FEWEST_CHANNELS + 8)
    monkeypatch.setattr(torch.nn.Conv2d, "forward", None)  # it must not fall back to the plain way
    x = torch.randn(2, FEWEST_CHANNELS, *size).contiguous(memory_format=memory_format).requires_grad_()
    wanted = exact(layer, x)
    grad = torch.randn_like(wanted, memory_format=memory_format)
    got = layer(x)
    assert got.is_contiguous(memory_format=memory_format)
    assert off(got, wanted) < 3e-6
    inputs = [x, layer.weight, layer.bias]
    exact_gradients = torch.autograd.grad(wanted, inputs, grad)
    for mine, right in zip(torch.autograd.grad(got, inputs, grad.float()), exact_gradients, strict=True):
        assert off(mine, right.double()) < 5e-6


def test_what_needs_no_gradient_gets_none():
    layer = conv(FEWEST_CHANNELS, FEWEST_CHANNELS).requires_grad_(False)
    x = torch.randn(1, FEWEST_CHANNELS, 10, 10, requires_grad=True)
    layer(x).sum().backward()
    assert x.grad is not None
    assert layer.weight.grad is None


@pytest.mark.parametrize(
    ("n_channels", "learns", "precise", "autocast", "taken"),
    [
        (FEWEST_CHANNELS, True, False, False, True),
        (FEWEST_CHANNELS - 8, True, False, False, False),
        (FEWEST_CHANNELS, False, False, False, False),
        (FEWEST_FORWARD, False, False, False, True),
        (FEWEST_FORWARD, True, True, False, False),
        (FEWEST_FORWARD, True, False, True, False),
    ],
)
def test_only_where_it_pays(n_channels, learns, precise, autocast, taken, monkeypatch):
    calls = []
    apply = winograd._Winograd.apply
    monkeypatch.setattr(winograd._Winograd, "apply", lambda *args: calls.append(1) or apply(*args))
    layer = conv(n_channels, n_channels)
    x = torch.randn(1, n_channels, 10, 10)
    if precise:
        layer, x = layer.double(), x.double()
    with torch.set_grad_enabled(learns), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        layer(x)
        monkeypatch.setattr(winograd, "PAYS_HERE", False)
        layer(x)
    assert len(calls) == taken


def test_an_export_has_the_plain_convolution():
    layer = conv(FEWEST_FORWARD, FEWEST_FORWARD).eval()
    program = torch.export.export(layer, (torch.randn(1, FEWEST_FORWARD, 10, 10),))
    assert [n.target for n in program.graph.nodes if n.op == "call_function"] == [
        torch.ops.aten.conv2d.default
    ]


@torch.no_grad()
def test_a_wide_generator_is_the_same_by_it_with_and_without_fixed_statistics(monkeypatch):
    torch.manual_seed(0)
    network = ResnetGenerator(n_filters=FEWEST_FORWARD // 4, n_blocks=2).eval()
    x = torch.rand(1, 1, 32, 44) * 2 - 1
    outs = [network(x), with_statistics(network, collect_statistics(network, [x]))(x)]
    monkeypatch.setattr(WinogradConv2d, "_pays", lambda *_: False)
    plain = network(x)
    for out in outs:
        assert not torch.equal(out, plain)
        torch.testing.assert_close(out, plain, rtol=0, atol=2e-5)
