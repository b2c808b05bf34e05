"""Pieces of words as tokens: the same texts, words and searches as with letters, in fewer tokens."""

import base64
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.bpe import BpeTokenizer, learn_tokenizer, tokenizer_from_json
from asr.config import TextConfig
from asr.decode import BeamDecoder
from asr.decode.ctc import forward_score
from asr.errors import TextError
from asr.text import BLANK, Tokenizer

TEXTS = ["the cat and the hat", "then they thanked the thin man", "a fat cat sat", "that hat is the man's"]
EXHAUSTIVE = {"beam": 4000, "beam_threshold": math.inf, "token_floor": -math.inf}


@pytest.fixture(scope="module")
def pieces() -> BpeTokenizer:
    return BpeTokenizer.learn(TEXTS, 30)


def test_the_blank_the_space_and_every_letter_are_tokens(pieces):
    assert len(pieces) == 30 and pieces.tokens[:2] == (BLANK, " ") and pieces.word_boundary == " "
    assert set("".join(TEXTS)) <= set(pieces.tokens)
    assert {"the", "at"} <= set(pieces.tokens)
    assert not any(" " in token for token in pieces.tokens[2:])


@given(text=st.text(st.sampled_from(sorted(set("".join(TEXTS)))), max_size=40))
def test_texts_come_back(pieces, text):
    numbers = pieces.encode(text)
    assert pieces.decode(numbers) == text
    assert len(numbers) <= len(text) and 0 not in numbers
    words = [pieces.spell(word) for word in text.split(" ")]
    assert [number for word in words for number in [*word, 1]][:-1] == numbers  # a word is spelled alike everywhere


def test_what_the_letters_cannot_write_is_named(pieces):
    assert pieces.unknown("the quiet cat") == {"q", "u"}
    assert pieces.spell("quiet") is None and pieces.spell("the cat") is None
    with pytest.raises(TextError, match=r"not in the alphabet: 'q' U\+0071"):
        pieces.encode("quiet")


def test_equal_texts_give_equal_pieces_and_files_keep_them(pieces):
    again = BpeTokenizer.learn(iter(TEXTS), 30)
    assert again == pieces and again.to_json() == pieces.to_json()
    for copy in (tokenizer_from_json(pieces.to_json()), pickle.loads(pickle.dumps(pieces))):
        assert copy == pieces and copy.encode("the cat") == pieces.encode("the cat")
    assert type(tokenizer_from_json(Tokenizer.build(TEXTS).to_json())) is Tokenizer


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "no base64!"}, "not a tokenizer"),
        ({"model": "é"}, "not a tokenizer"),
        ({"model": "AAAA"}, "damaged"),
        ({"tokens": None}, "not a tokenizer"),
        ({"tokens": [BLANK, "a"]}, "do not match its"),
        ({"type": "wordpiece"}, "not a tokenizer known to this version"),
    ],
)
def test_a_damaged_record_is_refused(pieces, change, said):
    with pytest.raises(TextError, match=said):
        tokenizer_from_json(pieces.to_json() | change)


@pytest.mark.parametrize("change", ["prefix", "unused"])
def test_a_model_that_changes_texts_is_refused(pieces, change):
    """Such a file is none of ours; its lexicons would be spelled with blanks or begin with spaces."""
    from sentencepiece import sentencepiece_model_pb2

    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(pieces.model)
    if change == "prefix":
        model.normalizer_spec.add_dummy_prefix = True
    else:
        next(piece for piece in model.pieces if piece.piece == "m").type = 5
    record = pieces.to_json() | {"model": base64.b64encode(model.SerializeToString()).decode()}
    with pytest.raises(TextError, match="does not reproduce texts exactly"):
        tokenizer_from_json(record)


def test_signs_of_the_library_in_texts():
    with pytest.raises(TextError, match=r"U\+2581"):
        BpeTokenizer.learn([*TEXTS, "a \u2581 b"], 30)
    with pytest.raises(TextError, match=r"cannot represent .* U\+0000"):
        BpeTokenizer.learn([*TEXTS, "a\0b"], 30)
    tokenizer = BpeTokenizer.learn([*TEXTS, "a <unk> cat"], 30)
    assert tokenizer.decode(tokenizer.encode("a <unk> cat")) == "a <unk> cat"


def test_impossible_sizes_are_refused():
    with pytest.raises(TextError, match=r"text.bpe_tokens=4: .* characters alone are more"):
        BpeTokenizer.learn(TEXTS, 4)
    with pytest.raises(TextError, match=r"text.bpe_tokens=4000: .* at most \d+ are possible"):
        BpeTokenizer.learn(TEXTS, 4000)
    with pytest.raises(TextError, match="no characters"):
        BpeTokenizer.learn(["", ""], 30)


def test_the_config_says_which_kind():
    assert type(learn_tokenizer(TextConfig(units="bpe", bpe_tokens=25), TEXTS)) is BpeTokenizer
    assert type(learn_tokenizer(TextConfig(), TEXTS)) is Tokenizer


def test_a_script_without_spaces_has_no_space_token():
    tokenizer = BpeTokenizer.learn(["猫猫犬", "犬猫犬猫"], 4)
    assert tokenizer.word_boundary is None and tokenizer.decode(tokenizer.encode("猫犬")) == "猫犬"


def certain(tokens: list[int], size: int, share: float = 0.9) -> np.ndarray:
    """(steps, tokens) log-probabilities that say these tokens, a blank after each."""
    rows = np.full((2 * len(tokens), size), (1 - share) / (size - 1))
    rows[np.arange(0, len(rows), 2), tokens] = share
    rows[1::2, 0] = share
    return np.log(rows)


def test_a_lexicon_is_spelled_in_pieces(pieces):
    said = pieces.encode("the fat hat")
    log_probs = certain(said, len(pieces))
    assert BeamDecoder(pieces.tokens).decode(log_probs)[0].text == "the fat hat"
    other = BeamDecoder(pieces.tokens, lexicon=["the", "hat", "thanked"], spell=pieces.spell).decode(log_probs)[0]
    assert other.text in ("the the hat", "the hat hat", "the thanked hat")
    best = BeamDecoder(pieces.tokens, lexicon=["the", "fat", "hat"], spell=pieces.spell, **EXHAUSTIVE).decode(log_probs)
    assert best[0].tokens == tuple(said)
    assert best[0].acoustic == pytest.approx(forward_score(log_probs, said), abs=1e-9)


def test_words_that_pieces_cannot_write_are_told(pieces):
    assert BeamDecoder(pieces.tokens, lexicon=["cat", "quiet"], spell=pieces.spell).unspellable == ("quiet",)


def test_hot_words_are_spelled_in_pieces(pieces):
    close = certain(pieces.encode("the hat"), len(pieces), share=0.3)
    decoder = BeamDecoder(pieces.tokens, spell=pieces.spell)
    plain, hot = (decoder.decode(close, nbest=50, hotwords=words) for words in (None, {"cat": 3.0}))
    scores = [{one.text: one.score for one in found} for found in (plain, hot)]
    assert scores[1]["the cat"] == pytest.approx(scores[0]["the cat"] + 3.0, abs=1e-6)
