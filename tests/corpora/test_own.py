"""Own recordings: folders and tables, how they are divided, and what is said about those that cannot be used."""

import os
import unicodedata
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.audio import read_audio
from asr.corpora import own
from asr.corpora.shards import pack_corpus
from asr.data.manifest import Dataset, Utterance, read_dataset, read_manifest
from asr.data.splits import refuse_overlaps
from asr.errors import AudioError, CorpusError


def record(path: Path, seconds: float = 0.2) -> None:
    """A recording that no other equals: noise seeded by its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(list(str(path).encode())).uniform(-0.1, 0.1, round(8000 * seconds))
    soundfile.write(path, noise, 8000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four speakers, each a folder of six recordings with a text beside; no text twice."""
    for speaker in ("anna", "bert", "cleo", "dora"):
        for number in range(6):
            path = tmp_path / "source" / speaker / f"{number}.wav"
            record(path, 0.2 + 0.05 * number)
            path.with_suffix(".txt").write_text(f"sentence {number} of {speaker}\n")
    return tmp_path / "source"


def table(folder: Path, header: str, rows: list[str]) -> Path:
    """A table, and the recordings that the first cell of each row names."""
    path = folder / "table.tsv"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")
    for row in rows:
        record(folder / row.split("\t")[0])
    return path


def of(splits, field: str) -> dict[str, set[str]]:
    return {name: {getattr(one, field) for one in utterances} for name, utterances in splits.items()}


def overlapping(sets: dict[str, set[str]]) -> bool:
    return any(a & b for a, b in combinations(sets.values(), 2))


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


def test_the_folder_may_name_the_speaker_and_then_splits_share_none(folder, tmp_path):
    splits = own.prepare(folder, tmp_path / "out", speaker_from_folder=True)
    assert set.union(*of(splits, "speaker").values()) == {"anna", "bert", "cleo", "dora"}
    assert not overlapping(of(splits, "speaker"))
    assert read_dataset(tmp_path / "out").shared == ()


def test_one_or_two_speakers_are_split_by_text_and_declared(folder, tmp_path):
    splits = own.prepare(folder / "anna", tmp_path / "out", speaker_from_folder=True)
    assert of(splits, "speaker") == {name: {"anna"} for name in ("train", "valid", "test")}
    assert read_dataset(tmp_path / "out").shared == ("speaker",)


def test_a_repeated_prompt_stays_in_one_split(tmp_path):
    rows = [f"{prompt}-{take}.wav\tPrompt {prompt}{'.!?'[take]}" for prompt in range(12) for take in range(3)]
    splits = own.prepare(tmp_path / "in", tmp_path / "out", table=table(tmp_path / "in", "path\tsentence", rows))
    prompts = {name: {text.rstrip(".!?") for text in texts} for name, texts in of(splits, "text").items()}
    assert set(map(len, prompts.values())) == {10, 1}
    assert not overlapping(prompts)
    assert read_dataset(tmp_path / "out").shared == ()


def test_prompts_that_speakers_share_are_declared(tmp_path):
    rows = [f"{speaker}{prompt}.wav\t{speaker}\tprompt {prompt}" for speaker in "abcd" for prompt in range(3)]
    source = table(tmp_path / "in", "audio\tspeaker\ttext", rows)
    splits = own.prepare(tmp_path / "in", tmp_path / "out", table=source)
    assert not overlapping(of(splits, "speaker"))
    assert read_dataset(tmp_path / "out").shared == ("text",)
    assert {overlap.kind for overlap in refuse_overlaps(splits, read_dataset(tmp_path / "out"))} == {"text"}


def test_where_a_speaker_is_missing_texts_decide(tmp_path):
    rows = [f"{number}.wav\t{'abcd'[number % 4] if number else ''}\ttext {number}" for number in range(20)]
    source = table(tmp_path / "in", "audio\tspeaker\ttext", rows)
    splits = own.prepare(tmp_path / "in", tmp_path / "out", table=source)
    assert {name: len(utterances) for name, utterances in splits.items()} == {"train": 16, "valid": 2, "test": 2}
    assert read_dataset(tmp_path / "out").shared == ("speaker",)


def test_a_split_column_decides_and_nothing_is_declared_behind_the_user_s_back(tmp_path):
    rows = [
        f"{number}.wav\tann\ttext {number}\t{split}" for number, split in enumerate(["train", "dev", "Test", "train"])
    ]
    source = table(tmp_path / "in", "audio\tspeaker\ttext\tsplit", rows)
    splits = own.prepare(tmp_path / "in", tmp_path / "out", table=source)
    assert of(splits, "id") == {"train": {"0", "3"}, "valid": {"1"}, "test": {"2"}}
    assert read_dataset(tmp_path / "out").shared == ()
    own.prepare(
        tmp_path / "in", tmp_path / "out", table=source, dataset=Dataset("mine", "CC0-1.0", shared=("speaker",))
    )
    assert read_dataset(tmp_path / "out") == Dataset("mine", "CC0-1.0", shared=("speaker",))


def test_a_split_column_must_name_splits(tmp_path):
    rows = ["a.wav\tyes\ttrain", "b.wav\tno\tother", "c.wav\tperhaps\t"]
    with pytest.raises(CorpusError, match="must be train, valid or test, not: b 'other', c ''"):
        own.prepare(tmp_path / "in", tmp_path / "out", table=table(tmp_path / "in", "path\ttext\tsplit", rows))


def test_sizes_follow_the_durations_and_the_seed_decides_who(tmp_path):
    rows = [f"{number}.wav\ttext {number}" for number in range(40)]
    source = table(tmp_path / "in", "path\ttext", rows)

    def division(seed: int) -> dict[str, set[str]]:
        out = tmp_path / f"out{seed}"
        return of(own.prepare(tmp_path / "in", out, table=source, valid=0.1, test=0.25, seed=seed), "id")

    assert {name: len(ids) for name, ids in division(0).items()} == {"train": 26, "valid": 4, "test": 10}
    assert division(0) == division(0) != division(1)


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


def test_recordings_that_are_added_may_come_into_any_split_but_move_no_other(tmp_path):
    def prepare(rows: list[str], **options: bool) -> dict[str, set[str]]:
        source = table(tmp_path / "in", "path\ttext\tsplit", rows)
        return of(own.prepare(tmp_path / "in", tmp_path / "out", table=source, **options), "id")

    rows = [f"{number}.wav\ttext {number}\t{split}" for number, split in enumerate(["train", "valid", "test"])]
    prepare(rows)
    more = [*rows, "3.wav\ttext 3\ttrain", "4.wav\ttext 4\ttest"]
    assert prepare(more)["test"] == {"2", "4"}
    assert prepare([*rows, "4.wav\ttext 4\ttest"])["train"] == {"0"}  # what is gone is gone
    moved = [*rows[1:], "0.wav\ttext 0\ttest", "3.wav\ttext 3\ttrain"]
    with pytest.raises(CorpusError, match=r"1 of 4 recordings would move to another split \(0 from train to test\)"):
        prepare(moved)
    assert [one.id for one in read_manifest(tmp_path / "out" / "train.jsonl")] == ["0"]
    assert prepare(moved, overwrite=True)["test"] == {"0", "2"}


@pytest.mark.parametrize("by", ["speaker", "text"])
def test_a_corpus_grows_and_its_splits_stay(tmp_path, by):
    """What a model was trained on must never come into the test, and another evening of recordings is welcome."""

    def prepare(evenings: int, **options: bool) -> dict[str, set[str]]:
        rows = [
            f"{evening}-{number}.wav\ttext {evening} {number}\t{f'spk{evening}{number % 5}' if by == 'speaker' else ''}"
            for evening in range(evenings)
            for number in range(20)
        ]
        source = table(tmp_path / "in", "path\ttext\tspeaker", rows)
        return of(own.prepare(tmp_path / "in", tmp_path / "out", table=source, **options), "id")

    before = prepare(1)
    for evenings in (2, 3):
        now = prepare(evenings)
        assert sum(map(len, now.values())) == 20 * evenings
        assert all(before[split] <= now[split] for split in before)
        before = now
    assert prepare(3) == before
    assert prepare(3, overwrite=True) != before


def test_a_new_take_of_a_prompt_follows_it(tmp_path):
    def prepare(rows: list[str]) -> dict[str, set[str]]:
        source = table(tmp_path / "in", "path\ttext", rows)
        splits = of(own.prepare(tmp_path / "in", tmp_path / "out", table=source), "text")
        return {split: {text.lower().strip(".") for text in texts} for split, texts in splits.items()}

    rows = [f"{number}.wav\ttext {number}" for number in range(12)]
    before = prepare(rows)
    assert prepare([*rows, *(f"again-{number}.wav\tText {number}." for number in range(12))]) == before


def test_a_table_may_number_its_rows_anew_while_the_recordings_stay_in_their_splits(tmp_path):
    def prepare(ids: str, *splits: str) -> None:
        rows = [f"{number}.wav\t{ids[number]}\ttext {number}\t{split}" for number, split in enumerate(splits)]
        source = table(tmp_path / "in", "path\tid\ttext\tsplit", rows)
        own.prepare(tmp_path / "in", tmp_path / "out", table=source)

    prepare("abc", "train", "valid", "test")
    prepare("bca", "train", "valid", "test")
    prepare("xyz", "train", "valid", "test")
    with pytest.raises(CorpusError, match="3 of 3 recordings would move to another split"):
        prepare("abc", "valid", "test", "train")


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


def test_splits_that_are_made_here_share_what_they_share(folder, tmp_path):
    with pytest.raises(CorpusError, match="--shared is for splits that a list brings with it"):
        own.prepare(folder, tmp_path / "out", dataset=Dataset(shared=("text",)))


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


ALL = ("speaker", "text")  # that splits may share here


def test_too_few_speakers_leave_little_to_train_on():
    def split(speaker: str) -> list[Utterance]:
        return [Utterance(f"{speaker}{n}", f"{speaker}{n}.wav", f"text {chr(97 + n)}", 1.0, speaker) for n in range(12)]

    three = {"train": split("anna"), "valid": split("bert"), "test": split("cleo")}
    (line,) = own.doubts(three, ALL)
    assert line.startswith("Training has only 33% of the audio") and "each of the 3 speakers" in line
    assert own.doubts(three | {"train": [*split("anna"), *split("dora"), *split("emil")]}, ALL) == []
    (line,) = own.doubts(three | {"test": split("cleo")[:8]}, ALL)
    assert line == "Too few utterances: test (8); figures on them mean little."  # nor advice that was followed


def test_a_division_that_means_little_is_doubted():
    def split(*texts: str) -> list[Utterance]:
        return [Utterance(text, f"{text}.wav", text, 1.0) for text in texts]

    sentences = [f"{first}{second} of the house" for first in "abc" for second in "abcd"]
    sound = {"train": split(*sentences), "valid": split(*sentences[:11]), "test": split(*sentences[1:])}
    assert own.doubts(sound, ALL) == []
    words = {"train": split("one", "two", "four"), "valid": split("Seven", "seven"), "test": split("six")}
    long = {
        name: [replace(one, text=f"{one.text} {name} {n}") for n, one in enumerate(found)]
        for name, found in sound.items()
    }
    (few,) = own.doubts(
        long | {"train": [*long["train"], *long["valid"], *long["test"]], "test": long["test"][:3]}, ALL
    )
    assert few == "Too few distinct texts: test (3); figures on them mean little."  # no words said again and again
    few, unknown = own.doubts(words, ALL)
    assert "train (3), valid (1), test (1)" in few and "--speaker-from folder" in few
    assert "'i'" in unknown and "'x'" in unknown and "in 3 of 3" in unknown


def test_by_default_the_first_problem_is_raised(folder, tmp_path):
    (folder / "anna" / "3.wav").write_bytes(b"RIFF")
    with pytest.raises(AudioError, match=r"3\.wav"):
        own.prepare(folder, tmp_path / "out")


def test_what_cannot_be_three_splits_is_refused(folder, tmp_path):
    with pytest.raises(CorpusError, match="no such folder"):
        own.prepare(tmp_path / "nowhere", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(AudioError, match="no audio files in it"):
        own.prepare(tmp_path / "empty", tmp_path / "out")
    for number in range(6):
        (folder / "anna" / f"{number}.txt").write_text("Yes!" if number % 2 else "yes")
    with pytest.raises(CorpusError, match="1 distinct texts are too few"):
        own.prepare(folder / "anna", tmp_path / "out")
    with pytest.raises(CorpusError, match="their sum below 1"):
        own.prepare(folder, tmp_path / "out", valid=0.5, test=0.5)
    for path in folder.rglob("*.txt"):
        path.unlink()
    with pytest.raises(CorpusError, match=r"none of its 24 recordings has a \.txt file next to it"):
        own.prepare(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_table_with_the_wrong_source_is_one_error_not_one_a_row(tmp_path):
    source = table(tmp_path / "in", "path\ttext", [f"{number}.wav\ttext {number}" for number in range(5)])
    errors = []
    with pytest.raises(CorpusError, match=r"none of its recordings exists: .*0\.wav"):
        own.prepare(tmp_path, tmp_path / "out", table=source, on_error=errors.append)
    assert errors == []


@pytest.fixture
def real(data: Path) -> Path:
    if not (data / "kathleen").is_dir():
        pytest.skip("the folder of real data holds no kathleen")
    return data / "kathleen"


def test_one_real_speaker_with_repeated_prompts(real, tmp_path):
    splits = own.prepare(real, tmp_path, table=real / "transcripts.tsv")
    assert sum(map(len, splits.values())) == 1620
    seconds = {name: sum(one.duration for one in utterances) for name, utterances in splits.items()}
    assert seconds["test"] / sum(seconds.values()) == pytest.approx(0.1, abs=0.005)
    assert not overlapping(of(splits, "text"))


def test_a_text_that_is_now_in_two_splits_is_named(tmp_path):
    def prepare(rows: list[str]) -> dict[str, set[str]]:
        source = table(tmp_path / "in", "path\ttext", rows)
        return of(own.prepare(tmp_path / "in", tmp_path / "out", table=source), "id")

    rows = [f"{number}.wav\ttext {number}" for number in range(12)]
    before = prepare(rows)
    train, test = (min(before[split], key=int) for split in ("train", "test"))
    rows[int(train)] = f"{train}.wav\tText {test}!"
    with pytest.raises(CorpusError) as refused:
        prepare(rows)
    assert f"text 'text {test}' is in two splits of the earlier division" in str(refused.value)
    assert f"{train} in train" in str(refused.value) and f"{test} in test" in str(refused.value)
