"""A run's training curves as one picture, `curves.png` in its folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from asr.atomic import replacing
from asr.train.journal import read_log

_STEP, _VALIDATION, _ACCENT = "#9db4c0", "#1d3557", "#e07a5f"
Records = list[dict[str, Any]]


def draw_curves(folder: Path) -> Path:
    """Draw loss, validation error rates, blank share, learning rate and gradient from a run's log.

    Args:
        folder: The run folder; its `log.jsonl` is read.

    Returns:
        The picture's path.
    """
    records = read_log(folder / "log.jsonl")
    steps = [record for record in records if record["kind"] == "step"]
    epochs = [record for record in records if record["kind"] == "epoch"]
    figure = Figure(figsize=(11, 6), layout="constrained")
    axes = figure.subplots(2, 2, sharex=True).flat
    panels: tuple[Callable[[Axes, Records, Records], None], ...] = (_loss, _errors, _rate, _gradient)
    for axis, panel in zip(axes, panels, strict=True):
        panel(axis, steps, epochs)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False)
    for axis in axes[2:]:
        axis.set_xlabel("step")
    path = folder / "curves.png"
    with replacing(path) as aside:
        figure.savefig(aside, dpi=110, format="png")
    return path


def _plot(axis: Axes, records: Records, key: str, label: str, color: str, scale: float = 1.0, **style: Any) -> None:
    axis.plot([r["step"] for r in records], [r[key] * scale for r in records], label=label, color=color, **style)


def _loss(axis: Axes, steps: Records, epochs: Records) -> None:
    _plot(axis, steps, "loss", "a step", _STEP, linewidth=0.7)
    _plot(axis, epochs, "loss", "mean of the epoch", _VALIDATION, marker="o", markersize=3)
    axis.set_yscale("log")
    axis.set_ylabel("training loss per token (nats)")


def _errors(axis: Axes, steps: Records, epochs: Records) -> None:
    _plot(axis, epochs, "wer", "validation WER", _VALIDATION, 100, marker="o", markersize=3)
    _plot(axis, epochs, "cer", "validation CER", _ACCENT, 100, marker="o", markersize=3)
    _plot(axis, epochs, "blank", "blank steps", _STEP, 100, linestyle="--")
    axis.set_ylim(0, 105)
    axis.set_ylabel("%")


def _rate(axis: Axes, steps: Records, epochs: Records) -> None:
    _plot(axis, steps, "lr", "learning rate", _VALIDATION)
    axis.set_ylabel("learning rate")


def _gradient(axis: Axes, steps: Records, epochs: Records) -> None:
    _plot(axis, steps, "gradient", "gradient norm, before clipping", _STEP, linewidth=0.7)
    axis.set_yscale("log")
    axis.set_ylabel("gradient norm")
