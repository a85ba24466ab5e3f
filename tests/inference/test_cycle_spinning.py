"""Averaging over shifts reduces checkerboard artefacts."""

import pytest
import torch
from torch import Tensor, nn

from cyclegan_audio.config import build, compose
from cyclegan_audio.inference.cycle_spinning import CycleSpinning, with_cycle_spinning
from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.metrics.artefacts import checkerboard_db
from cyclegan_audio.models.networks.generators import ResnetGenerator
from cyclegan_audio.models.networks.norm import collect_statistics, with_statistics
from cyclegan_audio.utils.errors import UserError


class Grid(nn.Module):
    """Half of the input, and a pattern fixed to the grid of frames."""

    frame_multiple = 4

    def __init__(self, pattern: tuple[float, ...]) -> None:
        super().__init__()
        self.pattern = torch.tensor(pattern)

    def forward(self, mel: Tensor) -> Tensor:
        assert mel.shape[3] % self.frame_multiple == 0
        return mel / 2 + self.pattern.repeat(mel.shape[3] // len(self.pattern))


@pytest.mark.parametrize(("shifts", "pattern"), [(2, (0.1, -0.1)), (4, (0.3, 0.1, -0.1, -0.3))])
def test_patterns_of_the_grid_cancel_and_the_music_stays(shifts, pattern):
    mel = torch.rand(2, 1, 16, 32) * 2 - 1
    torch.testing.assert_close(CycleSpinning(Grid(pattern), shifts)(mel), mel / 2)


def test_checkerboard_of_transposed_convolutions_shrinks():
    torch.manual_seed(0)
    generator = ResnetGenerator(n_filters=4, n_blocks=1).eval()
    mel = torch.rand(3, 1, 16, 128) * 2 - 1
    with torch.no_grad():
        plain, averaged = (network(mel)[:, 0] for network in (generator, CycleSpinning(generator, 4)))
    assert checkerboard_db(averaged).mean() < checkerboard_db(plain).mean() - 3


def test_statistics_from_outside_reach_the_generator_within():
    torch.manual_seed(0)
    network = CycleSpinning(ResnetGenerator(n_filters=4, n_blocks=1), 2).eval()
    mel = torch.rand(1, 1, 16, 512) * 2 - 1
    with torch.no_grad():
        fixed = with_statistics(network, collect_statistics(network, [mel]))
        whole, part = fixed(mel), fixed(mel[..., :256])
        assert (whole - network(mel)).abs().mean() < 0.01  # without fixed statistics each shift has its own
        torch.testing.assert_close(part[..., :200], whole[..., :200], atol=1e-5, rtol=0)


def test_one_shift_is_the_model_itself_and_others_must_fit_the_grid():
    mel = build("mel", compose("prepare").mel)
    model = TranslationModel(("a", "b"), mel, {"ab": Grid((0.0,))}, 64, {})
    assert with_cycle_spinning(model, 1) is model
    assert with_cycle_spinning(model, 4).frame_multiple == model.frame_multiple
    for shifts in (0, 5):
        with pytest.raises(UserError, match=">= 1 and <= 4"):
            with_cycle_spinning(model, shifts)
