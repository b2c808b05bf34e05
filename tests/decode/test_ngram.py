"""N-gram models: scores against a slow back-off in Python, files, and what they refuse."""

import hashlib
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.decode.arpa import write_arpa
from asr.decode.compiled import compiled
from asr.decode.ngram import NgramModel
from asr.decode.ngram_arrays import advance
from asr.decode.ngram_table import NgramLevel, NgramTable
from asr.errors import LanguageModelError

WORDS = ("a", "</s>", "b", "<s>", "c", "<unk>")
Grams = dict[tuple[str, ...], tuple[float, float]]


def random_grams(seed: int, order: int, share: float) -> Grams:
    """Any back-off weights, also of n-grams that nothing continues; suffixes may be missing, histories not."""
    rng = np.random.default_rng(seed)
    grams: Grams = {}
    longest: list[tuple[str, ...]] = [()]
    for length in range(1, order + 1):
        every = [(*history, word) for history in longest for word in WORDS]
        longest = [gram for gram in every if length == 1 or rng.random() < share]
        for gram in longest:
            weight = rng.normal() if rng.random() < 0.6 and length < order else 0.0
            grams[gram] = (-rng.exponential(), weight)
    return grams


def table_of(grams: Grams, order: int) -> NgramTable:
    levels, index = [], {(): 0}
    for length in range(1, order + 1):
        rows = [gram for gram in grams if len(gram) == length]
        rows.sort(key=lambda gram: (index[gram[:-1]], WORDS.index(gram[-1])))
        columns = (
            np.array([index[gram[:-1]] for gram in rows], dtype=np.int32),
            np.array([WORDS.index(gram[-1]) for gram in rows], dtype=np.int32),
            *np.array([grams[gram] for gram in rows], dtype=np.float32).reshape(-1, 2).T,
        )
        levels.append(NgramLevel(*columns))
        index = {gram: number for number, gram in enumerate(rows)}
    return NgramTable(WORDS, tuple(levels))


def slow(grams: Grams, history: tuple[str, ...], word: str) -> float:
    """The definition of a back-off model."""
    if (*history, word) in grams:
        return grams[*history, word][0]
    weight = grams[history][1] if history in grams else 0.0
    return weight + slow(grams, history[1:], word)


@st.composite
def models(draw) -> tuple[Grams, int]:  # type: ignore[no-untyped-def]
    order = draw(st.integers(1, 4))
    return random_grams(draw(st.integers(0, 10**6)), order, draw(st.sampled_from([0.1, 0.4, 0.9]))), order


sentences = st.lists(st.sampled_from(["a", "b", "c", "d", "<unk>", "a", "b"]), max_size=9)


@settings(max_examples=60)
@given(models(), st.lists(sentences, min_size=1, max_size=3))
def test_scores_are_those_of_the_definition(random_model, texts):
    grams, order = random_model
    model = NgramModel.from_table(table_of(grams, order))
    for text in texts:
        history, expected = ("<s>",), []
        for word in [*(word if word in WORDS else "<unk>" for word in text), "</s>"]:
            expected.append(slow(grams, history[max(0, len(history) - order + 1) :] if order > 1 else (), word))
            history = (*history, word)
        assert model.scores(text) == pytest.approx(expected, abs=1e-5)
        assert model.score(text) == pytest.approx(sum(expected), abs=1e-5)


@settings(max_examples=25)
@given(models())
def test_table_and_trie_hold_the_same(random_model):
    table = table_of(*random_model)
    again = NgramModel.from_table(table).to_table()
    assert again.words == table.words and again.order == table.order
    for one, other in zip(table.levels, again.levels, strict=True):
        for field in ("parent", "word", "log_prob", "backoff"):
            assert np.array_equal(getattr(one, field), getattr(other, field))


@pytest.fixture
def model() -> NgramModel:
    return NgramModel.from_table(table_of(random_grams(4, 3, 0.6), 3))


@pytest.mark.parametrize("order", [1, 2, 4])
def test_every_file_gives_the_same_model(tmp_path, order):
    model = NgramModel.from_table(table_of(random_grams(4, order, 0.5), order))
    for name in ("x.arpa", "x.arpa.gz", "x.ngram"):
        model.save(tmp_path / name)
        again = NgramModel.load(tmp_path / name)
        assert again.model_id == model.model_id and len(model.model_id) == 16
        assert again.words == model.words and again.counts == model.counts
        assert (again.start, again.end, again.unknown) == (model.start, model.end, model.unknown)
        assert again.score(["a", "b", "x"]) == model.score(["a", "b", "x"])


def test_an_id_is_the_hash_of_words_and_numbers(model):
    content = "\n".join(model.words).encode() + b"".join(array.tobytes() for array in model.arrays)
    assert model.model_id == hashlib.sha256(content).hexdigest()[:16]


def test_ids_differ_where_models_do(model):
    other = random_grams(4, 3, 0.6)
    other["a",] = (other["a",][0] - 0.01, other["a",][1])
    assert NgramModel.from_table(table_of(other, 3)).model_id != model.model_id


def test_a_model_from_a_file_needs_no_second_compilation(model, tmp_path):
    model.save(tmp_path / "x.ngram")
    model.score(["a"])
    before = len(advance.signatures)
    NgramModel.load(tmp_path / "x.ngram").score(["a"])
    assert len(advance.signatures) == before
    assert not any(array.flags.writeable for array in NgramModel.load(tmp_path / "x.ngram").arrays)


def test_what_it_says_of_itself(model):
    assert model.order == 3 and model.counts[0] == len(WORDS) == len(model.words)
    assert model.words[model.id("b")] == "b"
    assert model.id("nonesuch") == model.unknown == WORDS.index("<unk>")
    assert model.words[model.end] == "</s>"
    assert model.characters


def test_one_step_at_a_time(model):
    total, state = 0.0, model.start
    for word in ("a", "c", "</s>"):
        log_prob, state = advance(model.arrays, state, model.id(word))
        total += log_prob
    assert total == pytest.approx(model.score(["a", "c"]))


def test_perplexity_by_hand(model):
    text = [["a", "b"], ["x"], []]
    found = model.perplexity(text)
    assert (found.sentences, found.words, found.unknown) == (3, 3, 1)
    assert found.unknown_rate == pytest.approx(1 / 3)
    total = sum(map(model.score, text))
    assert found.perplexity == pytest.approx(math.exp(-total / 6))
    assert found.perplexity_known == pytest.approx(math.exp(-(total - model.scores(["x"])[0]) / 5))
    assert math.isnan(model.perplexity([]).perplexity)
    numbers = np.concatenate([model.numbers(sentence) for sentence in text])
    assert model.measure(numbers) == pytest.approx(found)


def test_damage_anywhere_is_noticed(model, tmp_path):
    path = tmp_path / "x.ngram"
    model.save(path)
    content = path.read_bytes()
    padding = 0
    for place in range(8, len(content), 5):
        path.write_bytes(content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :])
        try:
            assert NgramModel.load(path).model_id == model.model_id
            padding += 1  # between two arrays; nothing of the model
        except LanguageModelError as error:
            assert "x.ngram" in str(error)
    assert padding < len(content) / 5 / 4


@pytest.mark.parametrize("length", [8, 12, 20, 100, 1000, -1])
def test_cut_short(model, tmp_path, length):
    path = tmp_path / "x.ngram"
    model.save(path)
    content = path.read_bytes().rstrip(b"\0")  # the last padding is nothing
    path.write_bytes(content[:length])
    with pytest.raises(LanguageModelError, match=r"x\.ngram"):
        NgramModel.load(path)


def test_another_version_is_named(model, tmp_path):
    path = tmp_path / "x.ngram"
    model.save(path)
    content = bytearray(path.read_bytes())
    content[8] = 7
    path.write_bytes(content)
    with pytest.raises(LanguageModelError, match="format 7"):
        NgramModel.load(path)


@pytest.mark.parametrize("change", ["first", "suffix", "state", "word"])
def test_indices_that_lead_astray_are_refused_though_the_hash_fits(model, tmp_path, change):
    from asr.decode import ngram_file

    array = getattr(model.arrays, change).copy()
    array[-2] = 10**6 if change != "suffix" else len(array) - 2  # its own suffix: a loop without an end
    arrays = model.arrays._replace(**{change: array})
    ngram_file.write_binary(tmp_path / "x.ngram", arrays, model.words, model.counts)
    with pytest.raises(LanguageModelError, match="damaged"):
        NgramModel.load(tmp_path / "x.ngram")


@pytest.mark.parametrize("header", [[], {}, {"counts": [6], "id": "", "arrays": {"first": [-1, 0]}}])
def test_a_header_that_says_nothing(model, tmp_path, header):
    path = tmp_path / "x.ngram"
    model.save(path)
    content = path.read_bytes()
    length = int.from_bytes(content[12:16], "little")
    record = json.dumps(header).encode().ljust(length)
    path.write_bytes(content[:16] + record + content[16 + length :])
    with pytest.raises(LanguageModelError, match="damaged"):
        NgramModel.load(path)


def test_large_fans_are_searched_right(tmp_path):
    words = ("<unk>", "<s>", "</s>", *(f"w{number}" for number in range(500)))
    rng = np.random.default_rng(0)
    after = np.sort(rng.choice(len(words), 300, replace=False)).astype(np.int32)
    log_prob = -rng.exponential(size=(2, len(words))).astype(np.float32)
    nothing = np.zeros(len(words), dtype=np.float32)
    ones = NgramLevel(np.zeros(len(words), np.int32), np.arange(len(words), dtype=np.int32), log_prob[0], nothing)
    pairs = NgramLevel(np.full(300, 7, np.int32), after, log_prob[1, after], nothing[:300])
    model = NgramModel.from_table(NgramTable(words, (ones, pairs)))
    state = advance(model.arrays, 0, 7)[1]
    for word in range(len(words)):
        expected = log_prob[1 if word in after else 0, word]
        assert advance(model.arrays, state, word)[0] == pytest.approx(float(expected))
    write_arpa(tmp_path / "x.arpa", model.to_table())
    assert NgramModel.load(tmp_path / "x.arpa").model_id == model.model_id


def test_compiles_where_nothing_can_be_cached():
    namespace: dict[str, object] = {}
    exec("def double(x): return 2 * x", namespace)  # a function of no file: numba finds no place for its cache
    assert compiled(namespace["double"])(21) == 42  # type: ignore[type-var, operator]
