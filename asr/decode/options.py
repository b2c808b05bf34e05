"""The decoding flags as one object, and the decoder that they mean: the same for every verb and for programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from asr.decode.beam import BeamDecoder
from asr.decode.greedy import GreedyDecoder
from asr.decode.hotwords import read_hotwords
from asr.decode.lexicon import read_word_list
from asr.decode.ngram import NgramModel
from asr.decode.profile import NBEST, DecodingProfile
from asr.errors import AsrError
from asr.text import Tokenizer

Decoder = GreedyDecoder | BeamDecoder
DECODERS = ("greedy", "beam")

BEAM = 100
LM_WEIGHT = 0.5
WORD_BONUS = 1.0  # with a language model, which would else prefer few words


@dataclass(frozen=True)
class DecodingOptions:
    """What was asked for; None and empty are what nobody said.

    Attributes:
        decoder: A name in `DECODERS`; None: beam where anything else here is said, else greedy.
        beam: Hypotheses kept at each step.
        lm: A language model: .arpa, .arpa.gz, or our own form.
        lm_weight: Of its natural logarithms.
        word_bonus: Added for each word.
        lexicon: A file of words, one a line: no other word is written.
        hotwords: A file of words and phrases that are likelier than usual, one a line.
        nbest: How many readings are wanted.
    """

    decoder: str | None = None
    beam: int | None = None
    lm: Path | None = None
    lm_weight: float | None = None
    word_bonus: float | None = None
    lexicon: Path | None = None
    hotwords: Path | None = None
    nbest: int = 1

    @property
    def of_beam(self) -> list[str]:
        """The flags that were given and mean nothing to the greedy decoder."""
        given = {
            "--beam": self.beam,
            "--lm": self.lm,
            "--lm-weight": self.lm_weight,
            "--word-bonus": self.word_bonus,
            "--lexicon": self.lexicon,
            "--hotwords": self.hotwords,
            "--nbest": self.nbest if self.nbest > 1 else None,
        }
        return [flag for flag, value in given.items() if value is not None]


@dataclass(frozen=True)
class Chosen:
    """The decoder that options mean.

    Attributes:
        decoder: Ready to be used.
        nbest: How many readings the user wants; the decoder may give more, for confidences.
        profile: The model's, where it goes with the language model that was given.
        notes: What a user should know about the choice, a line each.
    """

    decoder: Decoder
    nbest: int = 1
    profile: DecodingProfile | None = None
    notes: tuple[str, ...] = ()


def choose_decoder(options: DecodingOptions, tokenizer: Tokenizer, profile: DecodingProfile | None) -> Chosen:
    """The decoder that some options mean for a model.

    Args:
        options: What the user asked for.
        tokenizer: The model's.
        profile: The model's. It counts only with the language model that it was tuned with.

    Raises:
        AsrError: Options that contradict each other, or a file of theirs that cannot be used.
    """
    name = options.decoder or ("beam" if options.of_beam else "greedy")
    if name not in DECODERS:
        raise AsrError(f"no such decoder: {name}; there are {', '.join(DECODERS)}")
    if name == "greedy":
        if options.of_beam:
            raise AsrError(f"the greedy decoder takes no {', '.join(options.of_beam)}; --decoder beam does")
        tuned = "this model's decoding was tuned with a language model; without --lm it is decoded greedily"
        notes = (tuned,) if profile and profile.lm and options.decoder is None else ()
        return Chosen(GreedyDecoder(tokenizer.tokens, tokenizer.blank), notes=notes)
    if options.lm_weight is not None and options.lm is None:
        raise AsrError("--lm-weight needs a language model, --lm")
    return _beam(options, tokenizer, profile)


def _beam(options: DecodingOptions, tokenizer: Tokenizer, profile: DecodingProfile | None) -> Chosen:
    lm = NgramModel.load(options.lm) if options.lm else None
    fits = profile is not None and profile.lm == (lm.hash if lm else "")
    notes = []
    if profile and lm and not fits:
        notes.append("the model's decoding was tuned with another language model: default weights (try `asr tune`)")
    tuned = profile if fits else None
    weight = _first(options.lm_weight, tuned.lm_weight if tuned else None, LM_WEIGHT)
    bonus = _first(options.word_bonus, tuned.word_bonus if tuned else None, WORD_BONUS if lm else 0.0)
    decoder = BeamDecoder(
        tokenizer.tokens,
        word_boundary=tokenizer.word_boundary,
        beam=int(_first(options.beam, tuned.beam if tuned else None, BEAM)),
        lm=lm,
        lm_weight=weight if lm else 0.0,
        word_bonus=bonus,
        lexicon=read_word_list(options.lexicon) if options.lexicon else None,
        hotwords=read_hotwords(options.hotwords) if options.hotwords else None,
        nbest=max(options.nbest, NBEST if tuned and tuned.calibration else 1),
    )
    return Chosen(decoder, options.nbest, tuned, tuple(notes))


def _first(*values: float | None) -> float:
    """The first that is said."""
    return next(value for value in values if value is not None)
