"""`asr score` and `asr compare`: from other recognisers' files to a report, and two reports side by side."""

import json

import pytest

REFERENCES = """{"id": "u1", "audio": "u1.wav", "text": "One, two three!", "duration": 2.0, "accent": "north"}
{"id": "u2", "audio": "u2.wav", "text": "four", "duration": 1.0, "accent": "south"}
"""


@pytest.fixture
def files(tmp_path):
    (tmp_path / "test.jsonl").write_text(REFERENCES, encoding="utf-8")
    (tmp_path / "a.trn").write_text("one too three (u1)\nfour (u2)\n", encoding="utf-8")
    (tmp_path / "b.txt").write_text("u1 one two three\nu2 for four\n", encoding="utf-8")
    return tmp_path


def test_a_report_of_texts_from_elsewhere(run_asr, files):
    out = files / "out"
    run = run_asr("score", files / "test.jsonl", files / "a.trn", "--out", out, "--name", "theirs", "--by", "accent")
    assert run.status == 0, run.err
    assert run.out.startswith("test: %WER 25.00 [ 1 / 4, 0 ins, 0 del, 1 sub ], 95 % interval ")
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["model"]["name"] == "theirs" and report["model_id"] is None
    assert len(report["hypotheses"]["sha256"]) == 64
    split = report["splits"]["test"]
    assert (split["audio_seconds"], split["decode_seconds"]) == (3.0, None)
    assert [(group["value"], group["wer"]) for group in split["groups"]["accent"]] == [
        ("north", pytest.approx(1 / 3)),
        ("south", 0.0),
    ]
    text = (out / "report.md").read_text(encoding="utf-8")
    assert "# Evaluation of theirs" in text and "### By accent" in text and ", from another program" in text
    assert json.loads((out / "hypotheses.jsonl").read_text().splitlines()[0])["by"] == {"accent": "north"}


@pytest.mark.parametrize(("name", "written"), [("hypotheses.jsonl", ()), ("test.hyp.trn", ("--trn",))])
def test_what_is_scored_is_not_written_over(run_asr, files, name, written):
    content = '{"id": "u1", "text": "One, two!"}\n{"id": "u2", "text": "Four"}\n'
    content = content if name.endswith("l") else "One, two! (u1)\nFour (u2)\n"
    (files / name).write_text(content, encoding="utf-8")
    run = run_asr("score", files / "test.jsonl", files / name, "--out", files, *written)
    assert run.status == 2 and f"{name}: is an input and would be overwritten" in run.err
    assert (files / name).read_text(encoding="utf-8") == content and not (files / "report.json").exists()


def test_durations_that_are_none_are_not_known(run_asr, files):
    references = REFERENCES.replace("2.0", "NaN").replace("1.0", "-1e400")
    (files / "odd.jsonl").write_text(references, encoding="utf-8")
    assert run_asr("score", files / "odd.jsonl", files / "a.trn", "--out", files / "out").status == 0
    report = json.loads((files / "out/report.json").read_text(encoding="utf-8"))
    assert report["splits"]["odd"]["audio_seconds"] is None


def test_groups_of_enough_words_have_intervals(run_asr, files):
    ids = range(40)
    said = [json.dumps({"id": f"u{n}", "text": "one two three", "accent": "north" if n % 2 else "south"}) for n in ids]
    (files / "many.jsonl").write_text("\n".join(said) + "\n", encoding="utf-8")
    heard = [f"u{n} one {'too' if n == 1 else 'two'} three" for n in ids]
    (files / "many.txt").write_text("\n".join(heard) + "\n", encoding="utf-8")
    run_asr("score", files / "many.jsonl", files / "many.txt", "--out", files / "out", "--by", "accent")
    north, south = json.loads((files / "out/report.json").read_text())["splits"]["many"]["groups"]["accent"]
    assert north["wer_ci95"][0] < 1 / 60 < north["wer_ci95"][1] < 0.2
    assert south["wer_ci95"][0] == 0 < south["wer_ci95"][1] < 0.1


def test_texts_that_are_the_references_own_are_noticed(run_asr, files):
    (files / "copy.json").write_text("\n" + REFERENCES, encoding="utf-8")
    run = run_asr("score", files / "test.jsonl", files / "copy.json", "--out", files / "out")
    assert run.status == 0 and "identical texts: are they really a recogniser's output?" in run.err
    assert "are they" not in run_asr("score", files / "test.jsonl", files / "a.trn", "--out", files / "out").err


def test_ids_that_no_trn_can_hold(run_asr, files):
    for name, field in (("test.jsonl", "text"), ("b.jsonl", "hypothesis")):
        (files / name).write_text(json.dumps({"id": "a (1)", field: "one"}) + "\n", encoding="utf-8")
    command = ("score", files / "test.jsonl", files / "b.jsonl", "--out", files / "out")
    run = run_asr(*command, "--trn")
    assert run.status == 2 and "cannot contain the id 'a (1)'" in run.err
    assert run_asr(*command).status == 0


def test_texts_as_they_are(run_asr, files):
    run = run_asr("score", files / "test.jsonl", files / "a.trn", "--out", files / "out", "--raw")
    assert run.out.startswith("test: %WER 75.00 [ 3 / 4, 0 ins, 0 del, 3 sub ]")
    assert run_asr("score", files / "a.trn", files / "a.trn", "--out", "x", "--raw", "--normalizer", "m").status == 2


def test_two_reports_side_by_side(run_asr, files):
    for name in ("a.trn", "b.txt"):
        assert run_asr("score", files / "test.jsonl", files / name, "--out", files / name[0]).status == 0
    run = run_asr("compare", files / "a", files / "b" / "report.json", "--out", files / "c.json")
    assert run.status == 0, run.err
    assert "**The difference may well be chance.** B − A: +0.00 points" in run.out
    found = json.loads((files / "c.json").read_text(encoding="utf-8"))
    assert found["splits"]["test"]["fewer_errors"] == [1, 1]
    assert run_asr("compare", files / "a", files / "b", "--out", files / "c.md").out == (files / "c.md").read_text()
    assert (
        "is an input and would be" in run_asr("compare", files / "a", files / "b", "--out", files / "b/report.json").err
    )
    assert "must end in .json or .md" in run_asr("compare", files / "a", files / "b", "--out", "c.txt").err


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("one (u1)\n", "no hypothesis for id u2"),
        ("one (u1)\ntwo (u2)\nthree (u3)\n", "no reference for id u3"),
        ("one (u1)\ntwo (u1)\n", "line 2: duplicate id u1 (first on line 1)"),
    ],
)
def test_ids_that_do_not_match_are_named_and_nothing_is_written(run_asr, files, lines, message):
    (files / "a.trn").write_text(lines, encoding="utf-8")
    run = run_asr("score", files / "test.jsonl", files / "a.trn", "--out", files / "out")
    assert run.status == 2 and message in run.err and len(run.err.splitlines()) == 1
    assert not (files / "out").exists()


def test_a_field_that_no_utterance_has(run_asr, files):
    run = run_asr("score", files / "test.jsonl", files / "a.trn", "--out", files / "out", "--by", "acent")
    assert run.status == 2 and "no utterance has a field acent to group by" in run.err and "accent" in run.err
    assert not (files / "out").exists()


def test_a_file_against_itself_is_scored_and_said_to_be_one(run_asr, files):
    run = run_asr("score", files / "test.jsonl", files / "test.jsonl", "--out", files / "out")
    assert run.status == 0 and run.out.startswith("test: %WER 0.00 [ 0 / 4,")
    assert "are the same file, so the result says nothing about a recogniser" in run.err
    assert run_asr("score", files / "test.jsonl", files / "a.trn", "--out", files / "out").err == ""


def test_texts_that_an_earlier_report_wrote_can_be_scored_into_its_folder(run_asr, files):
    arguments = "--out", files / "out", "--trn"
    assert run_asr("score", files / "test.jsonl", files / "a.trn", *arguments).status == 0
    texts = [files / "out" / f"test.{kind}.trn" for kind in ("ref", "hyp")]
    assert run_asr("score", *texts, *arguments).status == 0
    assert all(path.exists() for path in texts)
