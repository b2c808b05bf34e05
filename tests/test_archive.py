"""Recordings inside shards: one way to write a name, the same samples as loose files, errors that say what is wrong."""

import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from asr.archive import Member, open_binary, parse, size, will_need, without_ending
from asr.audio import find_audio, probe, read_audio
from asr.errors import AudioError

MEMBERS = st.builds(
    Member,
    shard=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).map(lambda name: f"{name}.tar"),
    offset=st.integers(0, 10**18 - 1),
    length=st.integers(1, 10**18 - 1),
)


@pytest.fixture
def shard(tmp_path, babble) -> tuple[str, Path]:
    """The notation of the second recording in a shard, and the file that it was made of."""
    path = tmp_path / "train-0001.tar"
    with tarfile.open(path, "w") as tar:
        for name, form in (("a.wav", "WAV"), ("b.flac", "FLAC"), ("c.opus", "OGG")):
            soundfile.write(tmp_path / name, babble(1.0, seed=len(form)), 8000, format=form)
            tar.add(tmp_path / name, name)
    with tarfile.open(path) as tar:
        entry = tar.getmember("b.flac")
    return f"{path}@{entry.offset_data}+{entry.size}", tmp_path / "b.flac"


@given(MEMBERS)
def test_a_name_says_what_it_was_made_of(member):
    assert parse(str(member)) == member


@given(st.one_of(st.text(), st.from_regex(r".?\.tar@?-?[0-9]*\+?[0-9 a٣]*", fullmatch=True)))
def test_there_is_one_way_to_write_a_name(text):
    member = parse(text)
    assert member is None or (str(member) == text and member.length > 0)


@pytest.mark.parametrize(
    "bad", ["a.tar", "a.tar@", "a.tar@1", "a.tar@1+", "a.tar@1+0", "a.tar@01+5", "a.tar@-1+5", "@1+2"]
)
def test_bad_notation_is_a_missing_file_with_a_hint(bad, tmp_path):
    assert parse(bad) is None
    with pytest.raises(AudioError, match="no such file") as error:
        read_audio(tmp_path / bad, 8000)
    assert ("SHARD.tar@OFFSET+LENGTH" in str(error.value)) == (".tar@" in bad)


def test_the_bytes_the_samples_and_the_header_are_those_of_the_file(shard):
    inside, loose = shard
    with open_binary(inside) as stream:
        assert stream.read() == loose.read_bytes()
        assert stream.seek(-4, 2) == loose.stat().st_size - 4
        assert stream.read(100) == loose.read_bytes()[-4:]
    assert np.array_equal(read_audio(inside, 8000), read_audio(loose, 8000))
    assert probe(inside) == probe(loose)
    assert size(inside) == size(loose) == loose.stat().st_size


def test_a_missing_shard_is_named(shard):
    inside, _ = shard
    Path(parse(inside).shard).unlink()
    with pytest.raises(AudioError) as error:
        probe(inside)
    assert str(error.value) == f"{inside}: no such shard: {parse(inside).shard}"
    assert size(inside) is None


def test_a_shard_that_was_cut_is_named(shard):
    inside, _ = shard
    path = Path(parse(inside).shard)
    path.write_bytes(path.read_bytes()[: parse(inside).offset + 100])
    with pytest.raises(
        AudioError, match=r"train-0001\.tar is truncated: it has [\d,]+ bytes, .* ends at [\d,]+;"
    ) as error:
        read_audio(inside, 8000)
    assert str(error.value).startswith(f"{inside}: ") and "\n" not in str(error.value)
    assert size(inside) is None


def test_bytes_that_are_no_audio_are_named_by_the_whole_notation(shard):
    member = parse(shard[0])
    wrong = str(member._replace(offset=member.offset + 7))
    for read in (probe, lambda audio: read_audio(audio, 8000)):
        with pytest.raises(AudioError) as error:
            read(wrong)
        assert str(error.value).startswith(f"{wrong}: not a supported audio file")


def test_a_recording_whose_length_is_too_small_is_truncated(shard):
    member = parse(shard[0])
    with pytest.raises(AudioError, match="truncated"):
        read_audio(str(member._replace(length=member.length // 2)), 8000)


def test_a_folder_in_place_of_a_shard(tmp_path):
    (tmp_path / "x.tar").mkdir()
    with pytest.raises(AudioError, match="is a folder"):
        read_audio(tmp_path / "x.tar@0+5", 8000)


def test_a_file_that_really_has_such_a_name_is_read(tmp_path, babble):
    path = tmp_path / "take.tar@1+2"
    soundfile.write(path, babble(0.5), 8000, format="WAV")
    assert len(read_audio(path, 8000)) == 4000
    assert size(path) == path.stat().st_size
    assert find_audio([path]) == [path]


def test_a_recording_in_a_shard_can_be_named_among_audio_files(shard):
    assert find_audio([shard[0]]) == [Path(shard[0])]
    with pytest.raises(AudioError, match="no such file or folder"):
        find_audio([shard[0].replace("0001", "0002")])


def test_what_follows_the_last_dot_of_a_notation_is_no_ending():
    assert without_ending("a/b.wav") == Path("a/b")
    assert without_ending("a/b.tar@512+99") == Path("a/b.tar@512+99")


def test_reading_ahead_is_a_hint_and_never_fails(shard, tmp_path):
    path = parse(shard[0]).shard
    will_need(path, 0, 10**9)
    will_need(path, 5, 5)
    will_need(str(tmp_path / "nowhere.tar"), 0, 100)
    will_need(str(tmp_path), 0, 100)
