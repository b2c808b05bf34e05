"""`asr check`, as a user meets it."""

import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from asr.cli.check import check
from asr.data.manifest import read_manifest
from asr.errors import AsrError


@pytest.fixture
def run(tmp_path, write_split):
    """A function that runs the command in a folder with two good manifests, and returns its result."""
    app = typer.Typer(rich_markup_mode=None)
    app.command()(check)
    write_split(tmp_path, "train", ["bad dad", "deed", "cab"])
    write_split(tmp_path, "test", ["bead", "dab"])

    def run(*arguments):
        return CliRunner().invoke(app, [str(tmp_path / arg) if arg.endswith(".jsonl") else arg for arg in arguments])

    return run


def test_good_manifests(run):
    result = run("train.jsonl", "test.jsonl")
    assert result.exit_code == 0 and result.stderr == ""
    assert result.stdout.splitlines()[-1] == "errors 0, warnings 0"
    assert "utterances 3, audio 3.3 s, speakers 1, 8000 Hz, characters 6: ␣abcde" in result.stdout


def test_problems_are_named_on_stderr_and_end_with_1(run, tmp_path):
    with (tmp_path / "train.jsonl").open("a") as stream:
        stream.write("nonsense\n" + '{"id": "x", "audio": "no.wav", "text": "", "duration": 1}\n')
    result = run("train.jsonl", "test.jsonl")
    assert result.exit_code == 1
    assert [line.split(": ")[:2] for line in result.stderr.splitlines()] == [
        [f"{tmp_path}/train.jsonl:4", "error"],
        [f"{tmp_path}/train.jsonl:5", "error"],
        [f"{tmp_path}/train.jsonl:5", "warning"],
    ]
    assert "utterances 3 of 5" in result.stdout and "errors 2, warnings 1" in result.stdout


def test_warnings_alone_end_with_0(run):
    result = run("train.jsonl", "test.jsonl", "--conf", "fsdd")
    assert result.exit_code == 0, result.stderr


def test_fix_of_one_manifest_is_a_file_and_of_several_a_folder(run, tmp_path):
    with (tmp_path / "train.jsonl").open("a") as stream:
        stream.write("nonsense\n")
    result = run("train.jsonl", "--fix", str(tmp_path / "one.jsonl"))
    assert result.exit_code == 1 and "one.jsonl: utterances 3, dropped 1, durations corrected 0" in result.stdout
    assert "run asr check on the copy to see what remains" in result.stdout
    assert len(read_manifest(tmp_path / "one.jsonl")) == 3
    run("train.jsonl", "test.jsonl", "--fix", str(tmp_path / "fixed"))
    assert [len(read_manifest(tmp_path / "fixed" / f"{name}.jsonl")) for name in ("train", "test")] == [3, 2]


def test_model_knows_its_alphabet(run, tiny_model, tmp_path, write_split):
    assert run("train.jsonl", "--model", str(tiny_model)).exit_code == 0  # its alphabet is "abc de"
    write_split(tmp_path, "other", ["bed", "zebra"])
    result = run("other.jsonl", "--model", str(tiny_model))
    assert result.exit_code == 1
    assert "other.jsonl:2: error: not in the alphabet: 'r' U+0072 LATIN SMALL LETTER R, 'z' U+007A" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["no.jsonl"], "no such file"),
        (["train.jsonl", "train.jsonl"], "both called train"),
        (["train.jsonl", "--conf", "no-such-config"], "no-such-config: no such file"),
        (["train.jsonl", "--conf", "fsdd", "--model", "x"], "give either --conf or --model"),
        (["train.jsonl", "--model", "no-such-model"], "no-such-model"),
        (["train.jsonl", "--fix", "train.jsonl"], "already exists"),
    ],
)
def test_wrong_request_is_one_line(run, arguments, expected):
    error = run(*arguments).exception
    assert isinstance(error, AsrError)  # which `asr` prints as one line, with exit status 2
    assert expected in str(error) and "\n" not in str(error)


def test_check_needs_no_torch():
    code = "import sys, asr.cli.check, asr.data.check; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
