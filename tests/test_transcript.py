"""From aligned tokens to words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.decode import TokenSpan
from asr.transcript import ONSET_LEAD, words_from

TOKENS = ("<blank>", " ", "a", "b")


def spans(text: str, width: int = 2, score: float = -0.5) -> list[TokenSpan]:
    """Tokens that follow each other without a gap, `width` steps each."""
    return [TokenSpan(TOKENS.index(c), i * width, (i + 1) * width, score) for i, c in enumerate(text)]


def test_words_are_what_spaces_separate():
    words = words_from(spans(" ab  b "), TOKENS, step_seconds=0.1, duration=9.0)
    assert [(word.word, word.start, word.end) for word in words] == [
        ("ab", pytest.approx(0.2 - ONSET_LEAD), pytest.approx(0.6)),
        ("b", pytest.approx(1.0 - ONSET_LEAD), pytest.approx(1.2)),
    ]


@given(
    st.lists(st.tuples(st.sampled_from([1, 2, 3]), st.integers(0, 4), st.integers(1, 4)), max_size=12),
    st.floats(0.001, 0.2),
    st.floats(0, 3),
)
def test_words_are_in_order_in_the_audio_and_start_before_their_tokens(drawn, step_seconds, duration):
    placed, step = [], 0
    for token, blanks, width in drawn:
        placed.append(TokenSpan(token, step + blanks, step + blanks + width, -0.5))
        step += blanks + width
    words = words_from(placed, TOKENS, step_seconds, duration)
    times = [time for word in words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert all(0 <= time <= duration for time in times)
    firsts = [s for s, before in zip(placed, [None, *placed], strict=False) if before is None or before.token == 1]
    firsts = [span.start * step_seconds for span in firsts if span.token != 1]
    for word, first in zip(words, firsts, strict=True):
        assert min(first - ONSET_LEAD, duration) - 1e-9 <= word.start <= first


def test_a_word_starts_no_earlier_than_the_one_before_ends():
    placed = [TokenSpan(2, 0, 5, -0.1), TokenSpan(1, 5, 6, -0.1), TokenSpan(3, 6, 8, -0.1)]
    words = words_from(placed, TOKENS, step_seconds=0.02, duration=1.0)
    assert [(word.start, word.end) for word in words] == [
        (0.0, pytest.approx(0.1)),
        (words[0].end, pytest.approx(0.16)),
    ]


def test_confidence_is_the_geometric_mean():
    (word,) = words_from([TokenSpan(2, 0, 1, -0.1), TokenSpan(3, 1, 2, -0.3)], TOKENS, 0.1, 1.0)
    assert word.confidence == pytest.approx(2.718281828**-0.2)


def test_pitfall_no_time_lies_beyond_the_audio():
    words = words_from(spans("a b"), TOKENS, step_seconds=0.1, duration=0.35)
    assert [(word.start, word.end) for word in words] == [(0.0, pytest.approx(0.2)), (0.35, 0.35)]


@given(st.lists(st.tuples(st.sampled_from([1, 2, 3]), st.integers(0, 4), st.integers(1, 4)), max_size=12))
def test_the_parts_of_a_word_are_its_tokens_in_its_time(drawn):
    placed, step = [], 0
    for token, blanks, width in drawn:
        placed.append(TokenSpan(token, step + blanks, step + blanks + width, -0.5))
        step += blanks + width
    for word in words_from(placed, TOKENS, step_seconds=0.03, duration=0.8):
        assert "".join(part.text for part in word.parts) == word.word
        times = [time for part in word.parts for time in (part.start, part.end)]
        assert times == sorted(times)
        assert (times[0], times[-1]) == (word.start, word.end)


def test_no_tokens_no_words():
    assert words_from([], TOKENS, 0.1, 1.0) == ()
    assert words_from(spans("  "), TOKENS, 0.1, 1.0) == ()
