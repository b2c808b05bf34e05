"""Transcripts in every format, and the files they go to."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.transcript import Alternative, Part, Transcript, Word
from asr.writers import (
    WRITERS,
    output_stems,
    save,
    to_ctm,
    to_json,
    to_srt,
    to_text,
    to_textgrid,
    to_tsv,
    to_vtt,
)

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


def transcript_of(words, duration=60.0, audio="talks/one two.wav"):
    text = " ".join(word.word for word in words)
    return Transcript(audio, duration, text, 0.5 if words else None, tuple(words), ())


SAID = [Word("one", 0.1, 0.5, 0.9), Word('"two"', 0.5, 0.8, 0.75), Word("a<b", 4.0, 4.25, 0.5)]


def test_tsv_is_a_line_a_word():
    assert to_tsv(transcript_of(SAID)) == (
        '0.100\t0.500\tone\t0.900\n0.500\t0.800\t"two"\t0.750\n4.000\t4.250\ta<b\t0.500\n'
    )


def test_ctm_names_the_file_without_folder_and_spaces():
    first, second, third = to_ctm(transcript_of(SAID)).splitlines()
    assert first == "one_two 1 0.100 0.400 one 0.900"
    assert second == 'one_two 1 0.500 0.300 "two" 0.750'
    assert third == "one_two 1 4.000 0.250 a<b 0.500"
    assert to_ctm(transcript_of(SAID, audio=None)).startswith("- 1 ")
    assert to_ctm(transcript_of(SAID, audio="caf\udce9.wav")).startswith("caf? 1 ")


def test_captions_end_at_a_pause_and_stay_long_enough_to_be_read():
    assert to_srt(transcript_of(SAID)) == (
        '1\n00:00:00,100 --> 00:00:00,933\none "two"\n\n2\n00:00:04,000 --> 00:00:04,833\na<b\n'
    )
    assert to_vtt(transcript_of(SAID)) == (
        'WEBVTT\n\n00:00:00.100 --> 00:00:00.933\none "two"\n\n00:00:04.000 --> 00:00:04.833\na&lt;b\n'
    )


def test_hours_of_captions():
    assert "02:46:40,000 --> 02:46:41,000" in to_srt(transcript_of([Word("late", 10000, 10001, 0.5)], 10002))


def test_a_caption_has_two_lines_of_42_characters():
    words = [Word("abcdefghi", 0.3 * place, 0.3 * place + 0.3, 0.5) for place in range(9)]
    blocks = to_srt(transcript_of(words)).strip().split("\n\n")
    assert [block.splitlines()[2:] for block in blocks] == [
        ["abcdefghi abcdefghi abcdefghi abcdefghi", "abcdefghi abcdefghi abcdefghi abcdefghi"],
        ["abcdefghi"],
    ]


def test_a_caption_lasts_seven_seconds_and_leaves_before_the_next_comes():
    slow = [Word("so", 3.0 * place, 3.0 * place + 2.9, 0.5) for place in range(4)]
    assert re.findall(r"00:00:(\S+) --> 00:00:(\S+)", to_srt(transcript_of(slow))) == [
        ("00,000", "05,900"),
        ("06,000", "11,900"),
    ]
    short = [Word("yes", 0.0, 0.1, 0.5), Word("no", 1.15, 1.25, 0.5), Word("so", 1.3, 9.5, 0.5)]
    assert re.findall(r"00:00:(\S+) --> 00:00:(\S+)", to_srt(transcript_of(short))) == [
        ("00,000", "00,833"),
        ("01,150", "01,258"),
        ("01,300", "09,500"),
    ]


def test_a_text_grid_as_praat_writes_it():
    assert (
        to_textgrid(transcript_of(SAID[:2], duration=1.0))
        == """\
File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 1.000
tiers? <exists>
size = 1
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 1.000
        intervals: size = 4
        intervals [1]:
            xmin = 0.000
            xmax = 0.100
            text = ""
        intervals [2]:
            xmin = 0.100
            xmax = 0.500
            text = "one"
        intervals [3]:
            xmin = 0.500
            xmax = 0.800
            text = ""\"two\"""
        intervals [4]:
            xmin = 0.800
            xmax = 1.000
            text = ""
"""
    )


@st.composite
def placed_words(draw):
    """Words in order and without overlap; those beyond the end of the audio have no length, as `words_from` has it."""
    steps = draw(st.lists(st.tuples(st.floats(0, 3), st.floats(0.002, 9), st.text("abé", min_size=1, max_size=60))))
    duration, at, words = draw(st.floats(0.002, 40)), 0.0, []
    for gap, length, word in steps:
        start = min(at + gap, duration)
        at = at + gap + length
        words.append(Word(word, start, min(at, duration), 0.5))
    return transcript_of(words, duration)


@given(placed_words())
def test_intervals_of_a_text_grid_tile_the_audio_and_hold_all_words(transcript):
    grid = to_textgrid(transcript)
    found = re.findall(r'xmin = ([\d.]+)\n +xmax = ([\d.]+)\n +text = "(.*)"', grid)
    starts, ends = [float(start) for start, _, _ in found], [float(end) for _, end, _ in found]
    assert starts == [0.0, *ends[:-1]]
    assert ends[-1] == pytest.approx(transcript.duration, abs=0.0011)
    assert all(end > start for start, end in zip(starts, ends, strict=True))
    assert " ".join(text for _, _, text in found if text) == transcript.text
    assert f"intervals: size = {len(found)}\n" in grid


@given(placed_words())
def test_captions_hold_all_words_in_order_and_do_not_overlap(transcript):
    blocks = [block.split("\n") for block in to_srt(transcript).strip().split("\n\n")] if transcript.words else []
    assert " ".join(" ".join(lines[2:]) for lines in blocks) == transcript.text
    assert [int(lines[0]) for lines in blocks] == list(range(1, len(blocks) + 1))
    clocks = [re.findall(r"(\d+):(\d+):(\d+),(\d+)", lines[1]) for lines in blocks]
    times = [3600 * int(h) + 60 * int(m) + int(s) + int(ms) / 1000 for both in clocks for h, m, s, ms in both]
    assert times == sorted(times)
    for lines in blocks:
        assert 1 <= len(lines[2:]) <= 2
        assert all(len(line) <= 42 or " " not in line for line in lines[2:])


def without_spaces(text, seconds):
    """A text of a script without spaces, which is one word: each character after as long, and as long a silence."""
    parts = [Part(character, place * seconds, (place + 0.5) * seconds) for place, character in enumerate(text)]
    return Word(text, 0.0, parts[-1].end, 0.5, tuple(parts))


def test_captions_break_a_text_without_spaces_where_it_is_full_and_at_a_pause():
    blocks = to_srt(transcript_of([without_spaces("山" * 50, 0.1)])).strip().split("\n\n")
    assert [block.split("\n")[1:] for block in blocks] == [
        ["00:00:00,000 --> 00:00:04,150", "山" * 21, "山" * 21],  # twice as wide as letters
        ["00:00:04,200 --> 00:00:05,033", "山" * 8],
    ]
    slow = to_srt(transcript_of([without_spaces("สวย", 4.0)]))
    assert re.findall(r"\n([ก-ฮ]+)\n", slow) == ["ส", "ว", "ย"]


@pytest.mark.parametrize("syllable", ["กี้", "ไก", "က္က", "កា", "ក្ក", "कि"])
def test_captions_never_part_a_syllables_signs(syllable):
    captions = to_srt(transcript_of([without_spaces(syllable * 60, 0.05)])).strip().split("\n\n")
    lines = [line for caption in captions for line in caption.split("\n")[2:]]
    assert len(lines) > 1 and "".join(lines) == syllable * 60
    assert all(set(line.split(syllable)) == {""} for line in lines)


@given(st.text("山กี้ไab", min_size=1, max_size=200), st.floats(0.02, 8))
def test_captions_hold_all_of_a_text_without_spaces(text, seconds):
    blocks = [block.split("\n") for block in to_srt(transcript_of([without_spaces(text, seconds)])).split("\n\n")]
    assert "".join("".join(lines[2:]) for lines in blocks) == text
    assert all(1 <= len([line for line in lines[2:] if line]) <= 2 for lines in blocks)


def test_a_short_word_is_not_parted():
    (word,) = words = [without_spaces("山山", 0.5)]
    assert to_srt(transcript_of(words)).split("\n")[2] == word.word


def test_nothing_said():
    silent = transcript_of([], duration=2.0)
    written = {name: write(silent) for name, write in WRITERS.items()}
    assert (written["txt"], written["srt"], written["tsv"], written["ctm"]) == ("\n", "", "", "")
    assert written["vtt"] == "WEBVTT\n"
    assert "intervals: size = 1\n" in written["textgrid"] and "xmax = 2.000" in written["textgrid"]


def test_a_text_grid_ends_as_praat_has_it(tmp_path):
    save(transcript_of(SAID), tmp_path / "x", ["textgrid", "srt"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.TextGrid", "x.srt"]
