"""What is said in the same words in several places. It imports nothing, so that `asr --help` may import it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NEEDS = {  # by pydantic's name of what is wrong
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "literal_error": "{expected}",
    "tuple_type": "a list",
    "missing": "two values",  # the settings' lists are pairs, or of any length
    "too_long": "two values",
    "model_type": "a section of settings",
}


def complaint(error: Mapping[str, Any]) -> str:
    """What is wrong with a value, as one of pydantic's errors says it: `must be a whole number`."""
    if needed := _NEEDS.get(error["type"]):
        return f"must be {needed.format(**error.get('ctx', {}))}"
    message = str(error["msg"]).removeprefix("Value error, ")
    return message[0].lower() + message[1:]


def counted(count: int, one: str, many: str = "") -> str:
    """So many of something: `1 error`, `1,234 errors`; `many` where that is not `one` with an s."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def how_long(seconds: float) -> str:
    """A duration for people, in a unit that leaves something of it: `6.37 h`, `12.5 min` or `3.3 s`."""
    if seconds >= 3600:
        return f"{seconds / 3600:,.2f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.1f} s"


def printable(name: str) -> str:
    """A file's name on one line of text: control characters, and bytes that are no UTF-8, are written as escapes."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(f"\\x{ord(one):02x}" if ord(one) < 32 or 127 <= ord(one) < 160 else one for one in text)
