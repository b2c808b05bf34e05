"""How a training that cannot be says so."""

import pytest

from asr.errors import AsrError
from asr.train.run import train


def refused(error: type[AsrError], *arguments, **options) -> str:
    """The one line with which training is refused."""
    with pytest.raises(error) as caught:
        train(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)
