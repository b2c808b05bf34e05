"""What cannot be trained on is left out before training starts, by reason, and said."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from asr.config import Config
from asr.config_file import parse_config
from asr.data.dataset import SpeechData
from asr.data.manifest import Utterance
from asr.data.plan import epoch_plan
from asr.text import Normalizer, Tokenizer, steps_needed
from asr.train.selection import NO_TEXT, TOO_FAST, TOO_LONG, UNKNOWN, Selection, select

TOKENIZER = Tokenizer.build(["abcden "])


def choose(config: Config, *utterances: Utterance) -> Selection:
    return select(utterances, config, Normalizer.from_config(config.text), TOKENIZER)


def utterance(text: str, seconds: float, id: str = "u") -> Utterance:
    return Utterance(id, f"{id}.wav", text, seconds, "ann")


def steps(stride: int = 2, **augment: object) -> Config:
    """A config with 10 ms frames, of which `stride` make a step."""
    model = {"subsample": [{"channels": 4, "kernel": 3, "stride": stride}]}
    augment = {"speed": [1.0, 1.0], **augment}
    return parse_config({"model": model, "augment": augment, "batches": {"cache_mb": 0}})


@pytest.mark.parametrize(
    ("text", "seconds", "reason"),
    [
        ("abc de", 1.0, None),
        ("abc de", 31.0, TOO_LONG),
        ("", 1.0, NO_TEXT),
        ("?!", 1.0, NO_TEXT),
        ("abx", 1.0, UNKNOWN),
        ("abcde", 0.05, TOO_FAST),
    ],
)
def test_each_reason(text, seconds, reason):
    selection = choose(steps(), utterance(text, seconds))
    assert selection.left_out == ({reason: ["u"]} if reason else {})
    assert len(selection.kept) == (reason is None)


def test_infinite_ctc_loss_from_targets_longer_than_the_input():
    """What is kept can be said in the steps there are, and what is left out cannot: CTC itself is asked."""
    config = steps(stride=3)
    for text in ("abcd", "aabb", "aaaa", "a b a", "bbacc"):
        for milliseconds in range(60, 300, 10):
            seconds = milliseconds / 1000
            count = config.steps(seconds)
            log_probs = torch.zeros(count, 1, len(TOKENIZER)).log_softmax(-1)
            target = torch.tensor([TOKENIZER.encode(text)])
            loss = functional.ctc_loss(log_probs, target, (count,), (len(text),), reduction="sum")
            assert bool(choose(config, utterance(text, seconds)).kept) == bool(loss.isfinite())


def test_the_fastest_speed_counts():
    spoken = utterance("abcdabcdab", 0.2)
    assert choose(steps(), spoken).kept
    assert not choose(steps(speed=[0.9, 1.2]), spoken).kept


@given(
    rows=st.lists(st.tuples(st.text("ab", min_size=1, max_size=6), st.integers(0, 6)), min_size=2, max_size=12),
    stride=st.integers(1, 4),
    join_text=st.sampled_from(["", " ", "aa"]),
    seed=st.integers(0, 99),
)
@settings(max_examples=300)
def test_no_joined_example_has_an_infinite_loss(rows, stride, join_text, seed):
    """Joining costs tokens between the texts, and may cost a step where the utterances meet."""
    config = steps(stride, speed=[1.3, 1.3], join_seconds=8, join_text=join_text, join_gap_ms=[0, 0])
    spoken = []
    for number, (text, spare) in enumerate(rows):  # few steps more than needed, each just begun
        samples = round(1.3 * 160 * stride * (steps_needed(text) - 1 + spare)) + 1
        spoken.append(utterance(text, samples / 16000, f"u{number}"))
    data = SpeechData(choose(config, *spoken).kept, config, Normalizer.from_config(config.text), TOKENIZER)
    for batch in epoch_plan(data.items, config, seed, 0):
        for example in batch:
            assert steps_needed(data.text(example)) <= config.steps(example.seconds)


def test_the_report_counts_and_names(capsys):
    spoken = [utterance("abc", 1.0, f"good{n}") for n in range(5)] + [utterance("", 1.0, f"empty{n}") for n in range(4)]
    selection = choose(steps(), *spoken, utterance("abx", 1.0, "odd"))
    empty, unknown = selection.messages()
    assert "4 of 9" in empty and "empty0, empty1, empty2, ..." in empty and "empty3" not in empty
    assert unknown.endswith("odd") and "alphabet" in unknown


def test_kept_utterances_are_unchanged_and_in_order():
    spoken = [utterance("Abc, DE!", float(n), f"u{n}") for n in np.linspace(1, 40, 20)]
    kept = choose(steps(), *spoken).kept
    assert kept == [dataclasses.replace(u) for u in spoken if u.duration <= 30]
