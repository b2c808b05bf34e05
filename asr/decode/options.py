"""The decoding flags as one object, and the decoder that they mean: the same for every verb and for programs."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asr.decode.profile import NBEST, DecodingProfile
from asr.decode.wordlists import read_hotwords, read_words, words_id
from asr.errors import AsrError, TextError
from asr.text import Tokenizer

if TYPE_CHECKING:
    from torch import Tensor

    from asr.decode.beam import BeamDecoder
    from asr.decode.greedy import GreedyDecoder
    from asr.decode.hotwords import HotWords
    from asr.decode.hypothesis import Hypothesis
    from asr.decode.ngram import NgramModel

DECODERS = ("greedy", "beam")

BEAM = 100
WIDEST = 100_000  # takes some 500 MB a thread; from a few hundred on a beam finds nothing more
LM_WEIGHT = 0.5
UNSPELLABLE = 0.1  # of a language model's words: a few have foreign letters, many only where case or script differ
WORD_BONUS = 1.0  # with a language model, which would else prefer few words

ONE_WORD = (
    "this model's training transcripts have no spaces, so each recording is treated as one word; for a language "
    "without spaces use a language model of characters (`asr lm train --characters`)"
)


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
        threads: Utterances that the beam search decodes at a time; None: one a core. No result depends on it.
    """

    decoder: str | None = None
    beam: int | None = None
    lm: str | Path | None = None
    lm_weight: float | None = None
    word_bonus: float | None = None
    lexicon: str | Path | None = None
    hotwords: str | Path | None = None
    nbest: int = 1
    threads: int | None = None

    @property
    def name(self) -> str:
        """The decoder that is meant."""
        return self.decoder or ("beam" if self.of_beam else "greedy")

    def check(self) -> None:
        """Find what is wrong before anything is loaded: nobody waits for a model to hear of a mistyped name.

        Raises:
            AsrError: Options that contradict each other or make no sense, or a file that is not there.
        """
        if self.name not in DECODERS:
            raise AsrError(f"unknown decoder {self.name!r}; choose from {', '.join(DECODERS)}")
        if self.name == "greedy" and self.of_beam:
            raise AsrError(f"the greedy decoder does not support {', '.join(self.of_beam)}; use --decoder beam")
        for name, value in (("beam", self.beam), ("nbest", self.nbest), ("threads", self.threads)):
            if value is not None and value < 1:
                raise AsrError(f"--{name} must be 1 or more, not {value}")
        if self.beam is not None and self.beam > WIDEST:
            raise AsrError(f"--beam must be at most {WIDEST:,}, not {self.beam:,}")
        if self.lm is None and (self.lm_weight is not None or self.word_bonus is not None):
            raise AsrError("--lm-weight and --word-bonus need a language model (--lm)")
        if self.lm_weight is not None and not 0 <= self.lm_weight < math.inf:
            raise AsrError(f"--lm-weight must be 0 or more, not {self.lm_weight}")
        if self.word_bonus is not None and not math.isfinite(self.word_bonus):
            raise AsrError(f"--word-bonus must be a number, not {self.word_bonus}")
        for path in (self.lm, self.lexicon, self.hotwords):
            if path is not None:
                check_file(path)

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
    """The decoder that options mean, and how it is called.

    Attributes:
        decoder: Ready to be used.
        nbest: How many readings the user wants.
        hotwords: Words and phrases that are likelier than usual; None: no such.
        profile: The model's, where it goes with the language model that was given.
        notes: What a user should know about the choice, a line each.
        threads: Utterances that the beam search decodes at a time; None: one a core.
    """

    decoder: GreedyDecoder | BeamDecoder
    nbest: int = 1
    hotwords: HotWords | None = None
    profile: DecodingProfile | None = None
    notes: tuple[str, ...] = ()
    threads: int | None = None

    def decode_batch(self, log_probs: Tensor, lengths: Tensor) -> list[list[Hypothesis]]:
        """Readings of each utterance, best first: as many as are wanted, or as confidences are calibrated with.

        Args:
            log_probs: (batch, steps, tokens).
            lengths: (batch,) steps.
        """
        from asr.decode.greedy import GreedyDecoder

        if isinstance(self.decoder, GreedyDecoder):
            return self.decoder.decode_batch(log_probs, lengths)
        calibrated = self.profile is not None and self.profile.calibration is not None
        nbest = max(self.nbest, NBEST if calibrated else 1)
        threads = self.threads or os.cpu_count() or 1
        return self.decoder.decode_batch(log_probs, lengths, nbest, threads, self.hotwords)

    @property
    def lm(self) -> NgramModel | None:
        """The decoder's language model."""
        return getattr(self.decoder, "lm", None)

    @property
    def settings(self) -> dict[str, Any]:
        """What a report says about how its text was decoded."""
        if not self.hotwords:
            return self.decoder.settings
        boosts = self.hotwords.boosts
        phrases = (f"{phrase}\t{boost!r}" for phrase, boost in boosts.items())
        return self.decoder.settings | {"hotwords": len(boosts), "hotwords_id": words_id(phrases)}


def choose_decoder(options: DecodingOptions, tokenizer: Tokenizer, profile: DecodingProfile | None) -> Chosen:
    """The decoder that some options mean for a model.

    Args:
        options: What the user asked for.
        tokenizer: The model's.
        profile: The model's. It counts only with the language model that it was tuned with.

    Raises:
        AsrError: Options that contradict each other, or a file of theirs that cannot be used.
    """
    from asr.decode.greedy import GreedyDecoder  # here: options are checked without waiting for torch

    options.check()
    if options.name == "beam":
        return _beam(options, tokenizer, profile)
    notes: tuple[str, ...] = ()
    if profile and profile.lm and options.decoder is None:
        tuned = f"this model's decoding was tuned with a language model{_named(profile.lm_name)}"
        notes = (f"{tuned}; without --lm, decoding is greedy",)
    return Chosen(GreedyDecoder(tokenizer.tokens, tokenizer.blank), notes=notes)


def _beam(options: DecodingOptions, tokenizer: Tokenizer, profile: DecodingProfile | None) -> Chosen:
    # Imported here: who decodes greedily does not wait for numba.
    from asr.decode.beam import BeamDecoder
    from asr.decode.ngram import NgramModel

    lm = NgramModel.load(options.lm) if options.lm else None
    words = read_words(options.lexicon) if options.lexicon else None
    tuned = profile if profile and profile.lm == (lm.model_id if lm else "") else None
    notes = []
    boundary = word_boundary(tokenizer, lm, words)
    if boundary == "":
        notes.append(ONE_WORD)
    if lm and lm.characters and tokenizer.word_boundary:
        what = "is of characters" if lm.spaces else "knows only words of one character"
        notes.append(f"the language model {what}, but this model's texts have spaces: use one of words")
    if tuned:
        notes += _not_as_tuned(options, words, tuned)
    elif profile and lm:
        another = f"another language model{_named(profile.lm_name)}"
        notes.append(f"the model's decoding was tuned with {another}: using default weights (try `asr tune`)")
    weight = _first(options.lm_weight, tuned.lm_weight if tuned else None, LM_WEIGHT)
    bonus = _first(options.word_bonus, tuned.word_bonus if tuned else None, WORD_BONUS if lm else 0.0)
    decoder = BeamDecoder(
        tokenizer.tokens,
        word_boundary=boundary,
        spell=tokenizer.spell,
        beam=int(_first(options.beam, tuned.beam if tuned else None, BEAM)),
        lm=lm,
        lm_weight=weight if lm else 0.0,
        word_bonus=bonus,
        lexicon=words,
    )
    notes += _unspellable(decoder.unspellable, lm, words)
    boosts = read_hotwords(options.hotwords) if options.hotwords else {}
    if words:
        notes += _outside(boosts, words)
    if boundary == "" and (phrases := [phrase for phrase in boosts if " " in phrase]):
        notes.append(f"each recording is one word here, so phrases never match: {', '.join(phrases[:3])}")
    return Chosen(decoder, options.nbest, decoder.hot_words(boosts), tuned, tuple(notes), options.threads)


def word_boundary(tokenizer: Tokenizer, lm: NgramModel | None, words: Sequence[str] | None) -> str | None:
    """What `BeamDecoder` takes for the token between words, for a model with a language model or lexicon.

    An alphabet without a space is that of a language without spaces, or of recordings of single words. A lexicon, or a
    language model of words, tells which.

    Raises:
        AsrError: The language model is of characters, and the tokens are pieces of several.
    """
    one_word = words is not None or (lm is not None and not lm.characters)
    boundary = "" if tokenizer.word_boundary is None and one_word else tokenizer.word_boundary
    if lm and boundary is None and max(map(len, tokenizer.tokens[1:])) > 1:
        raise AsrError(
            "this model outputs subword units and no spaces, so a language model of characters cannot score its "
            "texts: train with text.units=characters"
        )
    return boundary


def _unspellable(unspellable: Sequence[str], lm: NgramModel | None, words: Sequence[str] | None) -> list[str]:
    """A line about words that a model has no tokens for: any of a lexicon's, or many of a language model's."""
    named = ", ".join(unspellable[:3])
    if words and unspellable:
        return [f"this model cannot output {len(unspellable):,} words of the lexicon: {named}"]
    if lm and len(unspellable) > UNSPELLABLE * len(lm.vocabulary):
        return [
            f"this model cannot output {len(unspellable):,} of the language model's {len(lm.vocabulary):,} words: "
            f"{named} (normalise its training texts as this model's were)"
        ]
    return []


def _outside(boosts: Iterable[str], words: Iterable[str]) -> list[str]:
    """A line about hot words that a lexicon lacks: no boost brings them back."""
    known = set(words)
    outside = list(dict.fromkeys(word for phrase in boosts for word in phrase.split() if word not in known))
    if not outside:
        return []
    named = ", ".join(outside[:3]) + (", ..." if len(outside) > 3 else "")
    return [f"{len(outside):,} of the hot words are not in the lexicon and cannot be recognised: {named} (add them)"]


def _not_as_tuned(options: DecodingOptions, words: Iterable[str] | None, tuned: DecodingProfile) -> list[str]:
    """Lines about what differs from the settings that a profile was found with."""
    notes = []
    if tuned.lexicon is not None and tuned.lexicon != words_id(words):
        notes.append(
            f"the model's decoding was tuned with {tuned.lexicon_facts}, not with "
            f"{'this one' if words and tuned.lexicon else 'one' if words else 'none'}: "
            "its weights and confidences may not fit (try `asr tune`)"
        )
    settings = {
        "--lm-weight": (options.lm_weight, tuned.lm_weight),
        "--word-bonus": (options.word_bonus, tuned.word_bonus),
        "--beam": (options.beam, tuned.beam),
        "--hotwords": (options.hotwords, None),
    }
    other = [flag for flag, (said, found) in settings.items() if said is not None and said != found]
    if tuned.calibration and other:
        notes.append(f"confidences were calibrated with other settings than this {', '.join(other)}: they may not fit")
    return notes


def check_file(path: str | Path) -> None:
    """Make sure that a file can be opened, without opening it: a pipe is read only once.

    Raises:
        TextError: It cannot.
    """
    wrong = None
    if not Path(path).exists():
        wrong = errno.ENOENT
    elif Path(path).is_dir():
        wrong = errno.EISDIR
    elif not os.access(path, os.R_OK):
        wrong = errno.EACCES
    if wrong is not None:
        raise TextError(f"{path}: {os.strerror(wrong).lower()}")


def _named(name: str) -> str:
    return f", {name}" if name else ""


def _first(*values: float | None) -> float:
    """The first that is said."""
    return next(value for value in values if value is not None)
