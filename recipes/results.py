"""The tables of results, in RESULTS.md and in the recipes' READMEs, from the reports kept in recipes/*/results.

    python recipes/results.py                  # writes the tables anew
    python recipes/results.py --check          # exit 1 where a table does not say what the reports say
    python recipes/results.py --keep runs/fsdd/alone/official/seed-1/report recipes/fsdd/results/alone/seed-1

Nobody types a number: a report is kept, with the texts that were recognised, and the tables follow. A recipe's
results/rows.json lists its rows in their order, `{"row": folder, "title", "note"}`, and a "name" where a title says too
little outside its table; the folders in a row's are the runs that are to be averaged, such as one for each seed. A
README has its table between two lines, `<!-- results ... -->`.

- `"table": "ablation"` puts a row into a second table, between `<!-- results ablation: ... -->` and the end's line.
- `"against": "plain"` compares a row with that one of the same recipe, run by run of one name, and adds to its table
  what they differ by; results/ablation.png shows it, results/differences.png where the table has no name. That other
  row may have runs that this one has not.
- `"curve": {"line": "from nothing", "minutes of recordings": 5}` makes a row a point of a line in results/curve.png.
- `"front": "two hours, unheard speakers"` shows a row, by that title, in the README of the project too.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pictures import Change, Point, draw_changes, draw_lines

from asr.score import difference

RECIPES = Path(__file__).parent
OUT = RECIPES.parent / "RESULTS.md"
FRONT = RECIPES.parent / "README.md"
PLACE = re.compile(r"(<!-- results ?([\w-]*): made by recipes/results.py -->\n).*?(<!-- results end -->)", re.DOTALL)
PICTURES = ("curve", "differences")  # that are no table's
SPLITS = ("valid", "test")  # kept of a report; texts are kept of the test set alone
INTRODUCTION = """# Results

Made by `python recipes/results.py` from the reports and texts in `recipes/*/results`. No rate was typed, but in notes.

- Every model was chosen on its validation set, and what was tuned in decoding was tuned there. The test set was decoded
  once with each row. Where test figures were in view while settings were chosen, the row's note or the recipe's README
  says so: the number of epochs of `digits`; of `fsdd` the hold-outs theo and jackson and a few official figures; of
  `librispeech` the ablation, by which the settings of its best rows were chosen.
- Several runs of a row: the mean, with the lowest and the highest beside it. The 95 % interval of a run is over its
  utterances: what others by the same speakers might give. It does not tell how much another seed might change, nor
  other speakers: the four of libri-mini's test set lie up to 17 points apart.
  Reports from before 84b9e29 have it up to 0.2 points wider than later ones where errors are few (`digits`, `fsdd`).
- Where rows are compared, it is run by run of one name: seed 1 with seed 1. The errors of several are added up; the
  interval and p are over utterances, and say nothing of other seeds or speakers. The difference of each run stands
  below, and is a cross in the pictures.
- Times are those of training steps; validation, and writing checkpoints, come on top.
- Commands are those that were run, and hold at the commit that a row names: defaults may be others by now, and folders
  may have been called otherwise, or be of several models. How data, language models and word lists were made, and the
  commands of today, say the recipes' READMEs and scripts (`run.sh`; `recipes/words.sh`, `recipes/across.sh`).
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

    def texts(self) -> dict[str, dict[str, Any]]:
        """What was recognised of each utterance of its test set, by id."""
        lines = (self.folder / "hypotheses.jsonl").read_text(encoding="utf-8").split("\n")  # others may be in texts
        return {record["id"]: record for record in map(json.loads, filter(None, lines))}

    def sittings(self, name: str) -> list[Any]:
        """What the sittings of the training say of themselves, each different answer once."""
        return _each_once(one.get(name) for one in self.trained.get("sittings", ()))


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
        return _each_once(said for run in self.runs for said in run.sittings(name))

    def bounds(self) -> tuple[float, float]:
        """Of the test WER in percent: the lowest and highest of several runs, the 95 % interval of a single one."""
        ends = self.rates("test", "wer")
        if len(ends) == 1:
            ends = [100 * bound for bound in self.runs[0].test["wer_ci95"]]
        return min(ends), max(ends)

    def change(self) -> Change | None:
        """By how much its test WER differs from that of the row it is compared with; None without one.

        The errors of an utterance are added up over the runs of one name, such as seed-1, and the utterances drawn anew
        (`asr.score.difference`). So more seeds tell more of what these sentences say, and nothing of other seeds.
        """
        if self.against is None:
            return None
        runs, others = ({run.folder.name: run for run in row.runs} for row in (self, self.against))
        if alone := set(runs) - set(others):
            raise SystemExit(f"{self.name!r}: {self.against.name!r} has no run {min(alone)} to compare with its own")
        words: dict[str, int] = defaultdict(int)
        errors: list[dict[str, int]] = [defaultdict(int), defaultdict(int)]
        for name in runs:
            first, second = others[name].texts(), runs[name].texts()
            said = [{key: text["reference"] for key, text in texts.items()} for texts in (first, second)]
            if said[0] != said[1]:
                raise SystemExit(f"{self.name!r} and {self.against.name!r} are not of the same utterances and texts")
            for key, text in first.items():
                words[key] += text["words"]
                errors[0][key] += text["errors"]
                errors[1][key] += second[key]["errors"]
        found = difference(*([errors_of[key] for key in words] for errors_of in errors), list(words.values()))
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
        others = [row.get("note", ""), runs, row.get("table", ""), row.get("curve"), rows.get(against)]
        rows[row["row"]] = Row(row["title"], row.get("name", row["title"]), *others, row.get("front", ""))
    return list(rows.values())


def tables(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each table, by its name."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.table].append(row)
    return found


def table(rows: Sequence[Row]) -> str:
    """A table of a recipe: a line for each row."""
    changes = [row.change() for row in rows]
    heads = ["", "runs", "test WER %", "95 % interval", "test CER %", "validation WER %", "errors / words"]
    heads += ["difference, points (95 %)", "p"] if any(changes) else []
    lines = [f"| {' | '.join(heads)} |".replace("|  |", "| |"), "| --- | ---: |" + " --- |" * (len(heads) - 2)]
    for row, change in zip(rows, changes, strict=True):
        one = row.runs[0].test if len(row.runs) == 1 else None
        interval = f"{100 * one['wer_ci95'][0]:.2f} – {100 * one['wer_ci95'][1]:.2f}" if one else "below, run by run"
        errors = ", ".join(f"{_errors(run.test):,}" for run in row.runs)
        words = sorted({run.test["words"] for run in row.runs})
        rates = [_mean(row.rates(*of)) for of in (("test", "wer"), ("test", "cer"), ("valid", "wer"))]
        counts = f"{errors} / {' or '.join(f'{count:,}' for count in words)}"
        cells = [row.title, str(len(row.runs)), f"**{rates[0]}**", interval, rates[1], rates[2], counts]
        if change:
            cells += _change(change)
        lines.append(f"| {' | '.join(cells)} |{' | |' if any(changes) and not change else ''}")
    return "\n".join(lines)


def front(recipes: Mapping[str, Sequence[Row]]) -> str:
    """The table of the project's README: the rows that are to stand there, under the names of their recipes."""
    lines = ["| recipe | what is tested | runs | test WER % | 95 % interval, or lowest and highest |"]
    lines.append("| --- | --- | ---: | ---: | --- |")
    for recipe, rows in recipes.items():
        for row in (row for row in rows if row.front):
            rates = row.rates("test", "wer")
            cells = [f"[{recipe}](recipes/{recipe})", row.front, str(len(rates)), f"**{sum(rates) / len(rates):.2f}**"]
            lines.append(f"| {' | '.join(cells)} | {' – '.join(f'{bound:.2f}' for bound in row.bounds())} |")
    return "\n".join(lines)


def details(row: Row) -> str:
    """How a row was made: commands, sizes, times, and each run by itself."""
    first = row.runs[0]
    lines = [f"### {row.name}", "", *([row.note, ""] if row.note else [])]
    if row.against and (change := row.change()):
        each = ", ".join(f"{value:+.2f}" for value in change.each)
        of_each = f" Of {', '.join(run.folder.name for run in row.runs)}: {each}." if len(row.runs) > 1 else ""
        lines += [f"Against *{row.against.name}*: {' points; p '.join(_change(change))}.{of_each}", ""]
    training, profile = first.report["model"]["training"], first.report["profile"]
    decoding: dict[str, list[Any]] = defaultdict(list)
    for run in row.runs:
        for key, value in run.report["decoding"].items():
            decoding[key] += [value] if value not in decoding[key] else []
    seconds = [run.trained["seconds"] for run in row.runs if run.trained]
    trained = _each_once(program["commit"] for program in row.sittings("program"))
    decoded = _each_once(run.report["program"]["commit"] for run in row.runs)
    precisions = [name or "precision not recorded" for name in row.sittings("precision")]
    facts = [
        f"{training['parameters'] / 1e6:.2f} M weights" if "parameters" in training else None,
        f"trained in {_mean([one / 60 for one in seconds])} min" if seconds else None,
        " and ".join(f"on {name}" for name in row.sittings("processor")),
        " or ".join(f"{count} threads" if count > 1 else "one thread" for count in row.sittings("threads")),
        " or ".join(precisions) if any(row.sittings("precision")) else None,
        "decoding: " + ", ".join(f"{key} {' or '.join(map(str, values))}" for key, values in decoding.items()),
        f"tuned on {profile['utterances']:,} utterances of validation" if profile else None,
        f"trained at commit {', '.join(trained)}" if trained else None,
        f"decoded at commit {', '.join(decoded)}" if decoded != trained else None,
    ]
    lines += ["; ".join(fact for fact in facts if fact) + ".", "", "```sh"]
    lines += _each_once(command for run in row.runs for command in [*run.sittings("command"), run.report["command"]])
    lines += ["```", ""]
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


def _change(change: Change) -> list[str]:
    """A difference with its interval, and its p-value."""
    p = "< 0.001" if change.p < 0.001 else f"{change.p:.3f}"
    return [f"{change.value:+.2f} ({change.low:+.2f} to {change.high:+.2f})", p]


def _errors(split: dict[str, Any]) -> int:
    return int(split["substitutions"] + split["insertions"] + split["deletions"])


def _each_once(values: Iterable[Any]) -> list[Any]:
    """Each different one of some values once, in their order."""
    return list({json.dumps(value): value for value in values}.values())


def _mean(values: Sequence[float]) -> str:
    """The mean, and beside it the lowest and the highest of several."""
    if not values:
        return ""
    mean = f"{sum(values) / len(values):.2f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.2f} – {max(values):.2f})"


def made() -> Iterator[tuple[Path, str]]:
    """Each file that has tables, and what it should hold."""
    parts = [INTRODUCTION]
    recipes = {path.parts[-3]: path.parent.parent for path in sorted(RECIPES.glob("*/results/rows.json"))}
    of_recipe = {name: read_rows(recipe) for name, recipe in recipes.items()}
    for name, rows in of_recipe.items():
        texts = {title: table(of_table) for title, of_table in tables(rows).items()}
        parts += [
            f"## {name}\n",
            *(text + "\n" for text in texts.values()),
            *(details(row) + "\n" for row in rows),
        ]
        readme = recipes[name] / "README.md"
        yield readme, _in_places(readme, texts)
    yield FRONT, _in_places(FRONT, {"": front(of_recipe)})
    yield OUT, "\n".join(parts)


def _in_places(readme: Path, texts: Mapping[str, str]) -> str:
    """A README with each table in its place.

    Raises:
        SystemExit: A table has no place, or a place no table.
    """
    before = readme.read_text(encoding="utf-8")
    places = [place[2] for place in PLACE.finditer(before)]
    if sorted(places) != sorted(texts):
        wanted = "; ".join(f"<!-- results{name and ' ' + name}: made by recipes/results.py -->" for name in texts)
        raise SystemExit(f"{readme}: the places for tables that it should have, each up to a results end, are {wanted}")
    return PLACE.sub(lambda place: f"{place[1]}{texts[place[2]]}\n{place[3]}", before)


def draw(recipe: Path) -> None:
    """The pictures of a recipe: its learning curve, and the differences of each table that has any."""
    rows = read_rows(recipe)
    lines: dict[str, list[Point]] = defaultdict(list)
    axis = ""
    for row in rows:
        if row.curve:
            axis, at = next((name, value) for name, value in row.curve.items() if name != "line")
            rates = row.rates("test", "wer")
            lines[row.curve["line"]].append(Point(float(at), sum(rates) / len(rates), *row.bounds()))
    if lines:
        draw_lines(lines, axis, recipe / "results" / "curve.png")
    for name, of_table in tables(rows).items():
        if changes := [change for change in map(Row.change, of_table) if change]:
            draw_changes(changes, recipe / "results" / f"{name or 'differences'}.png")


def keep(report: Path, to: Path) -> None:
    """Keep a report: its figures of validation and test, and the texts of the test set.

    Raises:
        SystemExit: It has no test set, was made by a changed checkout, or names a folder of one machine.
    """
    figures = json.loads((report / "report.json").read_text(encoding="utf-8"))
    if "test" not in figures["splits"]:
        raise SystemExit(f"{report}: there is no split of the name test in it")
    sittings = (figures["trained"] or {}).get("sittings", ())
    for commit in (one["program"]["commit"] for one in (figures, *sittings)):
        if commit is None or commit.endswith("-dirty"):
            raise SystemExit(f"{report}: made by a program of no commit ({commit}), so nobody could make it again")
    figures["splits"] = {name: figures["splits"][name] for name in SPLITS if name in figures["splits"]}
    commands = [figures["command"], *(one["command"] for one in sittings)]
    words = [word for text in commands for word in shlex.split(text)]
    words += [split["manifest"] for split in figures["splits"].values()]
    if strange := [word for word in words if re.search(r"""(^|[="'\[ ])[/~]""", word)]:
        raise SystemExit(f"{report}: {strange[0]} is a place on one machine; run it with relative paths")
    lines = (report / "hypotheses.jsonl").read_text(encoding="utf-8").split("\n")
    texts = [line for line in lines if line and json.loads(line)["split"] == "test"]
    if not texts:
        raise SystemExit(f"{report}: hypotheses.jsonl holds no text of the test set")
    to.mkdir(parents=True, exist_ok=True)
    (to / "report.json").write_text(json.dumps(figures, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    (to / "hypotheses.jsonl").write_text("\n".join([*texts, ""]), encoding="utf-8")


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
            draw(listed.parent.parent)
    sys.exit(1 if arguments.check and stale else 0)


if __name__ == "__main__":
    main()
