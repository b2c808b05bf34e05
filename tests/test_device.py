"""Devices by name, and what they compute in."""

import pytest
import torch

from asr.device import choose_device, uses_bf16, without_tf32
from asr.errors import AsrError


def test_auto_is_the_processor_where_there_is_no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")


@pytest.mark.parametrize("name", ["abacus", "cuda:99", "mps"])
def test_a_device_that_cannot_compute_is_named(name):
    with pytest.raises(AsrError, match=f"device '{name}' cannot be used") as caught:
        choose_device(name)
    assert "\n" not in str(caught.value)


def test_bfloat16_by_setting():
    cpu = torch.device("cpu")
    assert uses_bf16("on", cpu) is True
    assert uses_bf16("off", cpu) is False


@pytest.mark.parametrize(("avx512", "amx"), [(False, False), (True, False), (False, True)])
def test_bfloat16_where_the_processor_is_quicker_with_it(monkeypatch, avx512, amx):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert uses_bf16("auto", torch.device("cpu")) is (avx512 or amx)


def test_tf32_is_off_only_meanwhile():
    before = torch.backends.cudnn.allow_tf32
    with without_tf32():
        assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.allow_tf32 == before
