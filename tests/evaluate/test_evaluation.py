"""From manifests to report files, with a recognizer whose words are known beforehand."""

import hashlib
import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import asr
from asr.data.manifest import Dataset, Utterance, write_dataset, write_manifest
from asr.errors import AsrError, AudioError, ManifestError, ScoreError
from asr.evaluate import evaluate, read_splits
from asr.evaluate.markdown import aligned, summary
from asr.evaluate.report import Extras
from asr.evaluate.vocabulary import read_vocabulary
from asr.recognizer import Recognizer
from asr.score import Pair, score
from asr.transcript import Alternative, Transcript, Word

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "report.schema.json").read_text(encoding="utf-8"))


class Parrot(Recognizer):
    """Says of each file what it was told, and cannot read those that it was told nothing of."""

    says: dict[str, str]
    seconds = 2.0  # that each of them takes

    def transcribe_many(self, sources, batch_frames=24_000, listen=None):
        for source in sources:
            text = self.says.get(Path(source).stem)
            if text is None:
                yield AudioError(f"{source}: broken")
            else:
                # Sure of what is in the texts of these tests, unsure of the rest.
                words = tuple(Word(word, 0.0, 1.0, 0.9 if word in ("abc", "de") else 0.4) for word in text.split())
                yield Transcript(str(source), self.seconds, text, None, words, (Alternative(text, 0.0),))


@pytest.fixture
def parrot(tiny_model) -> Parrot:
    recognizer = Parrot.load(tiny_model)
    recognizer.says = {}
    return recognizer


def corpus(folder: Path, split: str, rows: list[tuple[str, str, str | None]]) -> Path:
    """A manifest of (id, text, speaker), of files that hold no audio."""
    for key, _, _ in rows:
        (folder / f"{key}.wav").write_text(key)
    utterances = [
        Utterance(key, str(folder / f"{key}.wav"), text, 1.0 + place, speaker)
        for place, (key, text, speaker) in enumerate(rows)
    ]
    write_manifest(folder / f"{split}.jsonl", utterances)
    return folder / f"{split}.jsonl"


def run(recognizer, out: Path, *manifests, extras=Extras("asr evaluate ...")) -> tuple[dict, str, list[dict]]:  # noqa: B008
    report = evaluate(recognizer, read_splits(map(str, manifests)), out, extras=extras)
    assert json.loads((out / "report.json").read_text(encoding="utf-8")) == report
    jsonschema.validate(report, SCHEMA)
    lines = (out / "hypotheses.jsonl").read_text(encoding="utf-8").splitlines()
    return report, (out / "report.md").read_text(encoding="utf-8"), [json.loads(line) for line in lines]


def test_report_fields(parrot, tmp_path):
    test = corpus(tmp_path, "test", [("u1", "abc de", "ann"), ("u2", "Abc, de!", "bob"), ("u3", "", "bob")])
    write_dataset(tmp_path, Dataset("letters", "CC0", "nobody", ("speaker",)))
    parrot.says = {"u1": "abc", "u2": "abc de", "u3": "a"}
    report, text, hypotheses = run(parrot, tmp_path / "out", test)

    split = report["splits"]["test"]
    expected = score(["abc de", "abc de", ""], ["abc", "abc de", "a"])
    assert split["wer"] == expected.wer == 0.5
    assert (split["cer"], split["cer_no_space"], split["ser"]) == (expected.cer, expected.cer_no_space, expected.ser)
    assert (split["substitutions"], split["insertions"], split["deletions"], split["errors"]) == (0, 1, 1, 2)
    assert (split["words"], split["utterances"], split["audio_seconds"]) == (4, 3, 6.0)
    # Three of four recognised words are right, with 0.9 each; the wrong one has 0.4. Bins of one word each.
    assert split["confidence"] == {
        "words": 4,
        "ece": pytest.approx((3 * 0.1 + 0.4) / 4),
        "auroc": 1.0,
        "nce": pytest.approx(1 - (3 * np.log(0.9) + np.log(0.6)) / (3 * np.log(0.75) + np.log(0.25))),
    }
    assert "Confidence of 4 words: ECE 0.175" in text
    assert split["oracle_wer"] is None
    low, high = split["wer_ci95"]
    assert 0 <= low < 0.5 < high
    assert split["ci_method"].startswith("Wilson-type")
    assert split["wer_ci95_by_speaker"] is None and split["ci_by_speaker_method"] == "too few speakers"
    assert split["decode_seconds"] >= 0
    assert split["dataset"] == {"name": "letters", "license": "CC0", "attribution": "nobody", "shared": ["speaker"]}

    assert report["format"] == 2
    assert report["model_id"] == parrot.model_id
    assert report["normalizer"] == parrot.normalizer.to_json()
    assert report["decoding"] == {"decoder": "greedy"}
    assert report["command"] == "asr evaluate ..."
    assert report["program"]["version"] == asr.__version__
    assert report["config"]["train"]["seed"] == 1
    assert split["manifest_sha256"] == hashlib.sha256(test.read_bytes()).hexdigest()

    assert [record["id"] for record in hypotheses] == ["u1", "u2", "u3"]  # in the manifest's order
    assert hypotheses[1] == {
        "id": "u2",
        "split": "test",
        "speaker": "bob",
        "reference": "abc de",
        "hypothesis": "abc de",
        "words": 2,
        "errors": 0,
        "substitutions": 0,
        "insertions": 0,
        "deletions": 0,
        "characters": 6,
        "character_errors": 0,
        "confidence": [0.9, 0.9],
    }
    assert "%WER 50.00 [ 2 / 4, 1 ins, 1 del, 0 sub ]" in text
    assert "The splits of this dataset share speaker" in text
    assert split["speakers"][0]["wer_ci95"] is None and split["speakers"][0]["ci_method"] == "too few words"
    assert "| ann | 50.00 | too few | 1 | 2 | 1 |" in text
    assert "REF  abc DE\n    HYP  abc **\n             D\n" in text
    assert summary(report).startswith("test: %WER 50.00 [ 2 / 4, 1 ins, 1 del, 0 sub ], 95 % interval ")


def test_several_splits_in_the_order_given(parrot, tmp_path):
    valid, test = (corpus(tmp_path, name, [(name, f"{name} words", None)]) for name in ("valid", "test"))
    parrot.says = {"valid": "valid words", "test": "words"}
    seen = []
    splits = read_splits([f"first={test}", str(valid)])
    report = evaluate(parrot, splits, tmp_path / "out", progress=lambda *state: seen.append(state))
    assert [(name, split["wer"]) for name, split in report["splits"].items()] == [("first", 0.5), ("valid", 0.0)]
    assert seen == [("first", 1.0, 1.0), ("valid", 1.0, 1.0)]


def test_unreadable_utterance_counts_as_deleted_and_is_listed(parrot, tmp_path):
    test = corpus(tmp_path, "test", [("good", "a b", None), ("lost", "c d e", None)])
    parrot.says = {"good": "a b"}
    report, text, hypotheses = run(parrot, tmp_path / "out", test)
    split = report["splits"]["test"]
    assert (split["deletions"], split["words"], split["utterances"], split["audio_seconds"]) == (3, 5, 2, 2.0)
    assert [item["id"] for item in split["unreadable"]] == ["lost"]
    assert hypotheses[1]["error"].endswith("lost.wav: broken")
    assert "confidence" not in hypotheses[1]
    assert "**1 utterance could not be read**, and counts" in text


def test_pitfall_characters_outside_the_alphabet_are_errors(parrot, tmp_path):
    test = corpus(tmp_path, "test", [("u1", "abc zé", None)])
    parrot.says = {"u1": "abc"}
    report, text, _ = run(parrot, tmp_path / "out", test)
    assert report["splits"]["test"]["wer"] == 0.5
    assert report["splits"]["test"]["outside_alphabet"] == {"z": 1, "é": 1}
    assert "'é' (U+00E9) 1 time" in text


def test_pitfall_no_reference_word_gives_null_not_nan(parrot, tmp_path):
    test = corpus(tmp_path, "test", [("u1", "", None), ("u2", "...", None)])
    parrot.says = {"u1": "a", "u2": ""}
    report, text, _ = run(parrot, tmp_path / "out", test)
    split = report["splits"]["test"]
    assert (split["wer"], split["wer_ci95"], split["cer"]) == (None, None, None)
    assert (split["insertions"], split["ser"], split["ci_method"]) == (1, 0.5, "no reference words")
    assert "| **n/a** |" in text


def test_no_interval_over_speakers_where_some_are_unknown_or_hardly_anything_is_wrong(parrot, tmp_path):
    rows = [(f"u{n}", "a b c d", f"s{n % 25}" if n else None) for n in range(100)]
    parrot.says = {f"u{n}": "a b c d" if n % 25 % 3 else "x y" for n in range(100)}
    report, *_ = run(parrot, tmp_path / "out", corpus(tmp_path, "test", rows))
    assert report["splits"]["test"]["ci_by_speaker_method"] == "some speakers are unknown"
    parrot.says = {f"u{n}": "a b c d" if n else "a b" for n in range(100)}
    report, *_ = run(
        parrot, tmp_path / "out", corpus(tmp_path, "test", [(id, text, speaker or "s0") for id, text, speaker in rows])
    )
    split = report["splits"]["test"]
    assert (split["wer_ci95_by_speaker"], split["ci_by_speaker_method"]) == (None, "too few errors")


def test_interval_over_speakers_where_there_are_enough(parrot, tmp_path):
    rows = [(f"u{n}", "a b c d", f"s{n % 25}") for n in range(100)]
    parrot.says = {f"u{n}": "a b c d" if n % 25 % 3 else "x y" for n in range(100)}
    report, *_ = run(parrot, tmp_path / "out", corpus(tmp_path, "test", rows))
    split = report["splits"]["test"]
    assert "over 25 speakers" in split["ci_by_speaker_method"]
    low, high = split["wer_ci95_by_speaker"]
    assert low < split["wer"] < high
    assert len(split["speakers"]) == 25
    assert split["speakers"][0]["wer"] == 1.0  # the worst comes first
    assert sum(count for *_, count in split["frequent_errors"]["substitutions"]) == split["substitutions"]


def test_report_replaces_the_one_before(parrot, tmp_path):
    test = corpus(tmp_path, "test", [("u1", "a b", None)])
    parrot.says = {"u1": "a"}
    run(parrot, tmp_path / "out", test)
    parrot.says = {"u1": "a b"}
    report, _, _ = run(parrot, tmp_path / "out", test)
    assert report["splits"]["test"]["wer"] == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "hypotheses.jsonl",
        "report.html",
        "report.json",
        "report.md",
    ]


def test_aligned_columns_fit_wide_characters_and_long_lines():
    pairs = [Pair("東京", "東"), Pair("a", "a"), Pair(None, "bcd"), Pair("e", None)]
    assert aligned(pairs) == ["REF  東京 a *** E", "HYP  東   a BCD *", "     S      I   D"]
    lines = aligned([Pair("word", "word")] * 50, columns=30)
    assert max(map(len, lines)) <= 30
    assert sum(line.count("word") for line in lines) == 100


def test_table_cells_are_escaped(parrot, tmp_path):
    test = corpus(tmp_path, "test", [("u1", "a", "left|right")])
    parrot.says = {"u1": "a"}
    _, text, _ = run(parrot, tmp_path / "out", test)
    assert "| left\\|right |" in text


def test_words_in_and_out_of_a_vocabulary(parrot, tmp_path):
    (tmp_path / "train.txt").write_text("Abc de\nABC!\n", encoding="utf-8")
    test = corpus(tmp_path, "test", [("u1", "abc de fg", None), ("u2", "fg abc", None)])
    parrot.says = {"u1": "abc de x y", "u2": "abc abc"}
    vocabulary = read_vocabulary(tmp_path / "train.txt", parrot.normalizer)
    report, text, _ = run(parrot, tmp_path / "out", test, extras=Extras(vocabulary=vocabulary))
    assert report["splits"]["test"]["vocabulary"] == {
        "file": str(tmp_path / "train.txt"),
        "size": 2,
        "oov_rate": 2 / 5,
        "outside": {"words": 2, "errors": 2, "rate": 1.0},
        "inside": {"words": 3, "errors": 0, "rate": 0.0},  # the inserted y counts for neither
    }
    assert "| 100.00 | 2 | 2 |" in text and "OOV rate 40.00 %" in text


def test_texts_for_sclite(parrot, tmp_path):
    test = corpus(tmp_path, "test", [("u1", "Abc, de", None), ("u2", "", None), ("lost", "a", None)])
    parrot.says = {"u1": "", "u2": "b c"}
    run(parrot, tmp_path / "out", test, extras=Extras(trn=True))
    assert (tmp_path / "out/test.ref.trn").read_text(encoding="utf-8") == "abc de (u1)\n (u2)\na (lost)\n"
    assert (tmp_path / "out/test.hyp.trn").read_text(encoding="utf-8") == " (u1)\nb c (u2)\n (lost)\n"


def test_groups_by_any_field_of_the_manifest(parrot, tmp_path):
    rows = [Utterance(f"u{n}", str(tmp_path / f"u{n}.wav"), "a b", 1.0, None, {"room": n % 2}) for n in range(4)]
    write_manifest(tmp_path / "test.jsonl", [*rows, Utterance("u4", str(tmp_path / "u4.wav"), "a b", 1.0)])
    (tmp_path / "u0.wav").touch()
    parrot.says = {"u0": "a b", "u1": "a", "u2": "a b", "u3": "c", "u4": "a b"}
    report, text, records = run(parrot, tmp_path / "out", tmp_path / "test.jsonl", extras=Extras(by=("room",)))
    found = report["splits"]["test"]["groups"]["room"]
    assert [(group["value"], group["errors"], group["words"]) for group in found] == [
        ("1", 3, 4),
        (None, 0, 2),
        ("0", 0, 4),
    ]
    assert {group["ci_method"] for group in found} == {"too few words"}
    assert {group["wer_ci95"] for group in found} == {None}
    assert "### By room" in text and "| (unknown) | 0.00 | too few |" in text
    assert records[1]["by"] == {"room": "1"} and records[4]["by"] == {"room": None}
    with pytest.raises(ManifestError, match="no utterance has a field accent to group by; choose from room, speaker"):
        run(parrot, tmp_path / "other", tmp_path / "test.jsonl", extras=Extras(by=("accent",)))
    assert not (tmp_path / "other").exists()


def test_a_set_of_which_nothing_can_be_read_gets_no_report(parrot, tmp_path):
    """100 % errors would be said of no recording at all."""
    test = corpus(tmp_path, "test", [("lost", "a b", None), ("gone", "c d e", None)])
    with pytest.raises(ScoreError, match=r"test: none of its 2 recordings can be read: .*lost.wav: broken"):
        evaluate(parrot, read_splits([str(test)]), tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_a_set_that_is_not_there_is_refused_before_the_others_are_recognised(parrot, tmp_path, monkeypatch):
    splits = [corpus(tmp_path, name, [(f"{name}1", f"a b {name}", None)]) for name in ("valid", "test")]
    (tmp_path / "test1.wav").unlink()
    monkeypatch.setattr(Parrot, "transcribe_many", None)
    with pytest.raises(ScoreError, match=r"test: none of its 1 recording can be read: .*test1.wav: missing or"):
        evaluate(parrot, read_splits(map(str, splits)), tmp_path / "out")


def test_what_cannot_be_read_is_marked_where_figures_are_copied_from(parrot, tmp_path):
    test = corpus(tmp_path, "test", [("good", "a b", None), ("lost", "c d e", None)])
    parrot.says = {"good": "a b"}
    report, text, _ = run(parrot, tmp_path / "out", test)
    assert "| test (1 unreadable) |" in text
    assert "1 recording unreadable" in summary(report).splitlines()[0]


def test_a_folder_that_cannot_be_written_to_is_found_before_anything_is_recognised(parrot, tmp_path):
    test = corpus(tmp_path, "test", [("good", "a b", None)])
    (tmp_path / "file").write_text("mine")
    parrot.transcribe_many = None
    with pytest.raises(OSError, match="file"):
        evaluate(parrot, read_splits([str(test)]), tmp_path / "file")


def test_the_page_of_an_earlier_report_never_stands_beside_new_figures(parrot, tmp_path, monkeypatch):
    test = corpus(tmp_path, "test", [("good", "a b", None)])
    parrot.says = {"good": "a b"}
    run(parrot, tmp_path / "out", test)
    assert (tmp_path / "out" / "report.html").exists()
    monkeypatch.setattr("asr.evaluate.run.make_examples", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        evaluate(parrot, read_splits([str(test)]), tmp_path / "out")
    assert not (tmp_path / "out" / "report.html").exists()


def test_recordings_that_are_not_as_long_as_declared_are_counted_as_they_are(parrot, tmp_path):
    test = corpus(tmp_path, "test", [("u1", "a b", None), ("u2", "c", None), ("u3", "d", None)])  # of 1, 2 and 3 s
    parrot.says = {"u1": "a b", "u2": "c", "u3": "d"}
    parrot.seconds = 2.06
    report, text, _ = run(parrot, tmp_path / "out", test)
    split = report["splits"]["test"]
    assert split["audio_seconds"] == 6.18
    assert split["wrong_durations"]["utterances"] == 2
    assert split["wrong_durations"]["examples"][0] == {"id": "u1", "declared": 1.0, "measured": 2.06}
    line = "2 recordings with a wrong duration in the manifest (u1: 1.00 s, actually 2.06 s)"
    assert line in text and f"test: {line}" in summary(report)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert line in page and '[0,"u1",null,2.06,' in page
    parrot.says = {"u2": "c"}
    assert run(parrot, tmp_path / "out", test)[0]["splits"]["test"]["wrong_durations"] is None


def test_texts_for_sclite_never_stand_beside_new_figures(parrot, tmp_path):
    test = corpus(tmp_path, "test", [("u1", "a b", None)])
    parrot.says = {"u1": "a"}
    run(parrot, tmp_path / "out", test, extras=Extras(trn=True))
    (tmp_path / "out/mine.ref.trn").write_text("of somebody else (u1)\n", encoding="utf-8")
    run(parrot, tmp_path / "out", f"other={test}")
    assert [path.name for path in (tmp_path / "out").glob("*.trn")] == ["mine.ref.trn"]


def test_reports_say_where_their_figures_are_explained(parrot, tmp_path):
    test = corpus(tmp_path, "test", [("u1", "a b", None)])
    parrot.says = {"u1": "a"}
    _, text, _ = run(parrot, tmp_path / "out", test)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "docs/statistics.md" in text and "docs/statistics.md" in page
    explained = (Path(__file__).parents[2] / "docs/statistics.md").read_text(encoding="utf-8")
    assert all(f"**{word}**" in explained for word in ("ECE", "AUROC", "NCE", "WER", "MAPSSWE"))


def test_a_manifest_that_would_be_written_over_is_refused_before_anything_is_recognised(parrot, tmp_path):
    manifest = corpus(tmp_path, "hypotheses", [("u1", "a b", None)])
    before = manifest.read_text(encoding="utf-8")
    parrot.transcribe_many = None  # not called
    with pytest.raises(AsrError, match="is an input and would be overwritten"):
        evaluate(parrot, read_splits([str(manifest)]), tmp_path)
    assert manifest.read_text(encoding="utf-8") == before
