"""What tuning keeps on disk of a model's log-probabilities."""

import numpy as np

import asr
from asr.audio import write_wav
from asr.data.manifest import Utterance
from asr.evaluate.tune import cached_log_probs


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
