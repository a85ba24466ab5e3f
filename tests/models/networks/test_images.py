"""The paper's networks on colour images of mels."""

import numpy as np
import pytest
import torch
from PIL import Image

from cyclegan_audio.audio.paper_rendering import render_image
from cyclegan_audio.models.networks.images import (
    ImageDiscriminator,
    ImageGenerator,
    image_to_mel,
    mel_to_image,
)


@pytest.fixture
def mels() -> torch.Tensor:
    """(2, 1, 128, 189) in [-1, 1], smooth enough for a picture and with both ends of the scale."""
    coarse = torch.rand(2, 1, 32, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1
    fine = torch.nn.functional.interpolate(coarse, (128, 189), mode="bicubic").clamp(-1, 1)
    fine[:, :, 0, 0], fine[:, :, -1, -1] = -1, 1
    return fine


def test_images_equal_those_of_the_public_code(mels):
    published = render_image(((mels[1, 0] + 1) * 127.5).numpy())
    wanted = np.asarray(Image.fromarray(published).resize((256, 256), Image.Resampling.BICUBIC), float)
    drawn = ((mel_to_image(mels, 256)[1] + 1) * 127.5).permute(1, 2, 0).numpy()
    assert np.abs(drawn - wanted).max() <= 8  # PIL rounds between its two passes
    assert np.abs(drawn - wanted).mean() < 0.5


def test_low_bands_lie_below_and_loud_points_are_red():
    mels = torch.full((1, 1, 128, 189), -1.0)
    mels[:, :, :32] = 1.0
    picture = mel_to_image(mels, 64)[0]
    red, green, blue = picture[:, -8:, 8:-8].mean((1, 2))
    assert red > -0.2 > max(green, blue)
    red, green, blue = picture[:, :8, 8:-8].mean((1, 2))
    assert blue > -0.2 > max(red, green)


def test_mels_come_back_from_their_pictures(mels):
    levels = (image_to_mel(mel_to_image(mels, 256), 128, 189) - mels).abs() * 127.5
    assert levels.mean() < 0.6
    assert levels.max() < 20


def test_half_precision_around_changes_nothing(mels):
    with torch.autocast("cpu", torch.bfloat16):
        images = mel_to_image(mels, 64)
        back = image_to_mel(images, 128, 189)
    torch.testing.assert_close(images, mel_to_image(mels, 64), rtol=0, atol=0)
    torch.testing.assert_close(back, image_to_mel(images, 128, 189), rtol=0, atol=0)


def test_colours_between_those_of_the_map_are_read_as_the_nearest(mels):
    picture = mel_to_image(mels, 256)
    noisy = picture + 0.02 * torch.randn(picture.shape, generator=torch.Generator().manual_seed(1))
    assert ((image_to_mel(noisy, 128, 189) - mels).abs() * 127.5).mean() < 3


def test_generator_and_discriminator_take_mels_and_pictures(mels):
    torch.manual_seed(0)
    generator = ImageGenerator(size=32, n_filters=4, n_blocks=1).eval()
    discriminator = ImageDiscriminator(size=32, n_filters=4, n_layers=2)
    images = generator.training_input(mels)
    assert images.shape == (2, 3, 32, 32)
    with torch.no_grad():
        translated = generator(images)
        assert translated.shape == images.shape
        torch.testing.assert_close(generator(mels), image_to_mel(translated, 128, 189))
        assert generator(mels).shape == mels.shape
        torch.testing.assert_close(discriminator(mels), discriminator(images))
