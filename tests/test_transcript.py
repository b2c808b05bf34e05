"""From aligned tokens to words, and from transcripts to files."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.decode import TokenSpan
from asr.transcript import ONSET_LEAD, Alternative, Transcript, Word, output_stems, save, to_json, to_text, words_from

TOKENS = ("<blank>", " ", "a", "b")


def spans(text: str, width: int = 2, score: float = -0.5) -> list[TokenSpan]:
    """Tokens that follow each other without a gap, `width` steps each."""
    return [TokenSpan(TOKENS.index(c), i * width, (i + 1) * width, score) for i, c in enumerate(text)]


def test_words_are_what_spaces_separate():
    words = words_from(spans(" ab  b "), TOKENS, step_seconds=0.1, duration=9.0)
    assert [(word.word, word.start, word.end) for word in words] == [
        ("ab", pytest.approx(0.2 - ONSET_LEAD), pytest.approx(0.6)),
        ("b", pytest.approx(1.0 - ONSET_LEAD), pytest.approx(1.2)),
    ]


@given(
    st.lists(st.tuples(st.sampled_from([1, 2, 3]), st.integers(0, 4), st.integers(1, 4)), max_size=12),
    st.floats(0.001, 0.2),
    st.floats(0, 3),
)
def test_words_are_in_order_in_the_audio_and_start_before_their_tokens(drawn, step_seconds, duration):
    placed, step = [], 0
    for token, blanks, width in drawn:
        placed.append(TokenSpan(token, step + blanks, step + blanks + width, -0.5))
        step += blanks + width
    words = words_from(placed, TOKENS, step_seconds, duration)
    times = [time for word in words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert all(0 <= time <= duration for time in times)
    firsts = [s for s, before in zip(placed, [None, *placed], strict=False) if before is None or before.token == 1]
    firsts = [span.start * step_seconds for span in firsts if span.token != 1]
    for word, first in zip(words, firsts, strict=True):
        assert min(first - ONSET_LEAD, duration) - 1e-9 <= word.start <= first


def test_a_word_starts_no_earlier_than_the_one_before_ends():
    placed = [TokenSpan(2, 0, 5, -0.1), TokenSpan(1, 5, 6, -0.1), TokenSpan(3, 6, 8, -0.1)]
    words = words_from(placed, TOKENS, step_seconds=0.02, duration=1.0)
    assert [(word.start, word.end) for word in words] == [
        (0.0, pytest.approx(0.1)),
        (words[0].end, pytest.approx(0.16)),
    ]


def test_confidence_is_the_geometric_mean():
    (word,) = words_from([TokenSpan(2, 0, 1, -0.1), TokenSpan(3, 1, 2, -0.3)], TOKENS, 0.1, 1.0)
    assert word.confidence == pytest.approx(2.718281828**-0.2)


def test_pitfall_no_time_lies_beyond_the_audio():
    words = words_from(spans("a b"), TOKENS, step_seconds=0.1, duration=0.35)
    assert [(word.start, word.end) for word in words] == [(0.0, pytest.approx(0.2)), (0.35, 0.35)]


def test_no_tokens_no_words():
    assert words_from([], TOKENS, 0.1, 1.0) == ()
    assert words_from(spans("  "), TOKENS, 0.1, 1.0) == ()


TRANSCRIPT = Transcript(
    "x.wav", 1.23456, "ab é", 0.91239, (Word("ab", 0.0204, 0.5, 1.0),), (Alternative("ab é", -0.5),)
)


def test_writers():
    assert to_text(TRANSCRIPT) == "ab é\n"
    assert json.loads(to_json(TRANSCRIPT)) == {
        "audio": "x.wav",
        "duration": 1.235,
        "text": "ab é",
        "confidence": 0.9124,
        "words": [{"word": "ab", "start": 0.02, "end": 0.5, "confidence": 1.0}],
        "nbest": [{"text": "ab é", "score": -0.5}],
    }
    assert "é" in to_json(TRANSCRIPT)


def test_save_makes_folders_and_keeps_dots(tmp_path):
    save(TRANSCRIPT, tmp_path / "a" / "x.1", ["txt", "json"])
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["x.1.json", "x.1.txt"]


@pytest.mark.parametrize(
    ("files", "stems"),
    [
        (["a/x.wav"], ["x"]),
        (["a/x.wav", "a/y.wav"], ["x", "y"]),
        (["a/x.wav", "b/x.wav"], ["a/x", "b/x"]),
        (["a/x.wav", "a/x.flac"], ["x.wav", "x.flac"]),
        (["a/b/x.wav", "a/y.wav"], ["b/x", "y"]),
        (["a/../x.wav", "y.wav"], ["x", "y"]),
        (["-"], ["stdin"]),
        (["a/x.tar@512+9", "a/x.tar@1024+7"], ["x.tar@512+9", "x.tar@1024+7"]),
        (["a/x.tar@512+9"], ["x.tar@512+9"]),
        (["x.wav", "x.flac", "x.wav.mp3"], ["x.wav", "x.flac", "x.wav.mp3"]),
    ],
)
def test_pitfall_transcripts_never_overwrite_each_other(files, stems):
    assert output_stems([Path(file) for file in files]) == [Path(stem) for stem in stems]


def test_a_file_name_that_is_no_utf8_can_be_written(tmp_path):
    save(replace(TRANSCRIPT, audio="caf\udce9.wav"), tmp_path / "x", ["json"])
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))["audio"] == "caf?.wav"
