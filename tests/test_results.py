"""The tables of results say what the kept reports say, and those what the kept texts say."""

import importlib
import json
import re
import shutil
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from asr.evaluate.compare import compare, read_evaluation
from asr.score import score
from asr.text import Normalizer

ROOT = Path(__file__).parents[1]
KEPT = sorted((ROOT / "recipes").glob("*/results/*/*/report.json"))

sys.path.insert(0, str(ROOT / "recipes"))  # as python does where it runs the script
results = importlib.import_module("results")

BEGIN, END = "<!-- results: made by recipes/results.py -->", "<!-- results end -->"


def kept(errors: int, **changes) -> dict:
    """A report of a test set of 200 words."""
    rates = {
        "wer": errors / 200,
        "cer": 0.01,
        "wer_ci95": [errors / 800, errors / 160],
        "words": 200,
        "manifest": "d/test.jsonl",
    }
    split = rates | {"substitutions": errors - 1, "insertions": 1, "deletions": 0}
    program = {"version": "1", "commit": "abcdef123456"}
    sitting = {"program": program, "command": "asr train own --data d --out r", "processor": "a chip", "threads": 1}
    return {
        "command": "asr evaluate r test=d/test.jsonl",
        "program": program,
        "model": {"training": {"parameters": 1_500_000}},
        "trained": {"seconds": 600.0, "sittings": [sitting]},
        "decoding": {"decoder": "greedy"},
        "profile": None,
        "splits": {"train": split, "valid": split | {"wer": 0.5}, "test": split},
    } | changes


def write(folder: Path, report: dict) -> Path:
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps(report))
    lines = [{"split": split, "id": "a", "reference": "x y", "hypothesis": "x"} for split in report["splits"]]
    (folder / "hypotheses.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.fixture
def recipes(tmp_path, monkeypatch) -> Path:
    """A recipe with two runs of one row."""
    recipe = tmp_path / "recipes" / "own"
    for number, errors in ((1, 4), (2, 8)):
        results.keep(write(tmp_path / f"run-{number}", kept(errors)), recipe / "results" / "plain" / f"seed-{number}")
    (recipe / "results" / "rows.json").write_text('[{"row": "plain", "title": "as it is", "note": "nothing more"}]')
    (recipe / "README.md").write_text(f"# Own\n\n{BEGIN}\n{END}\n\nMore.\n")
    monkeypatch.setattr(results, "RECIPES", tmp_path / "recipes")
    monkeypatch.setattr(results, "OUT", tmp_path / "RESULTS.md")
    (tmp_path / "README.md").write_text(f"# All\n\n{BEGIN}\n{END}\n")
    monkeypatch.setattr(results, "FRONT", tmp_path / "README.md")
    return tmp_path


def run(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["results.py", *arguments])
    with pytest.raises(SystemExit) as done:
        results.main()
    return done.value.code


def test_the_tables_are_made_and_then_are_what_they_should_be(recipes, monkeypatch, capsys):
    assert run(monkeypatch, "--check") == 1
    assert "README.md: not what the reports say" in capsys.readouterr().err
    assert run(monkeypatch) == 0
    assert run(monkeypatch, "--check") == 0
    readme, table = ((recipes / name).read_text() for name in ("recipes/own/README.md", "RESULTS.md"))
    rates = "**3.00 (2.00 – 4.00)** | below, run by run | 1.00 (1.00 – 1.00) | 50.00 (50.00 – 50.00)"
    line = f"| as it is | 2 | {rates} | 4, 8 / 200 |"
    assert line in readme and line in table
    assert readme.startswith("# Own\n") and readme.endswith("\n\nMore.\n")
    assert "| seed-2 | 4.00 (1.00 – 5.00) | 8 / 200 | 1.00 | 50.00 | [recipes/own/results/plain/seed-2" in table
    assert "asr train own --data d --out r\nasr evaluate r test=d/test.jsonl\n" in table
    assert "1.50 M weights; trained in 10.00 (10.00 – 10.00) min; on a chip; one thread" in table
    assert "decoding: decoder greedy; trained at commit abcdef123456.\n" in table
    assert "### as it is\n" in table


def test_a_row_says_what_trained_it_and_what_decoded_it_and_its_own_name(recipes, monkeypatch):
    before = kept(4)["trained"]["sittings"][0]
    sittings = [before | {"program": {"commit": commit}, "precision": "bfloat16"} for commit in ("111111", "222222")]
    later = kept(4, trained={"seconds": 60.0, "sittings": sittings})
    results.keep(write(recipes / "later", later), recipes / "recipes/own/results/later/seed-1")
    (recipes / "recipes/own/results/rows.json").write_text('[{"row": "later", "title": "the same", "name": "again"}]')
    assert run(monkeypatch) == 0
    readme, table = ((recipes / name).read_text() for name in ("recipes/own/README.md", "RESULTS.md"))
    assert "trained at commit 111111, 222222; decoded at commit abcdef123456.\n" in table
    assert "one thread; bfloat16; decoding" in table
    assert "| the same | 1 |" in readme and "### again\n" in table and "### the same" not in table


def test_a_row_says_of_all_its_runs_what_trained_them(recipes, monkeypatch):
    sitting = kept(4)["trained"]["sittings"][0]
    changes = {"precision": "float32", "processor": "another", "threads": 2, "command": "asr train own train.seed=2"}
    for name, said in (("seed-1", sitting), ("seed-2", sitting | changes)):
        report = kept(4, trained={"seconds": 60.0, "sittings": [said]}, command=f"asr evaluate {name}")
        results.keep(write(recipes / name, report), recipes / "recipes/own/results/two" / name)
    (recipes / "recipes/own/results/rows.json").write_text('[{"row": "two", "title": "two"}]')
    assert run(monkeypatch) == 0
    table = (recipes / "RESULTS.md").read_text()
    assert "on a chip and on another; one thread or 2 threads; precision not recorded or float32; decoding" in table
    commands = ["asr train own --data d --out r", "asr evaluate seed-1", "asr train own train.seed=2"]
    assert "```sh\n" + "\n".join([*commands, "asr evaluate seed-2"]) + "\n```" in table


def test_the_projects_readme_shows_the_rows_that_are_to_stand_there(recipes, monkeypatch):
    folder = recipes / "recipes/own/results"
    results.keep(write(recipes / "one", kept(20)), folder / "one" / "seed-1")
    rows = [{"row": "plain", "title": "as it is", "front": "an hour"}, {"row": "one", "title": "one"}]
    (folder / "rows.json").write_text(json.dumps(rows))
    assert run(monkeypatch) == 0
    lines = (recipes / "README.md").read_text().splitlines()
    assert lines[5] == "| [own](recipes/own) | an hour | 2 | **3.00** | 2.00 – 4.00 |" and lines[6] == END
    rows[0].pop("front")
    rows[1]["front"] = "a seed"
    (folder / "rows.json").write_text(json.dumps(rows))
    assert run(monkeypatch) == 0
    lines = (recipes / "README.md").read_text().splitlines()
    assert lines[5] == "| [own](recipes/own) | a seed | 1 | **10.00** | 2.50 – 12.50 |" and lines[6] == END


def test_what_is_kept_is_validation_and_test_and_the_texts_of_the_test_set(recipes):
    folder = recipes / "recipes/own/results/plain/seed-1"
    assert set(json.loads((folder / "report.json").read_text())["splits"]) == {"valid", "test"}
    assert [json.loads(line)["split"] for line in (folder / "hypotheses.jsonl").read_text().splitlines()] == ["test"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"program": {"version": "1", "commit": "abc-dirty"}}, "no commit (abc-dirty)"),
        ({"program": {"version": "1", "commit": None}}, "no commit"),
        ({"command": "asr evaluate /home/me/run test=d/test.jsonl"}, "/home/me/run is a place on one machine"),
        ({"command": "asr evaluate '/home/me/my run'"}, "/home/me/my run is a place on one machine"),
        ({"command": "asr evaluate r --lm=~/words.lm"}, "~/words.lm is a place on one machine"),
        ({"command": "asr evaluate r 'augment.noise_files=[\"/n\"]'"}, '["/n"] is a place on one machine'),
        (
            {"trained": {"seconds": 1.0, "sittings": [{"program": {"commit": "abc-dirty"}, "command": "asr train"}]}},
            "no commit (abc-dirty)",
        ),
        ({"splits": {"valid": kept(1)["splits"]["valid"]}}, "no split of the name test"),
    ],
)
def test_what_nobody_could_make_again_is_not_kept(changes, message, tmp_path):
    with pytest.raises(SystemExit, match=re.escape(message)):
        results.keep(write(tmp_path / "run", kept(4, **changes)), tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_a_row_without_reports_and_a_readme_without_a_place_are_named(recipes):
    (recipes / "recipes/own/README.md").write_text("# Own\n")
    with pytest.raises(SystemExit, match="the places for tables that it should have"):
        list(results.made())
    shutil.rmtree(recipes / "recipes/own/results/plain")
    with pytest.raises(SystemExit, match="row 'plain', but no report is kept"):
        list(results.made())


def test_the_tables_of_this_project_say_what_its_reports_say(monkeypatch):
    assert run(monkeypatch, "--check") == 0


@pytest.mark.parametrize("path", KEPT, ids=lambda path: "-".join(path.parts[-5:-1:2] + path.parts[-2:-1]))
def test_a_kept_report_counts_what_its_texts_hold(path):
    report = json.loads(path.read_text(encoding="utf-8"))
    lines = (path.parent / "hypotheses.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    sides = ({record["id"]: record[side] for record in records} for side in ("reference", "hypothesis"))
    counts = score(*sides, Normalizer.from_json(report["normalizer"])).word_counts
    test = report["splits"]["test"]
    found = counts.length, counts.substitutions, counts.insertions, counts.deletions
    assert found == tuple(test[name] for name in ("words", "substitutions", "insertions", "deletions"))


def test_kept_reports_can_be_compared():
    folders = [ROOT / "recipes" / "digits" / "results" / "greedy" / f"seed-{seed}" for seed in (1, 3)]
    compared = compare(*map(read_evaluation, folders))
    assert list(compared["splits"]) == ["test"] and compared["splits"]["test"]["difference"] == pytest.approx(8 / 1640)


def test_the_kept_reports_are_small():
    assert all(file.stat().st_size < 1_000_000 for path in KEPT for file in path.parent.iterdir())


def test_rows_that_are_points_of_a_curve_make_a_picture(recipes, monkeypatch):
    folder = recipes / "recipes" / "own" / "results"
    results.keep(write(recipes / "run-3", kept(20)), folder / "few" / "seed-1")
    points = [("plain", 60), ("few", 5)]
    rows = [{"row": row, "title": row, "curve": {"line": "alone", "minutes": at}} for row, at in points]
    (folder / "rows.json").write_text(json.dumps(rows))
    run(monkeypatch)
    picture = plt.imread(folder / "curve.png")
    assert picture.shape[:2] == (480, 840)
    assert picture[..., :3].std() > 0.05  # not an empty page


def listed(*rates: tuple[int, int]) -> str:
    """Texts of a test set: words and errors of each utterance."""
    records = [
        {"id": str(at), "words": words, "errors": errors, "reference": "x"} for at, (words, errors) in enumerate(rates)
    ]
    return "".join(json.dumps(record) + "\n" for record in records)


def test_a_row_against_another_says_what_they_differ_by_in_a_table_of_its_own(recipes, monkeypatch):
    recipe = recipes / "recipes" / "own"
    for number in (1, 2):
        shutil.copytree(recipe / "results" / "plain" / f"seed-{number}", recipe / "results" / "wide" / f"seed-{number}")
        # Ten of forty utterances of five words have one error more or less, more often less.
        plain, wide = [2] * 40, [2] * 32 + [3] + [1] * 7
        for row, errors in (("plain", plain), ("wide", wide)):
            folder = recipe / "results" / row / f"seed-{number}"
            (folder / "hypotheses.jsonl").write_text(listed(*((5, count) for count in errors)))
    rows = [
        {"row": "plain", "title": "as it is"},
        {"row": "wide", "title": "wider", "table": "ablation", "against": "plain"},
    ]
    (recipe / "results" / "rows.json").write_text(json.dumps(rows))
    with pytest.raises(SystemExit, match=re.escape("<!-- results ablation: made by recipes/results.py -->")):
        list(results.made())
    readme = recipe / "README.md"
    readme.write_text(readme.read_text() + f"\n{BEGIN.replace('results:', 'results ablation:')}\n{END}\n")
    assert run(monkeypatch) == 0
    main, ablation = readme.read_text().split(END)[:2]
    assert "as it is" in main and "difference" not in main
    assert ablation.count("\n| ") == 3 and "| difference, points (95 %) | p |" in ablation
    # Six errors fewer of 200 words: 3 points, however many seeds.
    found = re.search(r"wider .* 4, 8 / 200 \| -3\.00 \((\S+) to (\S+)\) \| (0\.\d+) \|", ablation)
    assert found and float(found[1]) < -3 < float(found[2]) and 0 < float(found[3]) < 0.3
    assert "points; p 0." in (table := (recipes / "RESULTS.md").read_text())
    assert "Of seed-1, seed-2: +0.00, +0.00." in table  # the reports are alike
    assert plt.imread(recipe / "results" / "ablation.png")[..., :3].std() > 0.05
    # With the second seed left out, the same sentences say the same.
    shutil.rmtree(recipe / "results" / "wide" / "seed-2")
    assert run(monkeypatch) == 0
    assert (
        f"wider | 1 | **2.00** | 0.50 – 2.50 | 1.00 | 50.00 | 4 / 200 | {found[0].split(' | ')[-2]}"
        in readme.read_text()
    )
    assert not (recipe / "results" / "differences.png").exists()


def test_a_row_is_only_compared_with_one_above_it_of_the_same_utterances(recipes):
    recipe = recipes / "recipes" / "own"
    results.keep(write(recipes / "run-3", kept(20)), recipe / "results" / "few" / "seed-1")
    rows = [{"row": "plain", "title": "as it is"}, {"row": "few", "title": "few", "against": "none"}]
    (recipe / "results" / "rows.json").write_text(json.dumps(rows))
    with pytest.raises(SystemExit, match="'few' is compared with 'none', and no row above it is that"):
        list(results.made())
    (recipe / "results" / "few" / "seed-1").rename(recipe / "results" / "few" / "seed-3")
    rows[1]["against"] = "plain"
    (recipe / "results" / "rows.json").write_text(json.dumps(rows))
    with pytest.raises(SystemExit, match="'few': 'as it is' has no run seed-3 to compare with its own"):
        list(results.made())
    (recipe / "results" / "few" / "seed-3").rename(recipe / "results" / "few" / "seed-1")
    (recipe / "results" / "few" / "seed-1" / "hypotheses.jsonl").write_text(listed((5, 1), (5, 1)))
    with pytest.raises(SystemExit, match="'few' and 'as it is' are not of the same utterances"):
        list(results.made())
    shutil.copytree(recipe / "results" / "few" / "seed-1", recipe / "results" / "few" / "seed-2")
    texts = (recipe / "results" / "plain" / "seed-1" / "hypotheses.jsonl").read_text()
    for seed in ("seed-1", "seed-2"):
        (recipe / "results" / "few" / seed / "hypotheses.jsonl").write_text(texts.replace("x y", "x z"))
    with pytest.raises(SystemExit, match="'few' and 'as it is' are not of the same utterances and texts"):
        list(results.made())
