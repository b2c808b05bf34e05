"""Fingerprints: a recording is known again in other formats, and others are not taken for it."""

import io

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given
from hypothesis import strategies as st

from asr.audio import read_audio
from asr.corpora.librispeech import prepare
from asr.data.fingerprints import PRINT, from_json, known, make_print, speaker_hashes, to_json
from asr.data.manifest import Utterance, read_manifest

RATE = 8000
FORMATS = {
    "mp3": {"format": "MP3"},
    "vorbis": {"format": "OGG", "subtype": "VORBIS"},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "mu-law": {"format": "WAV", "subtype": "ULAW"},
}


def copy(waveform: np.ndarray, rate: int, how: str) -> tuple[np.ndarray, int]:
    """A recording as it comes back from another format."""
    if how == "quieter, at 16 kHz":
        return 0.3 * soxr.resample(waveform, rate, 16000), 16000
    if how == "with silence around":
        return np.pad(waveform, (500, 700)), rate
    file = io.BytesIO()
    soundfile.write(file, waveform, rate, **FORMATS[how])
    file.seek(0)
    return soundfile.read(file, dtype="float32")


@pytest.fixture(scope="module")
def recordings(babble):
    """Sixty of two to five seconds."""
    return [babble(2 + number / 20, RATE, seed=number) for number in range(60)]


@pytest.fixture(scope="module")
def heard(recordings):
    return np.concatenate([make_print(f"u{n}", one, RATE) for n, one in enumerate(recordings)])


@pytest.mark.parametrize("how", [*FORMATS, "quieter, at 16 kHz", "with silence around"])
def test_copies_under_other_names_are_known_and_others_are_not(how, recordings, heard):
    copies = [make_print(f"renamed {n}", *copy(one, RATE, how)) for n, one in enumerate(recordings[::3])]
    assert known(np.concatenate(copies), heard).all()
    others = np.delete(heard, np.arange(0, 60, 3))
    assert not known(np.concatenate(copies), others).any()


def test_the_same_id_counts_where_the_duration_is_the_same_and_no_sound_tells_otherwise(heard, babble):
    """Many a corpus calls its recordings 0001, 0002, ..."""
    silent = make_print("u5", np.zeros(round(2.25 * RATE), "f4"), RATE)
    longer = make_print("u5", np.zeros(round(2.5 * RATE), "f4"), RATE)
    other = make_print("u5", babble(2.25, RATE, seed=99), RATE)
    assert known(np.concatenate([silent, longer, other]), heard).tolist() == [True, False, False]


@pytest.mark.parametrize("samples", [0, 10, 1000])
def test_what_is_too_short_or_silent_has_no_sound(samples, heard, babble):
    short, silent = make_print("a", babble(1, RATE)[:samples], RATE), make_print("b", np.zeros(8 * RATE, "f4"), RATE)
    assert not short["sound"].any() and not silent["sound"].any()
    assert not known(np.concatenate([short, silent]), heard).any()
    assert known(short, np.concatenate([heard, short])).all()  # by its id


def test_an_hour_long_recording_fits():
    assert make_print("long", np.ones(70_000, "f4"), 100)["duration"] == 65535


@given(st.lists(st.text(max_size=5), max_size=8), st.sets(st.binary(min_size=5, max_size=5)))
def test_a_model_file_keeps_them(ids, speakers):
    prints = np.concatenate([np.zeros(0, PRINT), *(make_print(id, np.zeros(800, "f4"), RATE) for id in ids)])
    record = to_json(np.concatenate([prints, prints]), speakers)
    back, voices = from_json(record)
    assert {bytes(one) for one in back} == {bytes(one) for one in prints} and len(back) == len(set(ids))
    assert voices == speakers
    assert record == to_json(prints[::-1], speakers)  # no order to learn anything from


def test_damage_is_noticed():
    record = to_json(make_print("a", np.zeros(800, "f4"), RATE), [b"12345"])
    for key in record:
        with pytest.raises(ValueError):
            from_json(record | {key: record[key][:-2]})
    with pytest.raises(ValueError):
        from_json({"recordings": "?é", "speakers": ""})


def test_speakers_are_those_of_their_data_set():
    ann, bob = (Utterance(name, "a.wav", "", 1.0, name) for name in ("ann", "bob"))
    nobody = Utterance("c", "a.wav", "", 1.0)
    assert len(speaker_hashes("x", [ann, bob, ann, nobody])) == 2
    assert speaker_hashes("x", [ann]) < speaker_hashes("x", [ann, bob])
    assert not speaker_hashes("x", [ann]) & speaker_hashes("y", [ann])


def test_no_sentence_of_read_english_is_taken_for_another(data, tmp_path):
    if not (data / "libri-mini").is_dir():
        pytest.skip("no libri-mini")
    prepare(data / "libri-mini", tmp_path, ids=data / "libri-mini" / "splits")
    sets = {}
    for name, every in (("train", 8), ("test", 4)):
        chosen = read_manifest(tmp_path / f"{name}.jsonl")[::every]
        prints = [make_print(item.id, read_audio(item.audio, 16000), 16000) for item in chosen]
        sets[name] = np.concatenate(prints)
    assert len(sets["train"]) > 300 and len(sets["test"]) > 70
    assert not known(sets["test"], sets["train"]).any()
    renamed = sets["test"].copy()
    renamed["id"] = b"other"
    assert known(renamed, sets["test"]).all()
