"""Devices by name, and parallel calls."""

from functools import partial

import pytest
import torch

from cyclegan_audio.utils import devices
from cyclegan_audio.utils.devices import choose_device, has_fast_bf16, parallel_map
from cyclegan_audio.utils.errors import UserError


def test_an_unknown_device_is_refused() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    with pytest.raises(UserError, match="device 'abacus' is not available"):
        choose_device("abacus")


@pytest.mark.parametrize(
    ("flags", "is_fast"),
    [
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"avx512_bf16": False}, False),
    ],
)
def test_bf16_by_cpu_flags(monkeypatch, flags, is_fast) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {**flags, "cpu_name": "avx512_bf16"})
    assert has_fast_bf16(torch.device("cpu")) is is_fast
    assert not has_fast_bf16(torch.device("mps"))


@pytest.mark.parametrize(
    ("text", "is_fast"),
    [
        ("flags\t\t: fpu avx512_bf16 vnni\n", True),
        ("model name: amx_bf16\nflags: fpu\n", False),
        (None, False),
    ],
)
def test_bf16_by_cpuinfo_without_torch_capabilities(monkeypatch, tmp_path, text, is_fast) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    monkeypatch.setattr(devices, "CPU_INFO", tmp_path / "cpuinfo")
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    assert has_fast_bf16(torch.device("cpu")) is is_fast


def test_parallel_calls_keep_order_and_modes_on_one_thread_each() -> None:
    before = torch.get_num_threads()

    def state(number: int) -> tuple[int, int, bool]:
        return number, torch.get_num_threads(), torch.is_inference_mode_enabled()

    try:
        torch.set_num_threads(2)
        assert parallel_map(partial(state, n) for n in range(5)) == [(n, 1, False) for n in range(5)]
        with torch.inference_mode():
            assert parallel_map([partial(state, 7)]) == [(7, 1, True)]
        with torch.no_grad():
            assert parallel_map([torch.is_grad_enabled] * 3, workers=3) == [False] * 3
        assert parallel_map([torch.is_grad_enabled] * 3, workers=3) == [True] * 3
        product = partial(torch.mm, torch.eye(2), torch.eye(2))
        with torch.autocast("cpu", torch.bfloat16):
            assert {result.dtype for result in parallel_map([product] * 3, workers=3)} == {torch.bfloat16}
        assert {result.dtype for result in parallel_map([product] * 3, workers=3)} == {torch.float32}
        with pytest.raises(ZeroDivisionError):
            parallel_map([lambda: 1 / 0])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
