"""Pictures of what tuning found: the surface that was searched, and how far confidences can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from asr.atomic import replacing
from asr.evaluate.tune import Point
from asr.score.calibration import Reliability

_DARK, _ACCENT, _LIGHT = "#1d3557", "#e07a5f", "#9db4c0"


def draw_surface(points: Sequence[Point], best: Point, file: Path) -> None:
    """Draw the word error rate over language model weight and word bonus, one panel a beam width."""
    beams = sorted({point.beam for point in points})
    figure = Figure(figsize=(5.5 * len(beams), 4.5), layout="constrained")
    axes = figure.subplots(1, len(beams), squeeze=False)[0]
    rates = [100 * point.wer for point in points]
    low = min(rates)
    high = max(low + 0.1, min(max(rates), 3 * low + 1))  # far from the best the differences say nothing
    for axis, beam in zip(axes, beams, strict=True):
        part = [point for point in points if point.beam == beam]
        dots = axis.scatter(
            [point.lm_weight for point in part],
            [point.word_bonus for point in part],
            c=[100 * point.wer for point in part],
            vmin=low,
            vmax=high,
            cmap="viridis_r",
            s=420,
            marker="s",
        )
        for point in part:
            axis.annotate(
                f"{100 * point.wer:.1f}", (point.lm_weight, point.word_bonus), ha="center", va="center", fontsize=7
            )
        if best.beam == beam:
            axis.scatter(best.lm_weight, best.word_bonus, s=620, facecolors="none", edgecolors=_ACCENT, linewidths=2.5)
        axis.set_title(f"beam {beam}", fontsize=10)
        axis.set_xlabel("language model weight")
        axis.margins(0.12)
    axes[0].set_ylabel("word bonus")
    figure.colorbar(dots, ax=axes, label="WER, %")
    _save(figure, file)


def draw_reliability(found: Reliability, title: str, file: Path) -> None:
    """Draw how often words are correct against how sure they are, in bins of equal mass."""
    figure = Figure(figsize=(5, 5), layout="constrained")
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], color=_LIGHT, linestyle="--", label="perfectly calibrated")
    axis.plot([b.confidence for b in found.bins], [b.correct for b in found.bins], "o-", color=_DARK, label="words")
    axis.set_xlabel("mean confidence of the bin")
    axis.set_ylabel("share of correct words in the bin")
    axis.set_title(title, fontsize=10)
    axis.grid(alpha=0.25)
    axis.legend(frameon=False)
    _save(figure, file)


def _save(figure: Figure, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as aside:
        figure.savefig(aside, dpi=110, format="png")
