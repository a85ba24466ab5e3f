"""Windows that the networks do not accept are refused before a run, with a crop that fits."""

import itertools

import pytest
import torch
from hydra.utils import instantiate

from cyclegan_audio.config import compose
from cyclegan_audio.models.cyclegan import CycleGAN
from cyclegan_audio.utils.errors import UserError


def model_of(*overrides: str) -> CycleGAN:
    small = ("model=cyclegan_resnet_small", "model.discriminator.n_filters=4", "model.generator.n_filters=4")
    return instantiate(compose("train", [*small, *overrides]).model, _convert_="all")


GENERATORS = ("resnet_6", "unet")
DISCRIMINATORS = ("patch_70", "multi_scale", "pixel")


@pytest.mark.parametrize(
    ("overrides", "n_mels", "clip_frames", "crop_frames", "message"),
    [
        (["discriminator=multi_scale"], 256, 87, 8, "data.crop_frames=8 is too short .* choose 48 to 87"),
        ([], 256, 87, 4, "data.crop_frames=4 is too short for the networks; choose 24 to 87"),
        ([], 256, 14, 12, "clips of 14 frames are too short for the networks, which need 24; prepare longer"),
        ([], 256, 14, None, "clips of 14 frames are too short for the networks, which need 24; prepare"),
        (
            ["generator=unet"],
            80,
            300,
            None,
            "do not accept mels of 80 bands and 320 frames .* another generator=",
        ),
        (
            ["model.discriminator.n_layers=9"],
            256,
            300,
            None,
            "do not accept mels of 256 bands and 300 frames",
        ),
    ],
)
def test_a_window_that_does_not_fit_is_refused(overrides, n_mels, clip_frames, crop_frames, message):
    with pytest.raises(UserError, match=message):
        model_of(*overrides).check_windows(n_mels, clip_frames, crop_frames)


@pytest.mark.parametrize(("generator", "discriminator"), itertools.product(GENERATORS, DISCRIMINATORS))
def test_what_is_accepted_can_be_computed(generator, discriminator):
    model = model_of(f"generator={generator}", f"discriminator={discriminator}")
    n_accepted = 0
    for n_frames in (4, 20, 44, 64):
        window = n_frames + -n_frames % model.frame_multiple
        try:
            model.check_windows(256, 87, n_frames)
        except UserError:
            is_accepted = False
        else:
            is_accepted = True
        try:
            with torch.no_grad():
                reals = model._first_generator.training_input(torch.zeros(1, 1, 256, window))
                model.disc_b(model.gen_ab(reals))
        except RuntimeError:
            assert not is_accepted, n_frames
        else:
            assert is_accepted, n_frames
            n_accepted += 1
    assert n_accepted


def test_the_check_changes_neither_networks_nor_random_numbers():
    model = model_of("model.discriminator.spectral_norm=true", "generator=unet")
    before = {name: x.clone() for name, x in model.state_dict().items() if isinstance(x, torch.Tensor)}
    state = torch.get_rng_state()
    model.check_windows(256, 87, None)
    with pytest.raises(UserError):
        model.check_windows(80, 87, None)
    assert torch.equal(state, torch.get_rng_state())
    for name, value in before.items():
        assert torch.equal(value, model.state_dict()[name])


def test_a_network_that_needs_numbers_is_accepted(tiny_model):
    class Numbers(torch.nn.Module):
        def forward(self, x):
            return x * float(x.abs().max())

    model = tiny_model()
    model.disc_b = model.disc_a = Numbers()
    model.check_windows(256, 87, None)


def test_all_networks_for_other_bands_are_named_at_once():
    model = model_of("generator=patch_residual", "discriminator=patch_whitened")
    both = (
        "model.generator.n_mels is 128 and model.discriminator.n_mels is 128, but the mels of the corpus have"
    )
    remedy = "give model.generator.n_mels=80 model.discriminator.n_mels=80"
    with pytest.raises(UserError, match=f"{both} 80 bands; {remedy}$"):
        model.check_windows(80, 128, 64)
