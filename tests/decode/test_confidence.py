"""Word confidences: the evidence, and a calibration that finds the probabilities that words were drawn with."""

from dataclasses import astuple

import numpy as np
import pytest

from asr.decode import NgramModel
from asr.decode.confidence import confidences, evidence, fit
from asr.decode.hypothesis import Hypothesis
from asr.decode.kneser_ney import estimate
from asr.decode.profile import Calibration
from asr.score.calibration import reliability


def reading(text: str, score: float) -> Hypothesis:
    return Hypothesis(text, (), score, score)


def language(*sentences: str) -> NgramModel:
    return NgramModel.from_table(estimate([sentence.split() for sentence in sentences], 2).table)


def test_words_that_all_hypotheses_have_are_agreed_on():
    nbest = [reading("a b c", -1.0), reading("a d c", -1.0), reading("c", -50.0)]
    found = evidence([0.9, 0.9, 0.9], nbest)
    agreed = 1 / (1 + np.exp(-found[:, 1]))
    assert agreed[[0, 2]] == pytest.approx(1, abs=1e-3)
    assert agreed[1] == pytest.approx(0.5, abs=1e-3)
    assert found[0, 0] == pytest.approx(np.log(9))


def test_no_words_no_evidence():
    assert evidence([], [reading("", -1.0)]).shape == (0, 4)
    assert evidence([], [reading("", -1.0)], language("an ox")).shape == (0, 4)


def test_words_are_expected_as_the_language_model_finds_them_and_no_longer_than_twelve():
    lm = language("an ox", "an ox", "an elk", "ox")
    nbest = [reading("an elk incomprehensibilities", -1.0)]
    found = evidence([0.9, 0.9, 0.9], nbest, lm)
    scores = lm.scores(["an", "elk", "incomprehensibilities"])
    assert found[:, 2] == pytest.approx(scores[:3])
    assert found[:, 3].tolist() == [2, 3, 12]
    assert not evidence([0.9, 0.9, 0.9], nbest)[:, 2].any()


def test_a_model_of_characters_expects_no_word_more_than_another():
    assert evidence([0.9], [reading("ab", -1.0)], language("a b", "b a"))[0, 2] == 0


def test_certainty_stays_finite():
    assert np.isfinite(evidence([1.0, 0.0], [reading("a b", 0.0)])).all()


def test_fit_finds_the_probabilities_that_words_were_drawn_with():
    rng = np.random.default_rng(0)
    found = rng.normal(1, 2, (20_000, 4))
    truth = Calibration(aligned=0.4, agreed=0.8, expected=0.3, length=-0.2, offset=-0.5)
    correct = rng.random(len(found)) < confidences(found, truth)
    fitted = fit(found, correct)
    assert astuple(fitted) == pytest.approx(astuple(truth), abs=0.1)
    assert reliability(confidences(found, fitted), correct).ece < 0.02


def test_fit_finds_them_where_the_evidence_is_far_from_the_truth():
    """Words that all look certain while half of them are wrong: Newton's first step is far too long there."""
    rng = np.random.default_rng(1)
    agreed = np.where(rng.random(5000) < 0.9, 9.2, 0.0)
    found = np.column_stack([rng.normal(-1, 0.5, 5000), agreed, rng.normal(-6, 3, 5000), rng.integers(1, 13, 5000)])
    truth = Calibration(aligned=1.2, agreed=0.1, expected=0.2, length=0.1, offset=1.2)
    correct = rng.random(5000) < confidences(found, truth)
    fitted = fit(found, correct)
    measured = reliability(confidences(found, fitted), correct)
    assert measured.ece < 0.03 and measured.nce > 0
    assert abs(confidences(found, fitted).mean() - correct.mean()) < 0.01


def test_fit_survives_evidence_that_separates_perfectly():
    found = np.array([[5.0, 5.0, 0, 0], [4.0, 5.0, 0, 0], [-4.0, -5.0, 0, 0], [-5.0, -4.0, 0, 0]])
    fitted = fit(found, np.array([True, True, False, False]))
    assert np.isfinite(astuple(fitted)).all()
    assert confidences(found, fitted)[:2].min() > 0.9


@pytest.mark.parametrize("correct", [True, False])
def test_nothing_is_learned_where_all_words_are_alike(correct):
    assert fit(np.zeros((3, 4)), np.full(3, correct)) is None
