"""`asr --help` and `asr VERB --help`: an answer at once, with an example."""

import subprocess
import sys
from importlib.metadata import version

import pytest
from typer.main import get_command

from asr.cli.main import app

VERBS = sorted(get_command(app).commands)  # type: ignore[attr-defined]
HEAVY = {"torch", "numpy", "numba", "jiwer", "soundfile", "matplotlib", "asr.config", "asr.recognizer"}


@pytest.mark.parametrize("arguments", [["--help"], ["transcribe", "--help"]])
def test_help_imports_nothing_heavy(arguments):
    code = f"""if True:
        import sys
        from asr.cli.main import main
        try:
            main()
        finally:
            print(sorted({HEAVY!r} & set(sys.modules)))
    """
    run = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"


def test_help_lists_the_verbs(run_asr):
    status, out, _ = run_asr("--help")
    assert status == 0
    assert {"demo", "prepare", "check", "train", "evaluate", "transcribe", "info", "config"} <= set(VERBS)
    assert all(verb in out for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_shows_an_example(run_asr, verb):
    command = get_command(app).commands[verb]  # type: ignore[attr-defined]
    lines = [[verb, name] for name in getattr(command, "commands", {})] or [[verb]]
    for line in lines:
        status, out, _ = run_asr(*line, "--help")
        assert status == 0
        _, example = out.split("Example: ", 1)
        assert example.startswith(f"asr {' '.join(line)} ")


def test_no_verb_shows_the_help(run_asr):
    run = run_asr()
    assert "transcribe" in run.out + run.err


def test_version(run_asr):
    status, out, _ = run_asr("--version")
    assert (status, out) == (0, f"asr {version('asr-ctc')}\n")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            ["--speaker-from", "folders"],
            "Invalid value for '--speaker-from': 'folders' is not one of 'column', 'folder'.",
        ),
        (["--shared", "words"], "Invalid value for '--shared': 'words' is not one of 'speaker', 'text'."),
        (["--valid", "some"], "Invalid value for '--valid': must be a number, not 'some'"),
        (["--seed", "1.5"], "Invalid value for '--seed': must be a whole number, not '1.5'"),
        (["--shard-mb", "0"], "Invalid value for '--shard-mb': must be at least 0.01, not '0'"),
    ],
)
def test_options_complain_as_settings_do(run_asr, options, expected):
    status, out, err = run_asr("prepare", "own", "--source", ".", "--out", "x", *options)
    assert (status, out) == (2, "")
    assert err.splitlines()[-1] == f"Error: {expected}"


def test_unknown_verb_is_exit_2(run_asr):
    status, _, err = run_asr("transcrib")
    assert status == 2 and "Traceback" not in err


def test_the_module_is_the_program():
    run = subprocess.run([sys.executable, "-m", "asr", "--help"], capture_output=True, text=True, check=True)
    assert "transcribe" in run.stdout
