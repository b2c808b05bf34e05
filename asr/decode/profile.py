"""What tuning found out about decoding with a model: kept in its model file, beside the weights and apart from them.

A profile says how one language model is used with one acoustic model; it is looked at only when that same language
model is given again. `model_id` does not depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from asr.errors import AsrError

NBEST = 10  # readings that a word's confidence is weighed against, when it is calibrated and ever after
_OLDER = {"expected": 0.0, "length": 0.0}  # what the first files have no weights for


@dataclass(frozen=True)
class Calibration:
    """How a word's evidence becomes its confidence: the weights of a logistic regression.

    Attributes:
        aligned: Of the logit of the word's posterior where it was heard.
        agreed: Of the logit of the share of hypotheses that have it.
        expected: Of the natural logarithm of its probability under the language model.
        length: Of the number of its characters.
        offset: Added to them.
    """

    aligned: float
    agreed: float
    expected: float
    length: float
    offset: float


@dataclass(frozen=True)
class DecodingProfile:
    """Tuned settings of the beam search.

    Attributes:
        lm: `NgramModel.model_id` of the language model that they are for; "" for none.
        lm_weight: Of the language model's natural logarithms.
        word_bonus: Of each completed word.
        beam: Width.
        tuned_on: Hash of the utterances that they were tuned on.
        utterances: How many these were.
        wer: With these settings on them, a fraction.
        calibration: Of confidences; None where it was not measured.
        lm_name: The language model's file was called so; "" where nobody wrote it down.
        lexicon: `words_id` of the lexicon that they are for; "" for none, None where nobody wrote it down.
        lexicon_name: Its file was called so.
        lexicon_words: How many different words it held.
    """

    lm: str
    lm_weight: float
    word_bonus: float
    beam: int
    tuned_on: str
    utterances: int
    wer: float
    calibration: Calibration | None = None
    lm_name: str = ""
    lexicon: str | None = None
    lexicon_name: str = ""
    lexicon_words: int = 0

    @property
    def lexicon_facts(self) -> str:
        """The lexicon in words."""
        if not self.lexicon:
            return "no lexicon"
        return f"the lexicon {self.lexicon_name} ({self.lexicon_words:,} words, {self.lexicon})"

    def to_json(self) -> dict[str, Any]:
        """As it stands in a model file."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self | None:
        """The profile in a model file; None where there is none.

        Raises:
            AsrError: It is none of ours.
        """
        if not fields:
            return None
        try:
            weights = fields.get("calibration")
            calibration = Calibration(**(_OLDER | weights)) if weights else None
            return cls(**{**fields, "calibration": calibration})
        except (TypeError, KeyError) as error:
            raise AsrError(f"the model file's decoding profile cannot be read: {error}") from None
