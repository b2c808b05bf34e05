"""Two modules at the same time, each on half of the processor's threads.

A recurrent layer has many small matrix products after each other, which several threads help little: of two directions
after each other, each on two cores, the same two cores take a tenth to a quarter longer in bfloat16 than of both at the
same time (benchmarks/overlap.py). PyTorch has nothing that differentiates in two threads, but each may have a graph of
its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

T = TypeVar("T")
M = TypeVar("M", bound=nn.Module)


def run_in_two_threads(
    run: Callable[[M, Tensor], Tensor], modules: tuple[M, M], values: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """What `run(modules[0], values[0])` and `run(modules[1], values[1])` return, gradients included.

    As with anything that threads compute, the last bits depend on their number and on nothing else.

    Args:
        run: Calls a module; it must need no random numbers, nor gradients of anything but the values and the module's
            parameters.
        modules: That share no parameters.
        values: What they are called with.
    """
    if values[0].device.type != "cpu" or torch.get_num_threads() < 2:
        return run(modules[0], values[0]), run(modules[1], values[1])
    if not torch.is_grad_enabled():
        return _at_once(*(partial(run, *pair) for pair in zip(modules, values, strict=True)))
    parameters = [tuple(module.parameters()) for module in modules]
    first, second = _Both.apply(run, modules, len(parameters[0]), *values, *parameters[0], *parameters[1])  # type: ignore[no-untyped-call]
    return first, second


class _Both(torch.autograd.Function):
    """To the graph outside one operation; within it each module has a graph of its own."""

    @staticmethod
    def forward(
        ctx: Any, run: Callable[[M, Tensor], Tensor], modules: tuple[M, M], split: int, *tensors: Tensor
    ) -> tuple[Tensor, Tensor]:
        inputs = [value.detach().requires_grad_(value.requires_grad) for value in tensors[:2]]

        def one(number: int) -> Tensor:
            with torch.enable_grad():
                return run(modules[number], inputs[number])

        outputs = _at_once(partial(one, 0), partial(one, 1))
        parameters = tensors[2:]
        ctx.graphs = [
            (outputs[0], [inputs[0], *parameters[:split]]),
            (outputs[1], [inputs[1], *parameters[split:]]),
        ]
        return outputs[0].detach(), outputs[1].detach()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        def one(number: int) -> list[Tensor | None]:
            output, sources = ctx.graphs[number]
            wanted = [source for source in sources if source.requires_grad]
            found = iter(torch.autograd.grad(output, wanted, gradients[number]) if wanted else ())
            return [next(found) if source.requires_grad else None for source in sources]

        (first, *of_first), (second, *of_second) = _at_once(partial(one, 0), partial(one, 1))
        ctx.graphs = None  # as large as all that the layers remembered
        return None, None, None, first, second, *of_first, *of_second


def _at_once(first: Callable[[], T], second: Callable[[], T]) -> tuple[T, T]:
    """What two calls return, the second of which is made in another thread, as the calling thread would make it."""
    threads = torch.get_num_threads()
    inference, grad = torch.is_inference_mode_enabled(), torch.is_grad_enabled()
    autocast = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

    def elsewhere() -> T:
        torch.set_num_threads(threads // 2)  # of this thread alone, as all that follows
        with (
            torch.inference_mode(inference),
            torch.set_grad_enabled(grad),
            torch.autocast("cpu", autocast[1], enabled=autocast[0], cache_enabled=False),
        ):
            return second()

    other = _helpers().submit(elsewhere)
    try:
        torch.set_num_threads(threads - threads // 2)
        mine = first()
    finally:
        torch.set_num_threads(threads)
        other.exception()  # waited for, whatever became of the first
    return mine, other.result()


@cache
def _helpers() -> ThreadPoolExecutor:
    """Threads for `second`: one, or one for each thread that calls this at the same time."""
    return ThreadPoolExecutor(thread_name_prefix="both")


os.register_at_fork(after_in_child=_helpers.cache_clear)  # threads do not live on in a forked process
