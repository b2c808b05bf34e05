"""Where compiled code is kept: apart for each state of the sources, and nowhere rather than not at all."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba.core.errors import NumbaError

from asr.decode.compiled import _places, cache_folder, lean

ADD = """
import sys
from asr.decode.compiled import compiled
from asr.decode.ngram_arrays import advance
print(compiled(lambda a, b: a + b)(1, 2), advance is not None)
"""


def test_each_state_of_the_sources_has_its_folder(tmp_path):
    sources = [tmp_path / "a.py", tmp_path / "b.py"]
    for path in sources:
        path.write_text("one")
    first = cache_folder(sources, [tmp_path / "cache"])
    assert first == cache_folder(reversed(sources), [tmp_path / "cache"])
    assert first.is_dir()
    sources[1].write_text("two")  # a function that others call, and their files are as they were
    assert cache_folder(sources, [tmp_path / "cache"]) != first


def test_the_first_place_that_can_be_written_is_taken(tmp_path):
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "a.py").write_text("one")
    places = [tmp_path / "file", tmp_path / "good", tmp_path / "better"]
    assert cache_folder([tmp_path / "a.py"], places).is_relative_to(tmp_path / "good")
    assert cache_folder([tmp_path / "a.py"], places[:1]) is None


def test_without_any_place_it_is_compiled_all_the_same(tmp_path):
    (tmp_path / "file").write_text("no folder")
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "file")}
    run = subprocess.run([sys.executable, "-c", ADD], capture_output=True, text=True, env=environment, check=False)
    assert (run.returncode, run.stdout) == (0, "3 True\n"), run.stderr


def test_who_waits_for_the_compiler_is_told_once_and_only_then(tmp_path):
    code = """if True:
        from asr.decode.compiled import tell_compiling
        from asr.decode.alignment import _viterbi
        import numpy as np
        tell_compiling(print)
        for _ in range(2):
            _viterbi(np.zeros((3, 2)), np.array([1]), 0)
    """
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    for place, told in ((tmp_path, ["the first time only"]), (tmp_path, []), (tmp_path / "file", ["every time"])):
        (tmp_path / "file").write_text("no folder")
        environment["NUMBA_CACHE_DIR"] = str(place)
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
        lines = run.stdout.splitlines()
        assert len(lines) == len(told) and all(word in line for word, line in zip(told, lines, strict=True))


def test_a_lean_function_keeps_and_loses_no_array_and_makes_none():
    values = np.arange(3.0)
    total = lean(lambda array: array[0] + array[2])
    before = sys.getrefcount(values)
    assert [total(values) for _ in range(100)] == [2.0] * 100
    assert sys.getrefcount(values) == before
    with pytest.raises(NumbaError, match="NRT"):
        lean(lambda count: np.zeros(count))(3)


def test_a_user_without_a_home_can_compile(monkeypatch):
    def nowhere(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(Path, "expanduser", nowhere)
    assert [place.name for place in _places()] == ["__pycache__"]
