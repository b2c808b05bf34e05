"""The pictures of results: learning curves, and what single changes were worth; `recipes/results.py` draws with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import NamedTuple

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.ticker import ScalarFormatter
from rows import Change


class Point(NamedTuple):
    """A point of a curve.

    Attributes:
        at: Where it stands on the axis below.
        rate: Test WER in percent, the mean of several runs.
        low: Where its bar begins: the 95 % interval of a single run, or the lowest of several.
        high: Where that ends.
    """

    at: float
    rate: float
    low: float
    high: float


def draw_lines(lines: Mapping[str, Sequence[Point]], axis: str, path: Path) -> None:
    """Test WER against what `axis` says, a line for each name."""
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for name, unordered in lines.items():
        points = sorted(unordered)
        bars = [[point.rate - point.low for point in points], [point.high - point.rate for point in points]]
        rates = [point.rate for point in points]
        axes.errorbar([point.at for point in points], rates, yerr=bars, marker="o", capsize=3, label=name)
    axes.set_xscale("log")
    axes.set_xticks(sorted({point.at for points in lines.values() for point in points}))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.minorticks_off()
    axes.set(xlabel=f"{axis}\nbars: 95 % interval of one run, or lowest and highest of several", ylabel="test WER %")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120, metadata={"Software": None})
    pyplot.close(figure)


def draw_changes(changes: Sequence[Change], path: Path) -> None:
    """The differences as points with their 95 % intervals, first to last from the top; blue where p is below 0.05.

    Where there are several runs, a cross stands for each; where there is one, the point is hollow.
    """
    figure, axes = pyplot.subplots(figsize=(7, 1.6 + 0.4 * len(changes)), layout="constrained")
    for place, change in enumerate(changes):
        bars = [[change.value - change.low], [change.high - change.value]]
        colour = "tab:blue" if change.p < 0.05 else "tab:gray"
        several = len(change.each) > 1
        fill_colour = colour if several else "white"
        axes.errorbar(change.value, place, xerr=bars, marker="o", capsize=3, color=colour, markerfacecolor=fill_colour)
        if several:
            axes.plot(change.each, [place] * len(change.each), "x", color="black", markersize=5, zorder=3)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(changes)), [fill(change.title.replace("`", ""), 44) for change in changes])
    axes.set_ylim(len(changes) - 0.3, -0.7)  # so that a title of three lines stays above the scale
    axes.set_xlabel(
        "test WER, points more or less\nbars: 95 %, over utterances or\nheld-out speakers; blue: p < 0.05\n"
        "hollow: one run; crosses: each run"
    )
    axes.grid(alpha=0.3, axis="x")
    figure.savefig(path, dpi=120, metadata={"Software": None})
    pyplot.close(figure)
