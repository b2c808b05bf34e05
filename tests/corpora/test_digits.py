"""The embedded corpus: the same bytes each time, splits that share nothing, audio that is what the manifest says."""

import hashlib
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.archive import open_binary
from asr.corpora import digits, spoken
from asr.corpora.common import SPLITS
from asr.corpora.espeak import espeak_variants
from asr.corpora.voices import NOT_A_VOICE, cast, families
from asr.data.manifest import Utterance, read_dataset, read_manifest
from asr.errors import CorpusError

pytest.importorskip("espeakng_loader")

SMALL = {"voices": {"train": 3, "valid": 1, "test": 2}, "utterances": 4, "seed": 5}


def contents(folder: Path) -> dict[str, str]:
    """A hash of every file in a folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("digits")
    digits.prepare(out, **SMALL, workers=1)
    return out


@pytest.fixture(scope="module")
def utterances(corpus: Path) -> list[Utterance]:
    return [utterance for split in SPLITS for utterance in read_manifest(corpus / f"{split}.jsonl")]


def test_same_seed_same_bytes_whatever_the_workers(corpus: Path, tmp_path: Path) -> None:
    digits.prepare(tmp_path, **SMALL, workers=3)
    assert contents(tmp_path) == contents(corpus)


def test_another_seed_makes_another_corpus(corpus: Path, tmp_path: Path) -> None:
    digits.prepare(tmp_path, **SMALL | {"seed": 6}, workers=2)
    theirs, ours = contents(tmp_path), contents(corpus)
    assert not {theirs[name] for name in theirs if name.endswith(".wav")} & set(ours.values())


def test_a_finished_corpus_is_found_not_made(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(corpus)
    monkeypatch.setattr(spoken, "in_fresh_processes", lambda *_args, **_options: pytest.fail("made again"))
    splits = digits.prepare(corpus, **SMALL)
    assert splits == {split: read_manifest(corpus / f"{split}.jsonl") for split in SPLITS}
    assert contents(corpus) == before


def test_an_interrupted_corpus_is_completed(corpus: Path, tmp_path: Path) -> None:
    finished = contents(corpus)
    digits.prepare(tmp_path, **SMALL, workers=2)
    (tmp_path / "dataset.yaml").unlink()
    (tmp_path / "train.jsonl").write_text("half a li")
    folder = next((tmp_path / "audio").iterdir())
    (folder / "voice.jsonl").unlink()  # a voice that was not finished
    audio = next(folder.glob("*.wav"))
    audio.write_bytes(audio.read_bytes()[:1000])
    progress: list[tuple[int, int]] = []
    digits.prepare(tmp_path, **SMALL, on_progress=lambda done, total: progress.append((done, total)))
    assert contents(tmp_path) == finished
    assert progress == [(6, 6)]


def test_other_parameters_replace_the_corpus(tmp_path: Path) -> None:
    digits.prepare(tmp_path, **SMALL | {"utterances": 3})
    splits = digits.prepare(tmp_path, **SMALL | {"utterances": 1}, sample_rate=8000)
    assert [len(splits[split]) for split in SPLITS] == [3, 1, 2]
    assert len(list(tmp_path.rglob("*.wav"))) == 6
    assert soundfile.info(splits["test"][0].audio).samplerate == 8000


def test_voices_of_another_seed_move_between_splits_only_if_told(tmp_path: Path) -> None:
    casts = {seed: {v.speaker: v.split for v in cast(SMALL["voices"], digits.ACCENTS, seed)} for seed in range(5, 500)}
    other = next(s for s in casts if any(casts[s].get(name, split) != split for name, split in casts[5].items()))
    digits.prepare(tmp_path, **SMALL)
    before = contents(tmp_path)
    with pytest.raises(CorpusError, match="would move to another split"):
        digits.prepare(tmp_path, **SMALL | {"seed": other})
    assert contents(tmp_path) == before
    digits.prepare(tmp_path, **SMALL | {"seed": other}, overwrite=True)
    assert {path.name for path in (tmp_path / "audio").iterdir()} == set(casts[other])


def test_recordings_made_to_be_packed_leave_no_files(corpus: Path, tmp_path: Path, monkeypatch) -> None:
    made = digits.prepare(tmp_path, **SMALL, shard_mb=0.2)
    assert not list(tmp_path.rglob("*.wav")) and not (tmp_path / "audio").exists()
    shards = contents(tmp_path / "shards")
    assert len([name for name in shards if name.startswith("train")]) > 1
    for split in SPLITS:
        loose = read_manifest(corpus / f"{split}.jsonl")
        assert [(one.id, one.text, one.speaker) for one in made[split]] == [(u.id, u.text, u.speaker) for u in loose]
        for one, other in zip(made[split], loose, strict=True):
            with open_binary(one.audio) as stream:
                assert stream.read() == Path(other.audio).read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(spoken, "in_fresh_processes", lambda *_args, **_options: pytest.fail("made again"))
        assert digits.prepare(tmp_path, **SMALL, shard_mb=0.2) == made
        assert contents(tmp_path / "shards") == shards
    digits.prepare(tmp_path, **SMALL)  # without shards it is another corpus
    assert contents(tmp_path) == contents(corpus)


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text("mine")
    with pytest.raises(CorpusError, match="contains files other than"):
        digits.prepare(tmp_path, **SMALL)
    assert list(contents(tmp_path)) == ["train.jsonl"]


def test_somebody_elses_recipe_is_no_licence_to_delete(tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text('{"bread": 1}')
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "interview.wav").write_text("mine")
    with pytest.raises(CorpusError, match="contains files other than"):
        digits.prepare(tmp_path, **SMALL)
    assert (tmp_path / "audio" / "interview.wav").exists()


def test_a_failed_voice_is_an_error_and_no_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "ACCENTS", ("martian",))
    with pytest.raises(CorpusError, match="worker process failed"):
        digits.prepare(tmp_path, **SMALL)
    assert not (tmp_path / "dataset.yaml").exists() and not (tmp_path / "train.jsonl").exists()


def test_without_the_synthesiser_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(CorpusError, match="pip install espeakng-loader"):
        digits.prepare(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_manifests_and_dataset(corpus: Path, utterances: list[Utterance]) -> None:
    assert len(utterances) == len({utterance.id for utterance in utterances}) == 6 * 4
    assert len({utterance.speaker for utterance in utterances}) == 6
    dataset = read_dataset(corpus)
    assert dataset.name == "digits" and dataset.license == "CC0-1.0" and "espeak-ng" in dataset.attribution
    assert dataset.shared == ()


def test_audio_is_what_the_manifest_says(utterances: list[Utterance]) -> None:
    for utterance in utterances:
        waveform, rate = soundfile.read(utterance.audio)
        info = soundfile.info(utterance.audio)
        assert (rate, info.channels, info.subtype) == (16000, 1, "PCM_16")
        assert len(waveform) / rate == pytest.approx(utterance.duration, abs=1e-4)
        assert 0.7 < utterance.duration < 6
        assert (np.abs(waveform) > 0.9999).sum() <= 1
        seconds_of_speech = utterance.duration - 0.5
        assert 3 < len(utterance.text) / seconds_of_speech < 50


def test_speech_stands_out_from_the_room(utterances: list[Utterance]) -> None:
    for utterance in utterances:
        waveform, rate = soundfile.read(utterance.audio)
        power = (waveform[: len(waveform) // 160 * 160].reshape(-1, 160) ** 2).mean(axis=1)
        edge = power[: rate // 10 // 160].mean()  # 0.1 s: no speech has begun
        assert 10 * np.log10(np.sort(power)[-len(power) // 4 :].mean() / edge) > 8
        assert -40 < 10 * np.log10(power.mean()) < -17


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_splits_share_no_variant_and_no_near_copy(seed: int) -> None:
    voices = cast(digits.VOICES, digits.ACCENTS, seed)
    by_split = {split: {v.variant for v in voices if v.split == split} for split in SPLITS}
    assert {split: sum(v.split == split for v in voices) for split in SPLITS} == digits.VOICES
    assert {split: len(names) for split, names in by_split.items()} == {"train": 80, "valid": 8, "test": 12}
    assert len(set().union(*by_split.values())) == 100
    assert len({v.speaker.lower() for v in voices}) == len(voices) == 180
    assert not set().union(*by_split.values()) & set(NOT_A_VOICE)
    for family in families(espeak_variants()):
        assert len({split for split in SPLITS if by_split[split] & set(family)}) <= 1, family
    for split in SPLITS:
        assert len({v.accent for v in voices if v.split == split}) >= min(8, len(by_split[split]))


@settings(max_examples=30, deadline=None)
@given(languages=st.integers(1, 6), share=st.floats(0, 1), seed=st.integers(0, 9))
def test_no_voice_is_cast_twice(languages: int, share: float, seed: int) -> None:
    """With 86 variants to train on and three languages, the second round had once been the first."""
    accents = [f"x{number}" for number in range(languages)]
    variants = len(espeak_variants().keys() - set(NOT_A_VOICE)) - 14  # without those of validation and test
    train = round(variants + share * variants * (languages - 1))
    voices = cast({"train": train, "valid": 2, "test": 12}, accents, seed)
    assert len(set(voices)) == len(voices) == train + 14


def test_families() -> None:
    variants = {"a": ("x 1", "y 1"), "b": ("x 2", "y 2"), "c": ("x 1", "y 1", "z 1"), "d": ("z 1", "y 1"), "e": ()}
    assert sorted(sorted(family) for family in families(variants)) == [["a", "c", "d"], ["b"], ["e"]]


@pytest.mark.parametrize("voices", [{"train": 641, "valid": 8, "test": 12}, {"train": 1, "valid": 0, "test": 1}])
def test_impossible_numbers_of_voices(tmp_path: Path, voices: dict[str, int]) -> None:
    with pytest.raises(CorpusError, match="takes 1 to"):
        digits.prepare(tmp_path, voices=voices)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_splits_share_no_sentence_but_all_words(seed: int) -> None:
    generator = random.Random(seed)
    drawn = {split: {digits.draw_sentence(split, generator, seed) for _ in range(800)} for split in SPLITS}
    assert not drawn["train"] & drawn["test"] and not drawn["train"] & drawn["valid"]
    assert not drawn["valid"] & drawn["test"]
    words = {split: set(" ".join(sentences).split()) for split, sentences in drawn.items()}
    assert words["test"] | words["valid"] <= words["train"]
    assert 40 <= len(words["train"]) <= 60
    assert all(word.isascii() and word.islower() and word.isalpha() for word in words["train"])


def test_importing_it_imports_no_torch() -> None:
    code = "import sys, asr.corpora.digits; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
