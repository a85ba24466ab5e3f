"""Discriminators: layers of the papers, receptive fields, scales, spectral norm."""

import pytest
import torch
import torch.nn.functional as F

from cyclegan_audio.models.networks.discriminators import (
    MultiScaleDiscriminator,
    PatchDiscriminator,
    PixelDiscriminator,
    TexturePatchDiscriminator,
    WhitenedPatchDiscriminator,
)
from cyclegan_audio.models.networks.norm import InstanceNorm
from cyclegan_audio.models.networks.whitening import blur
from cyclegan_audio.utils.errors import UserError


def n_parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_patch_receptive_field_is_70_by_70():
    torch.manual_seed(0)
    disc = PatchDiscriminator(n_filters=4).double()
    for module in disc.modules():  # without instance norm, which looks at everything, a score is local
        if type(module).__name__ == "InstanceNorm":
            module.fixed = (torch.zeros(1).double(), torch.ones(1).double())
    x = torch.rand(1, 1, 192, 192, dtype=torch.double, requires_grad=True)
    scores = disc(x)
    assert scores.shape == (1, 1, 22, 22)
    scores[0, 0, 11, 11].backward()
    reached = x.grad[0, 0].abs() > 0
    assert int(reached.any(0).sum()) == 70
    assert int(reached.any(1).sum()) == 70


def normed(x: torch.Tensor) -> torch.Tensor:
    return F.instance_norm(x, eps=1e-5)


def convs_of(network: torch.nn.Module) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Weight and bias of each convolution in float64, in order."""
    convs = [module for module in network.modules() if hasattr(module, "weight")]
    return [(conv.weight.double(), conv.bias.double()) for conv in convs]


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


def test_positions_beside_the_whitened_mel():
    """Of five bands f is -1, -0.5, 0, 0.5 and 1, so that 2 pi f turns by half a circle from band to band."""
    disc = WhitenedPatchDiscriminator(5, 4, 1, position_channels=5)
    disc.set_moments((torch.full((5,), 0.5), torch.full((5,), 0.25)))
    disc.layers = torch.nn.Identity()
    expected = torch.tensor(
        [[2, 2, 2, 2, 2], [-1, -0.5, 0, 0.5, 1], [0, 0, 0, 0, 0], [1, -1, 1, -1, 1], [0] * 5, [1] * 5]
    )
    expected = expected[None, :, :, None].expand(2, -1, -1, 16)
    torch.testing.assert_close(disc(torch.ones(2, 1, 5, 16)), expected, rtol=0, atol=1e-6)
    quarter = WhitenedPatchDiscriminator(9, 4, 1, position_channels=5).positions[:, 3, 0]  # f = -0.25
    assert quarter.tolist() == pytest.approx([-0.25, -1, 0, 0, -1], abs=1e-6)
    assert "positions" not in disc.state_dict()


@pytest.mark.parametrize("n_positions", range(6))
def test_position_channels_are_added_one_by_one(n_positions):
    torch.manual_seed(0)
    disc = WhitenedPatchDiscriminator(64, 4, 2, n_positions)
    assert disc.layers[0].weight.shape == (4, 1 + n_positions, 4, 4)
    mean, spread = torch.rand(64) - 0.5, torch.rand(64) + 0.1
    disc.set_moments((mean, spread))
    mel = torch.rand(2, 1, 64, 48) * 2 - 1
    all_positions = WhitenedPatchDiscriminator(64, 4, 2, 5).positions
    inputs = [
        (mel - mean[:, None]) / spread[:, None],
        all_positions[None, :n_positions].expand(2, -1, -1, 48),
    ]
    plain = PatchDiscriminator(4, 2, 1 + n_positions, norm="none")
    plain.load_state_dict({k: v for k, v in disc.state_dict().items() if k.startswith("layers")})
    torch.testing.assert_close(disc(mel), plain(torch.cat(inputs, 1)))


def test_without_norm_a_score_depends_on_its_patch_alone():
    torch.manual_seed(0)
    disc = WhitenedPatchDiscriminator(64, 4, 1, norm="none")
    assert not any(isinstance(module, InstanceNorm) for module in disc.modules())
    mel = torch.rand(1, 1, 64, 64)
    changed = mel.clone()
    changed[..., 32:] = -1
    before, after = disc(mel), disc(changed)
    assert torch.equal(before[..., :11], after[..., :11])
    assert float(before.detach().std()) > 1e-3  # the signal passes all layers
    with pytest.raises(UserError, match=r"discriminator\.norm must be instance or none, got 'batch'"):
        PatchDiscriminator(norm="batch")
    with pytest.raises(UserError, match="position_channels must be an integer >= 0 and <= 5, got 6"):
        WhitenedPatchDiscriminator(position_channels=6)


def test_texture_beside_the_mel():
    """A lone point of 9 in boxes of 3 x 3: the mean around it is 1, so its texture is 8, and -1 around."""
    disc = TexturePatchDiscriminator(4, 1, gain=2.0, box=(3, 3))
    assert disc.layers[0].weight.shape == (4, 2, 4, 4)
    disc.layers = torch.nn.Identity()
    mel = torch.zeros(1, 1, 8, 8)
    mel[0, 0, 4, 4] = 9
    expected = torch.zeros(8, 8)
    expected[3:6, 3:6] = -2
    expected[4, 4] = 16
    torch.testing.assert_close(disc(mel), torch.stack([mel[0, 0], expected])[None])


def test_texture_discriminators_take_the_same_layers_and_refuse_wrong_boxes():
    torch.manual_seed(0)
    disc, mel = TexturePatchDiscriminator(4, 2, gain=3.0), torch.rand(2, 1, 64, 48)
    plain = PatchDiscriminator(4, 2, 2)
    plain.load_state_dict(disc.state_dict())
    expected = plain(torch.cat([mel, 3 * (mel - blur(mel, (9, 5)))], 1))
    torch.testing.assert_close(disc(mel), expected)
    with pytest.raises(UserError, match=r"discriminator\.box must be odd numbers, got 4"):
        TexturePatchDiscriminator(box=(4, 5))
    with pytest.raises(UserError, match=r"discriminator\.gain must be"):
        TexturePatchDiscriminator(gain=-1.0)


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


def test_default_sizes_of_discriminators():
    with pytest.raises(UserError, match="n_scales"):
        MultiScaleDiscriminator(4, n_scales=0)
    assert len(MultiScaleDiscriminator(4, n_scales=1).scales) == 1
    usual = MultiScaleDiscriminator()
    assert len(usual.scales) == 2
    assert n_parameters(usual) == 2 * n_parameters(PatchDiscriminator())
    assert n_parameters(PixelDiscriminator()) == 64 + 64 + 64 * 128 + 128 + 128 + 1


def without_statistics(network):
    """Instance norms look at everything; with fixed statistics a score is local."""
    for module in network.modules():
        if isinstance(module, InstanceNorm):
            module.fixed = (torch.zeros(1), torch.ones(1))
    return network


def receptive_field(network, size: int, place: tuple[int, ...]) -> torch.Tensor:
    """Return the points (size, size) of the input that change one score."""
    x = torch.rand(1, 1, size, size, requires_grad=True)
    network(x)[place].backward()
    return x.grad[0, 0].abs() > 0


@pytest.mark.parametrize(("n_layers", "points"), [(1, 16), (2, 34), (3, 70)])
def test_receptive_field_by_number_of_layers(n_layers, points):
    torch.manual_seed(0)
    disc = without_statistics(PatchDiscriminator(4, n_layers))
    middle = disc(torch.zeros(1, 1, 128, 128)).shape[-1] // 2
    assert receptive_field(disc, 128, (0, 0, middle, middle)).sum(0).max() == points


def test_pixel_receptive_field_is_one_point():
    torch.manual_seed(0)
    disc = without_statistics(PixelDiscriminator(4))
    assert disc(torch.zeros(2, 1, 8, 12)).shape == (2, 1, 8, 12)
    assert receptive_field(disc, 8, (0, 0, 3, 5)).nonzero().tolist() == [[3, 5]]


def test_all_scales_have_the_same_weight():
    disc = MultiScaleDiscriminator(4, n_layers=1, n_scales=2)
    for scale, bias in zip(disc.scales, (1.0, 3.0), strict=True):
        torch.nn.init.zeros_(scale.layers[-1].weight)
        torch.nn.init.constant_(scale.layers[-1].bias, bias)
    scores = disc(torch.rand(2, 1, 32, 48))
    assert scores.shape == (2, 2 * 14 * 22)
    assert scores.mean(1).tolist() == [2.0, 2.0]


def test_the_smaller_scale_has_the_larger_receptive_field():
    torch.manual_seed(0)
    disc = without_statistics(MultiScaleDiscriminator(4, n_layers=1, n_scales=2))
    n = disc(torch.zeros(1, 1, 64, 64)).shape[1] // 2
    side = int(n**0.5)
    middle = side * (side // 2) + side // 2
    assert receptive_field(disc, 64, (0, middle)).sum(0).max() == 16
    assert receptive_field(disc, 64, (0, n + middle)).sum(0).max() >= 32


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
