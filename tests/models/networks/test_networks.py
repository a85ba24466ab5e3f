import pytest
import torch
import torch.nn.functional as F

from cyclegan_audio.models.networks.discriminators import (
    MultiScaleDiscriminator,
    PatchDiscriminator,
    PixelDiscriminator,
)
from cyclegan_audio.models.networks.generators import ResnetGenerator
from cyclegan_audio.models.networks.row_conv import RowConv2d
from cyclegan_audio.utils.errors import UserError


def n_parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_paper_sizes():
    """The public code's own counts for 3 channels: 11.378 M and 2.765 M parameters."""
    assert n_parameters(ResnetGenerator(n_channels=3)) == 11_378_179
    assert n_parameters(PatchDiscriminator(n_channels=3)) == 2_764_737


@pytest.mark.parametrize("shape", [(1, 1, 128, 176), (2, 1, 128, 64)])
def test_generator_keeps_shape_and_range(shape):
    out = ResnetGenerator(n_filters=4, n_blocks=1)(torch.rand(shape) * 2 - 1)
    assert out.shape == shape
    assert out.abs().max() <= 1


def test_generator_starts_from_normal_weights():
    torch.manual_seed(0)
    weights = torch.cat([p.flatten() for p in ResnetGenerator(16, 2).parameters() if p.ndim == 4])
    assert float(weights.detach().mean()) == pytest.approx(0, abs=1e-3)
    assert float(weights.detach().std()) == pytest.approx(0.02, rel=0.02)


def test_patch_sees_70_by_70_points():
    torch.manual_seed(0)
    disc = PatchDiscriminator(n_filters=4).double()
    for module in disc.modules():  # without instance norm, which looks at everything, a score is local
        if type(module).__name__ == "InstanceNorm":
            module.fixed = (torch.zeros(1).double(), torch.ones(1).double())
    x = torch.rand(1, 1, 192, 192, dtype=torch.double, requires_grad=True)
    scores = disc(x)
    assert scores.shape == (1, 1, 22, 22)
    scores[0, 0, 11, 11].backward()
    seen = x.grad[0, 0].abs() > 0
    assert int(seen.any(0).sum()) == 70
    assert int(seen.any(1).sum()) == 70


def normed(x: torch.Tensor) -> torch.Tensor:
    return F.instance_norm(x, eps=1e-5)


def convs_of(network: torch.nn.Module) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Weight and bias of each convolution in float64, in order."""
    convs = [module for module in network.modules() if hasattr(module, "weight")]
    return [(conv.weight.double(), conv.bias.double()) for conv in convs]


def test_the_generator_is_that_of_the_paper_layer_by_layer():
    """c7s1-k, d2k, d4k, R4k x 6, u2k, uk, c7s1-1 (Zhu et al. 2017, appendix 7.2), in float64."""
    torch.manual_seed(0)
    network, mel = ResnetGenerator(4, 6), torch.rand(2, 1, 16, 24) * 2 - 1
    convs = iter(convs_of(network))
    with torch.no_grad():
        x = F.relu(normed(F.conv2d(F.pad(mel.double(), (3,) * 4, mode="reflect"), *next(convs))))
        expected = {"input": mel}
        for name in ("down_1", "down_2"):
            expected[name] = F.conv2d(x, *next(convs), stride=2, padding=1)
            x = F.relu(normed(expected[name]))
        for number in range(1, 7):
            inner = F.relu(normed(F.conv2d(F.pad(x, (1,) * 4, mode="reflect"), *next(convs))))
            x = x + normed(F.conv2d(F.pad(inner, (1,) * 4, mode="reflect"), *next(convs)))
            expected[f"block_{number}"] = x
        for _ in range(2):
            x = F.conv_transpose2d(x, *next(convs), stride=2, padding=1, output_padding=1)
            x = F.relu(normed(x))
        x = torch.tanh(F.conv2d(F.pad(x, (3,) * 4, mode="reflect"), *next(convs)))
        assert next(convs, None) is None
        torch.testing.assert_close(network(mel).double(), x, rtol=0, atol=1e-4)
        features = network.features(mel)
    assert (
        list(features) == ["input", "down_1", "down_2", "block_1", "block_5"] == list(network.feature_widths)
    )
    for name, value in features.items():
        torch.testing.assert_close(value.double(), expected[name].double(), rtol=0, atol=1e-4)
        assert value.shape[1] == network.feature_widths[name]
    assert list(ResnetGenerator(4, 4).feature_widths) == ["input", "down_1", "down_2", "block_1"]
    assert list(ResnetGenerator(4, 5).feature_widths)[-1] == "block_5"


def test_doubling_by_nearest_neighbours_layer_by_layer():
    torch.manual_seed(0)
    network, x = ResnetGenerator(4, 1, upsampling="nearest"), torch.randn(1, 16, 4, 6)
    expected = x.double()
    with torch.no_grad():
        for weight, bias in convs_of(network.up):
            wide = expected.repeat_interleave(2, 2).repeat_interleave(2, 3)
            expected = F.relu(normed(F.conv2d(F.pad(wide, (1,) * 4, mode="reflect"), weight, bias)))
        torch.testing.assert_close(network.up(x).double(), expected, rtol=0, atol=1e-4)
    assert expected.shape == (1, 4, 16, 24)


@pytest.mark.parametrize("n_layers", [1, 3, 4])
def test_the_patch_discriminator_is_that_of_the_paper_layer_by_layer(n_layers):
    """C64-C128-C256-C512 with slopes of 0.2, the first without norm (Isola et al. 2017, appendix 6.1.2)."""
    torch.manual_seed(0)
    network, mel = PatchDiscriminator(4, n_layers), torch.rand(2, 1, 64, 80) * 2 - 1
    convs = convs_of(network)
    assert [len(weight) for weight, _ in convs[:-1]] == [4, 8, 16, 32, 32][: n_layers + 1]
    with torch.no_grad():
        x = F.leaky_relu(F.conv2d(mel.double(), *convs[0], stride=2, padding=1), 0.2)
        for place, conv in enumerate(convs[1:-1], 1):
            stride = 2 if place < n_layers else 1
            x = F.leaky_relu(normed(F.conv2d(x, *conv, stride=stride, padding=1)), 0.2)
        x = F.conv2d(x, *convs[-1], padding=1)
        torch.testing.assert_close(network(mel).double(), x, rtol=0, atol=1e-4)


def test_the_pixel_discriminator_layer_by_layer():
    torch.manual_seed(0)
    network, mel = PixelDiscriminator(4), torch.rand(2, 1, 8, 12) * 2 - 1
    first, second, last = convs_of(network)
    assert second[0].shape == (8, 4, 1, 1)
    with torch.no_grad():
        x = F.leaky_relu(F.conv2d(mel.double(), *first), 0.2)
        x = F.conv2d(F.leaky_relu(normed(F.conv2d(x, *second)), 0.2), *last)
        torch.testing.assert_close(network(mel).double(), x, rtol=0, atol=1e-4)


def test_scales_halve_by_means_of_three_without_the_padding():
    torch.manual_seed(0)
    network, mel = MultiScaleDiscriminator(4, 1, n_scales=2), torch.rand(1, 1, 32, 48)
    rows = [max(2 * i - 1, 0) for i in range(16)], [2 * i + 2 for i in range(16)]
    columns = [max(2 * i - 1, 0) for i in range(24)], [2 * i + 2 for i in range(24)]
    half = torch.tensor(
        [
            [float(mel[0, 0, r0:r1, c0:c1].mean()) for c0, c1 in zip(*columns, strict=True)]
            for r0, r1 in zip(*rows, strict=True)
        ]
    )[None, None]
    with torch.no_grad():
        scores, (full, small) = network(mel), network.scales
        assert torch.equal(scores[0, : 14 * 22], full(mel).flatten())
        few = small(half)[0, 0]
    nearest = [((torch.arange(n) + 0.5) * m / n).long() for n, m in zip((14, 22), few.shape, strict=True)]
    expected = few[nearest[0]][:, nearest[1]]
    torch.testing.assert_close(scores[0, 14 * 22 :].view(14, 22), expected, rtol=0, atol=1e-5)


def test_usual_sizes_of_discriminators():
    with pytest.raises(UserError, match="n_scales"):
        MultiScaleDiscriminator(4, n_scales=0)
    assert len(MultiScaleDiscriminator(4, n_scales=1).scales) == 1
    usual = MultiScaleDiscriminator()
    assert len(usual.scales) == 2
    assert n_parameters(usual) == 2 * n_parameters(PatchDiscriminator())
    assert n_parameters(PixelDiscriminator()) == 64 + 64 + 64 * 128 + 128 + 128 + 1


@pytest.mark.parametrize(("n_in", "n_out"), [(16, 1), (3, 2), (1, 16), (3, 8)])
def test_row_convolution_is_the_convolution(n_in, n_out):
    torch.manual_seed(0)
    row = RowConv2d(n_in, n_out, 7)
    x = torch.randn(2, n_in, 20, 31, requires_grad=True)
    y = torch.nn.functional.conv2d(x.double(), row.weight.double(), row.bias.double())
    grad = torch.randn_like(y)
    wanted = torch.autograd.grad(y, [x, row.weight, row.bias], grad)
    got = torch.autograd.grad(row(x), [x, row.weight, row.bias], grad.float())
    torch.testing.assert_close(row(x).double(), y, atol=1e-5, rtol=1e-5)
    for mine, exact in zip(got, wanted, strict=True):
        torch.testing.assert_close(mine, exact.float(), atol=1e-3, rtol=1e-4)
