"""From transcripts to the numbers a model learns, and back: the `Normalizer` and the character `Tokenizer`.

Both know no language. Unicode's own properties decide what is a letter, a mark or punctuation, so that a recogniser
for Ukrainian or Hindi needs no code, only transcripts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

from asr.errors import TextError

if TYPE_CHECKING:
    from asr.config import TextConfig

BLANK = "<blank>"

_VERSIONS = {"basic": 1, "none": 1}
_OPTIONS: dict[str, dict[str, tuple[str, ...] | None]] = {  # and their values; None: any text
    "basic": {
        "unicode": ("NFC", "NFKC"),
        "case": ("lower", "upper", "keep"),
        "punctuation": ("remove", "keep"),
        "keep": None,
    },
    "none": {},
}
# Typeset forms of characters that a config may keep; each is read as the typewriter's where that one is kept.
_TYPESET = {"’": "'", "‐": "-"}
_VIRAMA = 9  # canonical combining class of the signs that silence an Indic consonant's vowel


@dataclass(frozen=True)
class Normalizer:
    """One way to write a transcript, applied to training targets and to both sides of a score.

    `basic`, in this order: invisible format characters go; Unicode form (NFC or NFKC); case; punctuation, symbols and
    control characters become spaces, but those in `keep` stay inside words (don't, not 'tis); marks without a letter
    to stand on go; white space collapses. `none` only collapses white space. Applied twice equals applied once.

    Case follows Unicode's default, which is wrong for Turkish and Azeri: I becomes i, not ı, and İ becomes i with a
    combining dot. For these languages lower the transcripts yourself and set `case: keep`. For Thai and Lao prefer NFC:
    NFKC takes their vowel am apart.

    Attributes:
        name: basic or none.
        version: Of that name's rules; raised when they change, so that an old model keeps its own or is refused.
        options: For basic the fields of `TextConfig` of the same names, for none nothing.
    """

    name: str
    version: int = 1
    options: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.version != _VERSIONS.get(self.name):
            raise TextError(f"unknown normaliser: {self.name} version {self.version}")
        valid = _OPTIONS[self.name]
        if set(self.options) != set(valid):
            raise TextError(f"normaliser {self.name}: options must be {sorted(valid)}, not {sorted(self.options)}")
        for option, value in self.options.items():
            if not isinstance(value, str) or value not in (valid[option] or (value,)):
                raise TextError(f"normaliser {self.name}: {option} cannot be {value!r}")

    @classmethod
    def from_config(cls, config: TextConfig) -> Self:
        """The normaliser that a config's `text` section describes."""
        options = {option: str(getattr(config, option)) for option in _OPTIONS[config.normalizer]}
        return cls(config.normalizer, _VERSIONS[config.normalizer], options)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`.

        Raises:
            TextError: A name, version or option that this version of the program does not have.
        """
        try:
            return cls(record["name"], record["version"], dict(record["options"]))
        except (KeyError, TypeError, ValueError):
            raise TextError(f"not a normaliser: {record!r}") from None

    def to_json(self) -> dict[str, Any]:
        """`{"name", "version", "options"}`, for the model file and reports."""
        return {"name": self.name, "version": self.version, "options": dict(self.options)}

    def __call__(self, text: str) -> str:
        """The normalised text; "" where nothing is left."""
        if self.name == "basic":
            text = self._basic(text)
        return " ".join(text.split())

    def _basic(self, text: str) -> str:
        keep = self.options["keep"]
        form: Any = self.options["unicode"]
        text = unicodedata.normalize(form, _drop_format(text))
        if self.options["case"] != "keep":
            text = text.lower() if self.options["case"] == "lower" else text.upper()
        # The other case may come decomposed, and marks change places: then a joiner may stand where it says nothing.
        text = unicodedata.normalize(form, _drop_format(unicodedata.normalize(form, text)))
        for typeset, plain in _TYPESET.items():
            if plain in keep:
                text = text.replace(typeset, plain)
        if self.options["punctuation"] == "keep":
            return text
        table, strays, edges = _word_rules(keep)
        return edges.sub(" ", strays.sub("", text.translate(table)))


class _Words(dict[int, str]):
    """A table for `str.translate` that leaves letters, marks, numbers and kept characters, and blanks all else."""

    def __init__(self, keep: str) -> None:
        super().__init__((ord(character), character) for character in keep)

    def __missing__(self, code: int) -> str:
        character = chr(code)
        category = unicodedata.category(character)
        in_word = category[0] in "LN" or category in ("Mn", "Mc", "Cf")  # enclosing marks (Me) count as symbols
        return self.setdefault(code, character if in_word else " ")


@lru_cache
def _word_rules(keep: str) -> tuple[_Words, re.Pattern[str], re.Pattern[str]]:
    r"""The table of `_Words`, and patterns of what it leaves in wrong places.

    Those are marks that stand on no letter or number, and kept characters that are not inside a word. In text from the
    table everything else is a space, \w is a letter or number, and any other character a mark.
    """
    kept = "".join(map(re.escape, keep))
    strays = re.compile(rf"(?<![^\s{kept}])[^\w\s{kept}]+")
    edges = re.compile(rf"(?<![^\s{kept}])[{kept}]|[{kept}](?![^\s{kept}])" if keep else r"(?!)")
    return _Words(keep), strays, edges


def _drop_format(text: str) -> str:
    """Text without invisible characters: soft hyphens, direction marks, byte-order marks, variation selectors.

    Two of them are spelling in some scripts, and stay where Unicode's rules for identifiers have them (RFC 5892,
    appendix A): a joiner or non-joiner after a virama, a non-joiner between Arabic letters (Persian, Urdu; also where
    the letter before joins to nothing, and it cannot be seen: Python does not know how letters join). So does a joiner
    between a letter and a virama (Bengali and Kannada ra with ya below: The Unicode Standard, 12.2 and 12.8). A
    zero-width space separates words (Khmer, Thai), and becomes a plain one.
    """
    if text.isascii():
        return text
    kept = []
    for place, character in enumerate(text):
        if character == "\u200b":
            kept.append(" ")
        elif character in "\u200c\u200d":
            following = text[place + 1 : place + 2]
            if kept and _joiner_is_spelling(character, kept[-1], following):
                kept.append(character)
        elif unicodedata.category(character) != "Cf" and not _selects_variation(character):
            kept.append(character)
    return "".join(kept)


def _joiner_is_spelling(joiner: str, before: str, after: str) -> bool:
    after = after or " "
    if unicodedata.combining(before) == _VIRAMA:
        return True
    if joiner == "\u200d":
        return unicodedata.combining(after) == _VIRAMA and _is_letter(before)
    marked = unicodedata.bidirectional(before) == "NSM" or _is_arabic(before)
    return marked and _is_arabic(after)


def _is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] == "L"


def _is_arabic(character: str) -> bool:
    """Whether it is an Arabic letter; punctuation of its script is of the same direction."""
    return unicodedata.bidirectional(character) == "AL" and _is_letter(character)


def _selects_variation(character: str) -> bool:
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"


@dataclass(frozen=True)
class Tokenizer:
    """Characters as tokens. It alone knows which token has which number; the blank is always 0.

    `asr.bpe.BpeTokenizer` is one whose tokens are pieces of words; what is written for this one holds for both.

    Attributes:
        tokens: Token strings by number: "<blank>", then single characters.
    """

    tokens: tuple[str, ...]

    blank = 0

    def __post_init__(self) -> None:
        tokens = self.tokens[1:]
        if self.tokens[:1] != (BLANK,) or not all(map(self._may_be, tokens)):
            raise TextError(f"not an alphabet: must be {BLANK}, then {self._what}, not {list(self.tokens)!r:.80}")
        if not tokens:
            raise TextError("the alphabet is empty: the training texts contain no characters")
        if len(set(tokens)) < len(tokens):
            raise TextError("not an alphabet: contains a token twice")

    _what = "single characters"

    @staticmethod
    def _may_be(token: str) -> bool:
        """Whether this can be one of the tokens after the blank."""
        return len(token) == 1

    @classmethod
    def build(cls, texts: Iterable[str]) -> Self:
        """The alphabet of normalised training texts, in the order of code points.

        Raises:
            TextError: The texts hold no characters.
        """
        alphabet: set[str] = set()
        for text in texts:
            alphabet.update(text)
        return cls((BLANK, *sorted(alphabet)))

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`.

        Raises:
            TextError: Not a character tokenizer.
        """
        if record.get("type") != "characters" or not isinstance(record.get("tokens"), list):
            raise TextError(f"not a tokenizer known to this version: {record!r:.80}")
        return cls(tuple(map(str, record["tokens"])))

    def to_json(self) -> dict[str, Any]:
        """`{"type", "tokens"}`, for the model file."""
        return {"type": "characters", "tokens": list(self.tokens)}

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def word_boundary(self) -> str | None:
        """The token between words, or None where the alphabet has no space."""
        return " " if " " in self._numbers else None

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.tokens) if number != self.blank}

    def encode(self, text: str) -> list[int]:
        """Token numbers of a normalised text, one a character.

        Raises:
            TextError: Characters that the alphabet lacks, all of them named.
        """
        try:
            return [self._numbers[character] for character in text]
        except KeyError:
            unknown = describe_characters(self.unknown(text))
            raise TextError(f"not in the alphabet: {unknown}, in {text!r:.80}") from None

    def spell(self, word: str) -> list[int] | None:
        """Token numbers of a word; None where it holds a character that the alphabet lacks, or a space."""
        return None if self.unknown(word) or " " in word else self.encode(word)

    def unknown(self, text: str) -> set[str]:
        """Characters of a normalised text that the alphabet lacks."""
        return set(text) - self._numbers.keys()

    def decode(self, numbers: Iterable[int]) -> str:
        """The text of token numbers. Blanks say nothing; repeats stay, merging them is a decoder's work."""
        return "".join(self.tokens[number] for number in numbers if number != self.blank)


def steps_needed(tokens: Sequence[int]) -> int:
    """The fewest output steps in which CTC can say these tokens.

    One each, and a blank between two equal neighbours, which would merge otherwise (Graves et al. 2006, section 3.1).
    With fewer steps the loss is infinite.
    """
    repeats = sum(left == right for left, right in pairwise(tokens))
    return len(tokens) + repeats


def describe_characters(characters: Iterable[str]) -> str:
    """Characters with code points and Unicode names, as in: 'é' U+00E9 LATIN SMALL LETTER E WITH ACUTE."""
    return ", ".join(
        f"{character!r} U+{ord(character):04X} {unicodedata.name(character, 'without a name')}"
        for character in sorted(characters)
    )
