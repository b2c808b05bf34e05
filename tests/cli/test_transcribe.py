"""`asr transcribe`: what goes to standard output, to files and to standard error, and the exit status."""

import io
import json
import os
import subprocess
import sys

import pytest

from asr.audio import write_wav


@pytest.fixture
def recordings(tmp_path, babble):
    for name, seconds in (("a/one.wav", 1.0), ("a/two.wav", 2.0), ("b/one.wav", 0.5)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_wav(tmp_path / name, babble(seconds, seed=len(name)), 8000)
    return tmp_path


def test_one_recording_prints_its_bare_text(run_asr, tiny_model, recordings):
    status, out, err = run_asr("transcribe", tiny_model, recordings / "a/one.wav")
    assert (status, err) == (0, "")
    assert out.count("\n") == 1 and "\t" not in out and out.strip()


def test_several_print_path_and_text(run_asr, tiny_model, recordings):
    status, out, _ = run_asr("transcribe", tiny_model, recordings / "a", recordings / "b/*.wav")
    assert status == 0
    paths = [line.split("\t")[0] for line in out.splitlines()]
    assert paths == [str(recordings / name) for name in ("a/one.wav", "a/two.wav", "b/one.wav")]


def test_names_that_are_no_line_of_text_are_escaped_and_the_rest_is_done(tiny_model, recordings):
    for name in (b"caf\xe9.wav", b"two\nlines.wav"):
        (recordings / os.fsdecode(name)).write_bytes((recordings / "a/one.wav").read_bytes())
    command = [sys.executable, "-m", "asr", "transcribe", tiny_model, recordings]
    environment = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, encoding="utf-8", check=False)
    assert run.returncode == 0, run.stderr
    names = [line.split("\t")[0].rpartition("/")[2] for line in run.stdout.splitlines()]
    assert names == ["one.wav", "two.wav", "one.wav", r"caf\xe9.wav", r"two\x0alines.wav"]


def test_json_lines(run_asr, tiny_model, recordings):
    _, out, _ = run_asr("transcribe", tiny_model, recordings / "a", "--format", "json")
    first, second = map(json.loads, out.splitlines())
    assert set(first) == {"audio", "duration", "text", "confidence", "words", "nbest"}
    assert set(first["words"][0]) == {"word", "start", "end", "confidence"}
    assert (first["duration"], second["duration"]) == (1.0, 2.0)


def test_files_of_each_format(run_asr, tiny_model, recordings):
    out = recordings / "out"
    status, text, err = run_asr("transcribe", tiny_model, recordings, "--format", "txt,json", "--out", out)
    assert (status, text) == (0, "")
    assert "3 of 3 transcribed" in err
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*"))
    assert files == [f"{stem}.{form}" for stem in ("a/one", "a/two", "b/one") for form in ("json", "txt")]
    record = json.loads((out / "a/two.json").read_text(encoding="utf-8"))
    assert (out / "a/two.txt").read_text(encoding="utf-8") == record["text"] + "\n"


def test_pitfall_a_human_transcript_is_not_replaced(run_asr, tiny_model, recordings):
    """The .txt beside a recording is what the next model is trained on."""
    (recordings / "a/two.txt").write_text("by hand")
    status, _, err = run_asr("transcribe", tiny_model, recordings / "a", "--out", recordings / "a")
    assert status == 2
    assert "two.txt" in err and "--overwrite" in err and err.count("\n") == 1
    assert (recordings / "a/two.txt").read_text() == "by hand"
    assert not (recordings / "a/one.txt").exists()
    assert run_asr("transcribe", tiny_model, recordings / "a", "--out", recordings / "a", "--overwrite").status == 0
    assert (recordings / "a/two.txt").read_text() != "by hand"


def test_unreadable_file_is_named_and_the_rest_done(run_asr, tiny_model, recordings):
    (recordings / "a/junk.wav").write_bytes(b"junk")
    status, out, err = run_asr("transcribe", tiny_model, recordings / "a")
    assert status == 1
    assert len(out.splitlines()) == 2
    assert "junk.wav" in err and err.count("\n") == 1


def test_standard_input(run_asr, tiny_model, recordings, monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO((recordings / "a/one.wav").read_bytes()))
    monkeypatch.setattr(sys, "stdin", stream)
    status, out, _ = run_asr("transcribe", tiny_model, "-")
    assert status == 0
    assert out == run_asr("transcribe", tiny_model, recordings / "a/one.wav").out


def test_captions_of_one_recording_go_to_standard_output(run_asr, tiny_model, recordings):
    status, out, _ = run_asr("transcribe", tiny_model, recordings / "a/two.wav", "--format", "SRT")
    assert status == 0
    assert out.startswith("1\n00:00:0") and " --> " in out
    heard = run_asr("transcribe", tiny_model, recordings / "a/two.wav").out
    assert " ".join(" ".join(block.split("\n")[2:]) for block in out.strip().split("\n\n")) == heard.strip()


def test_captions_of_several_recordings_need_a_folder(run_asr, tiny_model, recordings):
    status, out, err = run_asr("transcribe", tiny_model, recordings / "a", "--format", "srt")
    assert (status, out) == (2, "")
    assert "srt for several recordings needs an output folder: --out" in err


def test_a_text_grid_of_each_recording(run_asr, tiny_model, recordings):
    out = recordings / "out"
    assert run_asr("transcribe", tiny_model, recordings, "--format", "textgrid,ctm", "--out", out).status == 0
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*"))
    assert files == [f"{stem}.{ending}" for stem in ("a/one", "a/two", "b/one") for ending in ("TextGrid", "ctm")]
    assert "xmax = 2.000\n" in (out / "a/two.TextGrid").read_text(encoding="utf-8")
    assert (out / "a/two.ctm").read_text(encoding="utf-8").startswith("two 1 ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing/here"], "nothing/here"),
        (["{wav}", "--format", "doc"], "unknown format 'doc'; choose from txt, json"),
        (["{wav}", "--format", "txt,json"], "--out"),
        (["{wav}", "--device", "abacus"], "abacus"),
        (["{wav}", "--decoder", "oracle"], "oracle"),
        (["{wav}", "--batch-frames", "0"], "batch-frames"),
        (["{wav}", "--nbest", "2"], "--format json"),
        (["{wav}", "--threads", "0"], "--threads"),
        (["{wav}", "--decoder", "greedy", "--beam", "2"], "does not support --beam"),
    ],
)
def test_a_wrong_request_is_exit_2(run_asr, tiny_model, recordings, arguments, message):
    filled = [argument.format(wav=recordings / "a/one.wav") for argument in arguments]
    status, out, err = run_asr("transcribe", tiny_model, *filled)
    assert (status, out) == (2, "")
    assert message in err and "Traceback" not in err


def test_no_model_is_exit_2(run_asr, recordings):
    status, _, err = run_asr("transcribe", recordings / "none", recordings / "a")
    assert status == 2
    assert err.startswith("asr: error: ") and err.count("\n") == 1


def test_starts_without_what_it_does_not_need(tiny_model, recordings):
    code = """if True:
        import sys
        from asr.cli.main import main
        try:
            main()
        finally:
            heavy = {"librosa", "matplotlib", "tensorboard", "jiwer", "numba", "rich.progress", "scipy"}
            print(sorted(heavy & set(sys.modules)))
    """
    command = [sys.executable, "-c", code, "transcribe", str(tiny_model), str(recordings / "a/one.wav")]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert output[-1] == "[]" and len(output) == 2


@pytest.mark.parametrize(
    "line",
    [
        ["transcribe", "{model}", "x.wav", "--lm", "missing"],
        ["transcribe", "{model}", "x.wav", "--lexicon", "missing"],
        ["evaluate", "{model}", "x.jsonl", "--out", "x", "--hotwords", "missing"],
        ["evaluate", "{model}", "x.jsonl", "--out", "x", "--decoder", "greedy", "--lm", "missing"],
        ["tune", "{model}", "x.jsonl", "--lm", "missing"],
        ["lm", "train", "missing", "--out", "x"],
        ["lm", "perplexity", "missing", "x"],
        ["align", "{model}", "x.wav", "missing"],
    ],
)
def test_a_missing_file_is_found_before_anything_heavy_is_loaded(tiny_model, line):
    code = """if True:
        import sys
        from asr.cli.main import main
        try:
            main()
        finally:
            print(sorted({"torch", "numba", "numpy"} & set(sys.modules)))
    """
    command = [sys.executable, "-c", code, *(word.format(model=tiny_model) for word in line)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (2, "[]\n")
    assert run.stderr.startswith("asr: error: ") and run.stderr.count("\n") == 1
    assert "missing: no such file or directory" in run.stderr or "does not support --lm" in run.stderr


def test_no_result_depends_on_the_threads(run_asr, tiny_model, recordings):
    command = ("transcribe", tiny_model, recordings / "a", "--beam", 4, "--format", "json")
    alone = run_asr(*command, "--threads", 1)
    assert alone.status == 0
    assert run_asr(*command, "--threads", 3).out == run_asr(*command).out == alone.out
