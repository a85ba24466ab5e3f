"""The paper's networks on colour images of mels."""

import math

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
from tests.models.test_cyclegan import fit


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


PICTURES = (
    *(
        "generator=images",
        "discriminator=images",
        "model.generator.size=32",
        "model.discriminator.n_layers=2",
    ),
    *("model.loss_weights.restoration=5", "model.source_variation.probability=1"),
    *("model.restoration_warm_up=0.5", "n_epochs=1", "n_epochs_decay=0"),
)


def picture_model(tiny_model, *overrides: str):
    model = tiny_model(*overrides, *PICTURES)
    model.set_moments(
        {domain: (torch.full((32,), mean), torch.ones(32)) for domain, mean in (("a", -0.25), ("b", 0.5))}
    )
    return model


def test_varied_sources_and_corrupted_targets_are_drawn_as_mels_and_become_pictures(tiny_model):
    model = picture_model(tiny_model, "model.cycle_noise=0.1")
    model.inputs.variation.forward = lambda mels: mels / 2
    model.inputs.corruption.forward = lambda clips, other, _: clips + 0.1 * other
    reals = {f"real_{domain}": torch.rand(2, 1, 32, 32) - 0.5 for domain in "ab"}
    a, b = reals.values()
    inputs = model.inputs(reals, model.whitening, model.gen_ab.training_input)
    for name, mels in {
        "source_a": a / 2,
        "source_b": b / 2,
        "corrupted_a": (a + 0.25) + 0.1 * (b - 0.5) + 0.5,  # in the look of B
        "corrupted_b": (b - 0.5) + 0.1 * (a + 0.25) - 0.25,
        **reals,
    }.items():
        torch.testing.assert_close(inputs[name], mel_to_image(mels, 32), atol=0.1, rtol=0, msg=name)
    assert {x.shape for x in inputs.values()} == {(2, 3, 32, 32)}
    assert inputs["cycle_noise_b"].std() == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize(
    "options",
    [("model.cycle_noise=0.1", "model.cycle_every=2"), ("model=cut_small",)],
    ids=["cyclegan", "cut"],
)
def test_pictures_train_with_restoration_and_varied_sources(tiny_model, options):
    """Eight batches: the restoration of each falls in the warm-up; then all other losses are finite."""
    model, rows = picture_model(tiny_model, *options), []
    model.on_train_batch_end = lambda *_: rows.append({name: float(x) for name, x in model.losses.items()})
    fit(model, n_batches=8)
    restored = [name for name in rows[0] if name != "gen_total"]
    assert restored == [f"restoration_{domain}" for domain in model.targets]
    assert all(rows[3][name] < rows[0][name] for name in restored)
    unused = {name for name in model.loss_terms if name.startswith("piece_")}  # for mels alone
    assert set(rows[4]) == set(model.loss_terms) - set(restored) - unused
    assert all(math.isfinite(loss) for row in rows for loss in row.values())
