"""Whitening by the moments of genres: by hand, in the networks, in the module that hands them on."""

import pytest
import torch
from hydra.utils import instantiate

from cyclegan_audio.config import compose
from cyclegan_audio.models.networks.generators import ResnetGenerator, WhitenedResnetGenerator
from cyclegan_audio.models.networks.patch_residual import PatchResidualGenerator
from cyclegan_audio.models.networks.whitening import MIN_SPREAD, Whitening, blur, check_moments
from cyclegan_audio.utils.errors import UserError

MEAN_A, SPREAD_A = torch.tensor([-0.5, 0.25]), torch.tensor([0.5, 0.25])
MEAN_B, SPREAD_B = torch.tensor([0.0, -0.25]), torch.tensor([2.0, 0.5])
MEL = torch.tensor([[0.0, -1.0, 0.5], [0.25, 0.5, 0.0]])[None, None]


def test_mels_are_whitened_and_coloured_by_band():
    whitening = Whitening(2)
    assert torch.equal(whitening.whiten(MEL), MEL)
    whitening.set_moments(MEAN_A, SPREAD_A)
    white = whitening.whiten(MEL)
    assert white[0, 0].tolist() == [[1.0, -1.0, 2.0], [0.0, 1.0, -1.0]]
    assert torch.equal(whitening.colour(white), MEL)


def test_a_spread_has_a_floor_and_the_moments_are_copies():
    whitening, spread = Whitening(), torch.tensor([0.0, 0.5, MIN_SPREAD])
    mean = torch.zeros(3)
    whitening.set_moments(mean, spread)
    assert whitening.spread.tolist() == pytest.approx([MIN_SPREAD, 0.5, MIN_SPREAD])
    mean += 1
    assert whitening.mean.tolist() == [0, 0, 0]
    assert list(whitening.state_dict()) == ["mean", "spread"]


def test_a_blur_averages_a_box_which_is_smaller_at_edges():
    mels = torch.tensor([[0.0, 3.0, 6.0], [9.0, 0.0, 0.0], [0.0, 6.0, 3.0]])[None, None]
    by_time = [[1.5, 3.0, 4.5], [4.5, 3.0, 0.0], [3.0, 3.0, 4.5]]
    assert blur(mels, (1, 3))[0, 0].tolist() == by_time
    by_both = [[3.0, 3.0, 2.25], [3.0, 3.0, 3.0], [3.75, 3.0, 2.25]]
    assert blur(mels, (3, 3))[0, 0].tolist() == by_both
    assert blur(mels, (1, 1)) is mels


def test_an_untrained_generator_blurs_in_the_skip():
    generator = PatchResidualGenerator(8, 2, 1, skip=(5, 3))
    mel = torch.rand(1, 1, 8, 16)
    torch.testing.assert_close(generator(mel), blur(mel, (5, 3)))


@pytest.mark.parametrize("make", [PatchResidualGenerator, WhitenedResnetGenerator])
def test_an_untrained_generator_with_skip_is_the_equaliser(make):
    torch.manual_seed(0)
    generator = make(8, 2, 1, skip=(1, 1))
    mel = torch.rand(2, 1, 8, 16) * 2 - 1
    mean_a, mean_b = torch.rand(2, 8) - 0.5
    spread_a, spread_b = torch.rand(2, 8) + 0.1
    generator.set_moments((mean_a, spread_a), (mean_b, spread_b))
    expected = (mel - mean_a[:, None]) / spread_a[:, None] * spread_b[:, None] + mean_b[:, None]
    torch.testing.assert_close(generator(mel).detach(), expected)
    generator(mel).square().sum().backward()
    assert float(generator.core.tail[-1].weight.grad.abs().sum()) > 0


def test_an_output_is_limited_in_eval_mode_only():
    generator = PatchResidualGenerator(8, 2, 1, skip=(1, 1))
    mel = torch.linspace(-2, 2, 128).view(1, 1, 8, 16)
    assert torch.equal(generator(mel), mel)
    assert torch.equal(generator.eval()(mel), mel.clamp(-1, 1))


def test_the_whitened_resnet_is_a_resnet_without_tanh_between_the_moments():
    torch.manual_seed(0)
    resnet = ResnetGenerator(4, 1, upsampling="nearest")
    torch.nn.init.normal_(resnet.tail[1].weight)
    generator = WhitenedResnetGenerator(16, 4, 1)
    generator.core.load_state_dict(resnet.state_dict())
    moments = [(torch.rand(16) - 0.5, torch.rand(16) + 0.1) for _ in range(2)]
    generator.set_moments(*moments)
    mel = torch.rand(1, 1, 16, 8) * 2 - 1
    (mean_a, spread_a), (mean_b, spread_b) = moments
    white = (mel - mean_a[:, None]) / spread_a[:, None]
    plain = resnet.tail[:2](resnet.up(resnet.blocks(resnet.down(resnet.head(white)))))
    assert float(plain.detach().abs().max()) > 1
    expected = plain * spread_b[:, None] + mean_b[:, None]
    torch.testing.assert_close(generator(mel), expected)
    for name, value in resnet.features(white).items():
        torch.testing.assert_close(generator.features(mel)[name], value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_mels": 130}, "generator.n_mels must be a multiple of 4, got 130"),
        ({"n_mels": 4096}, "generator.n_mels must be an integer >= 8 and <= 2048"),
        ({"skip": True}, "generator.skip must be two numbers, bands and frames, got True"),
        ({"skip": [5, 4]}, "generator.skip must be odd numbers, got 4"),
        ({"n_filters": 1 << 20}, "generator.n_filters must be an integer >= 2 and <= 512"),
        ({"n_blocks": 0}, "generator.n_blocks must be an integer >= 1 and <= 64"),
    ],
)
@pytest.mark.parametrize("make", [PatchResidualGenerator, WhitenedResnetGenerator])
def test_odd_sizes_are_refused(make, arguments, message):
    with pytest.raises(UserError, match=message):
        make(**arguments)


def model_of(*overrides: str):
    small = ("model=cyclegan_resnet_small", "discriminator=patch_whitened", "model.ema_decay=0.9")
    return instantiate(compose("train", [*small, *overrides]).model, _convert_="all")


@pytest.fixture
def moments():
    return {domain: (torch.rand(128) - 0.5, torch.rand(128) + 0.1) for domain in "ab"}


def is_set(whitening: Whitening, moments) -> bool:
    return torch.equal(whitening.mean, moments[0]) and torch.equal(whitening.spread, moments[1])


@pytest.mark.parametrize("generator", ["patch_residual", "resnet_whitened"])
def test_a_model_hands_the_moments_to_all_its_networks(generator, moments):
    model = model_of(f"generator={generator}")
    model.set_moments(moments)
    for domain, pair in moments.items():
        assert is_set(model.whitening(domain), pair)
        assert is_set(model.discriminators()[domain].whitening, pair)
    for direction in ("ab", "ba"):
        for network in (model.generators()[f"gen_{direction}"], model.inference_generator(direction)):
            assert is_set(network.source, moments[direction[0]])
            assert is_set(network.target, moments[direction[1]])
    assert model.inference_generator("ab") is not model.gen_ab


def test_a_model_without_whitening_networks_keeps_the_moments_itself(moments):
    model = model_of("discriminator=patch_70")
    mel = torch.rand(1, 1, 128, 32)
    before = model(mel)
    model.set_moments(moments)
    assert torch.equal(model(mel), before)
    assert is_set(model.whitening("b"), moments["b"])


@pytest.mark.parametrize(
    ("generator", "parts"),
    [("patch_residual", ("generator", "discriminator")), ("resnet_6", ("discriminator",))],
)
def test_another_number_of_bands_is_refused(generator, parts):
    model = model_of(f"generator={generator}")
    model.check_windows(128, 128, 64)
    stated = " and ".join(f"model.{part}.n_mels is 128" for part in parts)
    remedy = " ".join(f"model.{part}.n_mels=80" for part in parts)
    message = f"{stated}, but the mels of the corpus have 80 bands; give {remedy}"
    with pytest.raises(UserError, match=f"^{message}$"):
        model.check_windows(80, 128, 64)


def test_cut_learns_one_direction_with_the_moments_of_both_genres(moments):
    model = model_of("model=cut_small", "generator=patch_residual")
    model.set_moments(moments)
    assert is_set(model.gen_ab.source, moments["a"])
    assert is_set(model.disc_b.whitening, moments["b"])


@pytest.mark.parametrize(
    ("overrides", "needed"),
    [
        (("discriminator=patch_70",), False),
        (("discriminator=patch_70", "model.source_variation.probability=1"), False),
        (("discriminator=patch_70", "model.loss_weights.restoration=1"), True),
        (("discriminator=patch_whitened",), True),
        (("discriminator=patch_70", "generator=patch_residual"), True),
        (("model=cut_small", "discriminator=patch_70"), False),
    ],
)
def test_which_models_need_the_moments(overrides, needed):
    assert model_of(*overrides).needs_moments is needed


@pytest.mark.parametrize(
    ("name", "value"),
    [("mean", 3e38), ("mean", -1.1), ("spread", 0.0), ("spread", 1e-38), ("spread", -1.0)],
)
def test_hostile_moments_are_refused(name, value):
    generator = PatchResidualGenerator(8, 2, 1)
    generator.set_moments((torch.ones(8), torch.zeros(8)), (-torch.ones(8), torch.ones(8)))
    check_moments(generator)
    getattr(generator.target, name)[3] = value
    with pytest.raises(UserError, match=r"outside of -1 to 1, or its spread below 0\.02"):
        check_moments(generator)
