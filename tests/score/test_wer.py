"""Word and character error rates; the tests named `test_pitfall_*` are mistakes that others' scorers make."""

import dataclasses
import math
import pickle
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import ScoreError
from asr.score import Counts, Pair, score

words = st.lists(st.sampled_from(["a", "b", "ab", "ba"]), max_size=6)


def distance(reference: list[str], hypothesis: list[str]) -> int:
    """Levenshtein distance from its definition."""
    row = list(range(len(hypothesis) + 1))
    for i, left in enumerate(reference, start=1):
        previous, row = row, [i]
        for j, right in enumerate(hypothesis, start=1):
            row.append(min(row[-1] + 1, previous[j] + 1, previous[j - 1] + (left != right)))
    return row[-1]


@given(st.lists(st.tuples(words, words), min_size=1, max_size=5))
def test_counts_and_alignments_agree_with_the_definition(pairs):
    result = score([" ".join(ref) for ref, _ in pairs], [" ".join(hyp) for _, hyp in pairs])
    for item, (reference, hypothesis) in zip(result.per_utterance, pairs, strict=True):
        assert item.words.errors == distance(reference, hypothesis)
        assert item.words.length == len(reference)
        assert [pair.reference for pair in item.alignment if pair.reference is not None] == reference
        assert [pair.hypothesis for pair in item.alignment if pair.hypothesis is not None] == hypothesis
        assert item.words.insertions == sum(pair.reference is None for pair in item.alignment)
        assert item.words.deletions == sum(pair.hypothesis is None for pair in item.alignment)
        for counts, separator in ((item.characters, " "), (item.characters_no_space, "")):
            expected, heard = list(separator.join(reference)), list(separator.join(hypothesis))
            assert (counts.errors, counts.length) == (distance(expected, heard), len(expected))


def test_rates_of_a_known_example():
    result = score(["one two three", "four five"], ["one too three three", "five"])
    assert (result.substitutions, result.insertions, result.deletions) == (1, 1, 1)
    assert (result.words, result.utterances) == (5, 2)
    assert result.wer == 3 / 5
    assert result.ser == 1.0
    assert result.cer == (1 + 6 + 5) / (13 + 9)  # w -> o, " three", "four "
    assert result.cer_no_space == (1 + 5 + 4) / (11 + 8)


def test_characters_are_aligned_only_when_asked_for():
    result = score(["one two"], ["one too"])
    (item,) = result.per_utterance
    assert result.wer == 1 / 2 and not {"characters", "characters_no_space"} & set(vars(item))
    assert (item.characters, item.characters_no_space) == (Counts(7, 1), Counts(6, 1))
    assert item.characters is item.characters  # and once


def test_scores_are_values():
    result = score(["one two"], ["one too"])
    assert result.cer == pickle.loads(pickle.dumps(result)).cer == 1 / 7
    assert pickle.loads(pickle.dumps(result)) == result == score(["one two"], ["one too"])
    (item,) = result.per_utterance
    assert dataclasses.replace(item, hypothesis="one two").characters == Counts(7)
    with pytest.raises(dataclasses.FrozenInstanceError):
        item.hypothesis = ""


def test_kaldi_line():
    assert Counts(773, 40, 3, 3).kaldi() == "%WER 5.95 [ 46 / 773, 3 ins, 3 del, 40 sub ]"
    assert Counts(0, 0, 2, 0).kaldi() == "%WER n/a [ 2 / 0, 2 ins, 0 del, 0 sub ]"


def test_pitfall_mean_of_utterance_rates_is_not_the_word_error_rate():
    result = score(["a", "b c d e f g h i j"], ["x", "b c d e f g h i j"])
    assert result.wer == 1 / 10  # the mean of 100 % and 0 % would be 50 %


def test_pitfall_one_letter_reference_is_not_dropped():
    result = score(["a", "b"], ["", "b"])
    assert (result.words, result.deletions, result.utterances) == (2, 1, 2)


def test_pitfall_empty_reference_counts_insertions():
    result = score(["", "a b"], ["x y", "a b"])
    assert (result.insertions, result.words) == (2, 2)
    assert result.wer == 1.0
    assert result.ser == 0.5
    assert result.per_utterance[0].words.rate is None
    assert result.per_utterance[0].alignment == (Pair(None, "x"), Pair(None, "y"))


def test_pitfall_only_empty_references_give_no_rate():
    result = score(["", ""], ["x", ""])
    assert result.wer is None and result.cer is None
    assert (result.insertions, result.words, result.ser) == (1, 0, 0.5)


def test_pitfall_empty_hypothesis_deletes_every_word():
    result = score(["a b c"], [""])
    assert (result.deletions, result.wer, result.cer) == (3, 1.0, 1.0)


def test_both_empty_is_no_error():
    result = score(["", "a"], ["", "a"])
    assert (result.wer, result.cer, result.cer_no_space, result.ser) == (0.0, 0.0, 0.0, 0.0)


def test_rate_can_be_above_one():
    assert score(["a"], ["x y z"]).wer == 3.0


def test_texts_by_id_meet_in_any_order():
    result = score({"u1": "a", "u2": "b"}, {"u2": "b", "u1": "x"})
    assert [(item.id, item.hypothesis) for item in result.per_utterance] == [("u1", "x"), ("u2", "b")]
    assert result == score([("u1", "a"), ("u2", "b")], [("u2", "b"), ("u1", "x")])


@pytest.mark.parametrize(
    ("references", "hypotheses", "message"),
    [
        ({"u1": "a", "u2": "b"}, {"u1": "a"}, "no hypothesis for id u2"),
        ({"u1": "a"}, {"u1": "a", "u3": "b"}, "no reference for id u3"),
        ([("u1", "a"), ("u1", "b")], {"u1": "a"}, "references: more than one text for id u1"),
        (["a", "b"], ["a"], "no hypothesis for id 2"),
        ({str(i): "" for i in range(9)}, {}, "no hypothesis for id 0, 1, 2, 3, 4 and 4 more"),
        ([], [], "no utterances to score"),
        ("a b", "a b", "must be a list of texts"),
    ],
)
def test_ids_that_do_not_match_are_named(references, hypotheses, message):
    with pytest.raises(ScoreError, match=message):
        score(references, hypotheses)


def test_normalizer_is_applied_to_both_sides():
    assert score(["Ab  C"], ["aB c"], str.lower).wer == 0.0
    assert score(["Ab  C"], ["aB c"]).wer == 1.0


def test_white_space_only_separates():
    assert score([" a \t b\u00a0c "], ["a b c"]).cer == 0.0


def test_ten_thousand_utterances_at_once():
    rng = random.Random(1)
    lexicon = ["".join(rng.choices("abcdefgh", k=rng.randint(1, 8))) for _ in range(500)]
    texts = [" ".join(rng.choices(lexicon, k=rng.randint(1, 20))) for _ in range(10_000)]
    heard = [" ".join(word for word in text.split() if rng.random() > 0.1) for text in texts]
    result = score(texts, heard)
    assert result.utterances == 10_000
    assert result.wer is not None and math.isclose(result.wer, 0.1, abs_tol=0.01)
