"""Averages of weights, over the steps or the epochs of a run, which often generalise better than the last of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from asr.atomic import leftovers, replacing
from asr.errors import TrainingError


class MovingAverage:
    """The exponential moving average of a model's weights (Polyak & Juditsky 1992; Tarvainen & Valpola 2017).

    Args:
        model: Its weights now are where the average starts.
        decay: Share of the average that is left after a step, once it has seen 9 / (1 - decay) steps or so. Before
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


class EpochWeights:
    """The weights of a run's best or last epochs, each in a file of its own, to be averaged at its end.

    A file is as large as the model. Those that can no longer come into the average are deleted, so there are `count`
    of them, and one more while an epoch ends. What is chosen follows from the files alone: an epoch that a killed run
    repeats writes its file again, and the choice is the same. Epochs are counted from 1, as in the log.

    Args:
        folder: Of the files.
        choice: `best`: those with the lowest validation error; `last`: the last.
        count: How many epochs are averaged.
        done: Epochs that are done where the run goes on; files of later ones are deleted.
    """

    def __init__(self, folder: Path, choice: str, count: int, done: int) -> None:
        self.folder = folder
        self.choice = choice
        self.count = count
        for left in leftovers(folder):
            left.unlink()
        for epoch in self._epochs():
            if epoch > done:
                self._path(epoch).unlink()

    def add(self, model: nn.Module, epoch: int, cer: float) -> None:
        """Keep the weights of an epoch, and of those before only what may come into the average.

        Args:
            model: Has the weights.
            epoch: Its number.
            cer: Its validation character error rate.

        Raises:
            TrainingError: A file is damaged.
        """
        self.folder.mkdir(exist_ok=True)
        weights = {name: parameter.detach().cpu().contiguous() for name, parameter in model.named_parameters()}
        with replacing(self._path(epoch)) as aside:
            aside.write_bytes(save(weights, metadata={"cer": repr(cer)}))
        for other in set(self._epochs()) - set(self.chosen()):
            self._path(other).unlink()

    def chosen(self) -> list[int]:
        """The epochs to be averaged, in their order; of equally good ones the earlier."""
        epochs = self._epochs()
        if self.choice == "best":
            epochs = sorted(sorted(epochs, key=self._cer)[: self.count])
        return epochs[-self.count :]

    def mean(self, epochs: Sequence[int]) -> dict[str, Tensor]:
        """The mean of some epochs' weights, by name; in float64, so that equal weights stay what they are.

        Raises:
            TrainingError: A file is damaged.
        """
        total: dict[str, Tensor] = {}
        for epoch in epochs:
            with self._opened(epoch) as file:
                for name in file.keys():  # noqa: SIM118
                    weight = file.get_tensor(name).double()
                    total[name] = total[name] + weight if name in total else weight
        return {name: weight / len(epochs) for name, weight in total.items()}

    def _epochs(self) -> list[int]:
        return sorted(int(path.stem.removeprefix("epoch-")) for path in self.folder.glob("epoch-*.safetensors"))

    def _path(self, epoch: int) -> Path:
        return self.folder / f"epoch-{epoch:04d}.safetensors"

    def _cer(self, epoch: int) -> float:
        with self._opened(epoch) as file:
            return float(file.metadata()["cer"])

    @contextmanager
    def _opened(self, epoch: int) -> Iterator[Any]:
        path = self._path(epoch)
        try:
            with safe_open(path, framework="pt") as file:
                yield file
        except SafetensorError as error:
            raise TrainingError(
                f"{path}: damaged ({error}); delete it, and --resume averages the remaining epochs"
            ) from None


@contextmanager
def applied(weights: Mapping[str, Tensor], model: nn.Module) -> Iterator[None]:
    """The model has these weights within, and its own again after."""
    own = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    _put(weights, model)
    try:
        yield
    finally:
        _put(own, model)


@torch.no_grad()
def _put(weights: Mapping[str, Tensor], model: nn.Module) -> None:
    for name, parameter in model.named_parameters():
        parameter.copy_(weights[name])
