"""A model file of long ago must load in every later version, and give the same transcripts."""

import json
from pathlib import Path

import pytest

import asr
from asr.audio import read_audio
from asr.decode.ctc import forward_score
from asr.decode.options import DecodingOptions
from asr.recognizer import Recognizer

GOLDEN = Path(__file__).parent / "golden"
HEARD = json.loads((GOLDEN / "transcripts.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def golden() -> Recognizer:
    return asr.load(GOLDEN / "model.safetensors")


def test_it_is_the_model_that_it_was(golden):
    assert golden.model_id == HEARD["model_id"]
    assert (GOLDEN / "model.safetensors").stat().st_size < 1_000_000


@pytest.mark.parametrize("heard", HEARD["recordings"], ids=lambda heard: heard["audio"])
def test_it_hears_what_it_heard(heard, golden):
    found = golden.transcribe(GOLDEN / heard["audio"])
    assert found.text == heard["text"]
    assert [word.word for word in found.words] == [word["word"] for word in heard["words"]]
    for word, then in zip(found.words, heard["words"], strict=True):  # other processors round otherwise
        assert (word.start, word.end) == pytest.approx((then["start"], then["end"]), abs=golden.step_seconds + 1e-6)
        assert word.confidence == pytest.approx(then["confidence"], abs=0.01)


@pytest.mark.parametrize("heard", HEARD["recordings"], ids=lambda heard: heard["audio"])
def test_it_is_as_sure_as_it_was(heard, golden):
    waveform = read_audio(GOLDEN / heard["audio"], golden.sample_rate)
    (log_probs,) = golden.log_probs([waveform])
    tokens = golden.tokenizer.encode(heard["text"])
    assert forward_score(log_probs, tokens) == pytest.approx(heard["log_probability"], abs=1e-3)


def test_a_beam_search_hears_the_same():
    recognizer = Recognizer.load(GOLDEN / "model.safetensors", decoding=DecodingOptions(beam=100))
    found = [recognizer.transcribe(GOLDEN / heard["audio"]).text for heard in HEARD["recordings"]]
    assert found == [heard["beam"] for heard in HEARD["recordings"]]
