"""Pieces of words as tokens: byte-pair encoding (Sennrich et al. 2016, section 3.2), by the sentencepiece library.

The space is a token of its own and in no other: words begin and end where it stands, for language models, lexicons and
times alike, just as in a model that writes letters. Each word is written in one way, that of the library; what a
decoder without a lexicon finds may be pieced together otherwise and still be the same text.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from asr.config import TextConfig
from asr.errors import TextError
from asr.text import BLANK, Tokenizer, describe_characters

_SPACE = "\u2581"  # how the library writes a space
_LONGEST = 100_000  # bytes of a text; the library would leave out longer ones without a word


@dataclass(frozen=True)
class BpeTokenizer(Tokenizer):
    """Pieces of words as tokens; see `Tokenizer`.

    Attributes:
        tokens: Token strings by number: "<blank>", the space where texts have one, then pieces and single characters.
        model: The library's model, whose piece 0 (unknown) has the place of the blank.
    """

    model: bytes = b""

    _what = "subword units"

    @staticmethod
    def _may_be(token: str) -> bool:
        return bool(token) and (token == " " or not any(character.isspace() for character in token))

    @classmethod
    def learn(cls, texts: Iterable[str], tokens: int) -> Self:
        """The pieces that write normalised training texts in the fewest tokens, greedily; equal texts, equal pieces.

        Args:
            texts: Normalised.
            tokens: How many, blank, space and single characters among them.

        Raises:
            TextError: sentencepiece is not installed, or the texts do not have so many different pieces, or more
                characters than that.
        """
        sentencepiece = _library()
        lines = [text for text in texts if text]
        characters = set().union(*lines)
        if _SPACE in characters:
            raise TextError(
                f"subword units cannot contain {_SPACE!r} U+2581, the sign of sentencepiece for a space; remove it"
            )
        if not lines:
            raise TextError("the alphabet is empty: the training texts contain no characters")
        if long := next((text for text in lines if len(text.encode()) > _LONGEST), None):
            raise TextError(f"a training text is too long to learn subword units from: {long[:60]!r}...")
        model = io.BytesIO()
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(lines),
                model_writer=model,
                model_type="bpe",
                vocab_size=tokens,
                character_coverage=1.0,
                user_defined_symbols=[_SPACE] if " " in characters else [],
                normalization_rule_name="identity",
                add_dummy_prefix=False,
                remove_extra_whitespaces=False,
                split_digits=True,
                unk_id=0,
                unk_piece=BLANK,
                bos_id=-1,
                eos_id=-1,
                pad_id=-1,
                num_threads=1,
                max_sentence_length=_LONGEST,
                minloglevel=2,
            )
        except (RuntimeError, OSError) as error:
            most = re.search(r"value <= (\d+)", str(error))
            reason = f"at most {most[1]} are possible" if most else f"their {len(characters)} characters alone are more"
            raise TextError(
                f"text.bpe_tokens={tokens}: cannot learn so many subword units from the training texts: {reason}"
            ) from None
        learnt = cls(_tokens_of(model.getvalue()), model.getvalue())
        if missing := characters - learnt._characters:
            raise TextError(f"subword units cannot represent {describe_characters(missing)}; use text.units=characters")
        return learnt

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`.

        Raises:
            TextError: None of ours, or sentencepiece is not installed.
        """
        try:
            model = base64.b64decode(str(record["model"]), validate=True)
            tokens = tuple(map(str, record["tokens"]))
        except (KeyError, TypeError, ValueError):
            raise TextError(f"not a tokenizer of subword units: {record!r:.80}") from None
        if _tokens_of(model) != tokens:
            raise TextError("the tokenizer's units do not match its sentencepiece model")
        read = cls(tokens, model)
        if any(read.decode(read.encode(token)) != token for token in tokens[1:]):  # it changes texts, or drops letters
            raise TextError("the tokenizer's sentencepiece model does not reproduce texts exactly")
        return read

    def to_json(self) -> dict[str, Any]:
        """`{"type", "tokens", "model"}`, the model in base64."""
        return {"type": "bpe", "tokens": list(self.tokens), "model": base64.b64encode(self.model).decode()}

    def encode(self, text: str) -> list[int]:
        """Token numbers of a normalised text, as few as its words' pieces allow.

        Raises:
            TextError: See `Tokenizer.encode`.
        """
        if self.unknown(text):
            return super().encode(text)  # which says what is unknown
        numbers: list[int] = self._processor.encode(text)
        return numbers

    @cached_property
    def _processor(self) -> Any:
        return _library().SentencePieceProcessor(model_proto=self.model)

    @cached_property
    def _characters(self) -> frozenset[str]:
        return frozenset(token for token in self.tokens if len(token) == 1)

    def unknown(self, text: str) -> set[str]:
        """Characters of a normalised text that the pieces cannot write."""
        return set(text) - self._characters


def learn_tokenizer(config: TextConfig, texts: Iterable[str]) -> Tokenizer:
    """The tokenizer of normalised training texts, of the kind that a config asks for.

    Raises:
        TextError: See `Tokenizer.build` and `BpeTokenizer.learn`.
    """
    if config.units == "bpe":
        return BpeTokenizer.learn(texts, config.bpe_tokens)
    return Tokenizer.build(texts)


def tokenizer_from_json(record: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer of a model file, of either kind.

    Raises:
        TextError: Of neither.
    """
    return BpeTokenizer.from_json(record) if record.get("type") == "bpe" else Tokenizer.from_json(record)


def _tokens_of(model: bytes) -> tuple[str, ...]:
    """The tokens of a model of the library: its pieces, with the blank in the place of the unknown one."""
    try:
        processor = _library().SentencePieceProcessor(model_proto=model)
    except RuntimeError:
        raise TextError("the tokenizer's sentencepiece model is damaged") from None
    pieces = [processor.id_to_piece(number) for number in range(1, processor.get_piece_size())]
    return (BLANK, *(" " if piece == _SPACE else piece for piece in pieces))


def _library() -> Any:
    try:
        import sentencepiece
    except ImportError:
        raise TextError("subword units need sentencepiece: pip install sentencepiece") from None
    return sentencepiece
