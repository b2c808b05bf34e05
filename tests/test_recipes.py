"""The recipes against the real command line: every command in their scripts and READMEs must parse.

The scripts run with a stand-in for `asr` on the PATH, which writes down its arguments and the files that scripts read.
"""

import itertools
import json
import os
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import typer

from asr.config_file import load_config

RECIPES = Path(__file__).parents[1] / "recipes"
NAMES = ("digits", "fsdd", "librispeech", "an4", "commonvoice", "own", "synth")
GUIDES = ["README.md", "docs/guide.md"]

STAND_IN = f"""#!{sys.executable} -IS
import json, os, pathlib, sys
arguments = sys.argv[1:]
with open(os.environ["LOG"], "a") as log:
    log.write(json.dumps(arguments) + "\\n")
if arguments[0] == "check":
    sys.exit(int(os.environ["CHECK"]))
if arguments[0] in ("prepare", "evaluate"):
    out = pathlib.Path(arguments[arguments.index("--out") + 1])
    out.mkdir(parents=True, exist_ok=True)
    for name in ("train", "test"):
        (out / (name + ".jsonl")).write_text('{{"id": "a", "audio": "b/a c.wav", "text": "x y"}}\\n')
    rates = {{"wer": 0.0125, "wer_ci95": [0.01, 0.02], "cer": 0.0625}}
    (out / "report.json").write_text(json.dumps({{"splits": {{"valid": rates, "test": rates}}}}))
if arguments[0] == "prepare":
    sys.exit(int(os.environ["PREPARE"]))
if arguments[:2] == ["lm", "train"]:
    lines = [line for text in arguments[2 : arguments.index("--order")] for line in open(text)]
    texts = [json.loads(line)["text"] if line.startswith("{{") else line for line in lines]
    words = sorted(set(" ".join(texts).split()))
    lines = ["\\\\data\\\\", f"ngram 1={{len(words) + 3}}", "", "\\\\1-grams:"]
    lines += [f"-1.0\\t{{word}}" for word in ("<unk>", "<s>", "</s>", *words)]
    text = "\\n".join([*lines, "", "\\\\end\\\\", ""])
    pathlib.Path(arguments[arguments.index("--out") + 1]).write_text(text)
"""


def run(
    recipe: str, tmp_path: Path, *arguments: str, script: str = "run.sh", status: int = 0, **variables: str
) -> tuple[list[list[str]], str]:
    """The commands that a recipe gives with these variables (SETTINGS, SEEDS, ...), and what it prints.

    `asr prepare` and `asr check` end with the statuses PREPARE and CHECK; the recipe must end with `status`.
    """
    (tmp_path / "bin").mkdir()
    for name, program in (("asr", STAND_IN), ("python", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')):
        (tmp_path / "bin" / name).write_text(program)
        (tmp_path / "bin" / name).chmod(0o755)
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    given = {"SETTINGS": "", "SEEDS": "", "ANYWAY": "", "PREPARE": "0", "CHECK": "0"} | variables
    environment = os.environ | {"PATH": path, "LOG": str(tmp_path / "log")} | given
    command = [str(RECIPES / recipe / script), *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()], done.stdout


def assert_parses(arguments: list[str]) -> None:
    """That `asr` takes these arguments, and that a config it trains with exists and takes the settings."""
    from asr.cli.main import app

    command = typer.main.get_command(app)
    name, rest = "asr", arguments
    while hasattr(command, "commands"):
        name, *rest = rest
        command = command.commands[name]
    parameters = command.make_context(name, list(rest)).params
    if arguments[0] == "train":
        load_config(parameters["conf"], parameters["settings"] or [])


@pytest.mark.parametrize("recipe", NAMES)
def test_a_script_goes_from_preparation_to_a_transcript(recipe, tmp_path):
    arguments = {"digits": ["out"], "synth": ["text.txt", "el", "out"]}.get(recipe, ["source", "out"])
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "7_jackson_0.wav").touch()
    commands, printed = run(recipe, tmp_path, *arguments, SETTINGS="train.epochs=1")
    for command in commands:
        assert_parses(command)
    verbs = [command[0] for command in commands]
    assert list(dict.fromkeys(verbs)) == ["prepare", "check", "train", "evaluate", "transcribe"]
    trainings = [command for command in commands if command[0] == "train"]
    assert all("--resume" in command and "train.epochs=1" in command for command in trainings)
    heard = "source/7_jackson_0.wav" if recipe == "fsdd" else "out/data/b/a c.wav"
    assert commands[-1][-1] == heard
    if "own" in recipe:
        assert printed.splitlines()[-1] == f"asr transcribe out/run {heard}"


@pytest.mark.parametrize("recipe", ["an4", "commonvoice", "librispeech", "own"])
@pytest.mark.parametrize("step", ["prepare", "check"])
def test_recordings_that_cannot_be_used_stop_a_script_unless_told_otherwise(recipe, step, tmp_path):
    for name in ("stops", "goes-on", "refused"):
        (tmp_path / name).mkdir()
    commands, _ = run(recipe, tmp_path / "stops", "source", "out", **{step.upper(): "1"}, status=1)
    assert commands[-1][0] == step
    commands, _ = run(recipe, tmp_path / "goes-on", "source", "out", **{step.upper(): "1"}, ANYWAY="1")
    assert commands[-1][0] == "transcribe"
    commands, _ = run(recipe, tmp_path / "refused", "source", "out", **{step.upper(): "2"}, ANYWAY="1", status=2)
    assert commands[-1][0] == step  # the request was wrong, and nothing is there to go on with


def test_a_rival_may_be_named(tmp_path):
    for names in ([], ["sgd"], ["adam"]):
        folder = tmp_path / "-".join(["of", *names])
        folder.mkdir()
        (folder / "log").touch()
        commands, _ = run("librispeech", folder, "out", *names, script="rival.sh", status=2 if names == ["adam"] else 0)
        trained = [command[command.index("--out") + 1] for command in commands if command[0] == "train"]
        assert trained == {"": ["out/rival/adamw/run", "out/rival/sgd/run"], "sgd": ["out/rival/sgd/run"]}.get(
            "".join(names), []
        )
        for command in commands:
            assert_parses(command)


@pytest.mark.parametrize("recipe", ["librispeech", "own"])
def test_options_after_the_folders_go_to_the_preparation(recipe, tmp_path):
    option = ["--ids", "a b"] if recipe == "librispeech" else ["--table", "a b.tsv"]
    commands, _ = run(recipe, tmp_path, "source", "out", *option)
    assert commands[0] == ["prepare", recipe, "--source", "source", "--out", "out/data", *option]


def test_fsdd_runs_three_seeds_and_six_hold_outs_alone_and_adapted_and_prints_their_means(tmp_path):
    (tmp_path / "source").mkdir()
    commands, printed = run("fsdd", tmp_path, "source", "out")
    synthetic, *trainings = [command for command in commands if command[0] == "train"]
    assert synthetic[1] == "fsdd" and "out/data/synthetic" in synthetic
    assert all("--resume" in command for command in [synthetic, *trainings])
    alone, adapted = trainings[::2], trainings[1::2]
    assert {command[1] for command in alone} == {"fsdd"} and {command[1] for command in adapted} == {"fsdd-adapt"}
    assert all("train.init_from=out/synthetic/run" in command for command in adapted)
    unheard = ["augment.tone_db=3" in command for command in trainings]
    assert unheard == [False] * 6 + [True] * 12
    held_out = [command[-1] for command in commands if "--hold-out" in command]
    assert held_out == ["george", "jackson", "lucas", "nicolas", "theo", "yweweler"]
    for runs in (alone, adapted):
        assert [f"train.seed={seed}" in command for seed, command in zip((1, 2, 3), runs, strict=False)] == [True] * 3
        data = [command[command.index("--data") + 1] for command in runs]
        assert data == ["out/data/official"] * 3 + [f"out/data/without-{speaker}" for speaker in held_out]
    assert len({command[command.index("--out") + 1] for command in trainings}) == 18
    lexicons = [command[command.index("--lexicon") + 1] for command in commands if "--lexicon" in command]
    assert len(lexicons) == 19 and {(tmp_path / path).read_text() for path in lexicons} == {"x\ny\n"}
    assert printed.count("mean") == 4 and printed.count("1.25%") == 44


def test_fsdd_with_few_clips_takes_all_digits_and_speakers_alike_and_prints_a_table(tmp_path):
    official = tmp_path / "out" / "data" / "official"
    official.mkdir(parents=True)
    clips = [{"id": f"{n}", "text": str(n % 10), "speaker": "abcdef"[n // 10 % 6], "audio": "../x"} for n in range(600)]
    (official / "train.jsonl").write_text("".join(json.dumps(clip) + "\n" for clip in clips))
    for name in ("valid.jsonl", "test.jsonl", "dataset.yaml"):
        (official / name).write_text("{}")
    for start, name in itertools.product(("alone", "adapted"), ("report", "report-words")):
        report = tmp_path / "out" / start / "official" / "seed-1" / name / "report.json"
        report.parent.mkdir(parents=True)
        report.write_text('{"splits": {"test": {"wer": 0.02, "wer_ci95": [0.01, 0.04]}}}')
    commands, printed = run("fsdd", tmp_path, "out", script="few.sh")
    for command in commands:
        assert_parses(command)
    assert [command[0] for command in commands] == ["train", "evaluate", "evaluate"] * 6
    smaller: set[str] = set()
    for count in (10, 50, 200):
        lines = (tmp_path / "out" / "data" / f"few-{count}" / "train.jsonl").read_text().splitlines()
        chosen = [json.loads(line) for line in lines]
        for field, kinds in (("text", 10), ("speaker", 6)):
            numbers = Counter(clip[field] for clip in chosen).values()
            assert len(numbers) == kinds and max(numbers) - min(numbers) <= 1
        ids = {clip["id"] for clip in chosen}
        assert len(ids) == count and smaller <= ids
        smaller = ids
    assert printed.count("1.25%") == 12 and printed.count("4.00%") == 4


def test_the_curve_cuts_the_training_set_and_has_every_text_once_before_any_twice(tmp_path):
    data = tmp_path / "out" / "data"
    data.mkdir(parents=True)
    clips = [{"id": f"{n}", "text": f"text {n // 2}", "audio": "../x", "duration": 6.0} for n in range(600)]
    (data / "train.jsonl").write_text("".join(json.dumps(clip) + "\n" for clip in clips))
    for name in ("valid.jsonl", "test.jsonl"):
        (data / name).write_text(json.dumps(clips[0]) + "\n")
    (data / "dataset.yaml").write_text("")
    commands, _ = run("own", tmp_path, "out", "runs/base", script="curve.sh", SETTINGS="train.seed=2")
    for command in commands:
        assert_parses(command)
    assert [command[0] for command in commands] == ["train", "evaluate"] * 4
    assert all({"train.seed=2", "train.init_from=runs/base"} <= set(command) for command in commands[::2])
    smaller: set[str] = set()
    for minutes in (5, 10, 20, 40):
        lines = (tmp_path / "out" / f"data-{minutes}" / "train.jsonl").read_text().splitlines()
        chosen = [json.loads(line) for line in lines]
        assert len(chosen) == 10 * minutes
        assert len({clip["text"] for clip in chosen}) == min(len(chosen), 300)
        assert smaller <= (smaller := {clip["id"] for clip in chosen})


def test_an_ablation_changes_one_thing_at_a_time(tmp_path):
    data = tmp_path / "out" / "data"
    data.mkdir(parents=True)
    clips = [{"id": str(n), "text": str(n), "audio": "../x", "duration": 12.0} for n in range(301)]
    (data / "train.jsonl").write_text("".join(json.dumps(clip) + "\n" for clip in clips))
    for name in ("valid.jsonl", "test.jsonl"):
        (data / name).write_text(json.dumps(clips[0]) + "\n")
    (data / "dataset.yaml").write_text("")
    commands, _ = run("librispeech", tmp_path, "out", script="ablation.sh", SETTINGS="train.threads=1")
    for command in commands:
        assert_parses(command)
    plain, *changed = [command[1 : command.index("--data")] for command in commands if command[0] == "train"]
    assert len(changed) > 15 and plain[-2:] == ["train.seed=1", "train.threads=1"]
    assert all(set(plain) < set(command) and len(command) - len(plain) in (1, 2) for command in changed)
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "out").symlink_to(tmp_path / "out")
    commands, _ = run("librispeech", tmp_path / "again", "out", "rooms", "wide", script="ablation.sh", SEEDS="2 3")
    trained = [command for command in commands if command[0] == "train"]
    assert [(command[command.index("--out") + 1], "train.seed=3" in command) for command in trained] == [
        (f"out/ablation/{name}/seed-{seed}/run", seed == 3) for name in ("rooms", "wide") for seed in (2, 3)
    ]


def test_a_corpus_is_not_cut_in_its_own_place_nor_to_nothing(tmp_path):
    for name in ("train.jsonl", "valid.jsonl", "test.jsonl"):
        (tmp_path / name).write_text(json.dumps({"id": "1", "text": "a\u2028b", "audio": "x", "duration": 60.0}) + "\n")
    before = (tmp_path / "train.jsonl").read_bytes()
    for arguments, message in (
        ((".", "1", "."), "choose another folder"),
        ((".", "nan", "out"), "above 0, not nan"),
        ((".", "-1", "out"), "above 0, not -1"),
        ((".", "1", "out"), "it has no dataset.yaml"),
        (("nothing", "1", "out"), "it has no train.jsonl"),
    ):
        done = subprocess.run(
            [sys.executable, RECIPES / "cut.py", *arguments], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr
    assert (tmp_path / "train.jsonl").read_bytes() == before and not (tmp_path / "out").exists()
    (tmp_path / "dataset.yaml").write_text("")
    subprocess.run([sys.executable, RECIPES / "cut.py", ".", "1", "out"], cwd=tmp_path, check=True)
    assert json.loads((tmp_path / "out" / "train.jsonl").read_text())["text"] == "a\u2028b"


def test_a_corpus_behind_a_link_is_cut_with_paths_that_lead_to_its_audio(tmp_path):
    data = tmp_path / "big" / "store" / "data"
    data.mkdir(parents=True)
    (tmp_path / "big" / "store" / "corpus").mkdir()
    (tmp_path / "big" / "store" / "corpus" / "a.wav").touch()
    line = {"id": "a", "audio": "../corpus/a.wav", "text": "a", "duration": 60.0, "accent": "x"}
    for name in ("train.jsonl", "valid.jsonl", "test.jsonl"):
        (data / name).write_text(json.dumps(line) + "\n")
    (data / "dataset.yaml").write_text("")
    (tmp_path / "link").symlink_to(data)
    subprocess.run([sys.executable, RECIPES / "cut.py", "link", "1", "out"], cwd=tmp_path, check=True)
    written = json.loads((tmp_path / "out" / "train.jsonl").read_text())
    assert (tmp_path / "out" / written["audio"]).is_file() and written["accent"] == "x"


def test_across_tests_each_model_on_the_others_digits(tmp_path):
    data = tmp_path / "digits" / "data"
    data.mkdir(parents=True)
    texts = ["one two", "turn on the light", "nine"]
    (data / "test.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    commands, _ = run(".", tmp_path, "digits", "fsdd", "out", script="across.sh")
    for command in commands:
        assert_parses(command)
    models = ["digits/run"] * 2 + ["fsdd/alone/official/seed-1/run"] * 2
    tests = ["test=fsdd/data/official/test.jsonl"] * 2 + ["test=digits/data/strings.jsonl"] * 2
    assert [command[:3] for command in commands] == [["evaluate", *pair] for pair in zip(models, tests, strict=True)]
    strings = (data / "strings.jsonl").read_text().splitlines()
    assert [json.loads(line)["text"] for line in strings] == ["one two", "nine"]
    assert ["--lexicon" in command for command in commands] == [False, True, False, True]


def test_words_are_tuned_on_validation_and_the_words_of_the_language_model_are_its_lexicon(tmp_path):
    data = tmp_path / "a b"
    data.mkdir()
    (data / "train.jsonl").write_text('{"text": "one  \\"two\\""}\n{"text": "na\\u00efve"}\n')
    (tmp_path / "books.txt").write_text("three four\n")
    commands, printed = run(".", tmp_path, "run", "a b", "out", "books.txt", script="words.sh")
    for command in commands:
        assert_parses(command)
    assert [command[0] for command in commands] == ["lm", "tune", *["evaluate"] * 4]
    assert commands[0][2:4] == ["books.txt", "a b/train.jsonl"]
    words = (tmp_path / "out" / "words.txt").read_text(encoding="utf-8").split()
    assert sorted(words) == sorted(["one", '"two"', "naïve", "three", "four"])
    assert commands[1][2] == "a b/valid.jsonl" and not any("test" in word for word in commands[1])
    assert [("--lm" in command, "--lexicon" in command) for command in commands[2:]] == [
        (False, False),
        (False, False),
        (True, False),
        (True, True),
    ]
    assert printed.count("1.25%") == 8 and printed.count("6.25%") == 4


@pytest.mark.parametrize("recipe", NAMES)
def test_a_script_says_how_it_is_used(recipe):
    script = RECIPES / recipe / "run.sh"
    done = subprocess.run([str(script)], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert f"usage: recipes/{recipe}/run.sh" in done.stderr


@pytest.mark.parametrize("readme", [f"recipes/{recipe}/README.md" for recipe in NAMES] + GUIDES)
def test_commands_in_a_readme_parse(readme, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("my.yaml").touch()  # the reader has written it by then
    lines = (RECIPES.parent / readme).read_text(encoding="utf-8").splitlines()
    assert any(line.startswith(("asr ", "recipes/")) for line in lines)
    for line in lines:
        if line.startswith("asr "):
            assert_parses(shlex.split(line.split(" > ")[0], comments=True)[1:])
        elif line.startswith("recipes/"):
            assert (RECIPES.parent / line.split()[0]).is_file()
