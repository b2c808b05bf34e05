"""The binary form of an n-gram model: a header, then the arrays as they lie in memory, so that they can be mapped.

8 bytes    ASRNGRAM
4 bytes    format version, as are all numbers little-endian
4 bytes    length of the header
header     JSON: the n-grams of each order, of each array its type, length and place, the model's id
arrays     each at a multiple of 64 bytes; the words among them, in UTF-8, separated by line feeds
"""

from __future__ import annotations

import json
import mmap
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from asr.atomic import replacing
from asr.decode.ngram_arrays import NgramArrays, identify
from asr.decode.ngram_table import BEGIN, END, UNKNOWN
from asr.errors import LanguageModelError

MAGIC = b"ASRNGRAM"
FORMAT = 1

_START = struct.Struct("<8sII")
_TYPES = {"first": "<i4", "word": "<i4", "log_prob": "<f4", "backoff": "<f4", "suffix": "<i4", "state": "<i4"}
_ALIGNMENT = 64
_LONGEST_HEADER = 1 << 16


def is_binary(path: str | Path) -> bool:
    """Whether a file begins as ours do."""
    with Path(path).open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def write_binary(path: str | Path, arrays: NgramArrays, words: Sequence[str], counts: Sequence[int]) -> None:
    """Write a model in one step.

    Raises:
        LanguageModelError: A word with a line break in it.
        OSError: It cannot be written.
    """
    if strange := [word for word in words if "\n" in word]:
        raise LanguageModelError(f"{path}: a word with a line break cannot be written: {strange[0]!r}")
    parts = {name: getattr(arrays, name).astype(kind, copy=False) for name, kind in _TYPES.items()}
    parts["words"] = np.frombuffer("\n".join(words).encode(), dtype=np.uint8)
    header: dict[str, Any] = {"counts": list(counts), "id": identify(arrays, words), "arrays": {}}
    place = 0  # after the header
    for name, array in parts.items():
        header["arrays"][name] = [len(array), place]
        place += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
    record = json.dumps(header, separators=(",", ":")).encode()
    record += b" " * (-(_START.size + len(record)) % _ALIGNMENT)
    with replacing(path) as aside, aside.open("wb") as file:
        file.write(_START.pack(MAGIC, FORMAT, len(record)) + record)
        for array in parts.values():
            file.write(array)
            file.write(b"\0" * (-array.nbytes % _ALIGNMENT))


def read_binary(path: str | Path) -> tuple[NgramArrays, list[str], list[int]]:
    """Map a model into memory: the arrays, the words, the n-grams of each order.

    All of it is checked, so that a damaged file, or one that was made to do harm, leads no loop astray.

    To be called where `is_binary` says so.

    Raises:
        LanguageModelError: Damaged, cut short, or of a version that this program cannot read.
        OSError: It cannot be read.
    """
    with Path(path).open("rb") as file:
        _, version, length = _START.unpack(file.read(_START.size).ljust(_START.size))
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if version != FORMAT:
        raise LanguageModelError(f"{path}: language model of format {version}, but this version of asr reads {FORMAT}")
    try:
        if length > _LONGEST_HEADER:
            raise ValueError
        header = json.loads(data[_START.size : _START.size + length])
        parts = _map(data, header["arrays"], _START.size + length)
        words = parts.pop("words").tobytes().decode().split("\n")
        arrays, counts = NgramArrays(**parts), [int(count) for count in header["counts"]]
        sound = _is_sound(arrays, words, counts) and identify(arrays, words) == header["id"]
    except (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError):
        sound = False
    if not sound:
        raise LanguageModelError(f"{path}: damaged language model: copy it again, or train it again")
    return arrays, words, counts


def _map(data: mmap.mmap, table: dict[str, list[int]], start: int) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a file, none of them copied."""
    parts = {}
    for name, kind in {**_TYPES, "words": "|u1"}.items():
        length, place = table[name]
        if length < 0 or place < 0:  # -1 means all of it to numpy
            raise ValueError
        parts[name] = np.frombuffer(data, dtype=kind, count=length, offset=start + place)
    return parts


def _is_sound(arrays: NgramArrays, words: Sequence[str], counts: Sequence[int]) -> bool:
    """Whether every index stays inside its array, and every walk along the suffixes ends."""
    inner, nodes = len(arrays.suffix), len(arrays.word)
    sizes_fit = (
        len(set(words)) == len(words) == counts[0]
        and {BEGIN, END, UNKNOWN} <= set(words)
        and min(counts) >= 0
        and nodes == 1 + sum(counts)
        and inner == nodes - counts[-1]
        and [len(array) for array in arrays] == [inner + 1, nodes, nodes, inner, inner, nodes]
    )
    return bool(
        sizes_fit
        and arrays.first[0] == 1
        and arrays.first[1] == 1 + counts[0]
        and arrays.first[-1] == nodes
        and (np.diff(arrays.first) >= 0).all()
        and (arrays.word[1 : 1 + counts[0]] == np.arange(counts[0])).all()
        and arrays.word[1:].min() >= 0
        and arrays.word.max() < counts[0]
        and arrays.suffix[0] == arrays.state[0] == 0
        and (arrays.suffix >= 0).all()
        and (arrays.suffix[1:] < np.arange(1, inner)).all()
        and arrays.state.min() >= 0
        and arrays.state.max() < inner
        and np.isfinite(arrays.log_prob).all()
        and np.isfinite(arrays.backoff).all()
    )
