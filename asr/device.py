"""Where to compute: a device by name."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

from asr.errors import AsrError


def choose_device(name: str) -> torch.device:
    """The device that a name means, made sure that it can compute.

    Args:
        name: cpu, cuda, cuda:1, ..., or auto: cuda where there is one.

    Raises:
        AsrError: There is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        if device.type not in ("cpu", "cuda"):
            raise RuntimeError("choose cpu or cuda")
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise AsrError(f"device {name!r} cannot be used: {str(error).splitlines()[0]}") from None
    return device


def uses_bf16(setting: str, device: torch.device) -> bool:
    """Whether to train in bfloat16: as the setting says, or where the device computes it faster than float32."""
    if setting != "auto":
        return setting == "on"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def without_tf32() -> AbstractContextManager[None]:
    """While it lasts, cuDNN computes in full float32: TF32, its default, has 10 bits of mantissa instead of 23."""
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)


def out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory is used up; torch has a type for that on a GPU alone."""
    said = ("out of memory", "allocate memory", "not enough memory")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error).lower() for words in said)
    )
