"""The oracle of n-best lists."""

import pytest

from asr.errors import ScoreError
from asr.score import score
from asr.score.oracle import oracle_counts

REFERENCES = {"a": "one two", "b": "three", "c": "four five six"}


def test_each_list_gives_its_best_reading():
    nbests = {"a": ["one", "one two", "two"], "b": ["tree"], "c": ["", "four six"]}
    found = oracle_counts(REFERENCES, nbests)
    assert (found.errors, found.length, found.substitutions, found.deletions) == (2, 6, 1, 1)


def test_lists_of_one_give_the_error_rate():
    texts = {"a": "one too", "b": "", "c": "four five six seven"}
    assert oracle_counts(REFERENCES, {id: [text] for id, text in texts.items()}) == score(REFERENCES, texts).word_counts


def test_texts_are_normalised():
    assert oracle_counts({"a": "One"}, {"a": ["two", "ONE"]}, str.lower).errors == 0


def test_other_ids_are_refused():
    with pytest.raises(ScoreError):
        oracle_counts(REFERENCES, {"a": ["one two"]})
