"""Manifests: what is read, what is kept, and what is refused with its line."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.data.manifest import (
    Dataset,
    Utterance,
    named_splits,
    read_dataset,
    read_manifest,
    write_dataset,
    write_manifest,
)
from asr.errors import ManifestError

GOOD = {"id": "a", "audio": "a.wav", "text": "hello", "duration": 1.5, "speaker": "s"}


@pytest.fixture
def manifest(tmp_path):
    """A function that writes records, text or bytes as a manifest."""

    def write(*lines, end="\n"):
        path = tmp_path / "m.jsonl"
        parts = [line if isinstance(line, bytes) else json.dumps(line, ensure_ascii=False).encode() for line in lines]
        path.write_bytes(b"".join(part + end.encode() for part in parts))
        return path

    return write


def test_all_fields(manifest, tmp_path):
    (utterance,) = read_manifest(manifest(GOOD | {"note": [1, "x"], "speaker": 7}))
    assert utterance == Utterance("a", str(tmp_path / "a.wav"), "hello", 1.5, "7", {"note": [1, "x"]})


def test_audio_is_relative_to_the_manifest_wherever_it_is_read_from(tmp_path, monkeypatch):
    (tmp_path / "corpus").mkdir()
    monkeypatch.chdir(tmp_path)
    write_manifest("corpus/m.jsonl", [Utterance("a", str(tmp_path / "audio" / "a.wav"), "x", 1)])
    assert json.loads((tmp_path / "corpus/m.jsonl").read_text())["audio"] == "../audio/a.wav"
    assert read_manifest("corpus/m.jsonl")[0].audio == "audio/a.wav"
    monkeypatch.chdir(tmp_path / "corpus")
    assert read_manifest("m.jsonl")[0].audio == "../audio/a.wav"


@pytest.fixture
def linked(tmp_path, monkeypatch):
    """A project whose folder data is a link to another disk, where own/ holds a recording, as rec/ does."""
    (tmp_path / "home" / "proj" / "rec").mkdir(parents=True)
    (tmp_path / "big" / "own" / "pieces").mkdir(parents=True)
    (tmp_path / "big" / "near").mkdir()
    (tmp_path / "home" / "proj" / "data").symlink_to(tmp_path / "big")
    monkeypatch.chdir(tmp_path / "home" / "proj")
    audio = {"loose": "rec/a.wav", "piece": "data/own/pieces/a.wav", "near": "data/near/a.wav"}
    for path in audio.values():
        Path(path).touch()
    return audio


def found(manifest) -> dict[str, Path]:
    """The files of a manifest by id, as the system finds them from the working folder."""
    return {one.id: Path(one.audio).resolve(strict=True) for one in read_manifest(manifest)}


def test_a_folder_that_is_a_link_is_read_by_its_name_and_from_within(linked, tmp_path, monkeypatch):
    path = Path("data/own/m.jsonl")
    write_manifest(path, [Utterance(id, audio, "x", 1) for id, audio in linked.items()])
    files = {id: Path(audio).resolve() for id, audio in linked.items()}
    assert [json.loads(line)["audio"] for line in path.read_text().splitlines()] == [
        "../../home/proj/rec/a.wav",
        "pieces/a.wav",
        "../near/a.wav",
    ]
    assert found(path) == found(path.absolute()) == found(tmp_path / "big" / "own" / "m.jsonl") == files
    assert {one.id: one.audio for one in read_manifest(path)} == linked | {"loose": str(files["loose"])}
    monkeypatch.chdir("data/own")
    assert found("m.jsonl") == files


def test_a_manifest_of_before_is_read_by_the_name_that_it_was_written_by(linked):
    line = {"id": "loose", "audio": "../../rec/a.wav", "text": "x", "duration": 1}
    Path("data/own/m.jsonl").write_text(json.dumps(line) + "\n")
    assert read_manifest("data/own/m.jsonl")[0].audio == "rec/a.wav"


def test_names_that_the_system_takes_none_of_are_read_as_they_are(linked):
    lines = [{"id": audio, "audio": audio, "text": "x", "duration": 1} for audio in ("../a\0.wav", f"{'a' * 999}.wav")]
    Path("data/own/m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert [one.audio for one in read_manifest("data/own/m.jsonl")] == ["data/a\0.wav", f"data/own/{'a' * 999}.wav"]


def test_links_to_recordings_stay_as_they_are_named(tmp_path, monkeypatch):
    (tmp_path / "disk").mkdir()
    (tmp_path / "rec").symlink_to(tmp_path / "disk")
    monkeypatch.chdir(tmp_path)
    write_manifest("own/m.jsonl", [Utterance("a", "rec/a.wav", "x", 1)])
    assert json.loads(Path("own/m.jsonl").read_text())["audio"] == "../rec/a.wav"


def test_crlf_manifest_is_read(manifest):
    path = manifest(GOOD, GOOD | {"id": "b"}, end="\r\n")
    assert [(item.id, item.text) for item in read_manifest(path)] == [("a", "hello"), ("b", "hello")]


def test_byte_order_mark_and_empty_lines_are_harmless(manifest):
    path = manifest(b"\xef\xbb\xbf" + json.dumps(GOOD).encode(), b"", b"  ")
    assert len(read_manifest(path)) == 1


def test_line_separators_inside_a_text_do_not_end_the_line(manifest):
    assert read_manifest(manifest(GOOD | {"text": "a\u2028b\u0085c"}))[0].text == "a\u2028b\u0085c"


def test_nemo_manifest_is_read(manifest, tmp_path):
    path = manifest(*({"audio_filepath": f"{who}/001.wav", "text": "x", "duration": 1} for who in ("ann", "bob")))
    assert [(item.id, item.audio) for item in read_manifest(path)] == [
        ("ann/001", str(tmp_path / "ann/001.wav")),
        ("bob/001", str(tmp_path / "bob/001.wav")),
    ]


def test_missing_and_empty_speaker_are_unknown(manifest):
    records = [{key: GOOD[key] for key in ("audio", "text", "duration")} | {"id": str(n)} for n in range(3)]
    path = manifest(records[0], records[1] | {"speaker": ""}, records[2] | {"speaker": None})
    assert [item.speaker for item in read_manifest(path)] == [None, None, None]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"id": "a"', "not JSON"),
        (b"[1, 2]", "not a JSON object"),
        (b'{"id": "\xe9"}', "not UTF-8 (byte 9 of the line)"),
        (b"[" * 100000, "not JSON"),
        ({"id": "a"}, 'field "audio" is missing'),
        ({key: GOOD[key] for key in ("id", "audio", "duration")}, 'field "text" is missing'),
        ({key: GOOD[key] for key in ("id", "audio", "text")}, 'field "duration" is missing'),
        (GOOD | {"id": 3}, 'field "id" is not text'),
        (GOOD | {"id": ""}, 'field "id" is empty'),
        (GOOD | {"audio": ""}, 'field "audio" is empty'),
        ({"audio_filepath": "", "text": "x", "duration": 1}, "is empty"),
        (GOOD | {"text": None}, 'field "text" is not text'),
        (GOOD | {"text": ["a"]}, 'field "text" is not text'),
        (b'{"id": "a", "audio": "a.wav", "text": "\\ud800", "duration": 1}', "unpaired surrogate"),
        (GOOD | {"duration": "1.5"}, 'field "duration" must be seconds above 0, not "1.5"'),
        (GOOD | {"duration": 0}, "seconds above 0, not 0"),
        (GOOD | {"duration": -1}, "seconds above 0, not -1"),
        (GOOD | {"duration": float("nan")}, "seconds above 0, not NaN"),
        (GOOD | {"duration": float("inf")}, "seconds above 0, not Infinity"),
        (GOOD | {"duration": 10**400}, "seconds above 0, not 1000"),
        (GOOD | {"duration": True}, "seconds above 0, not true"),
        (GOOD | {"speaker": ["a"]}, 'field "speaker" must be text'),
        (GOOD | {"speaker": True}, 'field "speaker" must be text'),
        (GOOD | {"offset": 3.2}, 'field "offset" is not supported'),  # NeMo: the middle of a longer recording
    ],
)
def test_bad_line_is_named_in_one_line(manifest, line, expected):
    path = manifest(GOOD | {"id": "first"}, line)
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:2: ") and expected in message and "asr check" in message
    assert "\n" not in message and len(message) < 400


def test_repeated_id_is_refused(manifest):
    with pytest.raises(ManifestError, match=r"m.jsonl:3: duplicate id 'a' \(first on line 1\)"):
        read_manifest(manifest(GOOD, GOOD | {"id": "b"}, GOOD))


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_empty_manifest_is_refused(manifest, content):
    with pytest.raises(ManifestError, match="contains no utterances"):
        read_manifest(manifest(content))


def test_unreadable_manifests_are_one_line(tmp_path, manifest, monkeypatch):
    with pytest.raises(ManifestError, match="no such file"):
        read_manifest(tmp_path / "no.jsonl")
    with pytest.raises(ManifestError, match="is a folder"):
        read_manifest(tmp_path)
    with pytest.raises(ManifestError, match="UTF-16"):
        read_manifest(manifest(json.dumps(GOOD).encode("utf-16")))

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    with pytest.raises(ManifestError, match="cannot be read: permission denied"):
        read_manifest(tmp_path / "m.jsonl")


TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(st.tuples(TEXT.filter(bool), TEXT, st.floats(0.001, 1e5), st.none() | TEXT.filter(bool)), min_size=1))
def test_write_and_read_round_trip(tmp_path_factory, items):
    folder = tmp_path_factory.getbasetemp()
    utterances = [
        Utterance(f"{n} {id}", str(folder / "é x" / f"{n}.wav"), text, round(duration, 4), speaker, {"k": text})
        for n, (id, text, duration, speaker) in enumerate(items)
    ]
    write_manifest(folder / "round.jsonl", utterances)
    assert read_manifest(folder / "round.jsonl") == utterances


def test_a_failed_write_leaves_the_old_manifest(tmp_path):
    path = tmp_path / "m.jsonl"
    write_manifest(path, [Utterance("a", "a.wav", "x", 1)])
    before = path.read_bytes()

    def broken():
        yield Utterance("b", "b.wav", "x", 1)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_manifest(path, broken())
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == ["m.jsonl"]


def test_a_file_name_that_is_no_utf8_is_one_line(tmp_path):
    with pytest.raises(ManifestError, match="not UTF-8"):
        write_manifest(tmp_path / "m.jsonl", [Utterance("a", "caf\udce9.wav", "x", 1)])
    assert not list(tmp_path.iterdir())


def test_dataset_round_trip(tmp_path):
    assert read_dataset(tmp_path) == Dataset()
    dataset = Dataset("Zürich: 3 people", "CC BY 4.0", "no", ("speaker", "text"))
    write_dataset(tmp_path, dataset)
    assert read_dataset(tmp_path) == dataset


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("shared: speaker", "must be a list of speaker and text, not 'speaker'"),
        ("shared: [id]", "must be a list"),
        ("shared: [[speaker]]", "must be a list"),
        ("- 1", "not a mapping"),
        ("a: b: c", "not YAML"),
        ("name: 2020-99-99", "not YAML"),
    ],
)
def test_bad_dataset_is_one_line(tmp_path, content, expected):
    (tmp_path / "dataset.yaml").write_text(content)
    with pytest.raises(ManifestError) as caught:
        read_dataset(tmp_path)
    assert expected in str(caught.value) and "\n" not in str(caught.value)


def test_dataset_fields_may_be_empty_and_others_are_ignored(tmp_path):
    (tmp_path / "dataset.yaml").write_text("name:\nurl: http://x\nlicense: CC0-1.0\r\n")
    assert read_dataset(tmp_path) == Dataset(license="CC0-1.0")


def test_what_is_no_manifest_is_told_what_to_do(tmp_path):
    (tmp_path / "texts.csv").write_text("a.wav,hello\n")
    with pytest.raises(ManifestError, match=r"asr prepare own --table .*texts\.csv"):
        read_manifest(tmp_path / "texts.csv")
    with pytest.raises(ManifestError, match=r"name a file in it, such as .*test\.jsonl"):
        read_manifest(tmp_path)


def test_splits_are_named_by_file_or_by_hand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b.jsonl").touch()
    named = named_splits(["data/train.jsonl", "other=data/x.jsonl", "a=b.jsonl", "./k=v/test.jsonl"])
    assert {name: str(path) for name, path in named.items()} == {
        "train": "data/train.jsonl",
        "other": "data/x.jsonl",
        "a=b": "a=b.jsonl",
        "test": "k=v/test.jsonl",
    }
    with pytest.raises(ManifestError, match="both called test"):
        named_splits(["a/test.jsonl", "b/test.jsonl"])


def test_a_recording_in_a_shard_is_relative_to_the_manifest_as_any_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    audio = "corpus/shards/train-0001.tar@512+99"
    write_manifest("corpus/m.jsonl", [Utterance("a", audio, "text", 1.0)])
    assert json.loads(Path("corpus/m.jsonl").read_text())["audio"] == "shards/train-0001.tar@512+99"
    assert read_manifest("corpus/m.jsonl")[0].audio == audio
    write_manifest("m.jsonl", read_manifest("corpus/m.jsonl"))
    assert read_manifest("m.jsonl")[0].audio == audio


def test_recordings_of_one_shard_have_ids_of_their_own(tmp_path):
    lines = [json.dumps({"audio_filepath": f"a.tar@{n}+5", "text": "x", "duration": 1}) for n in (0, 512)]
    (tmp_path / "m.jsonl").write_text("\n".join(lines))
    assert [one.id for one in read_manifest(tmp_path / "m.jsonl")] == ["a.tar@0+5", "a.tar@512+5"]
