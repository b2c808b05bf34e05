"""Own recordings: how they are divided, that they stay where they were, and when a division is doubted."""

from dataclasses import replace
from pathlib import Path

import pytest
from recordings import of, overlapping, table

from asr.corpora import own
from asr.data.manifest import Dataset, Utterance, read_dataset, read_manifest
from asr.data.splits import refuse_overlaps
from asr.errors import AudioError, CorpusError


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


def test_splits_that_are_made_here_share_what_they_share(folder, tmp_path):
    with pytest.raises(CorpusError, match="--shared is for splits that a list brings with it"):
        own.prepare(folder, tmp_path / "out", dataset=Dataset(shared=("text",)))


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


def test_folders_that_may_be_speakers_are_doubted(folder, tmp_path):
    nameless = own.prepare(folder, tmp_path / "out")
    assert any("in 4 folders" in line and "--speaker-from folder" in line for line in own.doubts(nameless, ALL))
    named = own.prepare(folder, tmp_path / "named", speaker_from_folder=True)
    assert not any("folders" in line for line in own.doubts(named, ALL))


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
