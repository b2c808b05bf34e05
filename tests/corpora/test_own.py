"""Own recordings: folders and tables, and what is said about recordings and rows that cannot be used."""

import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import soundfile
from recordings import of, record, table

from asr.audio import read_audio
from asr.corpora import own
from asr.corpora.shards import pack_corpus
from asr.data.manifest import Dataset, Utterance, read_dataset, read_manifest
from asr.data.splits import refuse_overlaps
from asr.errors import AudioError, CorpusError


def test_a_folder_of_recordings_with_texts_beside_them(folder, tmp_path):
    splits = own.prepare(folder, tmp_path / "out")
    everything = {one.id: one for utterances in splits.values() for one in utterances}
    assert len(everything) == 24 and all(splits.values())
    assert everything["cleo/3"].text == "sentence 3 of cleo"
    assert everything["cleo/3"].duration == pytest.approx(0.35)
    assert everything["cleo/3"].speaker is None
    read = read_manifest(tmp_path / "out" / "train.jsonl")
    assert all(Path(one.audio).is_file() for one in read)
    assert read_dataset(tmp_path / "out") == Dataset(name="source")
    assert refuse_overlaps(splits, read_dataset(tmp_path / "out")) == []


def test_a_table_says_ids_and_speakers_and_paths_start_from_the_source(folder, tmp_path):
    rows = ["id;file;text;client_id"]
    rows += [f"u{number};anna/{number}.wav;Satz {number};s{number}" for number in range(6)]
    (tmp_path / "table.csv").write_bytes("\r\n".join(rows).encode("utf-8-sig"))
    splits = own.prepare(folder, tmp_path / "out", table=tmp_path / "table.csv")
    assert set.union(*of(splits, "id").values()) == {f"u{number}" for number in range(6)}
    assert set.union(*of(splits, "speaker").values()) == {f"s{number}" for number in range(6)}


def test_recordings_that_cannot_be_used_are_named_and_the_rest_is_done(folder, tmp_path):
    (folder / "anna" / "0.txt").unlink()
    (folder / "anna" / "1.txt").write_text(" \n")
    (folder / "anna" / "2.txt").write_bytes(b"\xff\xfe")
    (folder / "anna" / "3.wav").write_bytes(b"RIFF")
    (folder / "anna" / "4.wav").unlink()
    soundfile.write(folder / "anna" / "5.flac", np.zeros(800), 8000)
    errors = []
    splits = own.prepare(folder, tmp_path / "out", on_error=lambda error: errors.append(str(error)))
    assert sum(map(len, splits.values())) == 19
    expected = {
        "0.wav: no .txt file next to it",
        "1.txt: contains no text",
        "2.txt: not UTF-8",
        "3.wav: ",
        "4.txt: no audio file next to it",
        "5.wav: duplicate id anna/5 (first in ",
    }
    assert len(errors) == len(expected)
    assert all(any(wanted in error for error in errors) for wanted in expected), errors


def test_rows_that_cannot_be_used_are_named_by_line(tmp_path):
    rows = [f"{number}.wav\ttext {number}" for number in range(9)] + ["9.wav\t", "0.wav\tagain"]
    source = table(tmp_path / "in", "path\ttext", rows)
    (tmp_path / "in" / "5.wav").unlink()
    with source.open("a") as stream:
        stream.write("\tno audio\n")
    errors = []
    splits = own.prepare(
        tmp_path / "in", tmp_path / "out", table=source, on_error=lambda error: errors.append(str(error))
    )
    assert sum(map(len, splits.values())) == 8
    assert errors == [
        f"{source}:11: no text",
        f"{source}:13: no audio path",
        f"{source}:12: same recording as {source}:2",
        f"{source}:7: {tmp_path / 'in' / '5.wav'}: no such file",
    ]


def test_ids_that_a_table_gives_twice_are_named_by_line(tmp_path):
    rows = [f"{number}.wav\ttext {number}\t{number or 3}" for number in range(5)]
    errors = []
    source = table(tmp_path / "in", "path\ttext\tid", rows)
    own.prepare(tmp_path / "in", tmp_path / "out", table=source, on_error=lambda error: errors.append(str(error)))
    assert errors == [f"{source}:5: duplicate id 3 (first in {source}:2)"]


def test_a_folder_that_is_a_link_is_a_folder(folder, tmp_path):
    (folder / "dora").rename(tmp_path / "elsewhere")
    (folder / "dora").symlink_to(tmp_path / "elsewhere")
    splits = own.prepare(folder, tmp_path / "out", speaker_from_folder=True)
    assert set.union(*of(splits, "speaker").values()) == {"anna", "bert", "cleo", "dora"}
    assert "dora/5" in set.union(*of(splits, "id").values())


def test_a_folder_name_of_several_people_names_no_speaker(tmp_path):
    for person in ("jackson", "theo", "yweweler"):
        for chapter in ("ch1", "ch2"):
            for number in range(2):
                path = tmp_path / "rec" / person / chapter / f"{number}.wav"
                record(path)
                path.with_suffix(".txt").write_text(f"{person} {chapter} {number}")
    with pytest.raises(CorpusError) as caught:
        own.prepare(tmp_path / "rec", tmp_path / "out", speaker_from_folder=True)
    message = str(caught.value)
    assert message.startswith(f"folder ch1 is in both {tmp_path}/rec/jackson and {tmp_path}/rec/theo, ")
    assert "a table with a speaker column" in message and "\n" not in message
    assert not (tmp_path / "out").exists()


def test_a_file_name_that_is_no_utf8_is_named_and_the_rest_is_done(folder, tmp_path):
    name = os.fsdecode(b"caf\xe9")
    try:
        (folder / "anna" / f"{name}.wav").write_bytes((folder / "anna" / "0.wav").read_bytes())
    except OSError:
        pytest.skip("the file system takes no such names")
    (folder / "anna" / f"{name}.txt").write_text("a text")
    errors = []
    splits = own.prepare(folder, tmp_path / "out", on_error=lambda error: errors.append(str(error)))
    assert sum(map(len, splits.values())) == 24
    (message,) = errors
    assert "caf\\udce9.wav': its name is not UTF-8; rename it" in message and message.encode()
    assert sum(len(read_manifest(tmp_path / "out" / f"{name}.jsonl")) for name in splits) == 24


def test_a_name_may_be_written_in_another_form_of_unicode(tmp_path):
    """As on disks of a Mac, where é is e and an accent."""
    rows = [f"{unicodedata.normalize('NFD', 'café')}{number}.wav\ttext {number}" for number in range(3)]
    source = table(tmp_path / "in", "path\ttext", rows)
    source.write_text(unicodedata.normalize("NFC", source.read_text()))
    splits = own.prepare(tmp_path / "in", tmp_path / "out", table=source)
    assert set.union(*of(splits, "id").values()) == {"café0", "café1", "café2"}
    assert all(Path(one.audio).exists() for some in splits.values() for one in some)


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg"])
def test_what_is_cut_is_the_same_however_it_is_read(tmp_path, ending):
    rng = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    soundfile.write(tmp_path / "in" / f"long.{ending}", rng.uniform(-0.5, 0.5, (3 * 11025, 2)), 11025)
    times = [(0.0, 1.0), (1.0 / 3, 1.7), (2.123456, 3.0)]
    rows = [f"long.{ending}\ttext {place}\t{start}\t{end}" for place, (start, end) in enumerate(times)]
    (tmp_path / "in" / "t.tsv").write_text("\n".join(["audio\ttext\tstart\tend", *rows]) + "\n")
    splits = own.prepare(tmp_path / "in", tmp_path / "out", table=tmp_path / "in" / "t.tsv")
    whole = read_audio(tmp_path / "in" / f"long.{ending}", 11025)
    for one in (one for some in splits.values() for one in some):
        start, end = times[int(one.text[-1])]
        wanted = whole[round(11025 * start) : round(11025 * end)]
        assert read_audio(one.audio, 11025) == pytest.approx(wanted, abs=2**-15)


def test_a_table_cuts_by_its_offsets_or_its_starts(tmp_path):
    record(tmp_path / "in" / "long.wav", 3.0)
    for header, ends in (("offset,duration", (1, 1, 1)), ("start,end", (1, 2, 3))):
        rows = [f"long.wav,text {start},{start},{end}\n" for start, end in enumerate(ends)]
        (tmp_path / "in" / "t.csv").write_text(f"audio,text,{header}\n" + "".join(rows))
        out = tmp_path / header
        splits = own.prepare(tmp_path / "in", out, table=tmp_path / "in" / "t.csv")
        found = {one.text: one for some in splits.values() for one in some}
        assert {text: one.duration for text, one in found.items()} == {"text 0": 1.0, "text 1": 1.0, "text 2": 1.0}
        whole, rate = soundfile.read(tmp_path / "in" / "long.wav", dtype="int16")
        cut, _ = soundfile.read(found["text 1"].audio, dtype="int16")
        assert np.array_equal(cut, whole[rate : 2 * rate])


def test_recordings_that_only_shards_hold_are_not_replaced_unseen(tmp_path):
    def prepare(rows: list[str], **options: bool) -> dict[str, list[Utterance]]:
        source = table(tmp_path / "in", "path\ttext\tsplit", rows)
        return own.prepare(tmp_path / "in", tmp_path / "out", table=source, **options)

    rows = [f"{number}.wav\ttext {number}\t{('train', 'valid', 'test')[number % 3]}" for number in range(12)]
    pack_corpus(tmp_path / "out", prepare(rows), 500)
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    for number in (10, 11):
        (tmp_path / "in" / f"{number}.wav").unlink()
    with pytest.raises(CorpusError, match=r"2 of 12 recordings are gone \(10, 11\), and only .*shards may still hold"):
        prepare(rows[:10])
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before
    assert sum(map(len, prepare(rows[:10], overwrite=True).values())) == 10


def test_another_corpus_is_not_replaced(folder, tmp_path):
    own.prepare(folder, tmp_path / "out")
    source = table(tmp_path / "in", "path\ttext", [f"{number}.wav\ttext {number}" for number in range(5)])
    with pytest.raises(CorpusError, match="out: contains manifests of another corpus; choose another --out"):
        own.prepare(tmp_path / "in", tmp_path / "out", table=source)
    own.prepare(tmp_path / "in", tmp_path / "out", table=source, overwrite=True)


def test_recordings_of_a_telephone_are_named_not_passed_over(folder, tmp_path):
    (folder / "anna" / "memo.m4a").write_bytes(b"\0\0\0\x1cftypM4A " + bytes(100))
    (folder / "anna" / "memo.txt").write_text("a memo")
    errors = []
    own.prepare(folder, tmp_path / "out", on_error=errors.append)
    (message,) = map(str, errors)
    assert "memo.m4a" in message and "ffmpeg -i" in message


def test_what_was_converted_is_not_read_twice(folder, tmp_path):
    (folder / "anna" / "1.m4a").write_bytes(b"\0\0\0\x1cftypM4A " + bytes(100))
    errors = []
    splits = own.prepare(folder, tmp_path / "out", on_error=errors.append)
    assert errors == []
    assert all(one.audio.endswith(".wav") for some in splits.values() for one in some)


def test_by_default_the_first_problem_is_raised(folder, tmp_path):
    (folder / "anna" / "3.wav").write_bytes(b"RIFF")
    with pytest.raises(AudioError, match=r"3\.wav"):
        own.prepare(folder, tmp_path / "out")


def test_a_table_with_the_wrong_source_is_one_error_not_one_a_row(tmp_path):
    source = table(tmp_path / "in", "path\ttext", [f"{number}.wav\ttext {number}" for number in range(5)])
    errors = []
    with pytest.raises(CorpusError, match=r"none of its recordings exists: .*0\.wav"):
        own.prepare(tmp_path, tmp_path / "out", table=source, on_error=errors.append)
    assert errors == []
