"""An average of the weights over the steps of a run, which often generalises better than the last of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class MovingAverage:
    """The exponential moving average of a model's weights (Polyak & Juditsky 1992; Tarvainen & Valpola 2017).

    Args:
        model: Its weights now are where the average starts.
        decay: Share of the average that is left after a step, once it has seen 1 / (1 - decay) steps and more. Before
            that it forgets faster, so that the random start does not stay in it: (1 + step) / (10 + step).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.weights = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take in the weights that a step has led to."""
        self.steps += 1
        share = 1 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(list(self.weights.values()), list(model.parameters()), share)

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """The model has the averaged weights within, and its own again after."""
        own = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
        _put(self.weights, model)
        try:
            yield
        finally:
            _put(own, model)

    @property
    def state(self) -> dict[str, object]:
        """What a checkpoint keeps."""
        return {"steps": self.steps, "weights": self.weights}

    @state.setter
    def state(self, state: dict[str, object]) -> None:
        weights, steps = state["weights"], state["steps"]
        assert isinstance(weights, dict) and isinstance(steps, int)
        self.steps = steps
        for name, weight in self.weights.items():
            weight.copy_(weights[name])


@torch.no_grad()
def _put(weights: dict[str, Tensor], model: nn.Module) -> None:
    for name, parameter in model.named_parameters():
        parameter.copy_(weights[name])
