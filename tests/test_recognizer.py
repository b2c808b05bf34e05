"""The recognizer on an untrained model: what holds for any weights."""

import copy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import asr
from asr.audio import write_wav
from asr.decode import forward_score
from asr.decode.profile import NBEST, Calibration, DecodingProfile
from asr.errors import AsrError, AudioError, ModelFileError
from asr.model.file import load_model, save_model
from asr.recognizer import Recognizer, _resampled
from asr.transcript import ONSET_LEAD, Transcript


@pytest.fixture(scope="module")
def recognizer(tiny_model) -> Recognizer:
    return asr.load(tiny_model)


@pytest.fixture(scope="module")
def waveforms(babble) -> list[np.ndarray]:
    return [babble(seconds, seed=seed) for seed, seconds in enumerate((1.0, 3.0, 0.2, 5.0, 2.0, 0.7, 4.0, 0.005))]


def test_properties(recognizer, tiny_model):
    assert recognizer.sample_rate == 8000
    assert recognizer.step_seconds == pytest.approx(0.02)
    assert recognizer.tokenizer.tokens == ("<blank>", " ", "a", "b", "c", "d", "e")
    assert len(recognizer.model_id) == 16
    assert recognizer.model_id == asr.load(tiny_model / "model.safetensors").model_id


def test_log_probs(recognizer, waveforms):
    rows = recognizer.log_probs(waveforms)
    assert [row.dtype for row in rows] == [np.float32] * len(waveforms)
    assert [len(row) for row in rows] == [recognizer.file.config.steps(len(w) / 8000) for w in waveforms]
    for row in rows:
        np.testing.assert_allclose(np.exp(row.astype(np.float64)).sum(axis=1), 1, atol=1e-5)


def test_pitfall_batch_size_does_not_change_transcripts(recognizer, waveforms):
    alone = [recognizer.transcribe((waveform, 8000)) for waveform in waveforms]
    assert len({transcript.text for transcript in alone}) > 5  # or the test could not fail
    for batch_frames in (1, 700, 24_000):
        together = list(recognizer.transcribe_many([(w, 8000) for w in waveforms], batch_frames))
        assert [transcript.text for transcript in together] == [transcript.text for transcript in alone]
        assert [transcript.duration for transcript in together] == [len(w) / 8000 for w in waveforms]
        for row, waveform in zip(recognizer.log_probs(waveforms, batch_frames), waveforms, strict=True):
            (single,) = recognizer.log_probs([waveform])
            # The output layer of this model is 20 times too large, and magnifies the last bit as much.
            np.testing.assert_allclose(np.maximum(row, -20), np.maximum(single, -20), atol=20 * 5e-5)


def test_words_join_to_the_text_and_lie_in_the_audio(recognizer, waveforms):
    for waveform in waveforms:
        transcript = recognizer.transcribe((waveform, 8000))
        assert " ".join(word.word for word in transcript.words) == transcript.text == transcript.nbest[0].text
        times = [time for word in transcript.words for time in (word.start, word.end)]
        assert times == sorted(times)
        assert all(0 <= time <= transcript.duration for time in times)
        assert all(0 < word.confidence <= 1 for word in transcript.words)


def test_words_stand_where_their_tokens_were_decoded(recognizer, waveforms):
    transcript = recognizer.transcribe((waveforms[1], 8000))
    path = recognizer.log_probs([waveforms[1]])[0].argmax(axis=1)
    first = next(step for step, token in enumerate(path) if token >= 2)
    start = max(0.0, first * recognizer.step_seconds - ONSET_LEAD)
    assert transcript.words[0].start == pytest.approx(start)


def test_path_bytes_and_samples_say_the_same(recognizer, waveforms, tmp_path):
    write_wav(tmp_path / "x.wav", waveforms[1], 8000)
    samples, rate = soundfile.read(tmp_path / "x.wav", dtype="int16")
    texts = {
        recognizer.transcribe(source).text
        for source in (
            tmp_path / "x.wav",
            str(tmp_path / "x.wav"),
            (tmp_path / "x.wav").read_bytes(),
            (samples, rate),
            (np.stack([samples, samples], axis=1), rate),
            (samples / 32768, rate),
        )
    }
    assert len(texts) == 1 and texts != {""}
    assert recognizer.transcribe(tmp_path / "x.wav").audio == str(tmp_path / "x.wav")
    assert recognizer.transcribe((samples, rate)).audio is None


def test_pitfall_other_sample_rates_are_resampled(recognizer, babble):
    transcript = recognizer.transcribe((babble(1.0, rate=44_100), 44_100))
    assert transcript.duration == pytest.approx(1.0, abs=0.001)


@pytest.mark.parametrize("samples", [1, 40, 799])
def test_very_short_audio(recognizer, samples):
    transcript = recognizer.transcribe((np.full(samples, 0.1, dtype=np.float32), 8000))
    assert transcript.duration == samples / 8000


def test_ten_minutes(recognizer, babble):
    transcript = recognizer.transcribe((babble(600.0), 8000))
    assert transcript.duration == 600
    assert 590 < transcript.words[-1].end <= 600


def test_no_words_no_confidence(recognizer):
    silent = Recognizer(copy.deepcopy(recognizer.file), recognizer.decoding)
    silent.file.model.output.bias.data[0] += 1000  # nothing but blank at every step
    transcript = silent.transcribe((np.zeros(8000, dtype=np.float32), 8000))
    assert (transcript.text, transcript.words, transcript.confidence) == ("", (), None)


def test_how_many_readings_are_asked_for_changes_no_confidence(tiny_model, waveforms, tmp_path):
    """A word's confidence is weighed against as many as it was calibrated with."""
    content = load_model(tiny_model)
    tuned = DecodingProfile("", 0.0, 0.0, 64, "", 1, 0.5, Calibration(0.5, 1.0, 0.0, 0.0, 0.0))
    content.decoding = tuned.to_json()
    save_model(tmp_path / "model.safetensors", content)
    found = [
        asr.load(tmp_path, decoding=asr.DecodingOptions(beam=64, nbest=nbest)).transcribe((waveforms[3], 8000))
        for nbest in (1, 60)
    ]
    assert len(found[1].nbest) > NBEST
    assert found[0].words == found[1].words
    assert len({word.confidence for word in found[0].words}) > 1


def test_a_beam_stands_in_for_greedy_everywhere(tiny_model, recognizer, waveforms):
    searching = asr.load(tiny_model, decoding=asr.DecodingOptions(beam=8, nbest=3))
    for waveform in waveforms:
        greedy, found = recognizer.transcribe((waveform, 8000)), searching.transcribe((waveform, 8000))
        assert 1 <= len(found.nbest) <= 3
        assert found.nbest[0].text == found.text == " ".join(word.word for word in found.words)
        scores = [reading.score for reading in found.nbest]
        assert scores == sorted(scores, reverse=True)
        (rows,) = recognizer.log_probs([waveform])
        assert scores[0] >= forward_score(rows, recognizer.tokenizer.encode(greedy.text)) - 1e-6
        times = [time for word in found.words for time in (word.start, word.end)]
        assert times == sorted(times)
        assert all(0 <= time <= found.duration for time in times)


def test_known_text_is_aligned_whole(recognizer, waveforms):
    text = recognizer.transcribe((waveforms[1], 8000)).text
    aligned = recognizer.align((waveforms[1], 8000), text.upper())
    assert aligned.text == text == " ".join(word.word for word in aligned.words)
    times = [time for word in aligned.words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert all(0 <= time <= aligned.duration for time in times)


@pytest.mark.parametrize(("text", "named"), [("", "empty"), ("日本", "日"), ("a b " * 4000, "too short")])
def test_text_that_cannot_be_aligned_is_refused(recognizer, waveforms, text, named):
    with pytest.raises(AsrError, match=named):
        recognizer.align((waveforms[0], 8000), text)


def test_unreadable_file_is_an_error_for_that_file_alone(recognizer, waveforms, tmp_path):
    write_wav(tmp_path / "good.wav", waveforms[0], 8000)
    (tmp_path / "bad.wav").write_bytes(b"this is no audio")
    sources = [tmp_path / "bad.wav", tmp_path / "good.wav", tmp_path / "none.wav", (waveforms[0], 8000)]
    results = list(recognizer.transcribe_many(sources))
    assert [type(result) for result in results] == [AudioError, Transcript, AudioError, Transcript]
    assert "bad.wav" in str(results[0]) and "none.wav" in str(results[2])
    with pytest.raises(AudioError, match=r"none\.wav"):
        recognizer.transcribe(tmp_path / "none.wav")


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([], "less than one sample at"),
        ([0.1, float("nan")], "NaN"),
        (np.zeros((1, 2, 3)), "must be"),
        (np.zeros((2, 8000)), "more channels than samples"),
        (["a", "b"], "not an array of numbers"),
        ([[0.1], [0.1, 0.2]], "not an array of numbers"),
        ([100, -200, 300], "the full scale of int64 is unknown"),
        (np.ones(80, np.uint16), "the full scale of uint16 is unknown"),
        (np.full(80, 1234.0), "samples reach 1234; floating-point audio must be scaled"),
    ],
)
def test_unusable_samples(recognizer, samples, message):
    with pytest.raises(AudioError, match=message):
        recognizer.transcribe((samples, 8000))
    assert isinstance(next(recognizer.transcribe_many([(samples, 8000)])), AudioError)


@pytest.mark.parametrize("rate", [0, -8000, float("inf")])
def test_a_rate_that_there_is_not(recognizer, waveforms, rate):
    with pytest.raises(AudioError, match="above 0 Hz"):
        recognizer.transcribe((waveforms[0], rate))


def test_lists_and_tensors_are_samples_too(recognizer, waveforms):
    expected = recognizer.transcribe((waveforms[2], 8000)).text
    assert recognizer.transcribe((waveforms[2].tolist(), 8000)).text == expected
    assert recognizer.transcribe((torch.from_numpy(waveforms[2]), 8000)).text == expected


def test_whole_numbers_are_scaled_by_their_type(waveforms):
    scaled = {
        np.int16: np.round(waveforms[2] * 2**15),
        np.int32: np.round(waveforms[2].astype(np.float64) * 2**31),
        np.uint8: np.round(waveforms[2] * 2**7) + 128,
    }
    for kind, samples in scaled.items():
        assert len(set(samples.tolist())) > 20  # it is loud enough for 8 bits
        given = _resampled(samples.astype(kind), 8000, 8000)
        assert given == pytest.approx(waveforms[2], abs=1 / 2**7 if kind == np.uint8 else 1 / 2**14)


def test_many_are_read_as_they_are_needed(recognizer, babble):
    read = []

    def sources():
        for number in range(20):
            read.append(number)
            yield babble(1.0, seed=number), 8000

    results = recognizer.transcribe_many(sources(), batch_frames=200)
    next(results)
    assert len(read) < 20
    assert len(list(results)) == 19


def test_nothing_gives_nothing(recognizer):
    assert list(recognizer.transcribe_many([])) == []
    assert recognizer.log_probs([]) == []


def test_what_cannot_be_loaded(tmp_path, tiny_model):
    with pytest.raises(ModelFileError):
        asr.load(tmp_path)
    with pytest.raises(AsrError, match="unknown decoder 'beams'"):
        asr.load(tiny_model, decoding=asr.DecodingOptions(decoder="beams"))
    with pytest.raises(AsrError, match="'abacus' cannot be used"):
        asr.load(tiny_model, device="abacus")


def test_auto_device(tiny_model):
    assert str(asr.load(tiny_model, device="auto").device).startswith(("cpu", "cuda"))


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, asr; print(sorted({'torch', 'numpy', 'pydantic', 'asr.recognizer'} & set(sys.modules)))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert output.stdout.strip() == "[]"


def test_the_package_offers_what_it_says():
    assert asr.Recognizer is Recognizer
    assert asr.Transcript is Transcript
    assert asr.load == Recognizer.load
    assert asr.__version__[0].isdigit()
    assert set(dir(asr)) == {"DecodingOptions", "Recognizer", "Transcript", "__version__", "load"}
    with pytest.raises(AttributeError, match="wer"):
        asr.wer  # noqa: B018


def test_fsdd_file(recognizer, data):
    (file, *_) = sorted(Path(data, "fsdd", "recordings").glob("*.wav"))
    transcript = recognizer.transcribe(file)
    assert transcript.duration == pytest.approx(soundfile.info(file).duration)


@pytest.mark.parametrize(("count", "advice"), [(1, "one recording of 1 s: cut it"), (2, "lower --batch-frames")])
def test_too_little_memory_is_said_with_what_to_do(recognizer, babble, monkeypatch, count, advice):
    def full(*_):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr(recognizer.file.model, "forward", full)
    with pytest.raises(AsrError, match=f"out of memory with .*{advice}"):
        recognizer.log_probs([babble(1.0, seed=number) for number in range(count)])
