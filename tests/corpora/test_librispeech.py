"""LibriSpeech's layout: splits by subsets and by id lists, and what is said where a corpus does not hold together."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.corpora import librispeech
from asr.data.manifest import read_dataset, read_manifest
from asr.errors import AudioError, CorpusError

TEXTS = {
    "train-clean-100": {"19-198-0000": "NORTHANGER ABBEY", "19-198-0001": "THIS LITTLE WORK", "26-495-0000": "GO ON"},
    "train-other-500": {"20-205-0000": "AND SO IT WAS"},
    "dev-clean": {"84-121123-0000": "DON'T"},
    "test-clean": {"61-70968-0000": "HE BEGAN A CONFUSED COMPLAINT", "61-70968-0001": "GIVE NOT SO EARNEST A MIND"},
}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A corpus in the official layout, every utterance of its own length."""
    root = tmp_path / "source" / "LibriSpeech"
    for subset, texts in TEXTS.items():
        for place, (id, text) in enumerate(texts.items()):
            speaker, chapter, _ = id.split("-")
            folder = root / subset / speaker / chapter
            folder.mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / f"{id}.flac", np.full(1600 + 160 * place, 0.1), 16000)
            with (folder / f"{speaker}-{chapter}.trans.txt").open("a") as stream:
                stream.write(f"{id} {text}\n")
    (root / "SPEAKERS.TXT").write_text("; not a subset\n")
    return root.parent


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    """Id lists that cross the subsets."""
    folder = tmp_path / "splits"
    folder.mkdir()
    (folder / "train.txt").write_text("19-198-0001\n61-70968-0001\n")
    (folder / "valid.txt").write_bytes(b"\xef\xbb\xbf84-121123-0000\r\n")
    (folder / "test.txt").write_text("20-205-0000\n")
    return folder


def ids(splits) -> dict[str, list[str]]:
    return {name: [utterance.id for utterance in utterances] for name, utterances in splits.items()}


def chapter(corpus: Path, id: str) -> Path:
    speaker, chapter, _ = id.split("-")
    return next(corpus.glob(f"LibriSpeech/*/{speaker}/{chapter}"))


def test_default_subsets_are_the_small_official_ones(corpus, tmp_path):
    splits = librispeech.prepare(corpus, tmp_path / "out")
    assert ids(splits) == {
        "train": sorted(TEXTS["train-clean-100"]),
        "valid": ["84-121123-0000"],
        "test": sorted(TEXTS["test-clean"]),
    }
    first = read_manifest(tmp_path / "out" / "train.jsonl")[0]
    assert (first.id, first.text, first.duration, first.speaker) == ("19-198-0000", "NORTHANGER ABBEY", 0.1, "19")
    assert Path(first.audio).is_file()
    dataset = read_dataset(tmp_path / "out")
    assert (dataset.name, dataset.license, dataset.shared) == ("LibriSpeech", "CC BY 4.0", ())


def test_a_sentence_that_official_subsets_share_is_declared_but_not_one_that_lists_share(corpus, lists, tmp_path):
    (chapter(corpus, "84-121123-0000") / "84-121123.trans.txt").write_text("84-121123-0000 NORTHANGER ABBEY\n")
    librispeech.prepare(corpus, tmp_path / "out")
    assert read_dataset(tmp_path / "out").shared == ("text",)
    (lists / "train.txt").write_text("19-198-0000\n")
    librispeech.prepare(corpus, tmp_path / "out", ids=lists)
    assert read_dataset(tmp_path / "out").shared == ()


def test_a_split_is_any_number_of_subsets(corpus, tmp_path):
    splits = librispeech.prepare(corpus, tmp_path / "out", {"train": ["train-clean-100", "train-other-500"]})
    assert ids(splits)["train"] == sorted(TEXTS["train-clean-100"] | TEXTS["train-other-500"])
    assert ids(splits)["valid"] == ["84-121123-0000"]


def test_id_lists_cross_subsets_and_keep_their_order(corpus, lists, tmp_path):
    splits = librispeech.prepare(corpus, tmp_path / "out", ids=lists)
    assert ids(splits) == {
        "train": ["19-198-0001", "61-70968-0001"],
        "valid": ["84-121123-0000"],
        "test": ["20-205-0000"],
    }
    assert splits["valid"][0].text == "DON'T"


def test_the_librispeech_folder_is_a_source_too(corpus, tmp_path):
    from_above = librispeech.prepare(corpus, tmp_path / "a")
    assert librispeech.prepare(corpus / "LibriSpeech", tmp_path / "b") == from_above


@pytest.mark.parametrize("suffix", [".wav", ".ogg", ".mp3"])
def test_audio_may_be_in_another_format(corpus, tmp_path, suffix):
    flac = chapter(corpus, "84-121123-0000") / "84-121123-0000.flac"
    waveform, rate = soundfile.read(flac)
    soundfile.write(flac.with_suffix(suffix), waveform, rate)
    flac.unlink()
    utterance = librispeech.prepare(corpus, tmp_path / "out")["valid"][0]
    assert utterance.audio.endswith(f"84-121123-0000{suffix}")


def test_unknown_ids_are_counted_and_a_few_named(corpus, lists, tmp_path):
    (lists / "test.txt").write_text("".join(f"9-9-000{digit}\n" for digit in range(5)) + "20-205-0000\n")
    message = r"5 with neither audio nor transcript \(9-9-0000, 9-9-0001, 9-9-0002 and 2 more\)"
    with pytest.raises(CorpusError, match=message):
        librispeech.prepare(corpus, tmp_path / "out", ids=lists)
    assert not (tmp_path / "out").exists()


def test_an_id_in_two_lists_is_refused(corpus, lists, tmp_path):
    (lists / "test.txt").write_text("84-121123-0000\n")
    with pytest.raises(CorpusError, match=r"test\.txt: duplicate id 84-121123-0000 \(first in .*valid\.txt"):
        librispeech.prepare(corpus, tmp_path / "out", ids=lists)


def test_a_missing_id_list_is_named(corpus, lists, tmp_path):
    (lists / "valid.txt").unlink()
    with pytest.raises(CorpusError, match=r"valid\.txt: no such file"):
        librispeech.prepare(corpus, tmp_path / "out", ids=lists)


def test_transcripts_without_audio_and_audio_without_transcripts_are_refused(corpus, tmp_path):
    (chapter(corpus, "61-70968-0001") / "61-70968-0001.flac").unlink()
    (chapter(corpus, "19-198-0000") / "19-198.trans.txt").write_text("19-198-0001 THIS LITTLE WORK\n")
    message = r"1 with no audio \(61-70968-0001\), 1 with no transcript \(19-198-0000\)"
    with pytest.raises(CorpusError, match=message):
        librispeech.prepare(corpus, tmp_path / "out")


def test_gaps_outside_the_wanted_ids_do_not_matter(corpus, lists, tmp_path):
    (chapter(corpus, "19-198-0000") / "19-198-0000.flac").unlink()
    assert len(librispeech.prepare(corpus, tmp_path / "out", ids=lists)["train"]) == 2


def test_a_missing_subset_is_refused_with_the_present_ones(corpus, tmp_path):
    with pytest.raises(
        CorpusError, match="no subset train-clean-360; it contains dev-clean, test-clean, train-clean-100"
    ):
        librispeech.prepare(corpus, tmp_path / "out", {"train": ["train-clean-360"]})


def test_a_subset_in_two_splits_is_refused(corpus, tmp_path):
    with pytest.raises(CorpusError, match="dev-clean is given twice"):
        librispeech.prepare(corpus, tmp_path / "out", {"train": ["train-clean-100", "dev-clean"]})


def test_subsets_and_id_lists_exclude_each_other(corpus, lists, tmp_path):
    with pytest.raises(CorpusError, match="not both"):
        librispeech.prepare(corpus, tmp_path / "out", {"test": ["test-clean"]}, ids=lists)


def test_folders_that_are_not_the_corpus_are_refused(tmp_path):
    with pytest.raises(CorpusError, match="no such folder"):
        librispeech.prepare(tmp_path / "nowhere", tmp_path / "out")
    (tmp_path / "other" / "recordings").mkdir(parents=True)
    (tmp_path / "other" / "recordings" / "0_anna_0.wav").touch()
    with pytest.raises(CorpusError, match="not LibriSpeech"):
        librispeech.prepare(tmp_path / "other", tmp_path / "out")


def test_an_unreadable_file_is_raised_or_left_out_by_name(corpus, tmp_path):
    (chapter(corpus, "19-198-0000") / "19-198-0000.flac").write_bytes(b"not audio")
    with pytest.raises(AudioError, match=r"19-198-0000\.flac"):
        librispeech.prepare(corpus, tmp_path / "out")
    errors = []
    splits = librispeech.prepare(corpus, tmp_path / "out", on_error=errors.append)
    assert len(errors) == 1
    assert ids(splits)["train"] == ["19-198-0001", "26-495-0000"]


@pytest.fixture
def takes(tmp_path: Path) -> Path:
    """Two people, each with a chapter c1 in each of three subsets; ids as a user may number them."""
    for subset in ("one", "two", "three"):
        for place, speaker in enumerate(("anna", "bob")):
            folder = tmp_path / "takes" / subset / speaker / "c1"
            folder.mkdir(parents=True)
            ids = [f"{subset}-{speaker[0]}{number}" for number in range(2)]
            (folder / "c1.trans.txt").write_text("".join(f"{id} {speaker} says {id}\n" for id in ids))
            for number, id in enumerate(ids):
                soundfile.write(folder / f"{id}.wav", np.full(800 + 400 * place + 80 * number, 0.1), 8000)
    return tmp_path / "takes"


SUBSETS = {"train": ["one"], "valid": ["two"], "test": ["three"]}


def test_the_speaker_is_the_folder_whatever_the_ids_are(takes, tmp_path):
    splits = librispeech.prepare(takes, tmp_path / "out", SUBSETS)
    found = {(one.id, one.speaker, one.text, one.duration) for one in splits["train"]}
    assert found == {
        ("one-a0", "anna", "anna says one-a0", 0.1),
        ("one-a1", "anna", "anna says one-a1", 0.11),
        ("one-b0", "bob", "bob says one-b0", 0.15),
        ("one-b1", "bob", "bob says one-b1", 0.16),
    }


def renamed(chapter: Path, old: str, new: str) -> None:
    """Call the utterances of a chapter by other ids."""
    transcript = chapter / "c1.trans.txt"
    transcript.write_text("".join(f"{new}{line.removeprefix(old)}\n" for line in transcript.read_text().splitlines()))
    for path in list(chapter.glob("*.wav")):
        path.rename(path.with_name(new + path.name.removeprefix(old)))


@pytest.mark.parametrize("other", ["one/bob", "two/bob", "two/anna"])
def test_an_id_in_two_chapters_is_refused_with_both(takes, tmp_path, other):
    """Else the audio of one could go with the text of the other."""
    subset, speaker = other.split("/")
    renamed(takes / subset / speaker / "c1", f"{subset}-{speaker[0]}", "one-a")
    with pytest.raises(CorpusError) as caught:
        librispeech.prepare(takes, tmp_path / "out", SUBSETS)
    message = str(caught.value)
    assert "2 occur in several places: one-a0 in " in message and "\n" not in message
    assert f"{takes}/one/anna/c1" in message and f"{takes}/{other}/c1" in message
    assert not (tmp_path / "out").exists()


def test_a_text_in_another_chapter_than_its_audio_is_refused(takes, tmp_path):
    (takes / "one" / "anna" / "c1" / "one-a0.wav").unlink()
    bob = takes / "one" / "bob" / "c1"
    (bob / "one-b0.wav").rename(bob / "one-a0.wav")
    with pytest.raises(CorpusError, match=r"one-a0 in .*/anna/c1 and .*/bob/c1/one-a0\.wav"):
        librispeech.prepare(takes, tmp_path / "out", SUBSETS)


def test_an_id_twice_in_a_transcript_is_refused_with_both_lines(takes, tmp_path):
    transcript = takes / "two" / "bob" / "c1" / "c1.trans.txt"
    transcript.write_text(transcript.read_text() + "two-b0 something else\n")
    with pytest.raises(CorpusError, match=rf"two-b0 in {transcript}:1 and {transcript}:3;"):
        librispeech.prepare(takes, tmp_path / "out", SUBSETS)


def test_an_id_that_stands_twice_matters_only_where_it_is_wanted(takes, tmp_path):
    transcript = takes / "two" / "bob" / "c1" / "c1.trans.txt"
    transcript.write_text(transcript.read_text() + "two-b0 something else\n")
    for split, id in (("train", "one-a0"), ("valid", "two-a0"), ("test", "three-b1")):
        (tmp_path / f"{split}.txt").write_text(f"{id}\n")
    splits = librispeech.prepare(takes, tmp_path / "out", ids=tmp_path)
    assert ids(splits) == {"train": ["one-a0"], "valid": ["two-a0"], "test": ["three-b1"]}


@pytest.fixture
def real(data: Path) -> Path:
    if not (data / "libri-mini").is_dir():
        pytest.skip("the folder of real data holds no libri-mini")
    return data / "libri-mini"


def test_the_real_excerpt(real, tmp_path):
    splits = librispeech.prepare(real, tmp_path, ids=real / "splits")
    assert {name: len(utterances) for name, utterances in splits.items()} == {"train": 2517, "valid": 244, "test": 291}
    hours = {name: sum(one.duration for one in utterances) / 3600 for name, utterances in splits.items()}
    assert hours == pytest.approx({"train": 6.37, "valid": 0.54, "test": 0.54}, abs=0.01)
    speakers = [{one.speaker for one in utterances} for utterances in splits.values()]
    assert [len(some) for some in speakers] == [33, 4, 4]
    assert all(one.speaker == one.id.split("-")[0] for some in splits.values() for one in some)
    assert len(set.union(*speakers)) == 41
