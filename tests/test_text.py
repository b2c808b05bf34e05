"""Transcripts to numbers and back, in any script."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.config import TextConfig
from asr.errors import TextError
from asr.text import Normalizer, Tokenizer, describe_characters, steps_needed


def normalizer(**options) -> Normalizer:
    return Normalizer.from_config(TextConfig(**options))


BASIC = normalizer()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, World!", "hello world"),
        ("  two\t\n spaces ", "two spaces"),
        ("well-known e-mail", "well known e mail"),
        ("$5 + 3 = 8 €", "5 3 8"),
        ("“quoted” «text» — dash…", "quoted text dash"),
        ("C'est l'été", "c'est l'été"),
        ("1️⃣ 👍🏽 ok", "1 ok"),  # emoji, with variation selector, keycap and skin tone
        ("ﬁne ２０ m²", "fine 20 m2"),  # compatibility forms
        ("STRASSE straße", "strasse straße"),
        ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),  # the final sigma
        ("Ще не вмерла", "ще не вмерла"),
        ("你好，世界。", "你好 世界"),
        ("สวัสดี ครับ", "สวัสดี ครับ".replace("ำ", "ํา")),
        ("नमस्ते दुनिया।", "नमस्ते दुनिया"),
        ("السلام، عليكم", "السلام عليكم"),
        ("a\x00b\x1bc\ud800d", "a b c d"),  # control characters, half a surrogate pair
        ("", ""),
        ("...", ""),
    ],
)
def test_basic_in_many_scripts(text, expected):
    assert BASIC(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("don't", "don't"),
        ("don’t", "don't"),  # the typographic apostrophe
        ("'tis the dogs' 'bone'", "tis the dogs bone"),
        ("rock 'n' roll", "rock n roll"),
        ("rock'n'roll", "rock'n'roll"),
        ("o''clock", "o clock"),
        ("' '' '", ""),
        ("90's 5'6", "90's 5'6"),
        ("d'\u0301e", "d'e"),  # a mark on an apostrophe stands on nothing
    ],
)
def test_apostrophe_stays_only_inside_words(text, expected):
    assert BASIC(text) == expected


def test_what_is_kept_is_a_setting():
    assert normalizer(keep="")("don't") == "don t"
    assert normalizer(keep="'-")("Jean‐Luc's well-being - no") == "jean-luc's well-being no"
    assert normalizer(keep="]^\\-")("a]b a^b a\\b a-b a'b") == "a]b a^b a\\b a-b a b"
    assert normalizer(keep="_")("a_b _c") == "a_b c"
    assert normalizer(punctuation="keep")("Well, ’tis “so”.") == "well, 'tis “so”."
    assert normalizer(case="upper")("straße don't") == "STRASSE DON'T"
    assert normalizer(case="keep")("McDonald") == "McDonald"
    assert normalizer(unicode="NFC")("ﬁne") == "ﬁne"
    assert normalizer(normalizer="none")("  Well,\r\n It’s ﬁne. ") == "Well, It’s ﬁne."


def test_composed_and_decomposed_umlaut_are_the_same():
    composed, decomposed = "Müller schöß", unicodedata.normalize("NFD", "Müller schöß")
    assert composed != decomposed
    assert BASIC(composed) == BASIC(decomposed) == "müller schöß"
    assert normalizer(case="upper")("ΐ") == "\u03aa\u0301"  # upper() alone gives three characters
    assert normalizer(unicode="NFC")(composed) == normalizer(unicode="NFC")(decomposed)


def test_crlf_and_byte_order_mark_are_harmless():
    assert BASIC("\ufeffone two\r\n") == "one two"


def test_invisible_characters_go():
    assert BASIC("soft\u00adhyphen left\u200eto\u200fright word\u2060joiner") == "softhyphen lefttoright wordjoiner"
    assert BASIC("foo\u200cbar x\u200dy") == "foobar xy"  # joiners mean nothing between Latin letters


@pytest.mark.parametrize("word", ["র\u200d্যালি", "ರ\u200d್ಯಾಂಕ್"])
def test_a_joiner_before_a_virama_is_spelling(word):
    """Bengali and Kannada ra with ya below it; without the joiner, ra stands above it."""
    assert BASIC(word) == word


def test_no_joiner_is_left_beside_arabic_punctuation():
    assert BASIC("می\u200cروی\u200c؟") == BASIC("می\u200cروی؟") == "می\u200cروی"
    assert BASIC("؟\u200cرود") == "رود"


def test_joiners_that_are_spelling_stay():
    persian, sinhala = "می\u200cخواهم", "ශ්\u200dරී"
    assert BASIC(persian) == persian and BASIC(sinhala) == sinhala
    assert BASIC(f"\u200c{persian}\u200c ") == persian  # but not at a word's edge
    assert BASIC("ខ្ញុំ\u200bទៅ") == "ខ្ញុំ ទៅ"  # a zero-width space is a space


def test_marks_without_a_letter_go():
    assert BASIC("\u0301a - \u0301 b") == "a b"


def test_turkish_dotted_i_as_documented():
    assert BASIC("I") == "i"
    assert BASIC("İ") == "i\u0307"
    assert normalizer(case="keep")("ırmak İzmir") == "ırmak İzmir"


OPTIONS = st.builds(
    normalizer,
    normalizer=st.sampled_from(["basic", "none"]),
    unicode=st.sampled_from(["NFC", "NFKC"]),
    case=st.sampled_from(["lower", "upper", "keep"]),
    punctuation=st.sampled_from(["remove", "keep"]),
    keep=st.sampled_from(["'", "", "'-", "]^\\_", "·’"]),
)
# Characters that act on their neighbours, among arbitrary ones.
ACTIVE = "aΣςİßΐﬁ '’-_´¨\u0301\u0345\u094d\u200b\u200c\u200d\ufe0f\u064eب؟۔র্য"
TEXT = st.text(st.one_of(st.characters(), st.sampled_from(ACTIVE)))


@given(OPTIONS, TEXT)
def test_twice_equals_once(normalize, text):
    once = normalize(text)
    assert normalize(once) == once


@given(TEXT)
def test_basic_leaves_only_letters_marks_numbers_and_kept_characters_inside_words(text):
    for word in BASIC(text).split(" "):
        assert word == word.strip("'") and "''" not in word
        assert all(unicodedata.category(character)[0] in "LMN" or character in "'\u200c\u200d" for character in word)


def test_every_single_character_is_normalised_for_good():
    for code in [*range(0x3400), *range(0xA000, 0xAC00), *range(0xF900, 0x12000), *range(0x1D000, 0x1F000)]:
        once = BASIC(f"a{chr(code)}b")
        assert BASIC(once) == once, hex(code)


@given(OPTIONS)
def test_normaliser_round_trip(normalize):
    again = Normalizer.from_json(json.loads(json.dumps(normalize.to_json())))
    assert again == normalize


@pytest.mark.parametrize(
    "record",
    [
        {"name": "whisper", "version": 1, "options": {}},
        {"name": "basic", "version": 99, "options": BASIC.to_json()["options"]},
        {"name": "basic", "version": 1, "options": {"keep": "'"}},
        {"name": "basic", "version": 1, "options": BASIC.to_json()["options"] | {"case": "title"}},
        {"name": "none", "version": 1, "options": {"keep": "'"}},
        {"name": "basic"},
        {"name": "none", "version": 1, "options": 3},
    ],
)
def test_unknown_normaliser_is_refused(record):
    with pytest.raises(TextError) as caught:
        Normalizer.from_json(record)
    assert "\n" not in str(caught.value)


# The tokenizer.


def test_alphabet_is_sorted_with_the_blank_first():
    tokenizer = Tokenizer.build(["the cat", "don't"])
    assert tokenizer.tokens == ("<blank>", " ", "'", "a", "c", "d", "e", "h", "n", "o", "t")
    assert (tokenizer.blank, len(tokenizer), tokenizer.word_boundary) == (0, 11, " ")


def test_word_boundary_is_none_without_a_space():
    assert Tokenizer.build(["你好"]).word_boundary is None


@given(st.lists(st.text(), min_size=1).filter(any))
def test_encode_decode_round_trip(texts):
    tokenizer = Tokenizer.build(texts)
    for text in texts:
        numbers = tokenizer.encode(text)
        assert tokenizer.decode(numbers) == text
        assert tokenizer.blank not in numbers and len(numbers) == len(text)
    assert Tokenizer.from_json(tokenizer.to_json()) == tokenizer


def test_decode_says_nothing_for_blanks_and_keeps_repeats():
    tokenizer = Tokenizer.build(["ab"])
    assert tokenizer.decode([0, 1, 0, 1, 1, 2, 0]) == "aaab"


def test_text_like_the_blanks_name_is_plain_characters():
    tokenizer = Tokenizer.build(["<blank>"])
    assert tokenizer.decode(tokenizer.encode("<blank>")) == "<blank>"


def test_unknown_characters_are_named_with_code_points():
    tokenizer = Tokenizer.build(["abc"])
    assert tokenizer.unknown("abä\u0301") == {"ä", "\u0301"}
    assert tokenizer.unknown("") == set()
    with pytest.raises(TextError) as caught:
        tokenizer.encode("abä\u0301b\ue000")
    line = str(caught.value)
    assert "U+00E4 LATIN SMALL LETTER A WITH DIAERESIS" in line and "U+0301 COMBINING ACUTE ACCENT" in line
    assert "U+E000" in line and "\n" not in line


def test_describe_characters_is_sorted():
    assert describe_characters("ba") == "'a' U+0061 LATIN SMALL LETTER A, 'b' U+0062 LATIN SMALL LETTER B"


@pytest.mark.parametrize("texts", [[], ["", ""]])
def test_empty_alphabet_is_refused(texts):
    with pytest.raises(TextError, match="empty"):
        Tokenizer.build(texts)


@pytest.mark.parametrize(
    "record",
    [
        {"type": "bpe", "tokens": ["<blank>", "a"]},
        {"type": "characters"},
        {"type": "characters", "tokens": ["a", "<blank>"]},
        {"type": "characters", "tokens": ["<blank>", "ab"]},
        {"type": "characters", "tokens": ["<blank>", "a", "a"]},
        {"type": "characters", "tokens": ["<blank>"]},
        {"type": "characters", "tokens": []},
    ],
)
def test_record_that_is_no_alphabet_is_refused(record):
    with pytest.raises(TextError):
        Tokenizer.from_json(record)


def test_steps_needed_counts_a_blank_between_equal_neighbours():
    assert [steps_needed(tokens) for tokens in ([], [1], [1, 2, 1], [1, 1], [1, 1, 1, 2, 2])] == [0, 1, 3, 3, 8]


@given(st.lists(st.integers(1, 3), max_size=6))
def test_steps_needed_is_the_shortest_path_that_collapses_to_the_tokens(tokens):
    path = []
    for token in tokens:
        path += [0, token] if path and path[-1] == token else [token]
    collapsed = [step for previous, step in zip([0, *path], path, strict=False) if step not in (0, previous)]
    assert collapsed == tokens and steps_needed(tokens) == len(path)
