"""The search for the best settings, and what it keeps on disk of a model's log-probabilities."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import asr
from asr.audio import write_wav
from asr.data.manifest import Dataset, Utterance
from asr.evaluate.splits import Split
from asr.evaluate.tune import NARROW, Tuner, cached_log_probs


class Surface:
    """A decoder with so many errors as its settings are away from the best, which a narrow beam has elsewhere."""

    def __init__(self, beam: int, lm_weight: float, word_bonus: float) -> None:
        weight, bonus = (0.5, 1.0) if beam <= NARROW else (1.0, 2.25)
        self.errors = min(round(20 * abs(lm_weight - weight) + 10 * abs(word_bonus - bonus)), 100)

    def decode_batch(self, log_probs, nbest, threads):
        return [[SimpleNamespace(text=" ".join(["no"] * self.errors + ["a"] * (100 - self.errors)))]]


@pytest.mark.parametrize(("beam", "best"), [(64, (1.0, 2.25)), (NARROW, (0.5, 1.0))])
def test_a_narrow_beam_says_where_to_begin_and_the_wide_one_what_is_best(beam, best):
    split = Split("valid", Path("valid.jsonl"), [Utterance("u", "u.wav", " ".join(["a"] * 100), 1.0)], Dataset())
    tuner = Tuner(Surface, [], split, SimpleNamespace(normalizer=str))
    found = tuner.search(beam)
    assert (found.lm_weight, found.word_bonus, found.beam, found.errors) == (*best, beam, 0)
    assert {point.beam for point in tuner.tried.values()} == {NARROW, beam}


def test_a_recording_that_was_changed_is_gone_through_again(tiny_model, babble, tmp_path):
    recognizer = asr.load(tiny_model)
    audio = tmp_path / "0.wav"
    write_wav(audio, np.zeros(8000, np.float32), 8000)
    utterances = [Utterance("0", str(audio), "a", 1.0)]
    silent = cached_log_probs(recognizer, utterances, tmp_path / "tune")
    write_wav(audio, babble(1.0, seed=1), 8000)
    (said,) = cached_log_probs(recognizer, utterances, tmp_path / "tune")
    assert not np.allclose(said, silent[0], atol=0.1)


def test_log_probs_are_computed_once_and_only_the_last_ones_are_kept(tiny_model, babble, tmp_path, monkeypatch):
    recognizer = asr.load(tiny_model)
    utterances = []
    for number in range(3):
        write_wav(tmp_path / f"{number}.wav", babble(0.5 + number / 4, seed=number), 8000)
        utterances.append(Utterance(str(number), str(tmp_path / f"{number}.wav"), "a", 0.5 + number / 4))
    first = cached_log_probs(recognizer, utterances, tmp_path / "tune")
    (kept,) = (tmp_path / "tune").iterdir()
    fewer = cached_log_probs(recognizer, utterances[:2], tmp_path / "tune")
    (other,) = (tmp_path / "tune").iterdir()
    assert kept != other and len(fewer) == 2
    monkeypatch.setattr(type(recognizer), "log_probs", None)  # not asked again
    again = cached_log_probs(recognizer, utterances[:2], tmp_path / "tune")
    for one, two in zip(again, first[:2], strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)


def test_damaged_log_probs_are_computed_again(tiny_model, babble, tmp_path):
    recognizer = asr.load(tiny_model)
    write_wav(tmp_path / "0.wav", babble(0.5, seed=1), 8000)
    utterances = [Utterance("0", str(tmp_path / "0.wav"), "a", 0.5)]
    (first,) = cached_log_probs(recognizer, utterances, tmp_path / "tune")
    (file,) = (tmp_path / "tune").iterdir()
    file.write_bytes(file.read_bytes()[:-100])
    (again,) = cached_log_probs(recognizer, utterances, tmp_path / "tune")
    np.testing.assert_array_equal(first, again)
