"""Tables of recordings as people and programs write them."""

import pytest

from asr.corpora.table import Row, read_table
from asr.errors import CorpusError

CELLS = [("a.wav", "good morning", "anna"), ("b.wav", "two, three", "bert")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("commas.csv", 'audio,text,speaker\na.wav,good morning,anna\nb.wav,"two, three",bert\n'),
        ("semicolons.csv", "audio;text;speaker\na.wav;good morning;anna\nb.wav;two, three;bert\n"),
        ("tabs.tsv", "audio\ttext\tspeaker\na.wav\tgood morning\tanna\nb.wav\ttwo, three\tbert\n"),
        ("crlf.tsv", "audio\ttext\tspeaker\r\na.wav\tgood morning\tanna\r\nb.wav\ttwo, three\tbert\r\n"),
        ("bom.tsv", "\ufeffaudio\ttext\tspeaker\na.wav\tgood morning\tanna\nb.wav\ttwo, three\tbert\n"),
        ("bom-crlf.csv", '\ufeffaudio,text,speaker\r\na.wav,good morning,anna\r\nb.wav,"two, three",bert\r\n'),
        ("common-voice.tsv", "client_id\tpath\tsentence\nanna\ta.wav\tgood morning\nbert\tb.wav\ttwo, three\n"),
        ("order.TSV", "File\tage\tSpeaker\tTranscript\na.wav\t9\tanna\tgood morning\nb.wav\t8\tbert\ttwo, three\n"),
    ],
)
def test_dialects_and_column_names(tmp_path, name, content):
    (tmp_path / name).write_bytes(content.encode())
    rows = read_table(tmp_path / name)
    assert [(row.audio, row.text, row.speaker) for row in rows] == CELLS
    assert [row.place for row in rows] == [f"{tmp_path / name}:2", f"{tmp_path / name}:3"]


def test_two_columns_need_no_header(tmp_path):
    path = tmp_path / "transcripts.tsv"
    path.write_text("audio/a.opus\tGood morning.\naudio/b.opus\tTwo, three?\n")
    assert read_table(path) == [
        Row(f"{path}:1", "audio/a.opus", "Good morning."),
        Row(f"{path}:2", "audio/b.opus", "Two, three?"),
    ]


def test_quotation_marks_are_text_between_tabs_and_syntax_between_commas(tmp_path):
    (tmp_path / "t.tsv").write_text('path\tsentence\na.wav\t"Go," he said\nb.wav\tyes\n')
    assert [row.text for row in read_table(tmp_path / "t.tsv")] == ['"Go," he said', "yes"]
    (tmp_path / "t.csv").write_text('path,sentence\na.wav,"""Go,"" he said\nand went"\nb.wav,yes\n')
    rows = read_table(tmp_path / "t.csv")
    assert [row.text for row in rows] == ['"Go," he said\nand went', "yes"]
    assert rows[1].place.endswith("t.csv:4")


def test_optional_columns_and_short_rows(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text("id\tpath\ttext\tsplit\nu1\ta.wav\tyes\ttest\n\nu2\tb.wav\n")
    assert read_table(path) == [
        Row(f"{path}:2", "a.wav", "yes", id="u1", split="test"),
        Row(f"{path}:4", "b.wav", "", id="u2"),
    ]


def test_other_columns_are_kept_unless_the_manifest_means_something_by_them(tmp_path):
    (tmp_path / "t.csv").write_text("path,text,Room,duration,offset,file,age\na.wav,yes,hall,9,1,b.wav,\nb.wav,no\n")
    assert [dict(row.extra) for row in read_table(tmp_path / "t.csv")] == [{"room": "hall"}, {}]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "t.csv",
            b"name,text\na.wav,yes\n",
            r"no column for the audio \(audio, path, .*\); the first line is: name, text",
        ),
        ("t.csv", b"path,words\na.wav,yes\n", r"no column for the text \(text, .*\); the first line is: path, words"),
        ("t.tsv", b"path,text\na.wav,yes\n", r"no column for the audio"),
        ("t.csv", b"", "holds no row"),
        ("t.csv", b"path,text\na.wav,\xff\n", "not UTF-8"),
        ("t.csv", b'path,text\na.wav,"yes\nb.wav,no\n', r"t\.csv:3: unexpected end of data"),
        ("t.xlsx", b"PK", "a table is a .csv, .tsv or .txt file"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError, match=message):
        read_table(tmp_path / name)


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(CorpusError, match=r"none\.csv: no such file"):
        read_table(tmp_path / "none.csv")
