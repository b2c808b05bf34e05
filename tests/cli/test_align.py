"""`asr align`: times of known words, as lines and as JSON, and what it refuses."""

import json

import pytest

from asr.audio import write_wav
from asr.cli.align import _unheard
from asr.transcript import Word


@pytest.fixture
def recording(tmp_path, babble):
    write_wav(tmp_path / "one.wav", babble(2.0), 8000)
    return tmp_path / "one.wav"


@pytest.fixture
def text(run_asr, tiny_model, recording):
    """What the model hears: a text that it can align."""
    return run_asr("transcribe", tiny_model, recording)[1].strip()


def test_lines_of_times_and_words(run_asr, tiny_model, recording, text):
    status, out, err = run_asr("align", tiny_model, recording, "--text", text)
    assert (status, err) == (0, "")
    rows = [line.split("\t") for line in out.splitlines()]
    assert [word for _, _, word, _ in rows] == text.split()
    times = [float(time) for start, end, _, _ in rows for time in (start, end)]
    assert times == sorted(times) and times[0] >= 0 and times[-1] <= 2.0
    assert all(0 < float(confidence) <= 1 for *_, confidence in rows)


def test_json_from_a_text_file(run_asr, tiny_model, recording, text, tmp_path):
    (tmp_path / "one.txt").write_text(f"\ufeff{text.upper()}\r\n", encoding="utf-8")
    status, out, _ = run_asr("align", tiny_model, recording, tmp_path / "one.txt", "--format", "json")
    record = json.loads(out)
    assert status == 0
    assert record["text"] == text == " ".join(word["word"] for word in record["words"])


def test_a_text_grid(run_asr, tiny_model, recording, text):
    status, out, _ = run_asr("align", tiny_model, recording, "--text", text, "--format", "textgrid")
    assert status == 0
    assert out.startswith('File type = "ooTextFile"') and f'text = "{text.split()[0]}"' in out


def test_words_that_are_not_heard_are_named(run_asr, tiny_model, recording, text, monkeypatch):
    monkeypatch.setattr("asr.cli.align.NOT_HEARD", 1.1)
    status, out, err = run_asr("align", tiny_model, recording, "--text", text)
    words = text.split()
    assert status == 0 and len(out.splitlines()) == len(words)
    assert f"{len(words)} of {len(words)} words probably not spoken (" in err and err.count("\n") == 1
    assert words[0] in err


def test_only_words_that_are_not_heard_are_named_and_the_first_eight_of_many():
    heard = [Word(f"w{number}", number, number + 1, 0.9 if number % 2 else 0.001) for number in range(20)]
    assert _unheard(heard[1::2]) == []
    (line,) = _unheard(heard[:5])
    assert "3 of 5 words" in line and line.endswith(": w0, w2, w4")
    (line,) = _unheard(heard)
    assert "10 of 20 words" in line and line.endswith("w12, w14, ...")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((), "--text"),
        (("missing.txt",), "asr: error: missing.txt: no such file or directory\n"),
        (("--text", ""), "empty"),
        (("--text", "☃ 日本"), "日"),
        (("--text", "a b " * 2000), "one.wav: 2.00 s is too short for a text of 7999 characters (at least 159."),
        (("--text", "a", "--format", "doc"), "unknown format 'doc'; choose from json, srt"),
    ],
)
def test_refused_with_one_line(run_asr, tiny_model, recording, arguments, named):
    status, out, err = run_asr("align", tiny_model, recording, *arguments)
    assert (status, out) == (2, "")
    assert named in err and "Traceback" not in err
