"""Two evaluations side by side: the same words or nothing, and what is said of them."""

import json
from pathlib import Path

import pytest

from asr.config import TextConfig
from asr.errors import ScoreError
from asr.evaluate import score_texts
from asr.evaluate.compare import compare, comparison, read_evaluation
from asr.evaluate.origin import by_others
from asr.evaluate.report import Extras
from asr.evaluate.texts import read_references
from asr.text import Normalizer

SENTENCES = [f"{' '.join('abcdefgh'[: 2 + n % 7])} end" for n in range(60)]


@pytest.fixture
def evaluation(tmp_path):
    """A function that writes the evaluation of some texts, by number, against others, and reads it again."""

    def make(
        name: str,
        hypotheses: dict[int, str] | None = None,
        references: list[str] = SENTENCES,
        normalizer: Normalizer | None = None,
        by: tuple[str, ...] = (),
        split: str = "test",
    ):
        said = tmp_path / name / f"{split}.jsonl"
        said.parent.mkdir()
        rows = [
            {"id": f"u{n}", "text": text, "speaker": f"s{n % 3}", "room": "wide" if n % 2 else "small"}
            for n, text in enumerate(references)
        ]
        said.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        texts = {f"u{n}": (hypotheses or {}).get(n, text) for n, text in enumerate(references)}
        normalizer = normalizer or Normalizer("none")
        out = tmp_path / name / "report"
        score_texts(read_references(said), texts, by_others(name, said, normalizer), out, normalizer, Extras(by=by))
        return read_evaluation(out)

    return make


def test_a_difference_and_where_it_lies(evaluation):
    spoilt = {n: SENTENCES[n].replace("a b", "x y") for n in range(0, 60, 2)}
    first, second = evaluation("first", spoilt, by=("room",)), evaluation("second", {13: "a"}, by=("room",))
    found = compare(first, second, examples=3)
    split = found["splits"]["test"]
    words = sum(len(text.split()) for text in SENTENCES)
    left_out = len(SENTENCES[13].split()) - 1
    assert split["words"] == words and split["utterances"] == 60
    assert split["wer"] == [60 / words, left_out / words]
    assert split["difference"] == pytest.approx((left_out - 60) / words)
    low, high = split["difference_ci95"]
    assert low < split["difference"] < high < 0 and split["p"] < 0.01
    assert split["fewer_errors"] == [1, 30]
    assert split["matched_pairs"]["segments"] == 31 and split["matched_pairs"]["p"] < 0.001
    rooms = {group["value"]: group for group in split["groups"]["room"]}
    assert rooms["small"]["fewer_errors"] == [0, 30] and rooms["wide"]["fewer_errors"] == [1, 0]
    assert {group["value"] for group in split["groups"]["speaker"]} == {"s0", "s1", "s2"}
    assert split["changed"][0]["id"] == "u13" and split["changed"][0]["errors"] == [0, left_out]
    assert len(split["changed"]) == 3
    json.dumps(found, allow_nan=False)

    text = comparison(found)
    assert "**B has fewer errors, and this is unlikely to be chance.**" in text
    assert "### By room" in text and "| small | " in text
    assert "    A REF  A B" in text
    assert "**A has fewer" in comparison(compare(second, first))


def test_groups_are_those_of_either_evaluation(evaluation):
    """A report with `--by room` beside one without."""
    plain, by_room = evaluation("plain", {3: "a"}), evaluation("by", {4: "a", 5: "b"}, by=("room",))
    for found in (compare(plain, by_room), compare(by_room, plain)):
        rooms = {group["value"]: group["utterances"] for group in found["splits"]["test"]["groups"]["room"]}
        assert rooms == {"small": 30, "wide": 30}


def test_luck_is_called_luck(evaluation):
    first, second = evaluation("first", {3: "a"}), evaluation("second", {4: "a", 5: "b"})
    found = compare(first, second)
    split = found["splits"]["test"]
    assert split["p"] == 0.5  # errors differ by -5, 6 and 7; four of the eight ways to flip signs sum to 8 or more
    assert split["method"] == "interval after Newcombe; exact p by sign flips of 3 differing utterances"
    assert "**The difference may well be chance.**" in comparison(found)
    assert "**A and B have equally many errors in each utterance.**" in comparison(compare(first, first))


def test_other_words_are_refused_and_named(evaluation, tmp_path):
    first = evaluation("first")
    with pytest.raises(ScoreError, match=r"references differ for 1 utterance \(u5\)"):
        compare(first, evaluation("text", references=[*SENTENCES[:5], "other", *SENTENCES[6:]]))
    with pytest.raises(ScoreError, match=r"fewer.*split test lacks 10 utterances \(u50, u51, u52 and 7 more\)"):
        compare(evaluation("fewer", references=SENTENCES[:50]), first)
    with pytest.raises(ScoreError, match=r"normalised differently: .*none.*basic"):
        compare(first, evaluation("normal", normalizer=Normalizer.from_config(TextConfig())))
    with pytest.raises(ScoreError, match=r"has no split test, only valid; .*--split A=B"):
        compare(first, evaluation("splits", split="valid"))
    with pytest.raises(ScoreError, match=r"has no split dev, only test"):
        compare(first, first, split="dev")


def test_what_is_no_evaluation_is_named(evaluation, tmp_path):
    for path in (tmp_path, tmp_path / "nowhere", tmp_path / "nowhere" / "report.json"):
        folder = path.parent if path.suffix else path
        with pytest.raises(ScoreError, match=rf"{folder}/report.json: no such file; `asr evaluate`"):
            read_evaluation(path)
    first = evaluation("first")
    for name, content in (
        ("hypotheses.jsonl", '{"id": "u1"}\n'),
        ("hypotheses.jsonl", '{"id": "u1", "split": "test", "reference": "", "hypothesis": ""}\n'),
        ("hypotheses.jsonl", "{"),
        ("hypotheses.jsonl", ""),
        ("report.json", '{"splits": {}}'),
        ("report.json", "[]"),
    ):
        whole = (first.path / name).read_text(encoding="utf-8")
        (first.path / name).write_text(content, encoding="utf-8")
        with pytest.raises(ScoreError, match=r"not a report of `asr evaluate`|are from different evaluations"):
            read_evaluation(first.path / "report.json")
        (first.path / name).write_text(whole, encoding="utf-8")


def test_no_reference_word_has_no_rate_to_compare(evaluation):
    empty = ["", ""]
    found = compare(evaluation("first", {0: "a"}, empty), evaluation("second", {}, empty))
    assert found["splits"]["test"]["wer"] is None
    assert "no reference words" in comparison(found)
    json.dumps(found, allow_nan=False)


def test_every_utterance_changed_alike(evaluation):
    """No spread at all: MAPSSWE's z is infinite, which JSON cannot hold."""
    rows = ["a b c d"] * 30
    found = compare(evaluation("first", {}, rows), evaluation("second", dict.fromkeys(range(30), "a b c x"), rows))
    assert found["splits"]["test"]["matched_pairs"] == {"segments": 30, "mean": 1.0, "z": None, "p": 2.0**-29}
    assert "z infinite" in comparison(found)


def test_another_format_or_figures_of_another_evaluation_are_refused(evaluation):
    folder = evaluation("first").path
    report = json.loads((folder / "report.json").read_text())
    (folder / "report.json").write_text(json.dumps(report | {"format": 9}))
    with pytest.raises(ScoreError, match="report format 9, but this version of asr reads 2"):
        read_evaluation(folder)
    report["splits"]["test"]["substitutions"] += 1
    (folder / "report.json").write_text(json.dumps(report))
    with pytest.raises(ScoreError, match="are from different evaluations"):
        read_evaluation(folder)


def test_the_folder_is_known_by_its_report(evaluation):
    first = evaluation("first")
    assert read_evaluation(Path(first.path) / "report.json") == first


def test_splits_that_the_two_call_differently(evaluation):
    first, second = evaluation("first", split="dev"), evaluation("second", {3: "a"}, split="valid")
    assert compare(first, second, split="dev=valid")["splits"]["dev=valid"]["fewer_errors"] == [1, 0]
    with pytest.raises(ScoreError, match=r"second/report: has no split dev, only valid$"):
        compare(first, second, split="valid=dev")
    odd = evaluation("odd", split="lr=1")
    assert list(compare(odd, odd)["splits"]) == list(compare(odd, odd, split="lr=1")["splits"]) == ["lr=1"]
    with pytest.raises(ScoreError, match=r"split valid lacks 1 utterance \(u59\)"):
        compare(first, evaluation("fewer", references=SENTENCES[:59], split="valid"), split="dev=valid")


def test_which_of_two_answers_to_believe_is_said_where_they_disagree(evaluation):
    """Five utterances, all better: by an exact test that is 1 in 16, while the interval is far from 0."""
    rows = ["a b c d e f g h"] * 5
    found = compare(evaluation("bad", dict.fromkeys(range(5), ""), rows), evaluation("good", {}, rows))
    split = found["splits"]["test"]
    assert split["p"] == 0.0625 and split["difference_ci95"][1] < 0
    assert "**The difference may well be chance.**" in comparison(found)
    assert "seem to disagree on whether this is chance: trust p. It is exact" in comparison(found)
    assert "With fewer than six utterances that differ, p cannot be below 0.05." in comparison(found)
    same = comparison(compare(evaluation("one"), evaluation("two", {3: "a"})))
    assert "disagree" not in same
    split |= {"fewer_errors": [0, 6]}
    assert "while the interval is an approximation.\n" in comparison(found)
