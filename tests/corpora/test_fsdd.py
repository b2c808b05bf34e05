"""FSDD's two protocols, on a miniature in its layout and on the corpus itself where it is at hand."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.corpora import fsdd
from asr.data.manifest import read_dataset, read_manifest
from asr.data.splits import refuse_overlaps
from asr.errors import AudioError, CorpusError

SPEAKERS = ("anna", "bert", "cleo")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A corpus of three speakers, two digits and twelve takes, each of its own length."""
    folder = tmp_path / "fsdd" / "recordings"
    folder.mkdir(parents=True)
    generator = np.random.default_rng(1)
    for digit in (0, 7):
        for place, speaker in enumerate(SPEAKERS):
            for take in range(12):
                samples = 800 + 100 * take + 10 * place + digit
                soundfile.write(folder / f"{digit}_{speaker}_{take}.wav", generator.uniform(-0.1, 0.1, samples), 8000)
    return folder.parent


def takes(utterances) -> set[int]:
    return {int(utterance.id.split("_")[2]) for utterance in utterances}


def speakers(utterances) -> set[str]:
    return {utterance.speaker for utterance in utterances}


def test_official_split_goes_by_takes(corpus, tmp_path):
    splits = fsdd.prepare(corpus, tmp_path / "out")
    assert {name: len(utterances) for name, utterances in splits.items()} == {"train": 12, "valid": 30, "test": 30}
    assert takes(splits["test"]) == {0, 1, 2, 3, 4}
    assert takes(splits["valid"]) == {5, 6, 7, 8, 9}
    assert takes(splits["train"]) == {10, 11}
    assert all(speakers(utterances) == set(SPEAKERS) for utterances in splits.values())


def test_utterances_say_what_the_file_names_say(corpus, tmp_path):
    splits = fsdd.prepare(corpus, tmp_path / "out")
    utterance = next(one for one in splits["test"] if one.id == "7_bert_3")
    assert (utterance.text, utterance.speaker) == ("seven", "bert")
    assert utterance.duration == (800 + 300 + 10 + 7) / 8000
    assert Path(utterance.audio) == corpus / "recordings" / "7_bert_3.wav"


def test_manifests_lead_from_their_own_folder_to_the_audio(corpus, tmp_path):
    splits = fsdd.prepare(corpus, tmp_path / "out")
    for name, utterances in splits.items():
        read = read_manifest(tmp_path / "out" / f"{name}.jsonl")
        assert [one.id for one in read] == [one.id for one in utterances]
        assert all(Path(one.audio).is_file() for one in read)
    assert str(tmp_path) not in (tmp_path / "out" / "train.jsonl").read_text()


def test_hold_out_tests_on_a_speaker_nobody_else_heard(corpus, tmp_path):
    splits = fsdd.prepare(corpus, tmp_path / "out", hold_out="bert")
    assert speakers(splits["test"]) == {"bert"}
    assert takes(splits["test"]) == set(range(12))
    assert speakers(splits["train"]) == speakers(splits["valid"]) == {"anna", "cleo"}
    assert takes(splits["valid"]) == {5, 6, 7, 8, 9}
    assert takes(splits["train"]) == {0, 1, 2, 3, 4, 10, 11}


def test_only_what_is_declared_is_shared_and_the_test_speaker_with_nobody(corpus, tmp_path):
    splits = fsdd.prepare(corpus, tmp_path / "a")
    assert refuse_overlaps(splits, read_dataset(tmp_path / "a"))
    splits = fsdd.prepare(corpus, tmp_path / "b", hold_out="bert")
    shared = refuse_overlaps(splits, read_dataset(tmp_path / "b"))
    assert [overlap.splits for overlap in shared if overlap.kind == "speaker"] == [("train", "valid")]


def test_dataset_names_licence_and_what_splits_share(corpus, tmp_path):
    fsdd.prepare(corpus, tmp_path / "out")
    dataset = read_dataset(tmp_path / "out")
    assert (dataset.name, dataset.license, dataset.shared) == ("FSDD", "CC BY-SA 4.0", ("speaker", "text"))
    assert "Jackson" in dataset.attribution


def test_the_recordings_folder_is_a_source_too(corpus, tmp_path):
    from_above = fsdd.prepare(corpus, tmp_path / "a")
    assert fsdd.prepare(corpus / "recordings", tmp_path / "b") == from_above


def test_unknown_speaker_is_refused_with_the_known_ones(corpus, tmp_path):
    with pytest.raises(CorpusError, match=r"no speaker 'dora'; the speakers are anna, bert, cleo"):
        fsdd.prepare(corpus, tmp_path / "out", hold_out="dora")
    assert not (tmp_path / "out").exists()


def test_sources_that_are_not_the_corpus_are_refused(corpus, tmp_path):
    with pytest.raises(CorpusError, match="no such folder"):
        fsdd.prepare(tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(CorpusError, match="is a file"):
        fsdd.prepare(corpus / "recordings" / "0_anna_0.wav", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match=r"not FSDD.*no \.wav file"):
        fsdd.prepare(tmp_path / "empty", tmp_path / "out")
    (corpus / "recordings" / "0_anna_0.wav").rename(corpus / "recordings" / "hello.wav")
    with pytest.raises(CorpusError, match=r"not FSDD.*1 files are named otherwise \(hello.wav\)"):
        fsdd.prepare(corpus, tmp_path / "out")


def test_a_corpus_without_training_takes_is_refused(corpus, tmp_path):
    for path in (corpus / "recordings").glob("*_1[01].wav"):
        path.unlink()
    with pytest.raises(CorpusError, match="no recordings left for train"):
        fsdd.prepare(corpus, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unreadable_file_is_raised_or_left_out_by_name(corpus, tmp_path):
    (corpus / "recordings" / "7_anna_1.wav").write_bytes(b"not audio")
    with pytest.raises(AudioError, match=r"7_anna_1\.wav"):
        fsdd.prepare(corpus, tmp_path / "out")
    errors = []
    splits = fsdd.prepare(corpus, tmp_path / "out", on_error=errors.append)
    assert len(errors) == 1 and "7_anna_1.wav" in str(errors[0])
    assert len(splits["test"]) == 29


@pytest.fixture
def real(data: Path) -> Path:
    if not (data / "fsdd").is_dir():
        pytest.skip("the folder of real data holds no fsdd")
    return data / "fsdd"


@pytest.mark.parametrize("hold_out", [None, "theo"])
def test_the_real_corpus(real, tmp_path, hold_out):
    splits = fsdd.prepare(real, tmp_path, hold_out)
    sizes = {name: len(utterances) for name, utterances in splits.items()}
    if hold_out is None:
        assert sizes == {"train": 2400, "valid": 300, "test": 300}
        assert all(len(speakers(utterances)) == 6 for utterances in splits.values())
    else:
        assert sizes == {"train": 2250, "valid": 250, "test": 500}
        assert speakers(splits["test"]) == {"theo"}
