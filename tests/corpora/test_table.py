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
        ("t.csv", b"path,text,Text\na.wav,yes,no\n", "column text appears twice in the header; rename or remove one"),
        ("t.csv", b"", "contains no rows"),
        ("t.csv", b"path,text\na.wav,\xff\n", "not UTF-8"),
        ("t.csv", b'path,text\na.wav,"yes\nb.wav,no\n', r"t\.csv:3: unexpected end of data"),
        ("t.xlsx", b"PK", "a table must be a .csv, .tsv or .txt file"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError, match=message):
        read_table(tmp_path / name)


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(CorpusError, match=r"none\.csv: no such file"):
        read_table(tmp_path / "none.csv")


def read(path):
    """The rows of a table that has errors, and what they are."""
    errors = []
    return read_table(path, lambda error: errors.append(str(error))), errors


@pytest.mark.parametrize(
    ("name", "content", "doubt"),
    [
        ("t.csv", "audio,text\na.wav,good morning, anna\nb.wav,yes\n", "a comma in the text not quoted?"),
        ("t.csv", "audio;text\na.wav;good morning; anna\nb.wav;yes\n", "a semicolon in the text not quoted?"),
        ("t.tsv", "audio\ttext\na.wav\tgood morning\tanna\nb.wav\tyes\n", "there a tab in the text?"),
        ("t.csv", "audio,text,\na.wav,good morning, anna\nb.wav,yes,\n", "a comma in the text not quoted?"),
    ],
)
def test_a_row_of_more_cells_than_the_header_is_left_out_not_cut(tmp_path, name, content, doubt):
    (tmp_path / name).write_text(content)
    rows, errors = read(tmp_path / name)
    assert [row.text for row in rows] == ["yes"]
    assert errors == [f"{tmp_path / name}:2: 3 columns, but the header has 2; is {doubt}"]


@pytest.mark.parametrize("first", ["a.wav,good morning, anna\nb.wav,yes\n", "b.wav,yes\na.wav,good morning, anna\n"])
def test_a_row_of_more_cells_in_a_table_without_a_header(tmp_path, first):
    (tmp_path / "t.csv").write_text(first + "c.wav,no\n")
    rows, errors = read(tmp_path / "t.csv")
    assert [row.text for row in rows] == ["yes", "no"]
    (error,) = errors
    assert "3 columns, but a table without a header has 2; is a comma in the text not quoted?" in error


def test_empty_cells_at_the_end_are_none(tmp_path):
    (tmp_path / "t.csv").write_text("audio,text,,\na.wav,yes,,,\nb.wav,no\n")
    assert [row.text for row in read_table(tmp_path / "t.csv")] == ["yes", "no"]


def test_a_table_of_which_no_row_can_be_used_is_one_error(tmp_path):
    (tmp_path / "t.csv").write_text("audio,text\n" + "a.wav,yes,anna\n" * 5)
    with pytest.raises(CorpusError, match=r"t\.csv:2: 3 columns"):
        read(tmp_path / "t.csv")


def stretches(path, content):
    path.write_text(content)
    return [(row.start, row.end, dict(row.extra)) for row in read_table(path)]


def test_a_table_says_stretches_as_nemo_does_or_by_start_and_end(tmp_path):
    path = tmp_path / "t.csv"
    by_offset = "path,text,offset,duration\na.wav,x,1.5,2\na.wav,y,3.5,\na.wav,z,,4\na.wav,all\n"
    assert stretches(path, by_offset) == [(1.5, 3.5, {}), (3.5, None, {}), (None, 4.0, {}), (None, None, {})]
    by_end = "path,text,End,Start,duration,room\na.wav,x,3.5,1.5,2,hall\na.wav,all\n"
    assert stretches(path, by_end) == [(1.5, 3.5, {"room": "hall"}), (None, None, {})]
    assert stretches(path, "path,text,offset\na.wav,x,2\n") == [(2.0, None, {})]


def test_a_duration_alone_says_nothing(tmp_path):
    assert stretches(tmp_path / "t.csv", "path,text,duration\na.wav,x,2.5\na.wav,y,2500 ms\n") == [(None, None, {})] * 2


@pytest.mark.parametrize("columns", ["start", "end", "start,duration", "offset,end", "offset,duration,start,end"])
def test_half_of_what_says_which_stretch_is_refused(tmp_path, columns):
    (tmp_path / "t.csv").write_text(f"path,text,{columns}\na.wav,x,1,2,1,2\n")
    with pytest.raises(CorpusError) as caught:
        read_table(tmp_path / "t.csv")
    assert str(caught.value).startswith(
        f"{tmp_path}/t.csv: columns {', '.join(columns.split(','))}: give segment times"
    )


def test_times_that_are_none_are_named_by_line(tmp_path):
    (tmp_path / "t.csv").write_text(
        'path,text,start,end\na.wav,x,one,2\na.wav,x,1,-2\na.wav,x,1\na.wav,x,,2\na.wav,y,0,2\na.wav,x,"0,50",2\n'
    )
    rows, errors = read(tmp_path / "t.csv")
    assert [row.text for row in rows] == ["y"]
    assert errors == [
        f'{tmp_path}/t.csv:2: field "start" must be seconds, not "one"',
        f'{tmp_path}/t.csv:3: field "end" must be seconds, not -2.0',
        f"{tmp_path}/t.csv:4: has a start but no end",
        f"{tmp_path}/t.csv:5: has an end but no start",
        f'{tmp_path}/t.csv:7: field "start" must be seconds with a decimal point, not "0,50"',
    ]
