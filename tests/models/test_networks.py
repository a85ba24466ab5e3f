import pytest
import torch

from cyclegan_audio.models.convolution import RowConv2d
from cyclegan_audio.models.discriminator import PatchDiscriminator
from cyclegan_audio.models.generator import ResnetGenerator


def test_paper_sizes():
    """The public code's own counts for 3 channels: 11.378 M and 2.765 M parameters."""
    assert sum(p.numel() for p in ResnetGenerator(n_channels=3).parameters()) == 11_378_179
    assert sum(p.numel() for p in PatchDiscriminator(n_channels=3).parameters()) == 2_764_737


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
