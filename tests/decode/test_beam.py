"""Beam search without a language model: exact where nothing is pruned, never worse than greedy where something is."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from brute import all_texts, random_log_probs
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.decode import BeamDecoder, DecodeError, GreedyDecoder, forward_score
from asr.decode.search import Limits, new_work, search

LETTERS = ("<blank>", "a", "b", "c")
EXHAUSTIVE = {"beam": 4000, "beam_threshold": math.inf, "token_floor": -math.inf}
small = st.tuples(st.integers(0, 10**9), st.integers(0, 7), st.integers(2, 4), st.floats(0, 6))


def speech_like(seed: int, steps: int, tokens: int = 12, doubt: float = 0.35) -> torch.Tensor:
    """(steps, tokens) log-probabilities that a CTC model could give: blanks, short tokens, doubt between some."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1, (steps, tokens))
    logits[:, 0] += 5
    for step in np.flatnonzero(rng.random(steps) < 0.4):
        said, other = rng.integers(1, tokens, 2)
        logits[step, said] += 8
        logits[step, other] += rng.choice([0, 7], p=[1 - doubt, doubt])
        logits[step, 0] += rng.choice([0, 3], p=[1 - doubt, doubt])
    return torch.from_numpy(logits).log_softmax(1)


def check_exact(case):
    seed, steps, size, sharpness = case
    values = random_log_probs(seed, steps, size, sharpness)
    wanted = all_texts(values)
    found = BeamDecoder(LETTERS[:size], None, **EXHAUSTIVE).decode(values, nbest=10_000)
    assert {hypothesis.tokens for hypothesis in found} == set(wanted)
    for hypothesis in found:
        assert hypothesis.score == hypothesis.acoustic == pytest.approx(wanted[hypothesis.tokens], abs=1e-9)
    scores = [hypothesis.score for hypothesis in found]
    assert scores == sorted(scores, reverse=True)


@settings(max_examples=300)
@given(small)
def test_exact_where_nothing_is_pruned(case):
    check_exact(case)


@pytest.mark.long
@settings(max_examples=10_000)
@given(small)
def test_exact_where_nothing_is_pruned_10_000(case):
    check_exact(case)


@given(st.integers(0, 10**6), st.integers(1, 5))
def test_a_narrow_beam_scores_exactly_what_it_finds(seed, beam):
    values = random_log_probs(seed, 6, 4)
    wanted = all_texts(values)
    for hypothesis in BeamDecoder(LETTERS, None, beam=beam).decode(values, nbest=beam):
        assert hypothesis.score == pytest.approx(wanted[hypothesis.tokens], abs=1e-9)


@given(st.integers(0, 10**6), st.integers(1, 8), st.integers(0, 120), st.sampled_from([1.0, 20.0, math.inf]))
def test_pitfall_never_worse_than_greedy(seed, beam, steps, threshold):
    values = speech_like(seed, steps)
    tokens = ["<blank>", *"abcdefghijk"]
    best, *_ = BeamDecoder(tokens, None, beam=beam, beam_threshold=threshold).decode(values)
    (greedy,) = GreedyDecoder(tokens).decode(values)
    assert best.score >= forward_score(values, greedy.tokens) - 1e-9
    assert best.score == pytest.approx(forward_score(values, best.tokens), abs=1e-8)


def test_finds_more_than_greedy_where_alignments_add_up():
    values = torch.tensor([[0.4, 0.6], [0.6, 0.4]]).log()  # silence has 0.4 x 0.6, "a" all the rest
    best, second = BeamDecoder(LETTERS[:2], None).decode(values, nbest=5)
    assert (best.text, second.text) == ("a", "")
    assert math.exp(best.score) == pytest.approx(0.76)
    values = torch.tensor([[0.55, 0.45], [0.55, 0.45]]).log()  # the best path is silent, and yet "a" is likelier
    assert GreedyDecoder(LETTERS[:2]).decode(values)[0].text == ""
    assert BeamDecoder(LETTERS[:2], None, beam=3).decode(values)[0].text == "a"


@given(st.integers(0, 10**6))
def test_no_two_hypotheses_of_one_text(seed):
    values = random_log_probs(seed, 7, 3, sharpness=1.0)
    tokens = ("<blank>", " ", "a")  # "a", " a", "a " and " a " are one text
    found = BeamDecoder(tokens, **EXHAUSTIVE).decode(values, nbest=10_000)
    texts = [hypothesis.text for hypothesis in found]
    assert len(texts) == len(set(texts))
    best: dict[str, float] = {}
    for text, score in all_texts(values).items():
        words = " ".join("".join(tokens[token] for token in text).split())
        best[words] = max(score, best.get(words, -math.inf))
    assert {hypothesis.text: hypothesis.score for hypothesis in found} == pytest.approx(best, abs=1e-9)


def test_threads_batches_and_padding_change_nothing():
    rows = [speech_like(seed, steps) for seed, steps in enumerate([40, 0, 7, 90, 1, 33])]
    decoder = BeamDecoder(["<blank>", *"abcdefghijk"], None, beam=12)
    alone = [decoder.decode(row, nbest=3) for row in rows]
    padded = torch.full((len(rows), 100, 12), float("nan"), dtype=torch.float64)  # padding must not be looked at
    for place, row in zip(padded, rows, strict=True):
        place[: len(row)] = row
    lengths = torch.tensor([len(row) for row in rows])
    assert decoder.decode_batch(rows, nbest=3) == alone
    assert decoder.decode_batch(padded, lengths, nbest=3) == alone
    assert decoder.decode_batch(padded, lengths, nbest=3, threads=4) == alone
    assert decoder.decode_batch(padded.numpy(), lengths.numpy(), nbest=3) == alone
    assert decoder.decode_batch([]) == []


MANY_UTTERANCES = """
import resource
import numpy as np
from asr.decode import BeamDecoder

decoder = BeamDecoder("-abcdefghijklmnopqrstuvwxyz", None, beam=4)
rng = np.random.default_rng(1)
rows = []
for _ in range(400):
    row = rng.standard_normal((1000, 27), np.float32)
    row[:, 0] += 12  # an easy search
    rows.append(row - np.log(np.exp(row).sum(axis=1, keepdims=True)))
decoder.decode_batch(rows[:2], threads=2)  # compiled
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
decoder.decode_batch(rows, threads=2)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_many_utterances_are_not_copied_all_at_once():
    done = subprocess.run([sys.executable, "-c", MANY_UTTERANCES], capture_output=True, text=True, check=True)
    assert int(done.stdout) * 1024 < 400 * 1000 * 27 * 4 / 2


def test_memory_is_bounded_however_long_the_audio():
    width = 20
    values = speech_like(5, 20_000).exp().numpy()
    limits = Limits(width, math.exp(-20), math.exp(-12), 1.0)
    nodes, count, leaves = search(values, 0, limits, new_work(width, 12), None, None, None)
    longest = 10_000  # tokens that could be said in this time
    assert len(leaves) == width
    assert count <= len(nodes) <= 4 * (longest + 16 * width + 1024)


def test_any_blank_and_numpy_in_float32():
    values = speech_like(9, 50).numpy()
    tokens = ["<blank>", *"abcdefghijk"]
    (plain,) = BeamDecoder(tokens, None).decode(values)
    (turned,) = BeamDecoder(tokens[::-1], None, blank=11).decode(values[:, ::-1].astype(np.float32).copy())
    assert turned.text == plain.text
    assert turned.score == pytest.approx(plain.score, abs=1e-3)


def test_zero_probabilities_are_allowed():
    certain = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]).log()
    (hypothesis,) = BeamDecoder(LETTERS[:3], None).decode(certain, nbest=4)
    assert (hypothesis.text, hypothesis.score) == ("aa", 0.0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (torch.randn(5, 4, generator=torch.Generator().manual_seed(1)), "raw scores need log_softmax"),
        (torch.full((5, 4), 0.25), "these are probabilities"),
        (torch.full((5, 4), float("nan")), "NaN"),
        (torch.full((5, 3), -1.0986), r"must be \(steps, 4\)"),
    ],
)
def test_pitfall_what_is_not_log_probabilities_is_refused(values, message):
    with pytest.raises(DecodeError, match=message):
        BeamDecoder(LETTERS, None).decode(values)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"beam": 0}, "at least one prefix"),
        ({"blank": 4}, "blank must be one of"),
        ({"beam_threshold": 0.0}, "beam_threshold must be above 0"),
        ({"token_floor": 1.0}, "token_floor"),
        ({"lm_weight": math.nan}, "lm_weight must be a number"),
        ({"lm_weight": -0.5}, "lm_weight must be 0 or more"),
        ({"lexicon": []}, "lexicon is empty"),
        ({"lexicon": ["ab"]}, "no token ' '"),
        ({"lexicon": ["ab"], "word_boundary": None}, "a lexicon needs words"),
        ({"lexicon": ["XY"], "word_boundary": "c"}, "no word can be spelled"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(DecodeError, match=message):
        BeamDecoder(LETTERS, **settings)


def test_lengths_and_counts_are_checked():
    decoder = BeamDecoder(LETTERS, None)
    with pytest.raises(DecodeError, match="0 to 3"):
        decoder.decode_batch(random_log_probs(1, 3, 4)[None], [4])
    with pytest.raises(DecodeError, match=r"a batch must be \(batch, steps, tokens\), not \(3, 4\)"):
        decoder.decode_batch(random_log_probs(1, 3, 4).numpy())
    with pytest.raises(DecodeError, match="nbest"):
        decoder.decode(random_log_probs(1, 3, 4), nbest=0)
