"""The n-th largest of some masses, by counting and by comparing."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from asr.decode.selection import BUCKETS, edge, nth_largest, smallest

masses = st.one_of(st.floats(0, 1), st.floats(0, 1e6), st.sampled_from([0.0, 5e-324, 1e-300, 1e-9, 0.25, 0.26]))


@given(st.lists(masses, min_size=1, max_size=60), st.data())
def test_selection(values, data):
    n = data.draw(st.integers(1, len(values)))
    array = np.array(values)
    wanted = sorted(values, reverse=True)[n - 1]
    assert edge(array, len(values), n, np.empty(BUCKETS, np.int32), np.empty(len(values))) == wanted
    assert smallest(array, n) == min(values[:n])
    assert nth_largest(array, len(values), n) == wanted  # last: it changes their order
