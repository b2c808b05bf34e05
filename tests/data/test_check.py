"""Everything wrong with manifests, found at once."""

import json

import numpy as np
import pytest
import soundfile

from asr.audio import write_wav
from asr.config_file import parse_config
from asr.data.check import Target, check_manifests, write_repaired
from asr.data.manifest import Dataset, read_dataset, read_manifest, write_dataset
from asr.errors import ManifestError
from asr.text import Normalizer, Tokenizer
from asr.train.selection import select


def target(alphabet=None, **sections) -> Target:
    config = parse_config({"features": {"sample_rate": 8000}, **sections})
    return Target(config, Normalizer.from_config(config.text), alphabet and Tokenizer.build([alphabet]))


def check(path, *args, **options):
    """One manifest's `Checked`."""
    (checked,), shared = check_manifests({path.stem: path}, *args, **options)
    assert not shared
    return checked


def told(checked, warnings=False):
    """Messages by line."""
    return [(problem.line, problem.message) for problem in checked.problems if problem.warning == warnings]


@pytest.fixture
def folder(tmp_path, write_split):
    """A good manifest of five."""
    write_split(tmp_path, "train", ["one", "two", "three", "four", "five"])
    return tmp_path


@pytest.fixture
def change(folder):
    """A function that changes fields of a line of the manifest (from 1), or replaces it."""

    def change(line, **fields):
        path = folder / "train.jsonl"
        lines = path.read_text().splitlines()
        raw = fields.pop("raw", None)
        lines[line - 1] = json.dumps(json.loads(lines[line - 1]) | fields) if raw is None else raw
        path.write_text("\n".join(lines) + "\n")
        return path

    return change


def test_nothing_wrong(folder):
    checked = check(folder / "train.jsonl", target(), decode=True)
    assert checked.problems == [] and checked.corrected == 0
    assert checked.usable == read_manifest(folder / "train.jsonl")
    line = str(checked)
    assert all(part in line for part in ("utterances 5,", "audio 6.0 s", "speakers 1,", "8000 Hz", "efhinortuvw"))


def test_all_problems_are_found_at_once_by_line(folder, change):
    change(1, raw="{not json")
    change(2, audio="audio/no.wav", text="")
    change(3, duration=9)
    path = change(4, id="train-4")
    checked = check(path)
    assert [problem.line for problem in checked.problems] == [1, 2, 2, 3, 5]
    assert str(checked.problems[1]) == f"{path}:2: error: audio: {folder}/audio/no.wav: no such file"
    assert str(checked.problems[2]) == f"{path}:2: warning: text is empty"


def test_crlf_and_byte_order_mark_are_no_problem(folder):
    path = folder / "train.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert check(path).problems == []


def test_lines_that_are_not_utf8_are_named(folder, change):
    path = folder / "train.jsonl"
    path.write_bytes(path.read_bytes().replace(b"three", b"thr\xe9\xe9"))
    ((line, message),) = told(check(path))
    assert line == 3 and "not UTF-8" in message


def test_repeated_ids_and_audio(folder, change):
    change(4, id="train-0")
    checked = check(change(5, audio="audio/train-1.wav", duration=1.1))
    assert told(checked) == [(4, "duplicate id 'train-0' (first on line 1)")]
    assert told(checked, warnings=True) == [(5, "same audio as on line 2")]


@pytest.mark.parametrize(("stated", "wrong"), [(1.0299, False), (1.031, True), (0.969, True), (2.0, True), (0.1, True)])
def test_duration_that_disagrees_with_the_audio(folder, change, stated, wrong):
    checked = check(change(1, duration=stated))
    assert [line for line, _ in told(checked)] == [1] * wrong
    assert checked.usable[0].duration == (1.0 if wrong else stated)


def test_long_recordings_may_be_one_percent_off(folder, change, babble):
    write_wav(folder / "audio" / "train-0.wav", babble(20), 8000)
    assert told(check(change(1, duration=20.15))) == []
    assert len(told(check(change(1, duration=20.25)))) == 1


def test_unusable_audio_is_named(folder, change):
    (folder / "audio" / "train-0.wav").write_bytes(b"")
    (folder / "audio" / "train-1.wav").write_text("not audio at all")
    whole = (folder / "audio" / "train-2.wav").read_bytes()
    (folder / "audio" / "train-2.wav").write_bytes(whole[:9000])
    (folder / "audio" / "train-3.wav").write_bytes(whole[:40] + b"\0\0\0\0")
    messages = told(check(change(5, audio=".")))
    assert [line for line, _ in messages] == [1, 2, 3, 4, 5]
    for (_, message), expected in zip(
        messages, ("0 bytes", "not a supported audio", "truncated", "contains no samples", "is a folder"), strict=True
    ):
        assert expected in message


def test_decoding_finds_what_headers_hide(folder):
    samples = np.full(8000, np.nan, np.float32)
    soundfile.write(folder / "audio" / "train-0.wav", samples, 8000, subtype="FLOAT")
    write_wav(folder / "audio" / "train-1.wav", np.zeros(8800), 8000)
    assert told(check(folder / "train.jsonl")) == []
    (nan, silent) = told(check(folder / "train.jsonl", decode=True))
    assert nan[0] == 1 and "NaN" in nan[1]
    assert silent[0] == 2 and "silent, but has a text" in silent[1]


def test_odd_texts_are_warned_of(folder, change):
    change(1, text="  ")
    change(2, text="caf\ufffd")
    path = change(3, text="a very long text " * 10)
    assert [line for line, _ in told(check(path), warnings=True)] == [1, 2, 3]
    change(4, text="?!")
    assert (4, "text is empty when normalised") in told(check(path, target()), warnings=True)


def test_unknown_characters_have_code_points_and_an_example(folder, change):
    path = change(2, text="Zwölf")
    checked = check(path, target(alphabet="one two three four five"))
    ((line, message),) = told(checked)
    assert line == 2 and "'zwölf'" in message
    assert "'z' U+007A LATIN SMALL LETTER Z" in message and "U+00F6 LATIN SMALL LETTER O WITH DIAERESIS" in message
    assert len(checked.usable) == 5  # a line is not dropped for what a model cannot learn


def test_composed_and_decomposed_umlaut_are_the_same_to_an_alphabet(folder, change):
    path = change(2, text="zwo\u0308lf")
    assert told(check(path, target(alphabet="onetwhrfuviözl"))) == []


def test_alphabet_of_a_config_is_that_of_train(folder, write_split):
    write_split(folder, "test", ["one", "six"])
    splits = {"test": folder / "test.jsonl", "train": folder / "train.jsonl"}
    (test, train), _ = check_manifests(splits, target())
    ((line, message),) = told(test, warnings=True)  # it will cost errors, but nobody trains on it
    assert line == 2 and "U+0073" in message and "U+0078" in message and "U+0069" not in message  # s, x; not i
    assert told(test) == told(train) == []
    assert len(test.usable) == 2  # a test set without its hard utterances would flatter


def test_characters_in_hardly_any_line_are_warned_of(tmp_path, write_split):
    write_split(tmp_path, "train", ["one"] * 100 + ["ona"])
    checked = check(tmp_path / "train.jsonl", target())
    ((line, message),) = told(checked, warnings=True)
    assert line == 101 and "'a' U+0061" in message and "U+006F" not in message


def test_targets_longer_than_their_steps_at_the_fastest_speed(folder, change):
    # 1 s of 10 ms frames at stride 3 is 34 steps; at 1.25 times the speed 0.8 s is 27
    path = change(1, text="ab" * 13 + "c")
    fast, plain = ({"augment": {"speed": [0.9, speed]}} for speed in (1.25, 1.0))
    assert told(check(path, target(**fast))) == []
    change(1, text="ab" * 14)
    assert told(check(path, target(**fast))) == [
        (1, "text needs 28 output steps, but 1.00 s at 1.25 times the speed give only 27")
    ]
    assert told(check(path, target(**plain))) == []
    change(1, text="a" * 14)  # 14 tokens and a blank between each two
    assert told(check(path, target(**fast))) == []
    change(1, text="a" * 18)
    assert told(check(path, target(**plain))) == [(1, "text needs 35 output steps, but 1.00 s give only 34")]


def test_pieces_of_words_need_fewer_steps_than_letters(folder, change):
    pytest.importorskip("sentencepiece")
    path = change(1, text="ab" * 20)
    assert told(check(path, target())) == [
        (1, "text needs 40 output steps, but 1.00 s at 1.1 times the speed give only 31")
    ]
    few = target(text={"units": "bpe", "bpe_tokens": 18})
    assert told(check(path, few)) == []
    many = told(check(path, target(text={"units": "bpe", "bpe_tokens": 3000})))
    assert [line for line, _ in many] == [0, 1]  # letters are still checked
    assert "text.bpe_tokens=3000" in many[0][1]


def test_steps_are_counted_with_the_true_duration(folder, change):
    path = change(1, text="ab" * 16, duration=10)
    assert len(told(check(path, target()))) == 2  # the duration, and the steps


def test_too_long_and_too_low_are_warned_of(folder):
    checked = check(folder / "train.jsonl", target(batches={"max_seconds": 1.35}, features={"sample_rate": 16000}))
    assert told(checked) == []
    whole, *single = told(checked, warnings=True)
    assert whole[0] == 0 and "5 utterances are below the model's 16000 Hz" in whole[1]
    assert whole[1].endswith("; if all recordings are like that, train with features.sample_rate=8000")
    assert [line for line, _ in single] == [5] and "batches.max_seconds = 1.35" in single[0][1]


def test_empty_manifest(tmp_path):
    (tmp_path / "train.jsonl").write_text("\n")
    assert told(check(tmp_path / "train.jsonl", target())) == [(0, "contains no utterances")]


def test_missing_manifest_is_refused(tmp_path):
    with pytest.raises(ManifestError, match="no such file"):
        check(tmp_path / "no.jsonl")


def test_overlaps_between_manifests(folder, write_split):
    write_split(folder, "test", ["one", "six"], speaker="train speaker")
    splits = {name: folder / f"{name}.jsonl" for name in ("train", "test")}
    _, shared = check_manifests(splits)
    assert [(problem.warning, problem.line) for problem in shared] == [(False, 0)] * 2
    assert [problem.message.split(":")[0] for problem in shared] == [
        "train and test share 1 speaker",
        "train and test share 1 text",
    ]
    write_dataset(folder, Dataset(shared=("speaker",)))
    _, shared = check_manifests(splits)
    assert [problem.warning for problem in shared] == [True, False]


def test_copies_of_manifests_of_two_folders_declare_what_both_do(folder, write_split, tmp_path):
    """Else the copy of one that declares nothing would share a speaker by leave of the other."""
    other = tmp_path / "other"
    write_split(other, "test", ["one", "six"])
    write_dataset(folder, Dataset("mine", shared=("speaker", "text")))
    write_dataset(other, Dataset("other", shared=("text",)))
    checked, _ = check_manifests({"train": folder / "train.jsonl", "test": other / "test.jsonl"})
    write_repaired(dict(zip(("train", "test"), checked, strict=True)), tmp_path / "out")
    assert read_dataset(tmp_path / "out").shared == ("text",)


def test_the_alphabet_has_what_training_puts_between_joined_texts(folder, write_split):
    write_split(folder, "train", ["one", "two"])
    write_split(folder, "test", ["one two"])
    splits = {name: folder / f"{name}.jsonl" for name in ("train", "test")}
    told = [
        problem.message
        for one in check_manifests(splits, target(augment={"join_seconds": 5}))[0]
        for problem in one.problems
    ]
    assert not any("not in the alphabet" in message for message in told)
    told = [problem.message for one in check_manifests(splits, target())[0] for problem in one.problems]
    assert any("not in the alphabet: ' '" in message for message in told)


def test_signs_that_cut_words_in_two_are_shown(change):
    """In Armenian and Catalan they are spelling, and what is left does not show that they were there."""
    change(1, text="ի՞նչ col·legi col·legi, and so on - 'quoted' don't")
    path = change(2, text="col·legi 3.5")
    checked = check(path, target())
    assert checked.spaced == {"·": 3, "՞": 1}
    assert str(checked).splitlines()[1] == (
        f"{path}: replaced by spaces inside words (text.keep keeps them): '·' U+00B7 MIDDLE DOT (3 times), "
        "'՞' U+055E ARMENIAN QUESTION MARK (1 times)"
    )


def test_marks_and_invisible_characters_of_an_alphabet_can_be_seen(change):
    checked = check(change(1, text="नमस्ते र\u200d्य"), target())
    assert "◌्" in str(checked) and "<U+200D>" in str(checked) and "\u200d" not in str(checked)


def test_several_channels_are_averaged_and_said(folder, change):
    change(1)
    waveform, rate = soundfile.read(folder / "audio" / "train-0.wav")
    soundfile.write(folder / "audio" / "train-0.wav", np.stack([waveform, waveform], 1), rate)
    checked = check(folder / "train.jsonl", target())
    assert told(checked) == []
    assert [message for _, message in told(checked, warnings=True)] == [
        "1 utterances have several channels, which are averaged; if each is a different speaker, as in recorded "
        "calls, split them into separate recordings"
    ]


def test_bad_dataset_is_a_problem_among_the_others(folder, change):
    (folder / "dataset.yaml").write_text("shared: everything")
    path = change(1, raw="{")
    (checked,), shared = check_manifests({"train": path})
    assert len(told(checked)) == 1
    assert [str(problem).split(": must")[0] for problem in shared] == [f"{folder}/dataset.yaml: error: shared"]


def test_repaired_copy(folder, change, tmp_path):
    change(1, raw="{")
    change(2, id="train-3", duration=7, note="kept")
    path = change(5, audio="audio/no.wav")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    write_dataset(folder, Dataset("mine", shared=("text",)))
    out = tmp_path / "deeper" / "fixed.jsonl"
    assert write_repaired({"train": check(path)}, out) == [f"{out}: utterances 2, dropped 3, durations corrected 1"]
    utterances = read_manifest(out)
    assert [(item.id, item.duration, item.extra) for item in utterances] == [
        ("train-3", 1.1, {"note": "kept"}),  # the first of that id stays
        ("train-2", 1.2, {}),
    ]
    assert check(out).problems == []
    assert read_dataset(out.parent) == Dataset("mine", shared=("text",))


def test_a_repaired_copy_keeps_what_a_model_cannot_learn_and_says_so(folder, change, tmp_path, write_split):
    """Training leaves it out by itself; a test without it would flatter."""
    change(1, raw="{")
    change(2, text="ab" * 99)
    write_split(folder, "test", ["one", "two " * 99])
    paths = {name: folder / f"{name}.jsonl" for name in ("train", "test")}
    checked, _ = check_manifests(paths, target())
    assert any(line == 2 and "text needs 198 output steps" in message for line, message in told(checked[0]))
    out = tmp_path / "fixed"
    assert write_repaired(dict(zip(paths, checked, strict=True)), out) == [
        f"{out}/train.jsonl: utterances 4, dropped 1, durations corrected 0; 1 kept that a model cannot learn",
        f"{out}/test.jsonl: utterances 2, dropped 0, durations corrected 0",
    ]
    left = read_manifest(out / "train.jsonl")
    assert [one.id for one in left] == ["train-1", "train-2", "train-3", "train-4"]
    config, normalizer = target().config, target().normalizer
    chosen = select(left, config, normalizer, Tokenizer.build(normalizer(one.text) for one in left))
    assert [one.id for one in chosen.kept] == ["train-2", "train-3", "train-4"]


def test_repair_never_replaces_a_file_and_never_writes_nothing(folder, change):
    path = folder / "train.jsonl"
    before = path.read_bytes()
    with pytest.raises(ManifestError, match="already exists"):
        write_repaired({"train": check(path)}, folder / "audio" / ".." / "train.jsonl")
    with pytest.raises(ManifestError, match="already exists"):
        write_repaired({"other": check(path), "train": check(path)}, folder)
    assert path.read_bytes() == before and not (folder / "other.jsonl").exists()
    path.write_text("{\n")
    with pytest.raises(ManifestError, match="no usable line"):
        write_repaired({"train": check(path)}, folder / "fixed.jsonl")
    assert not (folder / "fixed.jsonl").exists()
