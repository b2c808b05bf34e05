"""Texts from the files of other recognisers: each format read, and each way to be wrong named with its line."""

import pytest

from asr.data.manifest import Dataset, write_dataset
from asr.errors import ScoreError
from asr.evaluate.texts import read_hypotheses, read_references

ROWS = {"u1": "one two", "u-2": "", "u3": "drei (vier)"}
FILES = {
    "a.jsonl": '{"id": "u1", "pred_text": "one two"}\n{"id": "u-2", "hypothesis": ""}\n\n'
    '{"id": "u3", "text": "drei (vier)"}\n',
    "nemo.json": '{"audio_filepath": "u1.wav", "text": "no", "pred_text": "one two"}\n'
    '{"audio_filepath": "u-2.flac", "pred_text": ""}\n{"audio_filepath": "u3.wav", "pred_text": "drei (vier)"}',
    "a.trn": "one two (u1)\n(u-2)\ndrei (vier) (u3)\n",
    "a.tsv": "id\ttext\nu1\tone two\nu-2\t\nu3\tdrei (vier)\n",
    "bare.tsv": "u1\tone two\nu-2\t\nu3\tdrei (vier)\n",
    "a.txt": "u1 one two\nu-2\nu3\tdrei (vier)\n",
    "text": "u1  one two\nu-2 \nu3 drei (vier)\n",
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("form", ["plain", "windows"])
def test_every_format_gives_the_same_texts(name, form, tmp_path):
    content = FILES[name].encode()
    if form == "windows":
        content = b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n")
    (tmp_path / name).write_bytes(content)
    assert read_hypotheses(tmp_path / name) == ROWS


def test_a_manifest_keeps_what_it_knows_of_its_utterances(tmp_path):
    path = tmp_path / "test.jsonl"
    path.write_text(
        '{"id": "u1", "audio": "u1.wav", "text": "One", "duration": 1.5, "speaker": "ann", "accent": "x"}\n'
    )
    split = read_references(path)
    (utterance,) = split.utterances
    assert (split.name, utterance.text, utterance.duration, utterance.speaker) == ("test", "One", 1.5, "ann")
    assert utterance.extra["accent"] == "x"


def test_other_line_breaks_of_unicode_do_not_end_a_line(tmp_path):
    (tmp_path / "a.tsv").write_text("u1\tone\u2028two\x0bthree\n", encoding="utf-8")
    assert read_hypotheses(tmp_path / "a.tsv") == {"u1": "one\u2028two\x0bthree"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.jsonl",
            b'{"id": "u1", "text": "a"}\n{"id": "u1", "text": "b"}',
            r"line 2: duplicate id u1 \(first on line 1\)",
        ),
        (
            "a.txt",
            b"u 1 one\nu 2 two\n",
            r"line 2: duplicate id u \(first on line 1\); in this format ids end at the first",
        ),
        ("a.jsonl", b'{"id": "u1"}', r'line 1: no field "hypothesis" or "pred_text" or "text"'),
        ("a.jsonl", b'{"text": "u1"}', r'line 1: no field "id"'),
        ("a.jsonl", b'{"id": "u1", "text": 3}', r'line 1: field "text" is not text'),
        ("a.jsonl", b"[1]", r"line 1: not a JSON object"),
        ("a.jsonl", b'{"id": "u1", "te', r"line 1: not JSON"),
        ("a.trn", b"one (u1)\ntwo u2\n", r"line 2: does not end with an id in parentheses"),
        ("a.trn", b"one (u1)\n{ i am / im } here (u2)\n", r"a.trn, line 2: .*alternatives.*'{ i am / im }'.*sclite"),
        ("a.trn", b"{ uh / @ } one (u1)\n", r"line 1: .*write the one text that counts"),
        ("a.trn", b"one {a / {b / c}} (u1)\n", r"line 1: .*alternatives"),
        ("a.trn", b"one @ two (u1)\n", r"line 1: .*no word, '@'"),
        ("a.tsv", b"u1 one\n", r"line 1: has no tab"),
        ("a.tsv", b"u1\tone\nu2\ttwo\tthree\n", r"line 2: has more columns than id and text"),
        ("a.txt", b"u1 one\nu2 \xff\n", r"line 2: not UTF-8"),
        ("a.txt", b"\n \n", r"a.txt: contains no texts"),
        ("a.csv", b"u1,one", r"must end in .jsonl, .trn, .tsv or .txt"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ScoreError, match=message):
        read_hypotheses(tmp_path / name)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ScoreError, match=r"none.trn: no such file"):
        read_references(tmp_path / "none.trn")


def test_braces_and_at_signs_that_mean_no_alternatives_are_text(tmp_path):
    (tmp_path / "a.trn").write_text("write {x} to me@home (u1)\n", encoding="utf-8")
    assert read_hypotheses(tmp_path / "a.trn") == {"u1": "write {x} to me@home"}


@pytest.mark.parametrize("name", ["id", "utt_id", "Utterance", "key"])
def test_the_names_of_columns_are_no_utterance(name, tmp_path):
    (tmp_path / "a.tsv").write_text(f"{name}\ttext\nu1\tone\n", encoding="utf-8")
    assert read_hypotheses(tmp_path / "a.tsv") == {"u1": "one"}


def test_comments_of_sclite_are_no_utterance(tmp_path):
    (tmp_path / "a.trn").write_text(";; by hand (x)\none (u1)\n", encoding="utf-8")
    assert read_hypotheses(tmp_path / "a.trn") == {"u1": "one"}


def test_a_manifest_brings_its_description_and_no_speaker_without_a_name(tmp_path):
    write_dataset(tmp_path, Dataset("ours", license="CC0", shared=("speaker",)))
    (tmp_path / "test.jsonl").write_text('{"id": "a", "text": "one", "speaker": ""}\n', encoding="utf-8")
    split = read_references(tmp_path / "test.jsonl")
    assert split.dataset == Dataset("ours", license="CC0", shared=("speaker",))
    assert split.utterances[0].speaker is None
