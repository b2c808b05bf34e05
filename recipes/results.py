"""The tables of results, in RESULTS.md and in the recipes' READMEs, from the reports kept in recipes/*/results.

    python recipes/results.py                  # writes the tables anew
    python recipes/results.py --check          # exit 1 where a table does not say what the reports say
    python recipes/results.py --keep runs/fsdd/alone/official/seed-1/report recipes/fsdd/results/alone/seed-1

Nobody types a number: a report is kept, with the texts that were recognised, and the tables follow. A recipe's
results/rows.json lists its rows in their order, `{"row": folder, "title", "note"}`; the folders in a row's are the runs
that are to be averaged, such as one for each seed. A README has its table between two lines, `<!-- results ... -->`.
A row with `"curve": {"line": "from nothing", "minutes of recordings": 5}` is a point of a line in results/curve.png.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RECIPES = Path(__file__).parent
OUT = RECIPES.parent / "RESULTS.md"
BEGIN, END = "<!-- results: made by recipes/results.py -->", "<!-- results end -->"
SPLITS = ("valid", "test")  # kept of a report; texts are kept of the test set alone
INTRODUCTION = """# Results

Made by `python recipes/results.py` from the reports and texts in `recipes/*/results`; no number here was typed.

- Every model was chosen on its validation set, and what was tuned in decoding was tuned there. The test set was decoded
  once with each row.
- Several runs of a row: the mean, with the lowest and the highest beside it. The 95 % interval of a run is over its
  utterances: what another test set of the same kind might give. It does not tell how much another seed might change.
- WER and CER are pooled over utterances, both sides normalised alike (the report of each run says how).
- Each run's `hypotheses.jsonl` holds the reference and what was recognised for each utterance of the test set, so that
  it can be scored again, or compared with another, without training.
"""


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

    def sittings(self, field: str) -> list[Any]:
        """What the sittings of the training say of themselves, each different answer once."""
        return list({json.dumps(one[field]): one[field] for one in self.trained.get("sittings", ())}.values())


@dataclass(frozen=True)
class Row:
    """One line of a table: runs that differ in their seed, or in who was held out."""

    title: str
    note: str
    runs: Sequence[Run]
    curve: dict[str, Any] | None = None  # the line that it is a point of, and where: see the top of this file

    def rates(self, split: str, rate: str) -> list[float]:
        """A rate of each run on a split, in percent."""
        return [100 * run.report["splits"][split][rate] for run in self.runs if split in run.report["splits"]]


def read_rows(recipe: Path) -> list[Row]:
    """The rows of a recipe, in the order of its rows.json."""
    listed = json.loads((recipe / "results" / "rows.json").read_text(encoding="utf-8"))
    rows = []
    for row in listed:
        folders = sorted(path.parent for path in (recipe / "results" / row["row"]).glob("*/report.json"))
        if not folders:
            raise SystemExit(f"{recipe.name}: rows.json has a row {row['row']!r}, but no report is kept of it")
        runs = [Run(folder, json.loads((folder / "report.json").read_text(encoding="utf-8"))) for folder in folders]
        rows.append(Row(row["title"], row.get("note", ""), runs, row.get("curve")))
    return rows


def table(rows: Sequence[Row]) -> str:
    """The table of a recipe: a line for each row."""
    lines = [
        "| | runs | test WER % | 95 % interval | test CER % | validation WER % | errors / words |",
        "| --- | ---: | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        one = row.runs[0].test if len(row.runs) == 1 else None
        interval = f"{100 * one['wer_ci95'][0]:.2f} – {100 * one['wer_ci95'][1]:.2f}" if one else "below, run by run"
        errors = ", ".join(f"{_errors(run.test):,}" for run in row.runs)
        words = sorted({run.test["words"] for run in row.runs})
        rates = [_mean(row.rates(*of)) for of in (("test", "wer"), ("test", "cer"), ("valid", "wer"))]
        counts = f"{errors} / {' or '.join(f'{count:,}' for count in words)}"
        cells = [row.title, str(len(row.runs)), f"**{rates[0]}**", interval, rates[1], rates[2], counts]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def details(row: Row) -> str:
    """How a row was made: commands, sizes, times, and each run by itself."""
    first = row.runs[0]
    lines = [f"### {row.title}", "", *([row.note, ""] if row.note else [])]
    training, decoding, profile = first.report["model"]["training"], first.report["decoding"], first.report["profile"]
    seconds = [run.trained["seconds"] for run in row.runs if run.trained]
    facts = [
        f"{training['parameters'] / 1e6:.2f} M weights" if "parameters" in training else None,
        f"trained in {_mean([one / 60 for one in seconds])} min" if seconds else None,
        *(f"on {name}" for name in first.sittings("processor")),
        *(f"{count} threads" if count > 1 else "one thread" for count in first.sittings("threads")),
        "decoding: " + ", ".join(f"{key} {value}" for key, value in decoding.items()),
        f"tuned on {profile['utterances']:,} utterances of validation" if profile else None,
        f"commit {first.report['program']['commit']}",
    ]
    lines += ["; ".join(fact for fact in facts if fact) + ".", "", "```sh"]
    lines += [*first.sittings("command"), first.report["command"], "```", ""]
    lines += [
        "| run | test WER % (95 %) | errors / words | CER % | validation WER % | texts |",
        "| --- |" + " --- |" * 5,
    ]
    lines += [_of_run(run) for run in row.runs]
    return "\n".join(lines)


def _of_run(run: Run) -> str:
    """One run's line among those of its row."""
    test, valid = run.test, run.report["splits"].get("valid")
    bounds = " – ".join(f"{100 * bound:.2f}" for bound in test["wer_ci95"])
    texts = (run.folder / "hypotheses.jsonl").relative_to(RECIPES.parent).as_posix()
    cells = [
        run.folder.name,
        f"{100 * test['wer']:.2f} ({bounds})",
        f"{_errors(test):,} / {test['words']:,}",
        f"{100 * test['cer']:.2f}",
        f"{100 * valid['wer']:.2f}" if valid else "",
        f"[{texts}]({texts})",
    ]
    return f"| {' | '.join(cells)} |"


def _errors(split: dict[str, Any]) -> int:
    return int(split["substitutions"] + split["insertions"] + split["deletions"])


def _mean(values: Sequence[float]) -> str:
    """The mean, and beside it the lowest and the highest of several."""
    if not values:
        return ""
    mean = f"{sum(values) / len(values):.2f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.2f} – {max(values):.2f})"


def made() -> Iterator[tuple[Path, str]]:
    """Each file that has tables, and what it should hold."""
    parts = [INTRODUCTION]
    for recipe in sorted(path.parent.parent for path in RECIPES.glob("*/results/rows.json")):
        rows = read_rows(recipe)
        parts += [f"## {recipe.name}\n\n{table(rows)}\n", *(details(row) + "\n" for row in rows)]
        readme = recipe / "README.md"
        text = readme.read_text(encoding="utf-8")
        before, found, rest = text.partition(BEGIN)
        _, closed, after = rest.partition(END)
        if not found or not closed:
            raise SystemExit(f"{readme}: no place for the table between {BEGIN!r} and {END!r}")
        yield readme, f"{before}{BEGIN}\n{table(rows)}\n{END}{after}"
    yield OUT, "\n".join(parts)


def draw_curve(rows: Sequence[Row], path: Path) -> None:
    """The rows that are points of a curve as a picture: test WER, mean of a row's runs, against what its axis says.

    The bars are the 95 % interval of a single run, or the lowest and the highest of several.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import ScalarFormatter

    lines: dict[str, list[tuple[float, Row]]] = defaultdict(list)
    axis = ""
    for row in rows:
        if row.curve:
            axis, at = next((name, value) for name, value in row.curve.items() if name != "line")
            lines[row.curve["line"]].append((float(at), row))
    if not lines:
        return
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for name, points in lines.items():
        points.sort(key=lambda point: point[0])
        rates = [row.rates("test", "wer") for _, row in points]
        means = [sum(of_row) / len(of_row) for of_row in rates]
        ends = [
            row.rates("test", "wer") if len(row.runs) > 1 else [100 * bound for bound in row.runs[0].test["wer_ci95"]]
            for _, row in points
        ]
        around = [[abs(mean - end(bounds)) for mean, bounds in zip(means, ends, strict=True)] for end in (min, max)]
        axes.errorbar([at for at, _ in points], means, yerr=around, marker="o", capsize=3, label=name)
    axes.set_xscale("log")
    axes.set_xticks(sorted({at for points in lines.values() for at, _ in points}))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.minorticks_off()
    axes.set(xlabel=axis, ylabel="test WER %")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120, metadata={"Software": None})
    pyplot.close(figure)


def keep(report: Path, to: Path) -> None:
    """Keep a report: its figures of validation and test, and the texts of the test set.

    Raises:
        SystemExit: It has no test set, was made by a changed checkout, or names a folder of one machine.
    """
    figures = json.loads((report / "report.json").read_text(encoding="utf-8"))
    if "test" not in figures["splits"]:
        raise SystemExit(f"{report}: there is no split of the name test in it")
    commit = figures["program"]["commit"]
    if commit is None or commit.endswith("-dirty"):
        raise SystemExit(f"{report}: made by a program of no commit ({commit}), so nobody could make it again")
    figures["splits"] = {name: figures["splits"][name] for name in SPLITS if name in figures["splits"]}
    commands = [figures["command"], *(one["command"] for one in (figures["trained"] or {}).get("sittings", ()))]
    paths = [split["manifest"] for split in figures["splits"].values()]
    words = [word.split("=")[-1] for text in (*commands, *paths) for word in text.split()]
    if strange := [word for word in words if Path(word).is_absolute()]:
        raise SystemExit(f"{report}: {strange[0]} is a place on one machine; run it with relative paths")
    lines = (report / "hypotheses.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    to.mkdir(parents=True, exist_ok=True)
    (to / "report.json").write_text(json.dumps(figures, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    texts = [line for line in lines if json.loads(line)["split"] == "test"]
    (to / "hypotheses.jsonl").write_text("".join(texts), encoding="utf-8")


def main() -> None:
    """Write the tables, check them, or keep a report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where something is out of date")
    parser.add_argument("--keep", nargs=2, type=Path, metavar=("REPORT", "FOLDER"), help="keep the report of a run")
    arguments = parser.parse_args()
    if arguments.keep:
        keep(*arguments.keep)
        return
    stale = [(path, text) for path, text in made() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path, text in stale:
        if arguments.check:
            print(f"{path}: not what the reports say; python recipes/results.py mends it", file=sys.stderr)
        else:
            path.write_text(text, encoding="utf-8")
            print(path)
    if not arguments.check:
        for listed in sorted(RECIPES.glob("*/results/rows.json")):
            draw_curve(read_rows(listed.parent.parent), listed.parent / "curve.png")
    sys.exit(1 if arguments.check and stale else 0)


if __name__ == "__main__":
    main()
