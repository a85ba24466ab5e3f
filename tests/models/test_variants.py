"""Other generators and discriminators: shapes, sizes, what a score sees."""

import pytest
import torch

from cyclegan_audio.models.networks.discriminators import (
    MultiScaleDiscriminator,
    PatchDiscriminator,
    PixelDiscriminator,
)
from cyclegan_audio.models.networks.generators import ResnetGenerator
from cyclegan_audio.models.networks.norm import InstanceNorm
from cyclegan_audio.models.networks.unet import UNetGenerator
from cyclegan_audio.utils.errors import UserError


def without_statistics(network):
    """Instance norms look at everything; with fixed statistics a score is local."""
    for module in network.modules():
        if isinstance(module, InstanceNorm):
            module.fixed = (torch.zeros(1), torch.ones(1))
    return network


def seen(network, size: int, place: tuple[int, ...]) -> torch.Tensor:
    """The points (size, size) of the input that move one score."""
    x = torch.rand(1, 1, size, size, requires_grad=True)
    network(x)[place].backward()
    return x.grad[0, 0].abs() > 0


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


def test_unet_says_its_multiple():
    assert UNetGenerator(4, n_levels=3).frame_multiple == 8
    assert ResnetGenerator(4, 1).frame_multiple == 4
    with pytest.raises(UserError, match="n_levels"):
        UNetGenerator(4, n_levels=1)


def checkerboard(generator) -> float:
    """Energy at the finest period in time of what an untrained generator makes of a flat input, relative."""
    torch.manual_seed(0)
    generator = without_statistics(generator())
    with torch.no_grad():
        row = generator.up(torch.ones(1, 16, 16, 16))[0, :, 16].double()  # (4, 64), far from the edges
    spectrum = torch.fft.rfft(row[:, 16:48]).abs().square().sum(0)
    return float((spectrum[8] + spectrum[16]) / spectrum.sum())  # periods of 4 and 2 points


def test_resize_convolution_draws_no_checkerboard():
    assert checkerboard(lambda: ResnetGenerator(4, 1)) > 0.01
    assert checkerboard(lambda: ResnetGenerator(4, 1, upsampling="nearest")) < 1e-10


@pytest.mark.parametrize(("n_layers", "points"), [(1, 16), (2, 34), (3, 70)])
def test_patches_by_layers(n_layers, points):
    torch.manual_seed(0)
    disc = without_statistics(PatchDiscriminator(4, n_layers))
    middle = disc(torch.zeros(1, 1, 128, 128)).shape[-1] // 2
    assert seen(disc, 128, (0, 0, middle, middle)).sum(0).max() == points


def test_a_pixel_discriminator_sees_one_point():
    torch.manual_seed(0)
    disc = without_statistics(PixelDiscriminator(4))
    assert disc(torch.zeros(2, 1, 8, 12)).shape == (2, 1, 8, 12)
    assert seen(disc, 8, (0, 0, 3, 5)).nonzero().tolist() == [[3, 5]]


def test_several_scales_weigh_the_same():
    disc = MultiScaleDiscriminator(4, n_layers=1, n_scales=2)
    for scale, bias in zip(disc.scales, (1.0, 3.0), strict=True):
        torch.nn.init.zeros_(scale.layers[-1].weight)
        torch.nn.init.constant_(scale.layers[-1].bias, bias)
    scores = disc(torch.rand(2, 1, 32, 48))
    assert scores.shape == (2, 2 * 14 * 22)
    assert scores.mean(1).tolist() == [2.0, 2.0]


def test_the_smaller_scale_sees_further():
    torch.manual_seed(0)
    disc = without_statistics(MultiScaleDiscriminator(4, n_layers=1, n_scales=2))
    n = disc(torch.zeros(1, 1, 64, 64)).shape[1] // 2
    side = int(n**0.5)
    middle = side * (side // 2) + side // 2
    assert seen(disc, 64, (0, middle)).sum(0).max() == 16
    assert seen(disc, 64, (0, n + middle)).sum(0).max() >= 32


@pytest.mark.parametrize("make", [PatchDiscriminator, PixelDiscriminator, MultiScaleDiscriminator])
def test_spectral_norm_bounds_every_convolution(make):
    torch.manual_seed(0)
    disc = make(n_filters=4, spectral_norm=True)
    for _ in range(60):  # power iterations
        disc(torch.rand(1, 1, 64, 64))
    disc.eval()
    convs = [module for module in disc.modules() if isinstance(module, torch.nn.Conv2d)]
    assert len(convs) >= 3
    for conv in convs:
        assert float(torch.linalg.matrix_norm(conv.weight.detach().flatten(1), 2)) == pytest.approx(
            1, abs=1e-2
        )
    plain = make(n_filters=4)
    weights = [module.weight.detach() for module in plain.modules() if hasattr(module, "weight")]
    assert max(float(torch.linalg.matrix_norm(weight.flatten(1), 2)) for weight in weights) < 0.9
