"""Patch residual generator: layer by layer, statistics of pieces, features, no checkerboard."""

import pytest
import torch
import torch.nn.functional as F

from cyclegan_audio.models.networks.norm import InstanceNorm, collect_statistics, with_statistics
from cyclegan_audio.models.networks.patch_residual import PatchResidualGenerator, digit_noise
from cyclegan_audio.models.networks.whitening import blur


def trained(*arguments: int) -> PatchResidualGenerator:
    """Return a generator with moments, whose parameters are all random."""
    torch.manual_seed(0)
    generator = PatchResidualGenerator(*arguments)
    for parameter in generator.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    n_mels = arguments[0]
    generator.set_moments(*((torch.rand(n_mels) - 0.5, torch.rand(n_mels) + 0.1) for _ in range(2)))
    return generator.eval()


def normed(x: torch.Tensor) -> torch.Tensor:
    return F.instance_norm(x, eps=1e-5)


def reflect(x: torch.Tensor, size: int) -> torch.Tensor:
    return F.pad(x, (size,) * 4, mode="reflect")


def conv(x: torch.Tensor, layer: torch.nn.Conv2d, **options: int) -> torch.Tensor:
    return F.conv2d(x, layer.weight, layer.bias, **options)


def bilinear(x: torch.Tensor) -> torch.Tensor:
    """Enlarge four times by hand: half-pixel centres, edges repeated."""
    for dim in (2, 3):
        places = ((torch.arange(4 * x.shape[dim]) + 0.5) / 4 - 0.5).clamp(0, x.shape[dim] - 1).double()
        low = places.floor().long()
        high = (low + 1).clamp(max=x.shape[dim] - 1)
        weight = (places - low).view([-1 if d == dim else 1 for d in range(4)])
        x = x.index_select(dim, low) * (1 - weight) + x.index_select(dim, high) * weight
    return x


@torch.no_grad()
def test_layer_by_layer():
    generator = trained(16, 4, 2).double()
    core, mel = generator.core, torch.rand(2, 1, 16, 24).double() * 2 - 1
    z = (mel - generator.source.mean[:, None]) / generator.source.spread[:, None]
    patches = conv(z, core.patches[0], stride=4, padding=2)
    assert patches.shape == (2, 16, 4, 6)
    x = F.relu(normed(patches) + core.offsets)
    expected = {"input": z, "patches": patches}
    for number, block in enumerate(core.blocks, 1):
        inner = F.relu(normed(conv(reflect(x, 1), block.first[1])) + block.offsets)
        x = x + block.gains * normed(conv(reflect(inner, 1), block.second[1]))
        if number == 1:
            expected["block_1"] = x
    coarse = bilinear(conv(x, core.up[0], padding=1))
    fractions = (z.float() * 256).remainder(1).double()
    noise = 3**0.5 * (4 * (fractions - 0.5).abs() - 1)
    fine = conv(reflect(torch.cat([z, noise], 1), 2), core.fine[1])
    joined = F.leaky_relu(conv(F.leaky_relu(torch.cat([fine, coarse], 1), 0.2), core.join[1], padding=1), 0.2)
    y = blur(z, (9, 5)) + conv(reflect(joined, 2), core.tail[1])
    y = y * generator.target.spread[:, None] + generator.target.mean[:, None]
    torch.testing.assert_close(generator.train()(mel), y, rtol=0, atol=1e-6)  # RowConv2d sums in fp32
    features = generator.features(mel)
    assert list(features) == list(expected) == list(generator.feature_widths)
    for name, value in features.items():
        torch.testing.assert_close(value, expected[name])
        assert value.shape[1] == generator.feature_widths[name]


def test_sizes():
    small = PatchResidualGenerator(n_filters=16)
    assert sum(p.numel() for p in small.parameters()) == 468_401
    assert small.frame_multiple == 4
    assert list(small.feature_widths) == ["input", "patches", "block_1", "block_5"]
    assert small.core.blocks[0].first[1].weight.shape == (64, 64, 3, 3)
    assert small.core.fine[1].weight.shape == (8, 2, 5, 5)
    without_noise = PatchResidualGenerator(n_filters=16, noise=False)
    assert without_noise.core.fine[1].weight.shape == (8, 1, 5, 5)
    assert without_noise(torch.rand(1, 1, 128, 16)).shape == (1, 1, 128, 16)


def correlation(x: torch.Tensor, y: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack([x.flatten(), y.flatten()]))[0, 1])


@pytest.mark.parametrize("slope", [0.0, 0.01])
def test_noise_of_the_last_digits(slope):
    """Of a mel that changes much from point to point, and of one that hardly does: uniform, no memory."""
    torch.manual_seed(0)
    z = torch.randn(1, 1, 128, 256) * (1 if slope == 0 else slope)
    z = z + slope * torch.arange(256)
    noise = digit_noise(z)
    assert noise.shape == z.shape
    assert float(noise.mean()) == pytest.approx(0, abs=0.02)
    assert float(noise.std()) == pytest.approx(1, abs=0.02)
    assert float(noise.abs().max()) <= 3**0.5 + 1e-5
    counts = torch.histc(noise, 10)
    assert float(counts.min()) > 0.9 * float(counts.mean())
    for near in (noise[..., 1:], noise[..., 1:, :-1]):
        assert abs(correlation(noise[..., : near.shape[2], :-1], near)) < 0.03
    assert abs(correlation(noise, z)) < 0.03
    assert torch.equal(digit_noise(z[..., 100:]), noise[..., 100:])  # wherever a window begins
    moved = digit_noise(z * (1 + 1e-7)) - noise
    assert float(moved.abs().max()) < 0.01


def test_noise_has_no_gradient():
    z = torch.rand(1, 1, 8, 8, requires_grad=True)
    assert not digit_noise(z).requires_grad


@pytest.mark.parametrize("skip", [(5, 3), None])
def test_it_learns_with_every_parameter(skip):
    torch.manual_seed(0)
    generator = PatchResidualGenerator(16, 2, 2, skip)
    torch.nn.init.normal_(generator.core.tail[-1].weight)
    x = torch.rand(2, 1, 16, 16) * 2 - 1
    assert generator(x).shape == x.shape
    generator(x).square().sum().backward()
    assert all(p.grad is not None for p in generator.parameters())


@torch.no_grad()
def test_statistics_of_a_clip_reproduce_its_output_and_make_windows_alike():
    generator, mel = trained(16, 4, 2), torch.rand(1, 1, 16, 128) * 2 - 1
    fixed = with_statistics(generator, collect_statistics(generator, [mel]))
    whole = generator(mel)
    torch.testing.assert_close(fixed(mel), whole, rtol=0, atol=1e-4)
    torch.testing.assert_close(fixed(mel[..., :96])[..., :40], whole[..., :40], rtol=0, atol=1e-4)
    assert not torch.allclose(generator(mel[..., :96])[..., :40], whole[..., :40], atol=1e-2)
    n_folded = sum(isinstance(module, torch.nn.Identity) for module in fixed.modules())
    assert n_folded == sum(isinstance(module, InstanceNorm) for module in generator.modules()) == 5


@torch.no_grad()
def test_a_steady_input_gives_a_steady_output():
    """No checkerboard: far from the ends, equal frames stay equal, with any weights."""
    generator = trained(16, 4, 2)
    mel = (torch.rand(1, 1, 16, 1) * 2 - 1).expand(-1, -1, -1, 128)
    statistics = collect_statistics(generator, [torch.rand(1, 1, 16, 128) * 2 - 1])
    out = with_statistics(generator, statistics)(mel)[..., 48:80]
    torch.testing.assert_close(out, out[..., :1].expand_as(out), rtol=0, atol=1e-4)
