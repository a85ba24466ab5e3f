"""Generators: layers of the papers, shapes, sizes, checkerboard artefacts."""

import pytest
import torch
import torch.nn.functional as F

from cyclegan_audio.models.networks.discriminators import (
    PatchDiscriminator,
)
from cyclegan_audio.models.networks.generators import ResnetGenerator, UNetGenerator
from cyclegan_audio.models.networks.norm import InstanceNorm
from cyclegan_audio.utils.errors import UserError


def n_parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_paper_sizes():
    """The public code's counts for 3 channels: 11.378 M and 2.765 M parameters."""
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


def without_statistics(network):
    """Instance norms look at everything; with fixed statistics a score is local."""
    for module in network.modules():
        if isinstance(module, InstanceNorm):
            module.fixed = (torch.zeros(1), torch.ones(1))
    return network


@pytest.mark.parametrize(
    "make",
    [
        lambda: UNetGenerator(n_filters=4, n_levels=4),
        lambda: ResnetGenerator(4, 1, upsampling="nearest"),
        lambda: ResnetGenerator(4, 6),
    ],
    ids=["unet", "resize", "resnet6"],
)
def test_generators_keep_shape_and_range_and_learn(make):
    torch.manual_seed(0)
    generator = make()
    x = torch.rand(2, 1, 32, 3 * generator.frame_multiple) * 2 - 1
    out = generator(x)
    assert out.shape == x.shape
    assert out.abs().max() <= 1
    out.square().sum().backward()
    assert all(p.grad is not None for p in generator.parameters())


def test_unet_of_the_public_code():
    """Its `unet_256` counts 54.414 M: these weights, two numbers a normed channel, and the last biases."""
    generator = UNetGenerator(64, n_levels=8, n_channels=3)
    weights = sum(p.numel() for p in generator.parameters() if p.ndim == 4)
    normed = (128 + 256 + 4 * 512) + (4 * 512 + 256 + 128 + 64)
    assert round((weights + 2 * normed + 3) / 1e6, 3) == 54.414


def test_frame_multiple_of_each_generator():
    assert UNetGenerator(4, n_levels=3).frame_multiple == 8
    assert ResnetGenerator(4, 1).frame_multiple == 4
    with pytest.raises(UserError, match="n_levels"):
        UNetGenerator(4, n_levels=1)


def checkerboard(generator) -> float:
    """Return the share of energy at periods of 2 and 4 points for a flat input of an untrained generator."""
    torch.manual_seed(0)
    generator = without_statistics(generator())
    with torch.no_grad():
        row = generator.up(torch.ones(1, 16, 16, 16))[0, :, 16].double()  # (4, 64), far from the edges
    spectrum = torch.fft.rfft(row[:, 16:48]).abs().square().sum(0)
    return float((spectrum[8] + spectrum[16]) / spectrum.sum())  # periods of 4 and 2 points


def test_nearest_upsampling_has_no_checkerboard():
    assert checkerboard(lambda: ResnetGenerator(4, 1)) > 0.01
    assert checkerboard(lambda: ResnetGenerator(4, 1, upsampling="nearest")) < 1e-10


def test_features_have_the_names_and_widths_of_the_layers():
    for generator in (UNetGenerator(n_filters=2, n_levels=3), ResnetGenerator(n_filters=2, n_blocks=2)):
        features = generator.eval().features(torch.zeros(1, 1, 32, 32))
        widths = {name: values.shape[1] for name, values in features.items()}
        assert widths == dict(generator.feature_widths)
