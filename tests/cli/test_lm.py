"""`asr lm`: a language model from text to perplexity."""

import gzip
import json
import os
import threading

import pytest

TEXT = "The cat sat.\nThe dog sat; the cat ran!\n\nA dog RAN away\n" * 3


@pytest.fixture
def text(tmp_path):  # type: ignore[no-untyped-def]
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["made/here.arpa", "x.arpa.gz", "x.ngram"])
def test_trains_and_measures(run_asr, text, tmp_path, name):
    status, out, _ = run_asr("lm", "train", text, "--order", 2, "--out", tmp_path / name)
    assert status == 0
    assert "9 sentences, 39 words" in out
    assert "fallback: no 2-gram has the count 1" in out
    assert "perplexity" in out and name in out
    status, out, _ = run_asr("lm", "perplexity", tmp_path / name, text)
    assert status == 0
    assert out.split()[:6] == ["sentences", "9", "words", "39", "unknown", "0"]


def test_the_texts_of_a_test_set_are_doubted(run_asr, tmp_path):
    manifest = '{"id": "1", "audio": "a.wav", "text": "a b", "duration": 1.0}\n' * 9
    for name, told in (("test.jsonl", True), ("train.jsonl", False)):
        (tmp_path / name).write_text(manifest.replace('"1"', f'"{name}"'), encoding="utf-8")
        status, _, err = run_asr("lm", "train", tmp_path / name, "--order", 2, "--out", tmp_path / "x.lm")
        assert status == 0 and ("a test set tells nothing" in err) == told


def test_a_text_is_not_written_over(run_asr, text):
    status, _, err = run_asr("lm", "train", text, "--out", text)
    assert status == 2 and "is an input and would be overwritten" in err and text.read_text(encoding="utf-8") == TEXT


def test_both_perplexities_of_a_text_agree(run_asr, text, tmp_path):
    trained = run_asr("lm", "train", text, "--vocabulary", 3, "--out", tmp_path / "x.arpa").out
    measured = run_asr("lm", "perplexity", tmp_path / "x.arpa", text).out
    (line,) = (line for line in measured.splitlines() if line.startswith("perplexity"))
    assert f"perplexity {line.split()[1]} " in trained
    assert "OOV rate" in trained and "18   46.15 % (OOV rate)" in measured


def test_compressed_and_several_texts(run_asr, text, tmp_path):
    packed = tmp_path / "more.txt.gz"
    packed.write_bytes(gzip.compress("﻿the bird\r\nflew\r\n".encode(), mtime=0))
    out = run_asr("lm", "train", text, packed, "--out", tmp_path / "x.arpa").out
    assert "11 sentences, 42 words" in out
    words = (tmp_path / "x.arpa").read_text(encoding="utf-8").split()
    assert "bird" in words and "flew" in words and "cat" in words and "RAN" not in words


def test_the_transcripts_of_a_manifest(run_asr, text, tmp_path):
    lines = [
        json.dumps({"id": str(n), "audio": "x.wav", "text": t, "duration": 1}) for n, t in enumerate(TEXT.split("\n"))
    ]
    (tmp_path / "train.jsonl").write_text("\ufeff" + "\n".join(lines) + "\n\n", encoding="utf-8")
    (tmp_path / "more.jsonl.gz").write_bytes(gzip.compress((tmp_path / "train.jsonl").read_bytes()))
    for name in ("train.jsonl", "more.jsonl.gz"):
        assert run_asr("lm", "train", tmp_path / name, "--out", tmp_path / "manifest.arpa").status == 0
        assert run_asr("lm", "train", text, "--out", tmp_path / "text.arpa").status == 0
        assert (tmp_path / "manifest.arpa").read_bytes() == (tmp_path / "text.arpa").read_bytes()
    (tmp_path / "train.jsonl").write_text("\n".join([lines[0], "the cat"]), encoding="utf-8")
    status, _, err = run_asr("lm", "train", tmp_path / "train.jsonl", "--out", tmp_path / "x.arpa")
    assert status == 2 and f"{tmp_path}/train.jsonl:2: not JSON" in err


@pytest.mark.parametrize("name", ["transcripts.csv", "a.TSV", "a.json", "a.csv.gz"])
def test_a_table_is_no_text(run_asr, text, tmp_path, name):
    (tmp_path / name).write_text("audio,text\na.wav,the cat\n", encoding="utf-8")
    run_asr("lm", "train", text, "--out", tmp_path / "x.arpa")
    for line in (
        ["train", text, tmp_path / name, "--out", tmp_path / "y"],
        ["perplexity", tmp_path / "x.arpa", tmp_path / name],
    ):
        status, out, err = run_asr("lm", *line)
        assert (status, out) == (2, "") and not (tmp_path / "y").exists()
        assert err.splitlines()[-1].startswith(
            f"asr: error: {tmp_path / name}: neither text with one sentence per line nor"
        )


def test_characters(run_asr, text, tmp_path):
    out = run_asr("lm", "train", text, "--characters", "--order", 4, "--out", tmp_path / "x.arpa").out
    assert "characters" in out
    assert "<space>\ta" in (tmp_path / "x.arpa").read_text(encoding="utf-8").replace(" ", "\t")
    out = run_asr("lm", "perplexity", tmp_path / "x.arpa", text).out
    assert "characters" in out and "unknown                0 " in out


def test_the_normaliser_of_a_model(run_asr, text, tmp_path, tiny_model):
    status, out, _ = run_asr("lm", "train", text, "--normalizer", tiny_model, "--out", tmp_path / "x.arpa")
    assert status == 0 and "39 words" in out


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "no words"),
        (b"...\n!\n", "no words"),
        (b"fine\n\xff\xfe\n", "text.txt:2: not UTF-8"),
        (gzip.compress(b"the cat " * 100, mtime=0)[:-9], "text.txt:"),
    ],
)
def test_texts_that_cannot_be_used(run_asr, tmp_path, content, complaint):
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    status, _, err = run_asr("lm", "train", path, "--out", tmp_path / "x.arpa")
    assert status == 2 and not (tmp_path / "x.arpa").exists()
    assert complaint in err and err.splitlines()[-1].startswith("asr: error: ")


def test_what_is_not_there(run_asr, text, tmp_path):
    for line in (["train", tmp_path / "no", "--out", tmp_path / "x"], ["perplexity", tmp_path / "no", text]):
        status, out, err = run_asr("lm", *line)
        assert (status, out) == (2, "")
        assert err.splitlines()[-1] == f"asr: error: {tmp_path / 'no'}: no such file or directory"
    run_asr("lm", "train", text, "--out", tmp_path / "x.arpa")
    (tmp_path / "empty").write_text("\n", encoding="utf-8")
    status, _, err = run_asr("lm", "perplexity", tmp_path / "x.arpa", tmp_path / "empty")
    assert status == 2 and "no sentences" in err
    status, _, err = run_asr("lm", "train", text, "--order", 99, "--out", tmp_path / "y")
    assert status == 2 and "1 to 10" in err


def test_words_of_one_letter_are_measured_as_they_were_trained(run_asr, tmp_path):
    (tmp_path / "letters.txt").write_text("a b c\nc b a\nb a c d\na a b\n")
    trained = run_asr("lm", "train", tmp_path / "letters.txt", "--order", 2, "--out", tmp_path / "x.arpa").out
    measured = run_asr("lm", "perplexity", tmp_path / "x.arpa", tmp_path / "letters.txt").out.split()
    assert measured[3] == "13" and measured[5] == "0" and f"perplexity {measured[11]} on" in trained


def test_a_text_may_come_through_a_pipe_and_a_model_not(run_asr, text, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(text.read_bytes()))
    writer.start()
    status, out, _ = run_asr("lm", "train", pipe, "--out", tmp_path / "x.arpa")
    writer.join()
    assert status == 0 and "9 sentences, 39 words" in out
    status, _, err = run_asr("lm", "perplexity", pipe, text)
    assert status == 2 and "must be a file" in err


def test_a_count_that_no_word_reaches_is_refused(run_asr, text, tmp_path):
    status, _, err = run_asr("lm", "train", text, "--min-count", 100, "--out", tmp_path / "x.arpa")
    assert status == 2 and "no word occurs 100 times" in err and not (tmp_path / "x.arpa").exists()
