"""Words that several places share."""

import pytest

from asr.wording import counted, how_long


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0.0 s"), (3.3, "3.3 s"), (59.9, "59.9 s"), (60, "1.0 min"), (750, "12.5 min"), (3600, "1.00 h")],
)
def test_a_duration_leaves_something_of_what_there_is(seconds, expected):
    assert how_long(seconds) == expected


def test_many_hours():
    assert how_long(960.5 * 3600) == "960.50 h" and how_long(3_600_000) == "1,000.00 h"


@pytest.mark.parametrize(("count", "expected"), [(0, "0 errors"), (1, "1 error"), (1234, "1,234 errors")])
def test_one_is_not_many(count, expected):
    assert counted(count, "error") == expected
    assert counted(count, "entry", "entries").endswith("entry" if count == 1 else "entries")
