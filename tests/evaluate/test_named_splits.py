"""`[name=]manifest.jsonl`: names, and splits that must not be evaluated together."""

import shutil
from dataclasses import replace

import pytest
import soundfile

from asr.audio import read_audio
from asr.data.manifest import Dataset, Utterance, write_dataset, write_manifest
from asr.errors import ManifestError
from asr.evaluate import read_splits


@pytest.fixture
def folder(tmp_path):
    for name in ("valid", "test"):
        write_manifest(tmp_path / f"{name}.jsonl", [Utterance(name, f"{name}.wav", f"{name} text", 1.0, "ann")])
    write_dataset(tmp_path, Dataset(shared=("speaker",)))
    return tmp_path


def test_names_default_to_the_file(folder):
    splits = read_splits([f"{folder}/valid.jsonl", f"other={folder}/test.jsonl"])
    assert [(split.name, split.utterances[0].id) for split in splits] == [("valid", "valid"), ("other", "test")]


def test_two_of_one_name_are_refused(folder):
    with pytest.raises(ManifestError, match="both called test"):
        read_splits([f"test={folder}/valid.jsonl", f"{folder}/test.jsonl"])


def test_a_path_may_hold_an_equals_sign(folder):
    odd = folder / "lr=1"
    odd.mkdir()
    (folder / "test.jsonl").rename(odd / "test.jsonl")
    (split,) = read_splits([f"{odd}/test.jsonl"])
    assert (split.name, split.manifest) == ("test", odd / "test.jsonl")


@pytest.mark.parametrize("argument", ["=x.jsonl", "test="])
def test_half_a_split_is_refused(argument):
    with pytest.raises(ManifestError, match=r"name=manifest\.jsonl"):
        read_splits([argument])


def test_missing_manifest_is_named(folder):
    with pytest.raises(ManifestError, match=r"none\.jsonl: no such file"):
        read_splits([f"{folder}/none.jsonl"])


def test_pitfall_splits_that_share_an_utterance_are_refused(folder):
    with pytest.raises(ManifestError, match="share 1 utterance id"):
        read_splits([f"a={folder}/test.jsonl", f"b={folder}/test.jsonl"])


def test_declared_overlap_is_kept_for_the_report(folder):
    both = read_splits([f"{folder}/valid.jsonl", f"{folder}/test.jsonl"])
    assert all("share 1 speaker: ann" in split.overlaps[0] for split in both)
    write_dataset(folder, Dataset())
    with pytest.raises(ManifestError, match="speaker"):
        read_splits([f"{folder}/valid.jsonl", f"{folder}/test.jsonl"])


def test_different_data_sets_may_use_the_same_names(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    write_manifest(elsewhere / "other.jsonl", [Utterance("test", "test.wav", "test text", 1.0, "ann")])
    assert len(read_splits([f"{folder}/test.jsonl", f"{elsewhere}/other.jsonl"])) == 2


@pytest.fixture
def corpora(tmp_path, write_split):
    """Two data sets of different recordings, whose ids, speakers, texts and durations are alike."""
    write_split(tmp_path / "ours", "test", ["one", "two"])
    others = write_split(tmp_path / "theirs", "other", ["one", "two"], speaker="test speaker")
    renamed = [replace(item, id=f"test-{place}") for place, item in enumerate(others)]
    write_manifest(tmp_path / "theirs/other.jsonl", renamed)
    return tmp_path


def read_both(folder):
    return read_splits([f"{folder}/ours/test.jsonl", f"{folder}/theirs/other.jsonl"])


def test_pitfall_a_file_of_another_data_set_is_refused_whatever_either_declares(corpora):
    assert len(read_both(corpora)) == 2
    for name in ("ours", "theirs"):
        write_dataset(corpora / name, Dataset(shared=("speaker", "text")))
    shutil.copyfile(corpora / "ours/audio/test-0.wav", corpora / "theirs/audio/other-1.wav")
    with pytest.raises(ManifestError, match=r"^test and other share 1 audio file: test-0 = test-1$"):
        read_both(corpora)


@pytest.mark.parametrize("same", ["text", "id"])
def test_a_copy_in_another_format_is_known_by_its_text_or_its_id(corpora, same):
    path = corpora / "theirs/audio/copy.flac"
    soundfile.write(path, read_audio(corpora / "ours/audio/test-1.wav", 8000), 8000)
    duration = soundfile.info(path).duration
    names = {"text": ("something", "two"), "id": ("test-1", "other words")}[same]
    write_manifest(corpora / "theirs/other.jsonl", [Utterance(names[0], str(path), names[1], duration, "somebody")])
    with pytest.raises(ManifestError, match=f"test and other share 1 recording: test-1 = {names[0]}"):
        read_both(corpora)
