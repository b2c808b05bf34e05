"""ARPA files: what must be read, what must be refused with the line, and what is written."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.decode import arpa
from asr.decode.arpa import read_arpa, write_arpa
from asr.decode.ngram import NgramModel
from asr.decode.ngram_table import NgramTable
from asr.errors import LanguageModelError

GOOD = r"""
\data\
ngram 1=5
ngram 2=4
ngram 3=2

\1-grams:
-2.5 <unk> 0
0 <s> -0.5
-1.25 </s>
-0.5 la -0.25
-0.75 lo -0.125

\2-grams:
-0.375 <s> la -0.0625
-0.25 lo </s>
-1 la lo -0.5
-0.5 lo la

\3-grams:
-0.125 <s> la lo
-0.625 la lo la

\end\
"""


def grams(table: NgramTable) -> dict[str, tuple[float, float]]:
    """Text -> log-probability and back-off, in log10."""
    return {
        text: tuple(float(value) / np.log(10) for value in values)
        for level, texts in zip(table.levels, table.texts(), strict=True)
        for text, *values in zip(texts, level.log_prob, level.backoff, strict=True)
    }


@pytest.fixture
def read(tmp_path):  # type: ignore[no-untyped-def]
    """A function that reads a text, or bytes, as an ARPA file."""

    def run(content: str | bytes) -> NgramTable:
        path = tmp_path / "x.arpa"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_arpa(path)

    return run


def test_reads_what_stands_there(read):
    table = read(GOOD)
    assert table.words == ("<unk>", "<s>", "</s>", "la", "lo")
    assert table.order == 3
    found = grams(table)
    assert len(found) == 11
    assert found["<s> la"] == pytest.approx((-0.375, -0.0625))
    assert found["la lo la"] == pytest.approx((-0.625, 0))
    assert found["lo </s>"] == pytest.approx((-0.25, 0))  # no back-off written


def test_levels_are_sorted_whatever_the_file_does(read):
    for level in read(GOOD).levels[1:]:
        keys = list(zip(level.parent, level.word, strict=True))
        assert keys == sorted(keys) and len(keys) > 1


@pytest.mark.parametrize(
    "other",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\n".join("\t".join(line.rsplit(" ", 1)) for line in text.split("\n")),
        lambda text: text.replace(" ", "\t"),
        lambda text: "header of another program\n\nngram 1=77\n" + text,
        lambda text: text + "\nwhat comes after the end\n",
        lambda text: text.lstrip("\n").encode("utf-8-sig"),
        lambda text: text.replace("ngram 1=5", "ngram  1 =  5"),
        lambda text: text.replace("<unk>", "<UNK>"),
        lambda text: gzip.compress(text.encode()),
        lambda text: text.rstrip("\n"),
    ],
    ids=["crlf", "tab last", "tabs", "header", "footer", "bom", "spaced counts", "upper unk", "gzip", "no newline"],
)
def test_other_programs_files(read, other):
    assert grams(read(other(GOOD))) == grams(read(GOOD))


def test_blocks_join(read, monkeypatch):
    whole = grams(read(GOOD))
    monkeypatch.setattr(arpa, "_BLOCK", 2)
    assert grams(read(GOOD)) == whole


def test_no_unknown_word_gets_one_as_in_kenlm(read):
    text = GOOD.replace("-2.5 <unk> 0\n", "").replace("ngram 1=5", "ngram 1=4")
    table = read(text)
    assert table.words[-1] == "<unk>"
    assert grams(table)["<unk>"] == pytest.approx((-100, 0))
    expected = {gram: values for gram, values in grams(read(GOOD)).items() if gram != "<unk>"}
    assert {gram: values for gram, values in grams(table).items() if gram != "<unk>"} == expected


def test_infinity_is_written_out(read):
    found = grams(read(GOOD.replace("0 <s> -0.5", "-inf <s> -0.5").replace("-2.5 <unk> 0", "-99 <unk>")))
    assert found["<s>"] == pytest.approx((-99, -0.5)) and found["<unk>"] == pytest.approx((-99, 0))


def test_words_are_cut_at_ascii_space_only(read):
    odd = "l\u00a0o\u0085"  # not white space to an ARPA reader
    assert odd in read(GOOD.replace("lo", odd)).words


def test_orders_without_ngrams(read):
    text = GOOD.split(r"\3-grams:")[0].replace("ngram 3=2", "ngram 3=0") + "\\3-grams:\n\n\\end\\\n"
    assert [len(level) for level in read(text).levels] == [5, 4, 0]


BAD = {
    "empty": ("", "x.arpa: not an ARPA file"),
    "no data": (GOOD.replace("\\data\\", "data"), "x.arpa: not an ARPA file"),
    "utf-16": (GOOD.encode("utf-16"), "x.arpa: not an ARPA file in UTF-8"),
    "latin-1": (GOOD.replace("lo", "lö").encode("latin-1"), "x.arpa:12: not UTF-8"),
    "no counts": (GOOD.replace("ngram ", "n-gram "), "x.arpa:3: expected a line like"),
    "counts in disorder": (GOOD.replace("ngram 2", "ngram 4"), "x.arpa:4: expected the number of 2-grams, not"),
    "fewer than promised": (GOOD.replace("ngram 2=4", "ngram 2=5"), "x.arpa:19: only 4 2-grams"),
    "more than promised": (GOOD.replace("ngram 2=4", "ngram 2=3"), "x.arpa:18: expected \\3-grams:, not"),
    "section missing": (GOOD.replace("\\2-grams:\n", ""), "x.arpa:14: expected \\2-grams:, not"),
    "cut in a section": (GOOD[: GOOD.index("-0.625")], "x.arpa:22: only 1 3-grams"),
    "cut in a line": (GOOD[: GOOD.index(" la\n\n\\end")], "x.arpa:22: not a log-probability, 3 word(s)"),
    "cut before the end": (GOOD[: GOOD.index("\\end")], "x.arpa:23: the file ends where \\end\\ was expected"),
    "not a number": (GOOD.replace("-0.75 lo", "-0,75 lo"), "x.arpa:12: '-0,75' is not a number"),
    "bad back-off": (GOOD.replace("lo -0.125", "lo x"), "x.arpa:12: 'x' is not a number"),
    "NaN": (GOOD.replace("-1 la lo", "nan la lo"), "x.arpa:17: a number that is not finite"),
    "infinite back-off": (GOOD.replace("lo -0.125", "lo -inf"), "x.arpa:12: a number that is not finite"),
    "positive": (GOOD.replace("-1 la lo", "1 la lo"), "x.arpa:17: a positive log-probability"),
    "word twice": (GOOD.replace("-0.75 lo", "-0.75 la"), "x.arpa:12: duplicate word 'la'"),
    "gram twice": (GOOD.replace("-0.5 lo la", "-0.5 la lo"), "x.arpa:18: duplicate 2-gram"),
    "new word": (GOOD.replace("-1 la lo", "-1 la le"), "x.arpa:17: the word 'le' is not among the 1-grams"),
    "no history": (GOOD.replace("<s> la lo", "<s> lo lo"), "x.arpa:21: its history '<s> lo' is not among the 2-grams"),
    "no start": (GOOD.replace("<s>", "<S>"), "the word <s> is missing"),
    "no end": (GOOD.replace("</s>", "</S>"), "the word </s> is missing"),
    "too many fields": (GOOD.replace("-0.75 lo", "-0.75 lo lo"), "x.arpa:12: not a log-probability, 1 word(s)"),
    "back-off of the longest": (
        GOOD.replace("la lo la", "la lo la -0.5"),
        "3-grams are the longest and cannot have back-off weights",
    ),
    "gzip cut short": (gzip.compress(GOOD.encode())[:-20], "x.arpa: truncated or damaged"),
    "gzip damaged": (gzip.compress(GOOD.encode())[:30] + b"xxxx" * 9, "x.arpa: truncated or damaged"),
    "kenlm binary": (b"mmap lm http://kheafield.com/code format version 5\n\0", "x.arpa: a KenLM binary file"),
}


@pytest.mark.parametrize("name", BAD)
def test_refuses_and_says_where(read, name):
    content, complaint = BAD[name]
    with pytest.raises(LanguageModelError) as error:
        read(content)
    assert complaint in str(error.value) and "\n" not in str(error.value)


@settings(max_examples=300)
@given(
    st.integers(0, len(GOOD)),
    st.integers(0, 40),
    st.one_of(st.binary(max_size=6), st.sampled_from([b" ", b"\n", b"1", b"-", b"<s>", b"lo", b"\n-1 la lo\n"])),
)
def test_whatever_was_changed_it_is_a_model_or_refused(tmp_path_factory, place, length, instead):
    path = tmp_path_factory.getbasetemp() / "changed.arpa"
    path.write_bytes(GOOD[:place].encode() + instead + GOOD[place + length :].encode())
    try:
        table = read_arpa(path)
    except LanguageModelError as error:
        assert "changed.arpa" in str(error) and "\n" not in str(error)
    else:
        assert np.isfinite(NgramModel.from_table(table).score(["la", "lo", "x", "lo", "la"]))


def test_line_numbers_across_blocks(read, monkeypatch):
    monkeypatch.setattr(arpa, "_BLOCK", 2)
    for name in ("latin-1", "NaN", "gram twice", "new word", "not a number", "fewer than promised"):
        content, complaint = BAD[name]
        with pytest.raises(LanguageModelError) as error:
            read(content)
        assert complaint in str(error.value)


@pytest.mark.parametrize("name", ["y.arpa", "y.arpa.gz"])
def test_writes_what_it_reads(read, tmp_path, name):
    table = read(GOOD)
    write_arpa(tmp_path / name, table)
    again = read_arpa(tmp_path / name)
    assert again.words == table.words
    for one, other in zip(table.levels, again.levels, strict=True):
        for field in ("parent", "word", "log_prob", "backoff"):
            assert np.array_equal(getattr(one, field), getattr(other, field))
    before = (tmp_path / name).read_bytes()
    write_arpa(tmp_path / name, again)
    assert (tmp_path / name).read_bytes() == before


def test_words_with_spaces_cannot_be_written(read, tmp_path):
    table = read(GOOD)
    with pytest.raises(LanguageModelError, match="white space"):
        write_arpa(tmp_path / "y.arpa", NgramTable((*table.words[:4], "l o"), table.levels))
    assert not list(Path(tmp_path).glob("y*"))
