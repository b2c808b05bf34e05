"""Stretches of recordings: what a list may say, and what is written for it."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.audio import write_wav
from asr.corpora import own
from asr.corpora.common import file_names
from asr.corpora.pieces import Piece, stretch, write_pieces
from asr.errors import AudioError, CorpusError


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (2.0, 5.0, (2.0, 5.0)),
        (2.0, None, (2.0, 10.0)),
        (2.0, 10.4, (2.0, 10.0)),
        (0.0, None, (0.0, 10.0)),
        (0.0, 9.96, (0.0, 10.0)),
        (0.02, 9.98, (0.0, 10.0)),
        (0.0, 9.9, (0.0, 9.9)),
    ],
)
def test_a_stretch_ends_with_its_recording_and_is_the_whole_where_hardly_anything_is_left_out(start, end, expected):
    assert stretch(start, end, 10.0) == expected


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (10.0, None, "segment from 10 to 10 s is empty or outside the recording \\(10.00 s\\)"),
        (5.0, 4.0, "segment from 5 to 4 s"),
        (-1.0, 4.0, "is empty or outside"),
        (float("nan"), 4.0, "is empty or outside"),
        (3.0, 11.0, "segment ends at 11 s, after the end of the recording \\(10.00 s\\)"),
        (3.0, float("inf"), "ends at inf s"),
    ],
)
def test_a_stretch_outside_its_recording_is_refused(start, end, message):
    with pytest.raises(CorpusError, match=message):
        stretch(start, end, 10.0)


def test_pieces_hold_the_samples_of_their_stretch_at_the_rate_of_the_recording(tmp_path, babble):
    waveform = babble(2.0, 11025)
    write_wav(tmp_path / "long.wav", waveform, 11025)
    whole, _ = soundfile.read(tmp_path / "long.wav", dtype="int16")
    pieces = [
        Piece(tmp_path / "long.wav", tmp_path / "out" / f"{number}.flac", 0.5 * number, 0.5 * number + 0.75)
        for number in range(3)
    ]
    done = []
    assert write_pieces(pieces, on_progress=lambda *numbers: done.append(numbers)) == {one.target for one in pieces}
    for piece in pieces:
        samples, rate = soundfile.read(piece.target, dtype="int16")
        assert rate == 11025 and soundfile.info(piece.target).format == "FLAC"
        assert np.array_equal(samples, whole[round(piece.start * rate) : round(piece.end * rate)])
    assert done == [(3, 3)]
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_a_recording_that_is_damaged_in_the_middle_leaves_its_pieces_out(tmp_path, babble):
    for name in ("good", "bad"):
        soundfile.write(tmp_path / f"{name}.flac", babble(2.0), 8000)
    content = bytearray((tmp_path / "bad.flac").read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4000] = bytes(4000)
    (tmp_path / "bad.flac").write_bytes(content)
    pieces = [
        Piece(tmp_path / f"{name}.flac", tmp_path / "out" / f"{name}{start}.flac", start, start + 1.0)
        for name in ("good", "bad")
        for start in (0.0, 1.0)
    ]
    errors = []
    assert write_pieces(pieces, on_error=errors.append) == {one.target for one in pieces if "good" in one.source.name}
    assert len(errors) == 1 and "bad.flac" in str(errors[0])
    with pytest.raises(AudioError, match=r"bad\.flac"):
        write_pieces(pieces)


def test_no_recording_is_overwritten_by_a_piece(tmp_path, babble):
    write_wav(tmp_path / "a.wav", babble(1.0), 8000)
    with pytest.raises(CorpusError, match=r"a\.wav: is in the output folder; choose another --out"):
        write_pieces([Piece(Path(tmp_path / "a.wav"), tmp_path / "b.flac", 0.0, 0.5)])


def test_rows_that_are_numbered_anew_move_no_stretch_unseen(tmp_path):
    """Where each row's number is its id: what counts is the stretch."""

    def table(*rows: tuple[float, str, str]) -> Path:
        lines = [f"{n}\tlong.wav\t{at}\t{at + 0.2}\t{text}\t{split}" for n, (at, text, split) in enumerate(rows)]
        (tmp_path / "t.tsv").write_text("\n".join(["id\taudio\tstart\tend\ttext\tsplit", *lines]) + "\n")
        return tmp_path / "t.tsv"

    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    write_wav(source / "long.wav", np.random.default_rng(0).uniform(-0.1, 0.1, 16000), 8000)
    old = [(0.0, "one", "train"), (0.2, "two", "test"), (0.4, "three", "valid")]
    own.prepare(source, out, table=table(*old))
    before = {path.name: path.read_bytes() for path in (out / "pieces").iterdir()}
    own.prepare(source, out, table=table((0.6, "four", "train"), *old))  # all ids are others
    assert before.items() < {path.name: path.read_bytes() for path in (out / "pieces").iterdir()}.items()
    with pytest.raises(CorpusError, match="would move to another split"):
        own.prepare(source, out, table=table((0.0, "one", "test"), *old[1:], (0.6, "four", "train")))


def test_long_names_are_cut_to_what_a_file_system_takes_and_stay_apart(tmp_path):
    """Of three bytes a letter, and alike but for the times at the end."""
    ids = ["ბ" * 90 + f"-{at:08d}" for at in (0, 1000)]
    names = file_names(ids)
    assert names == file_names(ids[:1]) + file_names(ids[1:]) and len(set(names)) == 2
    for name in names:
        (tmp_path / f".{name}.flac.4194304.tmp").touch()


def test_names_that_are_alike_depend_on_no_order():
    ids = ["a/b c", "A_b_c", "d", "d"]
    names = file_names(ids)
    assert len({name.casefold() for name in names}) == 4 and names[2:] == [names[2], f"{names[2]}-2"]
    assert sorted(names[:2]) == sorted(file_names(reversed(ids[:2])))
    assert all(name.startswith(start) for name, start in zip(names, ("a_b_c-", "A_b_c-"), strict=False))
    assert file_names(["बि", "बी", "a/b"]) == ["बि", "बी", "a_b"]  # which differ by their vowel signs
