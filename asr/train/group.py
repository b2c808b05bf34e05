"""Several processes that train one model: each takes its share of a step's batches, and the gradients are added up.

No wrapper around the model: one sum a step over one flat tensor. Every process takes part in it exactly once a step,
also with nothing to add, so that uneven work cannot leave one waiting for a partner that has gone on. Parts of a step
keep their number and with it their dropout and augmentation, whoever computes them: how many processes there are
changes only the order in which floating-point numbers are added.
"""

from __future__ import annotations

import importlib
import os
import time
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

from asr.device import choose_device
from asr.errors import AsrError

T = TypeVar("T")


class Group:
    """The processes of a run; one that runs alone is a group of one, and all of this does nothing.

    Attributes:
        rank: This process, from 0.
        size: How many there are.
        device: Where this one computes.
    """

    def __init__(self, rank: int = 0, size: int = 1, device: torch.device | None = None) -> None:
        self.rank = rank
        self.size = size
        self.device = device or torch.device("cpu")

    @classmethod
    def join(cls, device: str) -> Group:
        """Meet the other processes that `torchrun` has started, where it has.

        Args:
            device: As in the config; each process of a machine takes a CUDA device of its own.

        Raises:
            AsrError: There is no such device here.
        """
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size > 1 and (device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())):
            # Before any device is tried: whatever touches the first one keeps some of its memory.
            device = f"cuda:{os.environ['LOCAL_RANK']}"
        chosen = choose_device(device)
        if size == 1:
            return cls(device=chosen)
        if chosen.type == "cuda":
            torch.cuda.set_device(chosen)
        # The first step of the optimiser imports this. Imported after the group was made, it keeps the group alive
        # beyond its end, and at exit the threads of gloo may meet an interpreter that is gone, and abort (torch 2.11).
        importlib.import_module("torch._dynamo")
        backend, rank = "nccl" if chosen.type == "cuda" else "gloo", int(os.environ["RANK"])
        distributed.init_process_group(backend, store=_meeting_place(rank, size), rank=rank, world_size=size)
        return cls(rank, size, chosen)

    @property
    def leads(self) -> bool:
        """Whether this process writes files and talks."""
        return self.rank == 0

    def led(self, act: Callable[[], T]) -> T:
        """What the first process does, known to all: what `act` returns there, or the error that it raises.

        So the others need not see the first one's files, and all go on alike, or none does.

        Raises:
            AsrError, OSError: `act` has raised it.
        """
        if self.size == 1:
            return act()
        told: list[Any] = [None]
        if self.leads:
            try:
                told = [act()]
            except (AsrError, OSError) as error:
                told = [error]
        distributed.broadcast_object_list(told, src=0)
        if isinstance(told[0], Exception):
            raise told[0]
        result: T = told[0]
        return result

    def all_reduce_gradients(self, model: nn.Module, figures: Tensor) -> Tensor:
        """Replace each process' gradients by their sum.

        Args:
            model: Has the gradients.
            figures: (count,) numbers of this process, on the model's device.

        Returns:
            (count,) their sums, with the precision of the gradients.
        """
        if self.size == 1:
            return figures
        learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
        parts = [torch.zeros_like(one) if one.grad is None else one.grad for one in learning]
        flat = torch.cat([*(part.reshape(-1) for part in parts), figures.to(parts[0].dtype)])
        distributed.all_reduce(flat)
        *totals, sums = flat.split([*(one.numel() for one in learning), len(figures)])
        for parameter, total in zip(learning, totals, strict=True):
            parameter.grad = total.view_as(parameter)
        summed: Tensor = sums.to(figures.dtype)
        return summed

    def broadcast_model(self, model: nn.Module) -> None:
        """Give all processes the weights, and the feature statistics, that the first one's model has."""
        if self.size > 1:
            for tensor in model.state_dict().values():
                distributed.broadcast(tensor, src=0)

    def gather(self, mine: list[T]) -> list[T]:
        """The items of all processes, in the order of their ranks."""
        if self.size == 1:
            return mine
        everyones: list[list[T]] = [[]] * self.size
        distributed.all_gather_object(everyones, mine)
        return [item for items in everyones for item in items]

    def leave(self) -> None:
        """Part from the others."""
        if self.size > 1:
            distributed.destroy_process_group()


def _meeting_place(rank: int, size: int) -> torch._C._distributed_c10d.Store:
    """The store where the processes find each other, a part of it for each start.

    torch expects a new store for each, but a torchrun keeps the one that it hosts: processes started again would find
    the addresses of the dead. Nor do they know which start it is, since each machine counts its own failures alone
    (`TORCHELASTIC_RESTART_COUNT`). So the first process names it, and asks until all that live have heard.
    """
    hosts = rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = distributed.TCPStore(address, port, is_master=hosts)  # type: ignore[attr-defined]
    mine = uuid.uuid4().hex
    if rank:
        store.set(f"hello {rank}", mine)
        start = store.get(f"welcome {mine}").decode()  # waits
        store.add(f"met {start}", 1)
    else:
        start, others = mine, [f"hello {other}" for other in range(1, size)]
        while store.add(f"met {start}", 0) < len(others):
            for hello in others:
                if store.check([hello]):  # it may still be that of a dead process, until the living one overwrites it
                    store.set(f"welcome {store.get(hello).decode()}", start)
            time.sleep(0.05)
    return distributed.PrefixStore(f"start {start}", store)  # type: ignore[attr-defined]
