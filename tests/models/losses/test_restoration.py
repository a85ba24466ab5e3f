"""Restoration loss: the corruption with known draws, losses by hand, the warm-up."""

from itertools import pairwise

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from cyclegan_audio.models.losses.restoration import Corruption, RestorationTerm, RestorationWarmUp, blur
from cyclegan_audio.models.lr_schedules import LinearDecay
from cyclegan_audio.utils.errors import UserError
from tests.models.test_cyclegan import Fill, batch, fit, state, with_fills

RESTORES = "model.loss_weights.restoration=5"


class Draws(nn.Module):
    """Stands in for random numbers: uniform draws in order, then the same normal number everywhere."""

    def __init__(self, uniform: list[list[float]], normal: list[float]) -> None:
        super().__init__()
        self.uniforms, self.normals = uniform, normal

    def uniform(self, shape):
        return torch.tensor(self.uniforms.pop(0)).view(*shape)

    def normal_like(self, x):
        return torch.full_like(x, self.normals.pop(0))


def corruption(uniform: list[list[float]], normal: list[float], **sizes: float) -> Corruption:
    corrupt = Corruption(**sizes)
    corrupt.rng = Draws(uniform, normal)
    return corrupt


def test_blur_by_hand():
    mel = torch.tensor([0.0, 3.0, 6.0, 0.0]).view(1, 1, 4, 1).expand(1, 1, 4, 2)
    assert blur(mel, (3, 1))[0, 0, :, 0].tolist() == [1.5, 3, 3, 3]
    assert torch.equal(blur(mel, (1, 1)), mel)


def test_texture_is_swapped_for_the_other_genres_clip_by_clip():
    """The second of six blurs with a share of 0.5, and the first, which changes nothing."""
    corrupt = corruption([[0.2, 0.5, 0.0, 0.9], [0.0, 0.0]], [0.0, 0.0, 0.0])
    clips = torch.tensor([0.0, 3.0, 6.0, 0.0]).view(1, 1, 4, 1).repeat(2, 1, 1, 2)
    other = torch.tensor([4.0, 0.0, 4.0, 0.0]).view(1, 1, 4, 1).repeat(2, 1, 1, 2)
    corrupted = corrupt(clips, other)
    # blurs of the other: 2, 8/3, 4/3, 2
    expected = [1.5 + 0.5 * (4 - 2), 3 - 0.5 * 8 / 3, 3 + 0.5 * (4 - 4 / 3), 3 - 0.5 * 2]
    torch.testing.assert_close(corrupted[0, 0, :, 1], torch.tensor(expected))
    assert torch.equal(corrupted[1], clips[1])


def test_equaliser_and_noise_by_hand():
    """Scale exp(0.3 · 0.5 · 2), offset 0.5 · -1, then noise of 0.25 · 4."""
    corrupt = corruption([[0.0, 0.0], [0.25]], [2.0, -1.0, 1.0], noise=4.0, equaliser=0.5)
    clips = torch.full((1, 1, 6, 3), 2.0)
    expected = 2.0 * torch.tensor(0.3).exp() - 0.5 + 1.0
    torch.testing.assert_close(corrupt(clips, -clips), expected.expand(1, 1, 6, 3))


def test_corruption_is_drawn_for_each_clip_and_continues_from_its_state():
    corrupt = Corruption()
    clips = torch.randn(1, 1, 16, 8).expand(4, 1, 16, 8)
    first = corrupt(clips, clips.flip(3))
    assert len({float(clip.sum()) for clip in first}) == 4
    state_dict = corrupt.state_dict()
    second = corrupt(clips, clips)
    corrupt.load_state_dict(state_dict)
    assert torch.equal(corrupt(clips, clips), second)
    still = Corruption(noise=0, texture=0, equaliser=0)
    flat = torch.ones(2, 1, 16, 8)
    torch.testing.assert_close(still(flat, 2 * flat), flat)


def test_masks_set_a_stretch_of_bands_and_one_of_frames_to_the_mean():
    masked = Corruption(noise=0, texture=0, equaliser=0, mask=0.5)(
        torch.ones(100, 1, 16, 20), torch.ones(100, 1, 16, 20)
    )
    assert set(masked.unique().tolist()) == {0.0, 1.0}
    bands, frames = ((masked == 0).all(axis).sum(-1).flatten() for axis in (3, 2))
    for marked, n in ((bands, 16), (frames, 20)):  # each clip's share is uniform up to half
        assert int(marked.max()) <= n // 2
        assert 0.2 < float(marked.float().mean()) / n < 0.3
    of_both = bands * 20 + frames * 16 - bands * frames
    assert torch.equal((masked == 0).flatten(1).sum(1), of_both)  # nothing else


@pytest.mark.parametrize(
    "sizes", [{"noise": -1}, {"texture": -1}, {"equaliser": float("nan")}, {"mask": 0.6}]
)
def test_invalid_corruptions_are_refused(sizes):
    with pytest.raises(UserError, match=r"model\.corruption"):
        Corruption(**sizes)


def without_corruption(model):
    """Let the corruption change nothing, and give both genres their moments."""
    model.inputs.corruption.forward = lambda clips, *_: clips
    ones = torch.ones(8)
    model.set_moments({"a": (0.25 * ones, 0.5 * ones), "b": (-0.5 * ones, 0.25 * ones)})
    return model


def step_inputs(model):
    return model.inputs(batch(), model.whitening, lambda mels: mels)


def test_losses_by_hand(tiny_model):
    model = without_corruption(with_fills(tiny_model(RESTORES, "model.loss_weights.identity=0")))
    inputs = step_inputs(model)
    # real_b = -0.25 is 1 above B's mean in spreads: 0.75 in A's look; real_a = 0.5 is 0.5 above: -0.375
    assert {name: float(x.mean()) for name, x in inputs.items()} == pytest.approx(
        {"real_a": 0.5, "real_b": -0.25, "corrupted_b": 0.75, "corrupted_a": -0.375}
    )
    losses = model.generator_losses(inputs, model.translate_batch(inputs))
    # gen_ab halves, gen_ba doubles
    assert float(losses["restoration_b"].detach()) == pytest.approx(0.375 + 0.25)
    assert float(losses["restoration_a"].detach()) == pytest.approx(0.75 + 0.5)
    assert "identity_a" not in losses
    assert len(model.gen_ab.inputs) == len(model.gen_ba.inputs) == 2  # a joint one, and one back
    validation = model.translate_batch(batch(), use_ema=True)
    assert set(validation) == {"fake_a", "fake_b", "rec_a", "rec_b"}


def test_cut_restores_its_target(tiny_model):
    model = without_corruption(tiny_model("model=cut_small", RESTORES))
    model.gen_ab = Fill(0.5)
    inputs = step_inputs(model)
    assert set(inputs) == {"real_a", "real_b", "corrupted_b"}
    out = model.translate_batch(inputs)
    assert set(out) == {"fake_b", "idt_b", "rst_b"}
    assert float(RestorationTerm()(model, inputs | out, "ab").detach()) == pytest.approx(0.625)


def test_what_is_not_in_use_draws_nothing_and_has_no_state(tiny_model):
    model = tiny_model()
    assert set(step_inputs(model)) == {"real_a", "real_b"}
    assert not [name for name in model.state_dict() if name.startswith("inputs.")]
    assert torch.equal(step_inputs(model)["real_a"], batch()["real_a"])


def test_joint_forwards_restore_the_same(tiny_model):
    joint, single = (
        without_corruption(tiny_model(RESTORES, f"acceleration.joint_forwards={joint}"))
        for joint in ("true", "false")
    )
    mels = {name: torch.rand(2, 1, 8, 16) for name in ("real_a", "real_b", "corrupted_a", "corrupted_b")}
    for name, mel in joint.translate_batch(mels).items():
        torch.testing.assert_close(mel, single.translate_batch(mels)[name])


def test_stages_of_the_warm_up():
    warm_up = RestorationWarmUp(0.4, True, None, LinearDecay(1, 1))
    assert (warm_up.is_over, warm_up.trains_discriminators) == (True, True)  # outside of a training
    stages = []
    for progress in (0.0, 0.29, 0.31, 0.39, 0.4):
        warm_up.update(progress, 0.0)
        stages.append((warm_up.restores, warm_up.trains_discriminators, warm_up.is_over))
    alone, with_discriminators, others = (True, False, False), (True, True, False), (False, True, True)
    assert stages == [alone, alone, with_discriminators, with_discriminators, others]


@pytest.mark.parametrize("restores", [True, False])
def test_without_a_warm_up_a_weight_decides_on_restoration(restores):
    warm_up = RestorationWarmUp(0.0, restores, None, LinearDecay(1, 1))
    for progress in (0.0, 1.0):
        warm_up.update(progress, 60.0)
        assert (warm_up.restores, warm_up.trains_discriminators, warm_up.is_over) == (restores, True, True)


@pytest.mark.parametrize("max_minutes", [None, 10, 20])
def test_pre_training_goes_by_the_minutes_of_training_alone(max_minutes):
    warm_up = RestorationWarmUp(0.0, True, 2, LinearDecay(1, 1, max_minutes=max_minutes))
    stages = []
    for seconds in (0.0, 89.0, 91.0, 119.0, 120.0):
        warm_up.update(min(0.5, seconds / 100) if max_minutes is None else 0.1, seconds)
        stages.append((warm_up.trains_discriminators, warm_up.is_over, warm_up.least_mask))
        assert warm_up.restores
    assert stages == [(False, False, 0.25)] * 2 + [(True, False, 0.25)] * 2 + [(True, True, 0.0)]
    assert warm_up.share == (2 / max_minutes if max_minutes else 0.5)


def test_zero_minutes_are_no_pre_training():
    warm_up = RestorationWarmUp(0.0, False, 0, LinearDecay(1, 1))
    warm_up.update(0.0, 0.0)
    assert (warm_up.is_over, warm_up.restores, warm_up.least_mask) == (True, False, 0.0)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("pretrain_minutes=-1", RESTORES), r"pretrain_minutes must be a number >= 0"),
        (("pretrain_minutes=1",), r"pretrain_minutes=1 needs the restoration loss; .*or pretrain_minutes=0"),
        (("pretrain_minutes=1", RESTORES, "max_minutes=1.1"), "more than 90% of max_minutes"),
        (("pretrain_minutes=1", RESTORES, "model.restoration_warm_up=0.1"), "leave out model.restoration_w"),
    ],
)
def test_a_wrong_pre_training_is_refused(tiny_model, overrides, message):
    with pytest.raises(Exception, match=message):
        tiny_model(*overrides)


def test_pre_training_masks_clips_and_what_follows_does_not():
    corrupt = Corruption(noise=0, texture=0, equaliser=0)
    ones = torch.ones(4, 1, 32, 32)
    masked, plain = corrupt(ones, ones, 0.25), corrupt(ones, ones)
    assert set(masked.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(plain, ones)


def test_after_its_pre_training_a_run_goes_on_as_configured(tiny_model):
    """A batch takes 15 s here: three of restoration, one with discriminators, four of all losses."""

    class Clock(pl.Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            pl_module.elapsed_s = 15.0 * batch_idx

    module = tiny_model("pretrain_minutes=1", RESTORES, "n_epochs=1", "n_epochs_decay=0")
    masks, losses = [], []
    draw = module.inputs.corruption.forward
    module.inputs.corruption.forward = lambda *args: masks.append(args[2]) or draw(*args)
    module.on_train_batch_end = lambda *_: losses.append(set(module.losses))
    fit(module, n_batches=8, callbacks=[Clock()])
    restored = {"gen_total", "restoration_a", "restoration_b"}
    everything = {name for name in module.loss_terms if not name.startswith("piece_")}
    assert losses == [restored] * 3 + [restored | {"disc_a", "disc_b"}] + [everything] * 4
    assert restored < everything
    assert masks == [0.25] * 8 + [0.0] * 8  # of both genres


@pytest.mark.parametrize("overrides", [("0.1",), ("0.95", RESTORES), ("-0.1", RESTORES)])
def test_invalid_warm_ups_are_refused(tiny_model, overrides):
    share, *others = overrides
    with pytest.raises(Exception, match=r"model\.restoration_warm_up"):
        tiny_model(f"model.restoration_warm_up={share}", *others)


@pytest.mark.parametrize("model", ["cyclegan_resnet_small", "cut_small"])
def test_networks_learn_when_it_is_their_turn(tiny_model, model):
    """Ten batches: four of restoration, one with discriminators, five of all other losses."""
    overrides = ("n_epochs=1", "n_epochs_decay=0", "model.restoration_warm_up=0.5", "model.ema_decay=0.5")
    module = tiny_model(f"model={model}", RESTORES, *overrides)
    module.set_moments({domain: (torch.zeros(32), torch.ones(32)) for domain in "ab"})
    rows = [(state(*module.generators().values()), state(*module.discriminators().values()), set())]
    averages = []

    def record(*_):
        generators, discriminators = module.generators().values(), module.discriminators().values()
        rows.append((state(*generators), state(*discriminators), set(module.losses)))
        averages.append(state(*(module.inference_generator(d) for d in module.directions)))

    module.on_train_batch_end = record
    fit(module, n_batches=10)
    changes = [
        tuple(any(not torch.equal(x, y) for x, y in zip(new[i], old[i], strict=True)) for i in (0, 1))
        for old, new in pairwise(rows)
    ]
    assert changes == [(True, False)] * 4 + [(True, True)] * 6
    restored = {"gen_total", *(f"restoration_{domain}" for domain in module.targets)}
    judged = {f"disc_{domain}" for domain in module.targets}
    assert [row[2] for row in rows[1:5]] == [restored] * 4
    assert rows[5][2] == restored | judged
    others = {name for name in module.loss_terms if not name.startswith(("restoration_", "piece_"))}
    assert all(row[2] == others for row in rows[6:])
    assert any(not torch.equal(x, y) for x, y in zip(averages[0], averages[1], strict=True))


def test_restoration_without_corruption_is_refused(tiny_model):
    with pytest.raises(Exception, match=r"the restoration loss needs model\.corruption"):
        tiny_model(RESTORES, "model.corruption=null")
    assert tiny_model("model.corruption=null").inputs.corruption is None


def test_a_warm_up_of_the_model_is_turned_off_by_a_number(tiny_model):
    with pytest.raises(Exception, match=r"or model\.restoration_warm_up=0"):
        tiny_model("model.restoration_warm_up=0.4", "model.loss_weights.restoration=0")
