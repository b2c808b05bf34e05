"""NeMo's manifests as lists of own recordings."""

import json
from pathlib import Path

import pytest

from asr.audio import write_wav
from asr.corpora import own
from asr.corpora.listing import tables_by_split
from asr.corpora.nemo import read_nemo_manifest
from asr.errors import AsrError, CorpusError


def manifest(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.fixture
def recordings(tmp_path, babble) -> Path:
    """Three recordings of three seconds."""
    for name in "abc":
        write_wav(tmp_path / f"{name}.wav", babble(3.0, 8000, ord(name)), 8000)
    return tmp_path


def test_an_offset_cuts_and_so_does_a_duration_that_ends_before_the_recording(recordings):
    path = manifest(
        recordings / "m.jsonl",
        {"audio_filepath": "a.wav", "duration": 3.0, "text": "all  of it", "room": "hall"},
        {"audio_filepath": "b.wav", "duration": 1.0, "text": "the first second"},
        {"audio_filepath": "c.wav", "offset": 0, "duration": 1.5, "text": "a half", "speaker": 7},
        {"audio_filepath": "c.wav", "offset": 1.5, "duration": 1.5, "text": "the other", "lang": None},
    )
    splits = own.prepare(recordings, recordings / "out", table=path)
    found = {one.id: one for some in splits.values() for one in some}
    assert {id: (one.text, one.duration) for id, one in found.items()} == {
        "a": ("all of it", 3.0),
        "b": ("the first second", 1.0),
        "c-00000000-00001500": ("a half", 1.5),
        "c-00001500-00003000": ("the other", 1.5),
    }
    assert found["a"].extra == {"room": "hall"} and found["c-00001500-00003000"].extra == {}
    assert found["c-00000000-00001500"].speaker == "7"
    assert Path(found["a"].audio) == recordings / "a.wav"
    assert sorted(path.name for path in (recordings / "out" / "pieces").iterdir()) == [
        "b-00000000-00001000.flac",
        "c-00000000-00001500.flac",
        "c-00001500-00003000.flac",
    ]


def test_what_lies_outside_its_recording_or_says_nothing_is_named_by_line(recordings):
    good = [{"audio_filepath": f"{name}.wav", "duration": 3.0, "text": name} for name in "abc"]
    late = {"audio_filepath": "a.wav", "offset": 2.0, "duration": 3.0, "text": "late"}
    path = manifest(recordings / "m.json", *good, late, {"audio_filepath": "b.wav", "text": ""}, good[0] | {"id": "x"})
    errors = []
    splits = own.prepare(recordings, recordings / "out", table=path, on_error=lambda error: errors.append(str(error)))
    assert sum(map(len, splits.values())) == 3
    assert errors == [
        f"{path}:5: no text",
        f"{path}:6: same recording as {path}:1",
        f"{path}:4: {recordings / 'a.wav'}: segment ends at 5 s, after the end of the recording (3.00 s)",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "m.jsonl: contains no lines"),
        ("{\n", "m.jsonl:1: not JSON"),
        ("[1]\n", "m.jsonl:1: not a JSON object"),
        ('{"audio_filepath": "a.wav", "text": ["a"]}\n', 'm.jsonl:1: field "text" must be text, not'),
        (
            '{"audio_filepath": "a.wav", "text": "a", "offset": -1}\n',
            'm.jsonl:1: field "offset" must be seconds, not -1',
        ),
        ('{"audio_filepath": "a.wav", "text": "a", "duration": "1"}\n', 'm.jsonl:1: field "duration" must be seconds'),
        ('{"audio_filepath": "a.wav", "text": "a", "duration": NaN}\n', 'm.jsonl:1: field "duration" must be seconds'),
    ],
)
def test_manifests_that_cannot_be_used_are_refused_by_line(tmp_path, content, message):
    (tmp_path / "m.jsonl").write_text(content)
    with pytest.raises(AsrError, match=message):
        read_nemo_manifest(tmp_path / "m.jsonl")


def test_lines_that_cannot_be_used_are_left_out_by_line(recordings):
    path = manifest(
        recordings / "m.jsonl",
        *({"audio_filepath": f"{name}.wav", "text": name} for name in "abc"),
        {"audio_filepath": "a.wav", "text": "late", "offset": 1, "duration": "soon"},
        {"audio_filepath": "a.wav", "text": "huge", "offset": 1, "duration": 10**400},
        {"audio_filepath": "b.wav", "text": "half \ud83d", "offset": 1},
    )
    with path.open("a") as stream:
        stream.write("{\n")
    errors = []
    splits = own.prepare(recordings, recordings / "out", table=path, on_error=lambda error: errors.append(str(error)))
    assert sum(map(len, splits.values())) == 3
    wanted = [
        f'{path}:4: field "duration" must be seconds, not "soon"',
        f'{path}:5: field "duration" must be seconds, not 1000',
        f"{path}:6: contains an unpaired surrogate",
        f"{path}:7: not JSON",
    ]
    assert len(errors) == 4 and all(map(str.startswith, errors, wanted)), errors


def test_a_file_of_which_no_line_can_be_used_is_one_error(tmp_path):
    (tmp_path / "m.json").write_text('{\n"audio": "a.wav",\n"text": "b"\n}\n')
    errors = []
    with pytest.raises(AsrError, match=r"m\.json:1: not JSON"):
        read_nemo_manifest(tmp_path / "m.json", errors.append)
    assert errors == []


def test_a_list_for_each_split_has_its_name():
    assert tables_by_split(["a.csv"]) == {"": Path("a.csv")}
    assert tables_by_split(["train=a", "dev=b=c", "test=d/e"]) == {
        "train": Path("a"),
        "valid": Path("b=c"),
        "test": Path("d/e"),
    }
    assert tables_by_split(["x/y=z.csv"]) == {"": Path("x/y=z.csv")}
    for wrong, message in (
        (["other=a"], "other=a: split must be train, valid or test, not other"),
        (["a", "b"], "a and b: with several lists, name the split of each, as in train=b"),
        (["train=a", "b"], "b: with several lists, name the split of each, as in train=b"),
        (["valid=a", "dev=b"], "a and b: with several lists, name the split of each"),
    ):
        with pytest.raises(CorpusError, match=message):
            tables_by_split(wrong)
