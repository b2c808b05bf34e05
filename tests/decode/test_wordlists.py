"""The files of lexicons and hot words."""

import pytest

from asr.decode.wordlists import read_hotwords, read_words
from asr.errors import TextError


def test_a_lexicon_takes_the_first_word_of_a_line(tmp_path):
    (tmp_path / "words").write_text("\ufeffone W AH N\r\n\ntwo\tT UW\r\n", encoding="utf-8")
    assert read_words(tmp_path / "words") == ["one", "two"]


def test_hot_words_have_boosts(tmp_path):
    (tmp_path / "hot").write_text("new  york\t4.5\none\n")
    assert read_hotwords(tmp_path / "hot") == {"new york": 4.5, "one": 3.0}


@pytest.mark.parametrize("read", [read_words, read_hotwords])
def test_files_that_cannot_be_used_are_named(tmp_path, read):
    (tmp_path / "latin").write_bytes("où".encode("latin-1"))
    for name in ("latin", "missing"):
        with pytest.raises(TextError, match=name):
            read(tmp_path / name)


def test_an_empty_lexicon_and_a_boost_that_is_no_number(tmp_path):
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "hot").write_text("one\n\n\ntwo\tmuch\n")
    with pytest.raises(TextError, match="no word"):
        read_words(tmp_path / "empty")
    with pytest.raises(TextError, match=r"line 4.*much"):
        read_hotwords(tmp_path / "hot")
    for line, said in (
        ("\t4.5", "line 2: no phrase before the tab"),
        ("two\tnan", "line 2: the boost must be a number, not 'nan'"),
    ):
        (tmp_path / "hot").write_text(f"one\x85\n{line}\n", encoding="utf-8")  # NEL ends no line
        with pytest.raises(TextError, match=said):
            read_hotwords(tmp_path / "hot")
