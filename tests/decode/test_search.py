"""The parts of the search that choose: which tokens come first, and which candidates are kept."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from asr.decode.search import _keep, _list_tokens, new_work


@given(
    st.lists(st.sampled_from([0.125, 0.25, 0.5, 1.0]), min_size=1, max_size=60),
    st.integers(1, 20),
    st.sampled_from([0.0, 0.25, 0.3, 2.0]),
)
def test_of_equals_at_the_edge_the_first_are_kept(values, width, least):
    work = new_work(width, 3)
    count = len(values)
    work.mass[:count], work.slot[:count], work.token[:count] = values, np.arange(count), np.arange(count) + 7
    kept = _keep(work, count, width, least)
    best = sorted((place for place in range(count) if values[place] >= least), key=lambda place: -values[place])
    wanted = sorted(best[:width])
    assert work.slot[:kept].tolist() == wanted
    assert (work.token[:kept] - 7).tolist() == wanted
    assert work.mass[:kept].tolist() == [values[place] for place in wanted]


@given(st.integers(0, 10**6), st.integers(2, 900), st.booleans())
def test_tokens_are_listed_by_probability_but_the_one_that_ends_words_first(seed, size, words):
    probabilities = np.random.default_rng(seed).random(size)
    work = new_work(1, size)
    first = size // 2 if words else -1
    count = _list_tokens(probabilities, 0.5, 0, 0.3, first, work)
    wanted = [token for token in range(1, size) if probabilities[token] >= 0.3]
    wanted.sort(key=lambda token: (token != first, -probabilities[token]))
    assert work.listed[:count].tolist() == wanted
    assert (work.row == probabilities * 0.5).all()
