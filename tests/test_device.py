"""Devices by name, and what they compute in."""

import torch

from asr.device import uses_bf16


def test_bfloat16_by_setting():
    cpu = torch.device("cpu")
    assert uses_bf16("on", cpu) is True
    assert uses_bf16("off", cpu) is False
    assert uses_bf16("auto", cpu) in (True, False)
