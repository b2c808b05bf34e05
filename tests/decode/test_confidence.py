"""Word confidences: the evidence, and a calibration that finds the probabilities that words were drawn with."""

import numpy as np
import pytest

from asr.decode.confidence import confidences, evidence, fit
from asr.decode.hypothesis import Hypothesis
from asr.decode.profile import Calibration
from asr.score.calibration import reliability


def reading(text: str, score: float) -> Hypothesis:
    return Hypothesis(text, (), score, score)


def test_words_that_all_hypotheses_have_are_agreed_on():
    nbest = [reading("a b c", -1.0), reading("a d c", -1.0), reading("c", -50.0)]
    found = evidence([0.9, 0.9, 0.9], nbest)
    agreed = 1 / (1 + np.exp(-found[:, 1]))
    assert agreed[[0, 2]] == pytest.approx(1, abs=1e-3)
    assert agreed[1] == pytest.approx(0.5, abs=1e-3)
    assert found[0, 0] == pytest.approx(np.log(9))


def test_no_words_no_evidence():
    assert evidence([], [reading("", -1.0)]).shape == (0, 2)


def test_certainty_stays_finite():
    assert np.isfinite(evidence([1.0, 0.0], [reading("a b", 0.0)])).all()


def test_fit_finds_the_probabilities_that_words_were_drawn_with():
    rng = np.random.default_rng(0)
    found = rng.normal(1, 2, (20_000, 2))
    truth = Calibration(0.4, 0.8, -0.5)
    correct = rng.random(len(found)) < confidences(found, truth)
    fitted = fit(found, correct)
    assert (fitted.aligned, fitted.agreed, fitted.offset) == pytest.approx((0.4, 0.8, -0.5), abs=0.08)
    assert reliability(confidences(found, fitted), correct).ece < 0.02


def test_fit_finds_them_where_the_evidence_is_far_from_the_truth():
    """Words that all look certain while half of them are wrong: Newton's first step is far too long there."""
    rng = np.random.default_rng(1)
    found = np.column_stack([rng.normal(-1, 0.5, 5000), np.where(rng.random(5000) < 0.9, 9.2, 0.0)])
    correct = rng.random(5000) < confidences(found, Calibration(1.2, 0.1, 0.8))
    fitted = fit(found, correct)
    measured = reliability(confidences(found, fitted), correct)
    assert measured.ece < 0.03 and measured.nce > 0
    assert abs(confidences(found, fitted).mean() - correct.mean()) < 0.01


def test_fit_survives_evidence_that_separates_perfectly():
    found = np.array([[5.0, 5.0], [4.0, 5.0], [-4.0, -5.0], [-5.0, -4.0]])
    fitted = fit(found, np.array([True, True, False, False]))
    assert np.isfinite([fitted.aligned, fitted.agreed, fitted.offset]).all()
    assert confidences(found, fitted)[:2].min() > 0.9


@pytest.mark.parametrize("correct", [True, False])
def test_nothing_is_learned_where_all_words_are_alike(correct):
    assert fit(np.zeros((3, 2)), np.full(3, correct)) is None
