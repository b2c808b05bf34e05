"""Packing a corpus: the same bytes in, the same bytes out, found by other readers of tar archives."""

import hashlib
import re
import tarfile
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.archive import open_binary, parse
from asr.corpora.shards import _groups, _Sample, pack, pack_corpus
from asr.data.manifest import Utterance, read_manifest
from asr.errors import CorpusError

SPLITS = ("train", "valid", "test")


@pytest.fixture
def splits(tmp_path, write_split) -> dict[str, list[Utterance]]:
    return {name: write_split(tmp_path / "loose", name, ["Öl, bitte!", "zwei", "drei", ""]) for name in SPLITS}


def hashes(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def content(audio: str) -> bytes:
    with open_binary(audio) as stream:
        return stream.read()


def samples_of(shard: Path) -> list[tuple[str, dict[str, bytes]]]:
    """What webdataset makes of an archive: neighbours whose names are equal up to the first dot are one sample."""
    with tarfile.open(shard) as tar:
        files = [(*re.fullmatch(r"([^.]+)\.(.*)", entry.name).groups(), tar.extractfile(entry).read()) for entry in tar]
    return [
        (key, {ending: held for _, ending, held in group}) for key, group in groupby(files, key=lambda file: file[0])
    ]


@pytest.mark.parametrize("megabytes", [0.03, 500])
def test_utterances_come_back_with_their_bytes_and_in_their_order(splits, tmp_path, megabytes):
    packed = pack(tmp_path / "out", splits, megabytes)
    for name, utterances in packed.items():
        assert [replace(one, audio="") for one in utterances] == [replace(one, audio="") for one in splits[name]]
        for one, original in zip(utterances, splits[name], strict=True):
            assert content(one.audio) == Path(original.audio).read_bytes()
        shards = [parse(one.audio).shard for one in utterances]
        assert shards == sorted(shards)
        assert len(set(shards)) == (1 if megabytes == 500 else 3)
        assert {Path(shard).name.split("-")[0] for shard in shards} == {name}


def test_an_archive_alone_is_a_list_of_samples(splits, tmp_path):
    utterances = [replace(one, id=f"a/{one.id}.x y") for one in splits["train"]]
    (shard,) = {parse(one.audio).shard for one in pack(tmp_path, {"train": utterances}, 500)["train"]}
    samples = samples_of(Path(shard))
    assert [key for key, _ in samples] == [f"a_train-{number}_x_y" for number in range(4)]
    for (_, files), utterance in zip(samples, utterances, strict=True):
        assert files == {"wav": Path(utterance.audio).read_bytes(), "txt": utterance.text.encode()}


def test_ids_that_become_one_key_stay_apart(splits, tmp_path):
    ids = ["a.b", "a_b-2", "a/b", "a b"]
    utterances = [replace(one, id=id) for one, id in zip(splits["train"], ids, strict=True)]
    (shard,) = {parse(one.audio).shard for one in pack(tmp_path, {"train": utterances}, 500)["train"]}
    digests = [f"a_b-{hashlib.blake2b(id.encode(), digest_size=6).hexdigest()}" for id in ids]
    assert [key for key, _ in samples_of(Path(shard))] == [digests[0], "a_b-2", *digests[2:]]


def test_an_id_longer_than_a_file_name_may_be(splits, tmp_path):
    utterances = [replace(one, id="ä" * 400 + one.id) for one in splits["train"]]
    packed = pack(tmp_path, {"train": utterances}, 500)["train"]
    assert [content(one.audio) for one in packed] == [content(one.audio) for one in utterances]
    keys = [key for key, _ in samples_of(Path(parse(packed[0].audio).shard))]
    assert len(set(keys)) == 4 and max(len(key.encode()) for key in keys) < 250


def test_the_same_corpus_makes_the_same_bytes_and_nothing_of_this_machine(splits, tmp_path):
    pack(tmp_path / "one", splits, 0.03)
    for path in (tmp_path / "loose" / "audio").iterdir():
        path.touch()
    pack(tmp_path / "two", splits, 0.03)
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")
    with tarfile.open(tmp_path / "one" / "shards" / "train-0001.tar") as tar:
        assert {(entry.mtime, entry.uid, entry.gid, entry.uname, entry.mode) for entry in tar} == {(0, 0, 0, "", 0o644)}


def test_packing_again_replaces_what_was_there(splits, tmp_path):
    pack_corpus(tmp_path, splits, 0.03)
    before = hashes(tmp_path)
    assert pack_corpus(tmp_path, splits, 0.03) == {name: read_manifest(tmp_path / f"{name}.jsonl") for name in SPLITS}
    assert hashes(tmp_path) == before
    (tmp_path / "shards" / "train-x.tar").write_text("mine")
    (tmp_path / "shards" / ".train-0003.tar.123.tmp").write_text("half of one")
    pack_corpus(tmp_path, splits, 500)
    assert sorted(path.name for path in (tmp_path / "shards").iterdir()) == [
        "test-0001.tar",
        "train-0001.tar",
        "train-x.tar",
        "valid-0001.tar",
    ]
    for name in SPLITS:
        assert [content(one.audio) for one in read_manifest(tmp_path / f"{name}.jsonl")] == [
            Path(one.audio).read_bytes() for one in splits[name]
        ]


def test_shards_can_be_packed_into_others_but_not_into_themselves(splits, tmp_path):
    packed = pack(tmp_path / "one", splits, 0.03)
    again = pack(tmp_path / "two", packed, 500)["valid"]
    assert [content(one.audio) for one in again] == [Path(one.audio).read_bytes() for one in splits["valid"]]
    with pytest.raises(CorpusError, match="choose another --out"):
        pack(tmp_path / "one", packed, 500)


def test_a_recording_that_is_gone_leaves_the_manifests_alone(splits, tmp_path):
    pack_corpus(tmp_path, splits, 0.03)
    before = hashes(tmp_path)
    Path(splits["valid"][1].audio).unlink()
    with pytest.raises(CorpusError, match=r"valid-1\.wav: has disappeared during preparation"):
        pack_corpus(tmp_path, splits, 500)
    assert {name: before[name] for name in before if "loose" not in name}.items() <= hashes(tmp_path).items()


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=50), st.integers(500, 200_000))
def test_shards_are_about_as_large_as_each_other(lengths, limit):
    samples = [_Sample(str(n), Utterance(str(n), "", "text", 1.0), length) for n, length in enumerate(lengths)]
    groups = _groups(samples, limit)
    assert [sample for group in groups for sample in group] == samples
    assert all(sum(one.blocks for one in group) <= limit + max(one.blocks for one in samples) for group in groups)
    assert len(groups) <= -(-sum(one.blocks for one in samples) // limit)
