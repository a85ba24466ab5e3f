"""Devices by name, and work shared among threads."""

from functools import partial

import pytest
import torch

from cyclegan_audio.utils import devices
from cyclegan_audio.utils.devices import choose_device, has_fast_bf16, parallel_map
from cyclegan_audio.utils.errors import UserError


def test_unknown_devices_are_refused() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    with pytest.raises(UserError, match="there is no device 'abacus' here"):
        choose_device("abacus")


@pytest.mark.parametrize(
    ("flags", "is_fast"),
    [
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"avx512_bf16": False}, False),
    ],
)
def test_bf16_by_what_the_cpu_can_do(monkeypatch, flags, is_fast) -> None:
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
def test_bf16_by_what_linux_says_where_torch_does_not(monkeypatch, tmp_path, text, is_fast) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    monkeypatch.setattr(devices, "CPU_INFO", tmp_path / "cpuinfo")
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    assert has_fast_bf16(torch.device("cpu")) is is_fast


def test_calls_run_by_one_thread_each_in_their_order_and_mode() -> None:
    before = torch.get_num_threads()

    def told(number: int) -> tuple[int, int, bool]:
        return number, torch.get_num_threads(), torch.is_inference_mode_enabled()

    try:
        torch.set_num_threads(2)
        assert parallel_map(partial(told, n) for n in range(5)) == [(n, 1, False) for n in range(5)]
        with torch.inference_mode():
            assert parallel_map([partial(told, 7)]) == [(7, 1, True)]
        with torch.no_grad():
            assert parallel_map([torch.is_grad_enabled] * 3, workers=3) == [False] * 3
        assert parallel_map([torch.is_grad_enabled] * 3, workers=3) == [True] * 3
        product = partial(torch.mm, torch.eye(2), torch.eye(2))
        with torch.autocast("cpu", torch.bfloat16):
            assert {made.dtype for made in parallel_map([product] * 3, workers=3)} == {torch.bfloat16}
        assert {made.dtype for made in parallel_map([product] * 3, workers=3)} == {torch.float32}
        with pytest.raises(ZeroDivisionError):
            parallel_map([lambda: 1 / 0])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
