"""Average of the generators' weights."""

import pytest
import torch
from torch import nn

from cyclegan_audio.models.ema import GeneratorEMA
from cyclegan_audio.utils.errors import UserError


def network(weight: float) -> nn.Linear:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, weight)
    return layer


def test_average_by_hand():
    live = network(0.0)
    average = GeneratorEMA({"gen": live}, decay=0.75)
    for weight in (4.0, 8.0, 0.0):
        nn.init.constant_(live.weight, weight)
        average.update({"gen": live})
    # 4; 2 of 11 parts of it and 9 of 8; then 3 of 12 parts
    assert float(average["gen"].weight) == pytest.approx((2 * 4 + 9 * 8) / 11 * 3 / 12)
    assert float(live.weight.detach()) == 0.0
    assert not any(p.requires_grad for p in average.parameters())


def test_the_decay_is_reached_and_kept():
    """d is 2 / 11, 3 / 12, ..., and 0.9 from (1 + n) / (10 + n) = 81 / 90 on."""
    live, decay = network(1.0), 0.9
    average = GeneratorEMA({"gen": live}, decay)
    average.update({"gen": live})
    expected = 1.0
    for n in range(1, 200):
        nn.init.constant_(live.weight, n % 7)
        average.update({"gen": live})
        d = (1 + n) / (10 + n) if n < 80 else decay
        expected = d * expected + (1 - d) * (n % 7)
        assert float(average["gen"].weight) == pytest.approx(expected, rel=1e-5)


def test_a_saved_average_continues():
    live = network(2.0)
    first = GeneratorEMA({"gen": live}, decay=0.5)
    first.update({"gen": live})
    second = GeneratorEMA({"gen": network(7.0)}, decay=0.5)
    second.load_state_dict(first.state_dict())
    nn.init.constant_(live.weight, 4.0)
    for average in (first, second):
        average.update({"gen": live})
        assert float(average["gen"].weight) == pytest.approx((2 * 2 + 9 * 4) / 11)
    assert "networks.gen.module.weight" in first.state_dict()
    assert torch.equal(first["gen"](torch.ones(1, 1)), second["gen"](torch.ones(1, 1)))


@pytest.mark.parametrize("decay", [-0.1, 1.1])
def test_a_decay_is_a_share(decay):
    for end in (0, 1):
        GeneratorEMA({"gen": network(0.0)}, decay=end)
    with pytest.raises(UserError, match="ema_decay"):
        GeneratorEMA({"gen": network(0.0)}, decay=decay)


def test_averaged_generators_translate_and_are_saved(tiny_model):
    model = tiny_model("model.ema_decay=0.5")
    mel = torch.rand(1, 1, 16, 16)
    before = model(mel)
    with torch.no_grad():
        for parameter in model.gen_ab.parameters():
            parameter.add_(0.01)
    assert torch.equal(model(mel), before)  # the average does not have the step yet
    model.ema.update(model.generators())
    assert torch.equal(model(mel), model.gen_ab(mel))  # the first step starts it
    assert not torch.equal(model(mel), before)
    assert "ema.networks.gen_ab.module.head.1.weight" in model.state_dict()
    trained = {
        id(p)
        for optimizer in model.configure_optimizers()
        for g in optimizer.param_groups
        for p in g["params"]
    }
    assert not trained & {id(p) for p in model.ema.parameters()}
