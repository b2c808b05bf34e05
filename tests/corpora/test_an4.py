"""AN4 in CMU's layouts, on a miniature and on a few of its real recordings where they are at hand."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.audio import read_audio
from asr.corpora import an4
from asr.data.manifest import read_dataset, read_manifest
from asr.data.splits import refuse_overlaps
from asr.errors import AudioError, CorpusError

TRAIN = {  # speaker: texts
    "fash": ["YES", "GO", "MARCH THIRD"],
    "mwhw": ["START", "RUBOUT G M E F", "NO"],
    "fbbh": ["P I T", "ENTER FOUR", "A B"],
    "mmrb": ["STOP", "HELP", "C D"],
}
TEST = {"fcaw": ["YES", "ELEVEN FIFTY"], "mmxg": ["OCTOBER"]}


def write(path: Path, samples: np.ndarray, suffix: str, order: str) -> None:
    """A recording as CMU has it: with a SPHERE header, or without any."""
    header = (
        f"NIST_1A\n   1024\nsample_count -i {len(samples)}\nsample_rate -i 16000\nsample_n_bytes -i 2\n"
        "sample_byte_format -s2 01\nchannel_count -i 1\nsample_coding -s3 pcm\nend_head\n"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    start = header.ljust(1024).encode() if suffix == ".sph" else b""
    path.with_name(path.name + suffix).write_bytes(start + samples.astype(f"{order}i2").tobytes())


@pytest.fixture
def make(tmp_path, babble):
    """A function that writes the corpus: recordings of different lengths, and the lists in etc/."""

    def corpus(suffix: str = ".sph", order: str = "<") -> Path:
        root = tmp_path / "in" / "an4"
        (root / "etc").mkdir(parents=True)
        for split, folder, speakers in (("train", "an4_clstk", TRAIN), ("test", "an4test_clstk", TEST)):
            fileids, lines = [], []
            for speaker, texts in speakers.items():
                for number, text in enumerate(texts):
                    id = f"an{number}-{speaker}-b"
                    samples = np.round(20000 * babble(0.5 + 0.1 * number, 16000, sum(id.encode()))).astype(int)
                    write(root / "wav" / folder / speaker / id, samples, suffix, order)
                    fileids.append(f"{folder}/{speaker}/{id}\n")
                    lines.append(f"<s> {text} </s> ({id})\n" if split == "train" else f"{text} ({id})\n")
            (root / "etc" / f"an4_{split}.fileids").write_text("".join(fileids))
            (root / "etc" / f"an4_{split}.transcription").write_text("".join(lines))
        return root

    return corpus


def speakers(splits) -> dict[str, set[str]]:
    return {name: {one.speaker for one in utterances} for name, utterances in splits.items()}


def edit(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_the_test_is_cmu_s_and_whole_speakers_of_the_training_set_validate(make, tmp_path):
    splits = an4.prepare(make(), tmp_path / "out")
    found = speakers(splits)
    assert found["test"] == {"fcaw", "mmxg"}
    assert len(found["valid"]) == 1 and found["train"] | found["valid"] == set(TRAIN)
    assert not found["train"] & found["valid"]
    one = next(one for one in splits["test"] if one.id == "an1-fcaw-b")
    assert (one.text, one.speaker, one.duration) == ("ELEVEN FIFTY", "fcaw", 0.6)
    texts = {one.text for name in ("train", "valid") for one in splits[name]}
    assert texts == {text for some in TRAIN.values() for text in some}
    read = read_manifest(tmp_path / "out" / "test.jsonl")
    assert all(Path(one.audio).suffix == ".sph" and Path(one.audio).is_file() for one in read)


def test_what_splits_share_is_declared_and_speakers_are_not_shared(make, tmp_path):
    splits = an4.prepare(make(), tmp_path / "out")
    dataset = read_dataset(tmp_path / "out")
    assert dataset.shared == ("text",) and "1991" in dataset.attribution
    assert {overlap.kind for overlap in refuse_overlaps(splits, dataset)} == {"text"}


def test_the_share_says_how_many_speakers_validate_and_the_format_does_not(make, tmp_path):
    root = make()
    half = speakers(an4.prepare(root, tmp_path / "half", valid=0.5))["valid"]
    assert len(half) == 2
    for path in root.rglob("an0-*.sph"):  # longer recordings: seconds do not count
        waveform, rate = soundfile.read(path)
        soundfile.write(path.with_suffix(".wav"), np.tile(waveform, 9), rate)
        path.unlink()
    assert speakers(an4.prepare(root.parent, tmp_path / "again", valid=0.5))["valid"] == half


@pytest.mark.parametrize("order", ["<", ">"])
def test_recordings_without_a_header_are_written_out_in_either_byte_order(make, tmp_path, order):
    root = make(".raw", order)
    splits = an4.prepare(root, tmp_path / "out")
    for one in (one for some in splits.values() for one in some):
        raw = next(root.rglob(f"{one.id}.raw"))
        samples, rate = soundfile.read(one.audio, dtype="int16")
        assert Path(one.audio).parent == tmp_path / "out" / "pieces" and rate == 16000
        assert np.array_equal(samples, np.fromfile(raw, dtype=f"{order}i2"))
        assert one.duration == pytest.approx(len(read_audio(one.audio, 16000)) / 16000)


def test_half_a_sample_or_none_is_named_and_left_out(make, tmp_path):
    root = make(".raw")
    with next(root.rglob("an0-fash-b.raw")).open("ab") as stream:
        stream.write(b"x")
    next(root.rglob("an0-fcaw-b.raw")).write_bytes(b"")
    with pytest.raises(AudioError, match=r"an0-fash-b\.raw: 16,001 bytes are not a whole number of 16-bit samples"):
        an4.prepare(root, tmp_path / "out")
    errors = []
    splits = an4.prepare(root, tmp_path / "out", on_error=lambda error: errors.append(str(error)))
    assert sum(map(len, splits.values())) == 13
    assert len(errors) == 2 and "an0-fcaw-b.raw: no samples" in errors[1]


def test_missing_recordings_are_an_error_unless_only_a_part_is_wanted(make, tmp_path):
    root = make()
    for name in ("an0-fash-b", "an2-mmrb-b", "an0-mmxg-b"):
        next(root.rglob(f"{name}.sph")).unlink()
    message = r"3 of 15 recordings are missing \(an4_clstk/fash/an0-fash-b, .*\); use --partial to prepare the others"
    with pytest.raises(CorpusError, match=message):
        an4.prepare(root, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    splits = an4.prepare(root, tmp_path / "out", partial=True)
    assert sum(map(len, splits.values())) == 12
    assert read_dataset(tmp_path / "out").name == "AN4, 12 of its 1,078 recordings"


def test_a_corpus_without_any_recording_is_refused_in_part_too(make, tmp_path):
    root = make()
    for path in root.rglob("*.sph"):
        path.unlink()
    with pytest.raises(CorpusError, match=r"15 of 15 recordings are missing \(.* and 12 more\)$"):
        an4.prepare(root, tmp_path / "out", partial=True)


def test_lists_that_contradict_each_other_are_refused(make, tmp_path):
    root = make()
    edit(root / "etc" / "an4_test.transcription", "(an0-mmxg-b)", "(an7-mmxg-b)")
    message = r"1 only in an4_test\.fileids \(an0-mmxg-b\), 1 only in an4_test\.transcription \(an7-mmxg-b\)"
    with pytest.raises(CorpusError, match=message):
        an4.prepare(root, tmp_path / "out")
    edit(root / "etc" / "an4_test.transcription", "(an7-mmxg-b)", "an0-mmxg-b")
    with pytest.raises(CorpusError, match=r"an4_test\.transcription:3: must be <s> TEXT </s> \(ID\), not: OCTOBER"):
        an4.prepare(root, tmp_path / "out")
    edit(root / "etc" / "an4_test.transcription", "an0-mmxg-b", "(an0-fcaw-b)")
    with pytest.raises(CorpusError, match=r"an4_test\.transcription:3: duplicate id an0-fcaw-b"):
        an4.prepare(root, tmp_path / "out")
    edit(root / "etc" / "an4_train.fileids", "an4_clstk/fash/an1-fash-b", "an4_clstk/fash/an0-fash-b")
    with pytest.raises(CorpusError, match=r"1 twice in an4_train\.fileids \(an0-fash-b\)"):
        an4.prepare(root, tmp_path / "out")


def test_folders_that_are_not_the_corpus_are_refused(make, tmp_path):
    with pytest.raises(CorpusError, match="no such folder"):
        an4.prepare(tmp_path / "nowhere", tmp_path / "out")
    root = make()
    with pytest.raises(CorpusError, match="must be above 0 and below 1"):
        an4.prepare(root, tmp_path / "out", valid=1.0)
    (root / "etc" / "an4_test.transcription").unlink()
    with pytest.raises(CorpusError, match=r"an4_test\.transcription: no such file"):
        an4.prepare(root, tmp_path / "out")
    with pytest.raises(CorpusError, match=r"not AN4: no etc/an4_train\.fileids"):
        an4.prepare(root / "etc", tmp_path / "out")


def test_one_speaker_cannot_train_and_validate(make, tmp_path):
    root = make()
    for path in (root / "etc" / "an4_train.fileids", root / "etc" / "an4_train.transcription"):
        path.write_text("".join(line for line in path.read_text().splitlines(True) if "fash" in line))
    with pytest.raises(CorpusError, match="1 speakers in the training set are too few"):
        an4.prepare(root, tmp_path / "out")


def test_an_unreadable_file_is_raised_or_left_out_by_name(make, tmp_path):
    root = make()
    next(root.rglob("an1-fcaw-b.sph")).write_bytes(b"NIST_1A")
    with pytest.raises(AudioError, match=r"an1-fcaw-b\.sph"):
        an4.prepare(root, tmp_path / "out")
    errors = []
    assert len(an4.prepare(root, tmp_path / "out", on_error=errors.append)["test"]) == 2
    assert len(errors) == 1


def test_real_recordings(data, tmp_path):
    if not (data / "an4-sample").is_dir():
        pytest.skip("the folder of real data holds no an4-sample")
    splits = an4.prepare(data / "an4-sample", tmp_path)
    assert {name: len(utterances) for name, utterances in splits.items()} == {"train": 4, "valid": 1, "test": 2}
    assert {one.text for one in splits["train"]} == {"YES", "GO", "START", "ELEVEN SEVENTEEN FIFTY ONE"}
    assert splits["test"][1].duration == pytest.approx(2.3)
    assert read_dataset(tmp_path).name == "AN4, 7 of its 1,078 recordings"
