"""Varied sources by hand, and the other options of a step's inputs."""

import pytest
import torch

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.config import compose
from cyclegan_audio.models.source_variation import SourceVariation
from cyclegan_audio.utils.errors import UserError
from tests.models.losses.test_restoration import Draws
from tests.models.test_cyclegan import batch, fit, state, with_fills

NO_NOISE = -400.0  # standard deviations of the noise floor, below everything


def varied(mels: torch.Tensor, draws: list[float], points: float = 0.5, noise: float = NO_NOISE):
    """Vary mels by draws of chance, level, cutoff, slope and noise floor; 50 dB are a unit."""
    variation = SourceVariation(probability=0.5)
    variation.rng = Draws([draws, [points] * 9], [noise])
    return variation(mels)


def test_level_equaliser_and_noise_by_hand():
    mel = torch.full((1, 1, 10, 4), -0.2)
    # level -20 + 0.5 * 26 = -7 dB, no low-pass
    torch.testing.assert_close(varied(mel, [0.4, 0.5, 1.0, 0.0, 0.0]), mel - 7 / 50)
    # +6 dB by the equaliser's points too
    torch.testing.assert_close(varied(mel, [0.4, 0.5, 1.0, 0.0, 0.0], points=1.0), mel - 1 / 50)
    # a floor 10 + 3 * 2 dB above -1, 24 dB below -0.2: adds 10 log10(1 + 10^-2.4) to a level of +0 dB
    noisy = varied(mel, [0.4, 20 / 26, 1.0, 0.0, 0.5], noise=3.0)
    floor = 10 * torch.log10(torch.tensor(1 + 10**-2.4)) / 50
    torch.testing.assert_close(noisy, mel + floor)


def test_low_pass_by_hand():
    """From band 6 of 10, 4 dB a band."""
    mel = torch.zeros(1, 1, 10, 2)
    actual = varied(mel, [0.0, 20 / 26, 0.0, 1.0, 0.0])
    torch.testing.assert_close(
        actual[0, 0, :, 0], -torch.tensor([0.0] * 7 + [4, 8, 12]) / 50, atol=1e-6, rtol=0
    )


def test_clips_beyond_the_probability_stay_as_they_are():
    mel = torch.rand(1, 1, 10, 4) * 2 - 1
    assert torch.equal(varied(mel, [0.5, 0.0, 0.0, 0.0, 0.0]), mel)


def test_units_follow_the_mel():
    variation = SourceVariation(probability=1.0)
    for preset, unit_db in (("hifi", 65.0), ("paper", 50.0)):
        mel = {k: v for k, v in compose("train", [f"mel={preset}"]).mel.items()}
        variation.use_mel(MelSpectrogram.from_dict(mel))
        assert variation.unit_db == unit_db


def test_values_stay_in_range_and_continue_from_the_state():
    variation = SourceVariation(probability=1.0)
    mels = torch.rand(8, 1, 16, 8) * 2 - 1
    first = variation(mels)
    assert first.abs().max() <= 1
    saved = variation.state_dict()
    second = variation(mels)
    assert not torch.equal(first, second)
    variation.load_state_dict(saved)
    assert torch.equal(variation(mels), second)


@pytest.mark.parametrize(
    "numbers", [{"probability": 1.5}, {"quietest_db": 7.0}, {"equaliser_db": -1}, {"noise_db": -1}]
)
def test_invalid_variations_are_refused(numbers):
    with pytest.raises(UserError, match=r"model\.source_variation"):
        SourceVariation(**numbers)


def with_halved_sources(model):
    model.inputs.variation.forward = lambda mels: mels / 2
    return model


def test_only_the_generators_hear_varied_sources(tiny_model):
    model = with_fills(tiny_model("model.source_variation.probability=1"))
    inputs = with_halved_sources(model).inputs(batch(), model.whitening, lambda mels: mels)
    out = model.translate_batch(inputs)
    losses = {name: float(loss.detach()) for name, loss in model.generator_losses(inputs, out).items()}
    # fake_b = 0.25 / 2, and back 0.25 against the clean 0.5; fake_a = -0.25, back -0.125 against -0.25
    assert losses == pytest.approx(
        {
            "adversarial_ab": (3 * 0.125 - 1) ** 2,
            "adversarial_ba": (-0.25 - 1) ** 2,
            "cycle_a": 0.25,
            "cycle_b": 0.125,
            "identity_a": 0.5,
            "identity_b": 0.125,
        }
    )


def test_noise_is_added_before_the_way_back(tiny_model):
    model = with_fills(tiny_model("model.cycle_noise=0.1", "model.loss_weights.identity=0"))
    model.inputs.rng = Draws([], [1.0, -2.0])
    inputs = model.inputs(batch(), model.whitening, lambda mels: mels)
    out = model.translate_batch(inputs)
    assert float(out["rec_a"].detach().mean()) == pytest.approx(2 * (0.25 + 0.1))
    assert float(out["rec_b"].detach().mean()) == pytest.approx(0.5 * (-0.5 - 0.2))
    assert float(out["fake_b"].detach().mean()) == pytest.approx(0.25)


def test_a_cycle_loss_of_every_second_batch_has_twice_the_weight(tiny_model):
    model = tiny_model("n_epochs=1", "n_epochs_decay=0", "model.cycle_every=2")
    rows = []
    model.on_train_batch_end = lambda *_: rows.append("cycle_a" in model.losses)
    fit(model, n_batches=4)
    assert rows == [True, False, True, False]
    assert model.loss_weights["cycle"] == 20
    assert {"rec_a", "rec_b"} <= set(model.translate_batch(batch(), use_ema=True))


def test_discriminators_have_a_rate_of_their_own(tiny_model):
    model = fit(tiny_model("n_epochs=1", "n_epochs_decay=1", "model.discriminator_lr=1e-3"))
    rates = [optimizer.param_groups[0]["lr"] for optimizer in model.trainer.optimizers]
    assert rates == pytest.approx([1e-4, 5e-4])


def test_inputs_change_what_is_learnt_only_if_they_are_on(tiny_model):
    """The seeds of what is off do not matter; those of what is on do."""
    once = ("n_epochs=1", "n_epochs_decay=0")
    plain = state(fit(tiny_model(*once)))
    others = (
        "model.corruption.noise=5",
        "model.source_variation.noise_db=5",
        "model.restoration_warm_up=0.0",
    )
    for mine, wanted in zip(state(fit(tiny_model(*once, *others))), plain, strict=True):
        assert torch.equal(mine, wanted)
    varied_run = state(fit(tiny_model(*once, "model.source_variation.probability=1")))
    assert any(not torch.equal(mine, wanted) for mine, wanted in zip(varied_run, plain, strict=True))
