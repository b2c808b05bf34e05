"""Which decoder the flags mean, and what they are refused for."""

from dataclasses import replace

import pytest

from asr.bpe import BpeTokenizer
from asr.decode.greedy import GreedyDecoder
from asr.decode.options import DecodingOptions, choose_decoder
from asr.decode.profile import Calibration, DecodingProfile
from asr.decode.wordlists import words_id
from asr.errors import AsrError
from asr.text import Tokenizer

ARPA = """\\data\\
ngram 1=5

\\1-grams:
-99\t<s>
-1.0\t</s>
-2.0\t<unk>
-0.5\tone
-0.7\ttwo

\\end\\
"""


@pytest.fixture
def tokenizer():
    return Tokenizer.build(["one two"])


@pytest.fixture
def lm(tmp_path):
    (tmp_path / "lm.arpa").write_text(ARPA)
    return tmp_path / "lm.arpa"


def profile(lm: str, calibration: Calibration | None = None) -> DecodingProfile:
    return DecodingProfile(lm, 0.75, 2.5, 64, "valid", 10, 0.1, calibration)


def test_nothing_said_is_greedy(tokenizer):
    chosen = choose_decoder(DecodingOptions(), tokenizer, None)
    assert isinstance(chosen.decoder, GreedyDecoder)
    assert chosen.notes == ()


@pytest.mark.parametrize("asked", [{"beam": 4}, {"nbest": 3}, {"decoder": "beam"}])
def test_any_flag_of_the_beam_means_it(tokenizer, asked):
    chosen = choose_decoder(DecodingOptions(**asked), tokenizer, None)
    assert chosen.settings["decoder"] == "beam"


def test_a_profile_counts_with_its_own_language_model_alone(tokenizer, lm, tmp_path):
    from asr.decode.ngram import NgramModel

    own = profile(NgramModel.load(lm).model_id, Calibration(1, 1, 0, 0, 0))
    chosen = choose_decoder(DecodingOptions(lm=lm), tokenizer, own)
    assert {"lm_weight": 0.75, "word_bonus": 2.5, "beam": 64}.items() <= chosen.settings.items()
    assert chosen.profile == own and chosen.notes == ()
    said = choose_decoder(DecodingOptions(lm=lm, lm_weight=0.1, beam=64), tokenizer, own)
    assert (said.settings["lm_weight"], said.settings["word_bonus"]) == (0.1, 2.5)  # what is said goes first
    assert said.notes == ("confidences were calibrated with other settings than this --lm-weight: they may not fit",)
    assert choose_decoder(DecodingOptions(lm=lm, beam=64), tokenizer, own).notes == ()

    other = choose_decoder(DecodingOptions(lm=lm), tokenizer, profile("another"))
    assert other.settings["lm_weight"] != 0.75 and other.profile is None
    assert "another language model" in other.notes[0]

    without = choose_decoder(DecodingOptions(), tokenizer, own)
    assert without.settings == {"decoder": "greedy"}
    assert "--lm" in without.notes[0]


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"decoder": "beams"}, "beams"),
        ({"decoder": "greedy", "beam": 3}, "--beam"),
        ({"decoder": "greedy", "nbest": 3}, "--nbest"),
        ({"lm_weight": 0.5}, "--lm"),
        ({"word_bonus": 1.0}, "--lm"),
        ({"beam": 0}, "beam"),
        ({"lm": "missing.arpa"}, "missing.arpa: no such file"),
        ({"lm": ".", "lm_weight": -1.0}, "--lm-weight"),
        ({"lm": ".", "word_bonus": float("nan")}, "--word-bonus"),
        ({"lm": "."}, "is a directory"),
    ],
)
def test_what_makes_no_sense_is_refused(tokenizer, asked, named):
    with pytest.raises(AsrError, match=named):
        choose_decoder(DecodingOptions(**asked), tokenizer, None)


def test_another_lexicon_than_was_tuned_with_is_told(tokenizer, lm, tmp_path):
    from asr.decode.ngram import NgramModel

    for name, words in (("a", "one\ntwo\n"), ("b", "two\none\none\n"), ("c", "one\n")):
        (tmp_path / name).write_text(words)
    own = profile(NgramModel.load(lm).model_id)
    tuned = replace(own, lexicon=words_id(["one", "two"]), lexicon_name="a", lexicon_words=2)

    def notes(known: DecodingProfile, lexicon: str | None) -> str:
        options = DecodingOptions(lm=lm, lexicon=tmp_path / lexicon if lexicon else None)
        return "\n".join(choose_decoder(options, tokenizer, known).notes)

    assert notes(tuned, "a") == notes(tuned, "b") == ""  # the words count, not their order
    assert "the lexicon a (2 words" in notes(tuned, "c") and "not with this one" in notes(tuned, "c")
    assert "not with none" in notes(tuned, None)
    assert "tuned with no lexicon, not with one" in notes(replace(own, lexicon=""), "a")
    assert notes(own, "a") == notes(own, None) == ""  # an old model file says nothing of it


def test_a_language_model_of_characters_is_told_where_it_takes_words(tokenizer, lm):
    lm.write_text(ARPA.replace("one", "o").replace("two", "t"))
    assert "only words of one character" in choose_decoder(DecodingOptions(lm=lm), tokenizer, None).notes[0]
    lm.write_text(ARPA.replace("one", "o").replace("two", "<space>"))
    assert "of characters" in choose_decoder(DecodingOptions(lm=lm), tokenizer, None).notes[0]


def test_a_model_of_single_words_is_given_words_as_whole_texts(lm, tmp_path):
    (tmp_path / "words").write_text("one\ntwo\n")
    single = Tokenizer.build(["one", "two"])
    for asked in ({"lm": lm}, {"lexicon": tmp_path / "words"}):
        chosen = choose_decoder(DecodingOptions(**asked), single, None)
        assert chosen.decoder.word_boundary == ""
        assert "each recording is treated as one word" in chosen.notes[0]
    lm.write_text(ARPA.replace("one", "o").replace("two", "t"))
    for asked in ({"lm": lm}, {"beam": 4}):
        chosen = choose_decoder(DecodingOptions(**asked), single, None)
        assert (chosen.decoder.word_boundary, chosen.notes) == (None, ())


def test_words_that_cannot_be_written_are_named(tokenizer, tmp_path):
    (tmp_path / "words").write_text("one\nпривет\ntwo\n", encoding="utf-8")
    chosen = choose_decoder(DecodingOptions(lexicon=tmp_path / "words"), tokenizer, None)
    assert chosen.notes == ("this model cannot output 1 words of the lexicon: привет",)
    (tmp_path / "words").write_text("one\ntwo\n")
    assert choose_decoder(DecodingOptions(lexicon=tmp_path / "words"), tokenizer, None).notes == ()


def test_a_language_model_of_another_script_is_told(tokenizer, lm):
    assert choose_decoder(DecodingOptions(lm=lm), tokenizer, None).notes == ()
    foreign = "".join(f"-2\t{word}\n" for word in ("привет", "один", "ONE"))
    lm.write_text(ARPA.replace("1=5", "1=8").replace("-0.5\tone", foreign + "-0.5\tone"), encoding="utf-8")
    (note,) = choose_decoder(DecodingOptions(lm=lm), tokenizer, None).notes
    assert "cannot output 3 of the language model's 5 words: привет, один, ONE" in note


def test_bad_hot_words_are_refused_before_anything_is_recognised(tokenizer, tmp_path):
    (tmp_path / "hot").write_text("one\nthree\n")
    with pytest.raises(AsrError, match="hot word 'three': not in the model's alphabet"):
        choose_decoder(DecodingOptions(hotwords=tmp_path / "hot"), tokenizer, None)


def test_pieces_of_a_script_without_spaces_take_no_language_model_of_characters(lm):
    lm.write_text(ARPA.replace("one", "猫").replace("two", "犬"), encoding="utf-8")
    pieces = BpeTokenizer.learn(["猫猫犬", "犬猫犬猫"], 4)
    assert max(map(len, pieces.tokens[1:])) > 1
    with pytest.raises(AsrError, match="subword units and no spaces"):
        choose_decoder(DecodingOptions(lm=lm), pieces, None)


def test_phrases_of_hot_words_are_told_where_each_recording_is_a_word(lm, tmp_path):
    (tmp_path / "hot").write_text("one two\none\n")
    single = Tokenizer.build(["one", "two"])
    notes = choose_decoder(DecodingOptions(lm=lm, hotwords=tmp_path / "hot"), single, None).notes
    assert notes[-1] == "each recording is one word here, so phrases never match: one two"


@pytest.mark.parametrize("name", ["beam", "nbest", "threads"])
def test_nothing_less_than_one_is_searched(name):
    with pytest.raises(AsrError, match=f"--{name} must be 1 or more, not 0"):
        DecodingOptions(**{name: 0}).check()


def test_a_beam_that_no_memory_holds_is_refused():
    with pytest.raises(AsrError, match="--beam must be at most 100,000, not 1,000,000,000"):
        DecodingOptions(beam=10**9).check()


def test_a_report_tells_one_list_of_words_from_another(tokenizer, tmp_path):
    found = []
    for name, word, boost in (("a", "one", 1), ("b", "two", 1), ("c", "two", 2)):
        (tmp_path / name).write_text(f"{word}\n")
        (tmp_path / f"hot-{name}").write_text(f"{word}\t{boost}\n")
        options = DecodingOptions(lexicon=tmp_path / name, hotwords=tmp_path / f"hot-{name}")
        found.append(choose_decoder(options, tokenizer, None).settings)
    assert len({one["lexicon"] for one in found}) == 2 and len({one["hotwords_id"] for one in found}) == 3
    assert found[0]["lexicon"] == words_id(["one"])


def test_a_profile_survives_the_model_file():
    for one in (profile("x"), profile("x", Calibration(0.5, 1.5, 0.1, 0.2, -0.25))):
        assert DecodingProfile.from_json(one.to_json()) == one
    assert DecodingProfile.from_json({}) is None
    first = profile("x").to_json() | {"calibration": {"aligned": 0.5, "agreed": 1.5, "offset": -0.25}}
    assert DecodingProfile.from_json(first).calibration == Calibration(0.5, 1.5, 0.0, 0.0, -0.25)
    with pytest.raises(AsrError):
        DecodingProfile.from_json({"lm": "x", "colour": "blue"})


def test_hot_words_that_a_lexicon_lacks_are_named(tokenizer, tmp_path):
    (tmp_path / "words").write_text("one\ntwo\n")
    (tmp_path / "hot").write_text("one\nto one\nnow two\nnet\nto\nnow\nten\n")
    (note,) = choose_decoder(
        DecodingOptions(lexicon=tmp_path / "words", hotwords=tmp_path / "hot"), tokenizer, None
    ).notes
    assert note.startswith("4 of the hot words are not in the lexicon") and "to, now, net, ..." in note
    (tmp_path / "hot").write_text("one\n")
    options = DecodingOptions(lexicon=tmp_path / "words", hotwords=tmp_path / "hot")
    assert not choose_decoder(options, tokenizer, None).notes
