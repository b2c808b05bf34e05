"""Common Voice in its own layout: MP3 clips, and tables in which a quotation mark is text."""

from pathlib import Path

import pytest
import soundfile

from asr.corpora import commonvoice
from asr.data.manifest import read_dataset, read_manifest
from asr.data.splits import refuse_overlaps
from asr.errors import AudioError, CorpusError

HEADER = (
    "client_id\tpath\tsentence_id\tsentence\tsentence_domain\tup_votes\tdown_votes\tage\tgender\taccents\tvariant"
    "\tlocale\tsegment"
)
ROWS = {
    "train": ["Bore da.", '"Pwy?" gofynnodd hi', "Un\u0302 dau"],
    "dev": ["Nos da.", "Diolch!"],
    "test": ["Croeso", 'Dywedodd "na'],
}


def row(name: str, speaker: str, sentence: str, age: str = "", accents: str = "") -> str:
    return f"{speaker}\t{name}\tid{name}\t{sentence}\t\t2\t0\t{age}\tfemale_feminine\t{accents}\t\tcy\t\n"


@pytest.fixture
def corpus(tmp_path, babble) -> Path:
    """A release's folder of one language: seven clips of different lengths."""
    folder = tmp_path / "cv-corpus-99.0-2030-01-01" / "cy"
    (folder / "clips").mkdir(parents=True)
    for split, sentences in ROWS.items():
        lines = [HEADER + "\n"]
        for number, sentence in enumerate(sentences):
            name = f"common_voice_cy_{split}{number}.mp3"
            clip = babble(1.0 + 0.2 * number, 32000, sum(name.encode()))
            soundfile.write(folder / "clips" / name, clip, 32000, format="MP3")
            age, accents = ("", "") if number else ("twenties", "North Wales, rural")
            lines.append(row(name, f"{split}-speaker{number}", sentence, age, accents))
        (folder / f"{split}.tsv").write_text("".join(lines), encoding="utf-8")
    (folder / "validated.tsv").write_text(HEADER + "\n")
    return folder


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_the_splits_are_common_voice_s_own(corpus, tmp_path):
    splits = commonvoice.prepare(corpus, tmp_path / "out")
    assert {name: [one.text for one in some] for name, some in splits.items()} == {
        "train": ROWS["train"],
        "valid": ROWS["dev"],
        "test": ROWS["test"],
    }
    one = splits["train"][0]
    assert (one.id, one.speaker) == ("common_voice_cy_train0", "train-speaker0")
    assert one.duration == pytest.approx(1.0, abs=0.1)
    assert one.extra == {"age": "twenties", "gender": "female_feminine", "accents": "North Wales, rural"}
    assert splits["train"][1].extra == {"gender": "female_feminine"}
    assert read_manifest(tmp_path / "out" / "train.jsonl")[0].extra == one.extra


def test_the_data_set_is_called_by_its_language_and_release(corpus, tmp_path):
    commonvoice.prepare(corpus, tmp_path / "out")
    dataset = read_dataset(tmp_path / "out")
    assert dataset.name == "Common Voice cy, cv-corpus-99.0-2030-01-01"
    assert (dataset.license, dataset.shared) == ("CC0-1.0", ())


def test_sentences_that_official_splits_share_are_declared_and_speakers_never(corpus, tmp_path):
    rewrite(corpus / "test.tsv", "Croeso", "bore da")
    splits = commonvoice.prepare(corpus, tmp_path / "a")
    assert read_dataset(tmp_path / "a").shared == ("text",)
    assert [overlap.kind for overlap in refuse_overlaps(splits, read_dataset(tmp_path / "a"))] == ["text"]
    rewrite(corpus / "test.tsv", "test-speaker0", "train-speaker0")
    splits = commonvoice.prepare(corpus, tmp_path / "b")
    with pytest.raises(Exception, match="train and test share 1 speaker: train-speaker0"):
        refuse_overlaps(splits, read_dataset(tmp_path / "b"))


def test_clips_that_cannot_be_used_are_named_by_row_and_left_out(corpus, tmp_path):
    (corpus / "clips" / "common_voice_cy_train1.mp3").write_bytes(b"ID3" + bytes(3000))
    (corpus / "clips" / "common_voice_cy_dev0.mp3").unlink()
    rewrite(corpus / "test.tsv", "\tCroeso\t", "\t\t")
    with pytest.raises((AudioError, CorpusError)):
        commonvoice.prepare(corpus, tmp_path / "out")
    errors = []
    splits = commonvoice.prepare(corpus, tmp_path / "out", on_error=lambda error: errors.append(str(error)))
    assert {name: len(some) for name, some in splits.items()} == {"train": 2, "valid": 1, "test": 1}
    text, corrupt, missing = errors
    assert text == f"{corpus}/test.tsv:2: no text"
    assert corrupt.startswith(f"{corpus}/train.tsv:3: {corpus}/clips/common_voice_cy_train1.mp3: ")
    assert missing == f"{corpus}/dev.tsv:2: {corpus}/clips/common_voice_cy_dev0.mp3: no such file"


def test_a_row_that_stands_twice_is_kept_once_and_another_text_of_a_clip_is_named(corpus, tmp_path):
    clip, speaker = "common_voice_cy_train1.mp3", "train-speaker1"
    with (corpus / "train.tsv").open("a", encoding="utf-8") as stream:
        stream.write(row(clip, speaker, ROWS["train"][1]))
        stream.write(row(clip, speaker, "Rhywbeth arall"))
    with (corpus / "test.tsv").open("a", encoding="utf-8") as stream:
        stream.write(row(clip, speaker, ROWS["train"][1]))
    errors = []
    splits = commonvoice.prepare(corpus, tmp_path / "out", on_error=lambda error: errors.append(str(error)))
    assert {name: [one.text for one in some] for name, some in splits.items()} == {
        "train": ROWS["train"],
        "valid": ROWS["dev"],
        "test": ROWS["test"],
    }
    assert errors == [
        f"{corpus}/train.tsv:6: duplicate clip {clip} (first in {corpus}/train.tsv:3, with a different text)",
        f"{corpus}/test.tsv:4: duplicate clip {clip} (first in {corpus}/train.tsv:3)",
    ]
    assert len(read_manifest(tmp_path / "out" / "train.jsonl")) == 3


def test_a_cut_clip_is_found(corpus, tmp_path):
    clip = corpus / "clips" / "common_voice_cy_train2.mp3"
    clip.write_bytes(clip.read_bytes()[:3000])
    with pytest.raises(AudioError, match=r"train\.tsv:4: .*common_voice_cy_train2\.mp3: truncated"):
        commonvoice.prepare(corpus, tmp_path / "out")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\tsentence\t", "\tsentense\t", r"train\.tsv: no column for the text \(text, transcript, sentence"),
        ("client_id\t", "client\t", r"train\.tsv:2: no client_id, which identifies the speaker"),
        ("train-speaker1", "", r"train\.tsv:3: no client_id"),
        (HEADER + "\n", "", r"train\.tsv: no column for the audio"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(corpus, tmp_path, old, new, message):
    rewrite(corpus / "train.tsv", old, new)
    with pytest.raises(CorpusError, match=message):
        commonvoice.prepare(corpus, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_tables_that_are_no_text_or_empty_are_refused(corpus, tmp_path):
    (corpus / "dev.tsv").write_text(HEADER + "\n")
    with pytest.raises(CorpusError, match="no recordings left for valid"):
        commonvoice.prepare(corpus, tmp_path / "out")
    (corpus / "dev.tsv").write_bytes(b"client_id\tpath\tsentence\n\xff\tb\tc\n")
    with pytest.raises(CorpusError, match=r"dev\.tsv: not UTF-8"):
        commonvoice.prepare(corpus, tmp_path / "out")


def test_folders_that_are_no_language_are_refused(corpus, tmp_path):
    with pytest.raises(CorpusError, match="no such folder"):
        commonvoice.prepare(tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(
        CorpusError, match=r"2030-01-01: contains cy; name one of these folders, such as .*2030-01-01/cy"
    ):
        commonvoice.prepare(corpus.parent, tmp_path / "out")
    with pytest.raises(CorpusError, match=r"Common Voice language folder: no train\.tsv, dev\.tsv, test\.tsv in it"):
        (tmp_path / "other" / "clips").mkdir(parents=True)
        commonvoice.prepare(tmp_path / "other", tmp_path / "out")
    for path in (corpus / "clips").iterdir():
        path.unlink()
    with pytest.raises(CorpusError, match="clips: none of the 7 recordings in the tables exists"):
        commonvoice.prepare(corpus, tmp_path / "out")
