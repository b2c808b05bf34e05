"""Kaldi's data folders, from their lines to the utterances that own recordings are prepared as."""

from pathlib import Path

import pytest
import soundfile

from asr.audio import write_wav
from asr.corpora import own
from asr.corpora.kaldi import read_data_folder
from asr.data.manifest import read_dataset, read_manifest
from asr.errors import CorpusError


def data_folder(path: Path, **files: str) -> Path:
    """A folder with the given files; `scp` is wav.scp."""
    path.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (path / ("wav.scp" if name == "scp" else name)).write_text(content)
    return path


@pytest.mark.parametrize(
    ("entry", "file"),
    [
        ("a b.wav", "a b.wav"),
        ("/corpus/a.sph", "/corpus/a.sph"),
        ("sph2pipe -f wav a.sph |", "a.sph"),
        ("/kaldi/tools/sph2pipe_v2.5/sph2pipe -f wav -p a.sph |", "a.sph"),
        ("flac -c -d -s a.flac |", "a.flac"),
        ("flac -cds 'a b.flac'|", "a b.flac"),
        ("sox a.mp3 -t wav - |", "a.mp3"),
    ],
)
def test_plain_conversions_stand_for_the_file_that_they_read(tmp_path, entry, file):
    folder = data_folder(tmp_path, scp=f"u1 {entry}\n", text="u1 hello there\n")
    assert [(row.audio, row.text) for row in read_data_folder(folder)] == [(file, "hello there")]


@pytest.mark.parametrize(
    "entry",
    [
        "touch ran |",
        "sox a.wav -t wav - ; touch ran |",
        "sox a.wav -t wav - | touch ran |",
        "sph2pipe -f wav -c 2 a.sph |",
        "sox a.wav -r 8000 -t wav - speed 0.9 |",
        "flac -c -d -s - |",
        "flac -c -d -s $(touch ran) |",
        "flac -c -d -s 'a.flac |",
        "|",
    ],
)
def test_no_other_command_is_run_or_read(tmp_path, entry, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = data_folder(tmp_path, scp=f"u0 a.wav\nu1 {entry}\n", text="u1 hello there\n")
    with pytest.raises(CorpusError, match=r"wav\.scp:2: a command, which is never run") as error:
        read_data_folder(folder)
    assert "\n" not in str(error.value) and not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"text": "u1 yes\n", "scp": "u1\n"}, r"wav\.scp:1: no audio file given"),
        ({"text": "u1 yes\n", "scp": "u1 raw_mfcc.ark:712\n"}, r"wav\.scp:1: .* archives cannot be read"),
        ({"text": "u1 yes\nu1 no\n"}, r"text:2: duplicate id u1 \(first in .*text:1\)"),
        ({"text": ""}, r"text: contains no lines"),
        ({}, r"text: no such file"),
        ({"text": "u1 yes\n", "segments": "u1 r1 0\n"}, r"segments:1: must be UTTERANCE RECORDING START END"),
        ({"text": "u1 yes\n", "segments": "u1 r1 0 soon\n"}, r"segments:1: must be UTTERANCE RECORDING START END"),
        ({"text": "u1 yes\n", "segments": "u1 r9 0 1\n"}, r"segments:1: recording r9 is not in .*wav\.scp"),
    ],
)
def test_folders_that_cannot_be_used_are_refused_by_line(tmp_path, files, message):
    with pytest.raises(CorpusError, match=message):
        read_data_folder(data_folder(tmp_path, **{"scp": "r1 a.wav\n"} | files))


@pytest.fixture
def calls(tmp_path, babble) -> Path:
    """Three calls of four seconds, each cut into four utterances by its own speaker; one segment ends a bit late."""
    scp, segments, text, speakers = [], [], [], []
    (tmp_path / "calls").mkdir()
    for call in range(3):
        write_wav(tmp_path / "calls" / f"{call}.wav", babble(4.0, 8000, call), 8000)
        scp.append(f"c{call} sox calls/{call}.wav -t wav - |\n")
        for part in range(4):
            end = -1 if part == 3 and call else part + 1 + 0.2 * (part == 3)
            segments.append(f"c{call}-{part} c{call} {part}.0 {end}\n")
            text.append(f"c{call}-{part} text {call} {part}\n")
            speakers.append(f"c{call}-{part} spk{call}\n")
    files = {"scp": scp, "segments": segments, "text": text, "utt2spk": speakers, "spk2gender": ["spk0 f\n"]}
    data_folder(tmp_path / "data", **{name: "".join(lines) for name, lines in files.items()})
    return tmp_path


def test_segments_become_files_of_their_own(calls):
    splits = own.prepare(calls, calls / "out", table=calls / "data")
    utterances = {one.id: one for some in splits.values() for one in some}
    assert set(utterances) == {f"c{call}-{part}" for call in range(3) for part in range(4)}
    assert {len({one.speaker for one in some}) for some in splits.values()} == {1}
    one = utterances["c1-2"]
    assert (one.text, one.speaker, one.duration) == ("text 1 2", "spk1", 1.0)
    assert Path(one.audio) == calls / "out" / "pieces" / "calls_1-00002000-00003000.flac"
    samples, _ = soundfile.read(one.audio, dtype="int16")
    whole, _ = soundfile.read(calls / "calls" / "1.wav", dtype="int16")
    assert samples.tolist() == whole[16000:24000].tolist()
    assert {round(one.duration, 3) for one in utterances.values()} == {1.0}
    assert len(read_manifest(calls / "out" / "train.jsonl")) == 4
    assert read_dataset(calls / "out").shared == ()


def test_a_refused_division_writes_no_piece(calls):
    own.prepare(calls, calls / "out", table=calls / "data")
    before = {path: path.stat().st_mtime_ns for path in (calls / "out" / "pieces").iterdir()}
    speakers = calls / "data" / "utt2spk"  # of two people one, who then are in two splits
    speakers.write_text(speakers.read_text().replace("c1-0 spk1", "c1-0 spk0"))
    with pytest.raises(CorpusError, match="speaker 'spk0' is in two splits of the earlier division"):
        own.prepare(calls, calls / "out", table=calls / "data")
    assert {path: path.stat().st_mtime_ns for path in (calls / "out" / "pieces").iterdir()} == before


def test_a_data_folder_may_be_the_source_and_what_is_incomplete_is_named(calls):
    folder = calls / "data"
    (folder / "wav.scp").write_text("".join(f"c{call} {calls}/calls/{call}.wav\n" for call in range(3)))
    lines = (folder / "text").read_text().splitlines(keepends=True)
    (folder / "text").write_text("".join([*lines[1:], "c9-0 of no call\n"]))
    segments = (folder / "segments").read_text().replace("c0-1 c0 1.0 2", "c0-1 c0 1.0 9")
    (folder / "segments").write_text(segments)
    errors = []
    splits = own.prepare(folder, calls / "out", on_error=lambda error: errors.append(str(error)))
    assert sum(map(len, splits.values())) == 10
    assert errors == [
        f"{folder}/segments:1: no text",
        f"{folder}/text:12: no audio path",
        f"{folder}/segments:2: {calls}/calls/0.wav: segment ends at 9 s, after the end of the recording (4.00 s)",
    ]


def test_a_speaker_called_as_the_utterance_is_unknown(calls):
    ids = [line.split()[0] for line in (calls / "data" / "text").read_text().splitlines()]
    (calls / "data" / "utt2spk").write_text("".join(f"{id} {id}\n" for id in ids))
    splits = own.prepare(calls, calls / "out", table=calls / "data")
    assert {one.speaker for some in splits.values() for one in some} == {None}


def test_whole_recordings_stay_where_they_are_and_a_folder_for_each_split_decides(calls):
    for split, call in (("train", 0), ("dev", 1), ("test", 2)):
        data_folder(calls / split, scp=f"u{call} calls/{call}.wav\n", text=f"u{call} text {call}\n")
    tables = {"train": calls / "train", "valid": calls / "dev", "test": calls / "test"}
    splits = own.prepare(calls, calls / "out", table=tables)
    assert {name: [one.id for one in some] for name, some in splits.items()} == {
        "train": ["u0"],
        "valid": ["u1"],
        "test": ["u2"],
    }
    assert not (calls / "out" / "pieces").exists()
    with pytest.raises(CorpusError, match="not a Kaldi data folder"):
        own.prepare(calls, calls / "out", table=calls / "calls")
