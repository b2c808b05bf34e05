"""Splits that share what they must not."""

import shutil

import numpy as np
import pytest
import soundfile

from asr.archive import open_binary
from asr.audio import read_audio, write_wav
from asr.corpora.shards import pack
from asr.data.duplicates import same_recordings
from asr.data.manifest import Dataset, Utterance, write_dataset
from asr.data.splits import overlaps, refuse_overlaps, shared_dataset
from asr.errors import ManifestError

ALL = Dataset(shared=("speaker", "text"))


@pytest.fixture
def splits(tmp_path, write_split):
    """Three splits that share nothing."""
    return {
        "train": write_split(tmp_path, "train", ["one", "two", "three"]),
        "valid": write_split(tmp_path, "valid", ["four", "five"]),
        "test": write_split(tmp_path, "test", ["six", "seven"]),
    }


def kinds(splits, dataset=ALL):
    return {(overlap.kind, overlap.splits) for overlap in overlaps(splits, dataset)}


def put(utterance, **changes):
    """A copy of an utterance with other fields, by default with another id."""
    fields = {name: getattr(utterance, name) for name in ("audio", "text", "duration", "speaker")}
    return Utterance(**({"id": f"other {utterance.id}"} | fields | changes))


def test_nothing_shared(splits):
    assert overlaps(splits, Dataset()) == []
    assert refuse_overlaps(splits, Dataset()) == []


def test_same_id_is_refused_whatever_is_declared(splits):
    splits["test"].append(put(splits["valid"][0], id="train-1", text="x", speaker="y", audio="nowhere.wav"))
    assert kinds(splits) == {("id", ("train", "test"))}
    with pytest.raises(ManifestError, match=r"^train and test share 1 utterance id: train-1$"):
        refuse_overlaps(splits, ALL)


def test_same_audio_under_another_name_is_refused(splits, tmp_path):
    copy = tmp_path / "copy.wav"
    shutil.copyfile(splits["train"][2].audio, copy)
    splits["test"].append(put(splits["train"][2], audio=str(copy)))
    assert ("recording", ("train", "test")) not in kinds(splits)  # said once is enough
    splits["test"][-1] = put(splits["train"][2], audio=str(copy), text="x", speaker="y")
    with pytest.raises(ManifestError, match=r"share 1 audio file: train-2 = other train-2"):
        refuse_overlaps(splits, ALL)


def test_same_audio_in_a_shard_is_refused(splits, tmp_path):
    packed = pack(tmp_path / "packed", splits, 0.05)
    assert overlaps(packed, Dataset()) == []
    for copy in (splits["train"][2], packed["train"][2]):
        doubtful = packed | {"test": [*packed["test"], put(copy, text="x", speaker="y")]}
        with pytest.raises(ManifestError, match=r"share 1 audio file: train-2 = other train-2"):
            refuse_overlaps(doubtful, ALL)


def test_a_shard_that_is_cut_is_for_the_check_to_name(splits, tmp_path):
    packed = pack(tmp_path / "packed", splits, 500)
    for shard in (tmp_path / "packed" / "shards").iterdir():
        shard.write_bytes(shard.read_bytes()[:1000])
    assert overlaps(packed, Dataset()) == []


def test_same_path_in_two_splits_is_refused(splits):
    splits["valid"].append(put(splits["train"][0], text="x", speaker="y"))
    assert kinds(splits) == {("audio", ("train", "valid"))}


@pytest.mark.parametrize(("form", "subtype"), [("OGG", "OPUS"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III")])
@pytest.mark.parametrize("rate", [8000, 16000])
def test_same_recording_in_another_format_level_and_rate_is_refused(splits, tmp_path, form, subtype, rate):
    original = splits["train"][0]
    soundfile.write(tmp_path / "copy", 0.4 * read_audio(original.audio, rate), rate, format=form, subtype=subtype)
    splits["test"].append(put(original, audio=str(tmp_path / "copy"), text="One!", duration=original.duration + 0.02))
    assert ("recording", ("train", "test")) in kinds(splits)
    with pytest.raises(ManifestError, match="share 1 recording: train-0 = other train-0"):
        refuse_overlaps(splits, ALL)


def test_two_takes_of_one_word_are_not_one_recording(splits, tmp_path, babble):
    write_wav(tmp_path / "take.wav", babble(1.0, seed=77), 8000)
    splits["test"].append(put(splits["train"][0], audio=str(tmp_path / "take.wav")))
    assert kinds(splits) == {("speaker", ("train", "test")), ("text", ("train", "test"))}
    assert all(overlap.declared for overlap in refuse_overlaps(splits, ALL))


def test_silent_recordings_count_as_the_same(splits, tmp_path):
    write_wav(tmp_path / "silent.wav", np.zeros(8000), 8000)
    silent = str(tmp_path / "silent.wav")
    splits["test"].append(put(splits["train"][0], audio=silent))
    assert ("recording", ("train", "test")) in kinds(splits)
    splits["test"][-1] = put(splits["train"][0], audio=silent, duration=splits["train"][0].duration + 0.05)
    assert ("recording", ("train", "test")) not in kinds(splits)
    splits["test"][-1] = put(splits["train"][0], audio=silent, speaker="somebody else")
    assert ("recording", ("train", "test")) not in kinds(splits)


def test_recordings_that_cannot_be_read_are_not_taken_for_leaks(splits):
    """That they are missing is what a user must hear, not that the test set is spoilt."""
    splits["test"].append(put(splits["train"][0], audio="nowhere.wav"))
    assert ("recording", ("train", "test")) not in kinds(splits)


def test_a_file_that_nobody_may_read_hides_no_other_leak(splits, tmp_path, monkeypatch):
    for number in (0, 1):
        copy = tmp_path / f"copy-{number}.wav"
        shutil.copyfile(splits["train"][number].audio, copy)
        splits["test"].append(put(splits["train"][number], audio=str(copy), text=f"x {number}", speaker="y"))

    def refuse(audio):
        if audio == splits["train"][0].audio:
            raise PermissionError(13, "Permission denied")
        return open_binary(audio)

    monkeypatch.setattr("asr.data.splits.open_binary", refuse)
    with pytest.raises(ManifestError, match=r"share 1 audio file: train-1 = other train-1"):
        refuse_overlaps(splits, ALL)


@pytest.mark.parametrize("kind", ["speaker", "text"])
def test_shared_speaker_or_text_must_be_declared(splits, kind):
    changes = {"speaker": "new", "text": "new", kind: getattr(splits["train"][0], kind)}
    splits["test"].append(put(splits["test"][0], audio="nowhere.wav", **changes))
    with pytest.raises(ManifestError, match=rf"train and test share 1 {kind}: .*declare `shared: \[{kind}\]`"):
        refuse_overlaps(splits, Dataset())
    (overlap,) = refuse_overlaps(splits, Dataset(shared=(kind,)))
    assert overlap.declared and overlap.kind == kind and str(overlap).endswith("(declared in dataset.yaml)")


def test_texts_are_compared_normalised(splits):
    splits["test"].append(put(splits["test"][0], audio="nowhere.wav", text=" Two. "))
    assert kinds(splits, Dataset()) == {("text", ("train", "test"))}
    assert overlaps(splits, Dataset(), normalize=str) == []


def test_unknown_speakers_and_empty_texts_are_not_shared(splits):
    for name in ("train", "test"):
        splits[name].append(put(splits[name][0], audio=f"{name}.wav", text="...", speaker=None))
    assert overlaps(splits, Dataset()) == []


def test_every_pair_and_every_problem_is_named_at_once(splits):
    splits["test"] += [put(splits["train"][0], audio="x.wav"), put(splits["valid"][0], audio="y.wav", id="valid-0")]
    with pytest.raises(ManifestError) as caught:
        refuse_overlaps(splits, Dataset(shared=("text",)))
    message = str(caught.value)
    assert "\n" not in message and "`shared: [text, speaker]`" in message
    assert "train and test share 1 speaker" in message and "valid and test share 1 utterance id: valid-0" in message


def test_many_shared_values_are_counted_and_three_are_shown():
    splits = {name: [Utterance(f"{name}{n}", f"{name}{n}", f"text {n}", 1 + n) for n in range(2000)] for name in "ab"}
    for utterance in splits["b"]:
        object.__setattr__(utterance, "duration", utterance.duration + 0.5)
    (overlap,) = overlaps(splits, Dataset())
    assert str(overlap) == "a and b share 2,000 texts: text 0; text 1; text 10; ..."


def test_dataset_beside_manifests_counts_where_all_declare_it(tmp_path):
    manifests = [tmp_path / folder / "x.jsonl" for folder in ("a", "b")]
    write_dataset(tmp_path / "a", Dataset("A", shared=("speaker", "text")))
    write_dataset(tmp_path / "b", Dataset("B", shared=("text",)))
    assert shared_dataset(manifests[:1]) == Dataset("A", shared=("speaker", "text"))
    assert shared_dataset(manifests) == Dataset(shared=("text",))
    assert shared_dataset([*manifests, tmp_path / "c" / "x.jsonl"]).shared == ()


def test_silence_cannot_be_told_from_silence(tmp_path):
    write_wav(tmp_path / "a.wav", np.zeros(8000), 8000)
    write_wav(tmp_path / "b.wav", np.zeros(8000), 8000)
    files = [str(tmp_path / "a.wav")], [str(tmp_path / "b.wav")]
    assert list(same_recordings(*files, np.array([[True]]))) == [(0, 0)]
    assert list(same_recordings(*files, np.array([[False]]))) == []


def test_no_two_takes_of_a_digit_are_one_recording(data):
    files = sorted((data / "fsdd" / "recordings").glob("7_jackson_*.wav"))[:20]
    if not files:
        pytest.skip(f"no fsdd in {data}")
    names = [str(file) for file in files]
    assert list(same_recordings(names, names, ~np.eye(len(names), dtype=bool))) == []
    assert list(same_recordings(names, names, np.eye(len(names), dtype=bool))) == [(n, n) for n in range(len(names))]
