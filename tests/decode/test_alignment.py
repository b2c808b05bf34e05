"""Forced alignment: complete, in order, the best there is, and what it refuses."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from brute import all_texts, best_alignment, random_log_probs
from hypothesis import given
from hypothesis import strategies as st

from asr.decode import DecodeError, GreedyDecoder, align
from asr.decode.alignment import _viterbi


def path_score(log_probs, spans):
    """The log-probability of the path that stands on `spans` and on blanks elsewhere."""
    path = np.zeros(len(log_probs), dtype=int)
    for span in spans:
        path[span.start : span.end] = span.token
    return float(log_probs.numpy()[np.arange(len(path)), path].sum())


@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(2, 4))
def test_is_the_best_of_all_alignments(seed, steps, size):
    values = random_log_probs(seed, steps, size)
    for text in all_texts(values):
        spans = align(values, text)
        assert path_score(values, spans) == pytest.approx(best_alignment(values, text), abs=1e-9)


@given(st.integers(0, 10**6), st.integers(1, 60), st.data())
def test_is_complete_and_in_order(seed, steps, data):
    values = random_log_probs(seed, steps, 5)
    text = data.draw(st.lists(st.integers(1, 4), max_size=steps // 2))
    spans = align(values, text)
    assert [span.token for span in spans] == text
    edges = [edge for span in spans for edge in (span.start, span.end)]
    assert edges == sorted(edges) and all(span.start < span.end for span in spans)
    assert not edges or (edges[0] >= 0 and edges[-1] <= steps)
    for span in spans:
        assert span.score == pytest.approx(float(values[span.start : span.end, span.token].mean()))


@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(1, 70), st.data())
def test_is_the_same_whatever_is_gone_through_twice(seed, steps, stretch, data):
    values = random_log_probs(seed, steps, 4).double().numpy()
    text = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=max(1, steps // 2)).map(np.array))
    found, expected = (_viterbi(values, text, 0, length) for length in (stretch, steps))
    assert found[2] == expected[2]
    if np.isfinite(expected[2]):
        assert found[0].tolist() == expected[0].tolist() and found[1].tolist() == expected[1].tolist()


TWENTY_MINUTES = """
import resource
import numpy as np
from asr.decode.alignment import _viterbi

steps, labels = 40_000, 17_000
text = np.arange(labels) % 3 + 1
values = np.full((steps, 4), -8.0)
values[:, 0] = -0.1
places = np.linspace(0, steps - 1, labels).astype(int)
values[places, text] = 0.0
_viterbi(values[:20], text[:5], 0)  # compiled
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
starts, ends, _ = _viterbi(values, text, 0)
assert (starts == places).all() and (ends == starts + 1).all()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_twenty_minutes_need_a_tenth_of_the_memory_of_all_moves():
    done = subprocess.run([sys.executable, "-c", TWENTY_MINUTES], capture_output=True, text=True, check=True)
    assert int(done.stdout) * 1024 < 40_000 * 34_001 / 10


def test_a_greedy_text_stands_where_it_was_decoded():
    values = torch.full((9, 4), 0.01)
    values[range(9), [0, 1, 1, 0, 1, 2, 3, 3, 0]] = 0.97
    (hypothesis,) = GreedyDecoder("-abc").decode(values.log())
    assert [(span.start, span.end) for span in align(values.log(), hypothesis.tokens)] == [
        (span.start, span.end) for span in hypothesis.spans
    ]


def test_silence_has_no_spans():
    assert align(random_log_probs(1, 4, 3), []) == ()


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([1, 1, 1], "needs at least 5 steps, but there are 4"),
        ([1, 2, 1, 2, 1], "needs at least 5 steps"),
        ([0], "without the blank"),
        ([7], "without the blank"),
    ],
)
def test_a_text_that_does_not_fit_is_refused(tokens, message):
    with pytest.raises(DecodeError, match=message):
        align(random_log_probs(1, 4, 3), tokens)


def test_impossible_texts_and_bad_input_are_refused():
    certain = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]).log()
    with pytest.raises(DecodeError, match="probability zero"):
        align(certain, [2])
    with pytest.raises(DecodeError, match="raw scores"):
        align(torch.ones(3, 3) * 5, [1])
