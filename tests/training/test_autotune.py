"""Choice of precision and threads."""

import pytest
import torch

from cyclegan_audio.models.networks.generators import ResnetGenerator
from cyclegan_audio.training import autotune
from cyclegan_audio.utils.errors import UserError


@pytest.mark.parametrize(("is_fast", "chosen"), [(True, "bf16-mixed"), (False, "32-true")])
def test_bf16_if_the_device_is_fast_at_it(monkeypatch, is_fast, chosen):
    monkeypatch.setattr(autotune, "has_fast_bf16", lambda device: is_fast)
    assert autotune.choose_precision("auto", torch.device("cpu")) == chosen
    assert autotune.choose_precision("16-mixed", torch.device("cpu")) == "16-mixed"


@pytest.mark.parametrize(("ratio", "chosen"), [(0.6, 2), (1.0, 1), (6.0, 1)])
def test_several_threads_only_if_they_are_faster(monkeypatch, ratio, chosen):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(autotune, "thread_ratio", lambda n_threads, generator: ratio)
    assert autotune.choose_threads("auto", ResnetGenerator) == chosen
    assert autotune.choose_threads(4, ResnetGenerator) == 4
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert autotune.choose_threads("auto", ResnetGenerator) == 2


def test_thread_probe_keeps_the_number_of_threads_and_the_random_state():
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    assert 0 < autotune.thread_ratio(2, lambda: ResnetGenerator(4, 1)) < 100
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("threads", [0, -1, "many", 100_000])
def test_unknown_threads(threads):
    with pytest.raises(UserError, match="threads must be"):
        autotune.choose_threads(threads, ResnetGenerator)


def test_unknown_precision():
    with pytest.raises(UserError, match="precision must be one of"):
        autotune.choose_precision("8", torch.device("cpu"))
