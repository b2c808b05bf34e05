"""The rows of the tables of results: the reports kept of each, and by how much one row differs from another."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from asr.score import difference

PICTURES = ("curve", "differences")  # that are no table's


class Change(NamedTuple):
    """What one change does to a test WER.

    Attributes:
        title: What was changed.
        value: Points of percent; below 0 it helps.
        low: Of its 95 % interval.
        high: See above.
        p: Probability of as much by luck with these sentences, in either direction.
        each: The points of each of several runs, such as seeds.
    """

    title: str
    value: float
    low: float
    high: float
    p: float
    each: tuple[float, ...] = ()


@dataclass(frozen=True)
class Run:
    """One model's report, as it was kept."""

    folder: Path
    report: dict[str, Any]

    @property
    def test(self) -> dict[str, Any]:
        """Its figures on the test set."""
        split: dict[str, Any] = self.report["splits"]["test"]
        return split

    @property
    def trained(self) -> dict[str, Any]:
        """How it was trained; empty where its report does not say."""
        return self.report["trained"] or {}

    def texts(self) -> dict[str, dict[str, Any]]:
        """What was recognised of each utterance of its test set, by id."""
        lines = (self.folder / "hypotheses.jsonl").read_text(encoding="utf-8").split("\n")  # others may be in texts
        return {record["id"]: record for record in map(json.loads, filter(None, lines))}

    def sittings(self, name: str) -> list[Any]:
        """What the sittings of the training say of themselves, each different answer once."""
        return each_once(one.get(name) for one in self.trained.get("sittings", ()))


@dataclass(frozen=True)
class Row:
    """One line of a table: runs that differ in their seed, or in who was held out.

    Attributes:
        title: What the line begins with.
        name: What it is called where it stands by itself.
        note: What a reader should know of it.
        runs: At least one.
        table: Name of its table in the README; empty for the one without.
        curve: The line that it is a point of, and where; None where it is none.
        against: The row that it is compared with.
        front: What it is called in the README of the project; empty where it is not shown there.
    """

    title: str
    name: str
    note: str
    runs: Sequence[Run]
    table: str = ""
    curve: dict[str, Any] | None = None
    against: Row | None = field(default=None, repr=False)
    front: str = ""

    def rates(self, split: str, rate: str) -> list[float]:
        """A rate of each run on a split, in percent."""
        return [100 * run.report["splits"][split][rate] for run in self.runs if split in run.report["splits"]]

    def sittings(self, name: str) -> list[Any]:
        """What the trainings of all runs say of themselves, each different answer once."""
        return each_once(said for run in self.runs for said in run.sittings(name))

    def bounds(self) -> tuple[float, float]:
        """Of the test WER in percent: the lowest and highest of several runs, the 95 % interval of a single one."""
        ends = self.rates("test", "wer")
        if len(ends) == 1:
            ends = [100 * bound for bound in self.runs[0].test["wer_ci95"]]
        return min(ends), max(ends)

    def change(self) -> Change | None:
        """By how much its test WER differs from that of the row it is compared with; None without one.

        The errors of an utterance are added up over the runs of one name, such as seed-1, and the utterances drawn anew
        (`asr.score.difference`). So more seeds tell more of what these sentences say, and nothing of other seeds. Where
        each run has utterances of its own, those of a speaker who was held out, the speakers are drawn: what differs is
        to be true of others.
        """
        if self.against is None:
            return None
        runs, others = ({run.folder.name: run for run in row.runs} for row in (self, self.against))
        if alone := set(runs) - set(others):
            raise SystemExit(f"{self.name!r}: {self.against.name!r} has no run {min(alone)} to compare with its own")
        pairs = {name: (others[name].texts(), run.texts()) for name, run in runs.items()}
        apart = len(pairs) > 1 and sum(len(first) for first, _ in pairs.values()) == len(
            {key for first, _ in pairs.values() for key in first}
        )
        words: dict[str, int] = defaultdict(int)
        errors: list[dict[str, int]] = [defaultdict(int), defaultdict(int)]
        for name, (first, second) in pairs.items():
            said = [{key: text["reference"] for key, text in texts.items()} for texts in (first, second)]
            if said[0] != said[1]:
                raise SystemExit(f"{self.name!r} and {self.against.name!r} are not of the same utterances and texts")
            for key, text in first.items():
                unit = name if apart else key
                words[unit] += text["words"]
                errors[0][unit] += text["errors"]
                errors[1][unit] += second[key]["errors"]
        units = "speakers" if apart else "utterances"
        ours, theirs = ([each[unit] for unit in words] for each in errors)
        found = difference(ours, theirs, list(words.values()), units=units)
        each = tuple(100 * (runs[name].test["wer"] - others[name].test["wer"]) for name in runs)
        return Change(self.title, 100 * found.value, 100 * found.low, 100 * found.high, found.p, each)


def read_rows(recipe: Path) -> list[Row]:
    """The rows of a recipe, in the order of its rows.json."""
    listed = json.loads((recipe / "results" / "rows.json").read_text(encoding="utf-8"))
    rows: dict[str, Row] = {}
    for row in listed:
        if row["row"] in rows or row.get("table") in PICTURES:
            raise SystemExit(f"{recipe.name}: row {row['row']!r} stands twice, or its table has a picture's name")
        folders = sorted(path.parent for path in (recipe / "results" / row["row"]).glob("*/report.json"))
        if not folders:
            raise SystemExit(f"{recipe.name}: rows.json has a row {row['row']!r}, but no report is kept of it")
        runs = [Run(folder, json.loads((folder / "report.json").read_text(encoding="utf-8"))) for folder in folders]
        if (against := row.get("against")) and against not in rows:
            raise SystemExit(f"{recipe.name}: {row['row']!r} is compared with {against!r}, and no row above it is that")
        rows[row["row"]] = Row(
            row["title"],
            row.get("name", row["title"]),
            row.get("note", ""),
            runs,
            row.get("table", ""),
            row.get("curve"),
            rows.get(against),
            row.get("front", ""),
        )
    return list(rows.values())


def each_once(values: Iterable[Any]) -> list[Any]:
    """Each different one of some values once, in their order."""
    return list({json.dumps(value): value for value in values}.values())
