"""Corpora spoken by the synthesiser from any text: what is said, by whom, in which split, and in which script."""

import hashlib
import unicodedata
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.corpora import synth
from asr.corpora.common import SPLITS
from asr.corpora.espeak import espeak_languages, espeak_variants
from asr.corpora.voices import families
from asr.data.manifest import read_dataset, read_manifest
from asr.errors import CorpusError

pytest.importorskip("espeakng_loader")

VOICES = {"train": 3, "valid": 1, "test": 2}
GREEK = ["καλημέρα", "το σπίτι", "η θάλασσα", "ένα ψάρι", "ο ουρανός", "το βιβλίο", "η πόρτα", "δύο γάτες"]
VERBS = ["είναι εδώ", "λείπει σήμερα", "φαίνεται ωραία", "ήταν μακριά", "μένει στην πόλη"]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "greek.txt"
    path.write_text("\ufeff" + "".join(f"{noun} {verb}.\r\n" for noun in GREEK for verb in VERBS), encoding="utf-8")
    return path


def contents(folder: Path) -> dict[str, str]:
    """A hash of every file in a folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def corpus(text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("synth")
    synth.prepare(out, texts=[text], languages=["el"], voices=VOICES, workers=1)
    return out


def test_equal_options_make_equal_bytes_whatever_the_workers(corpus, text, tmp_path):
    synth.prepare(tmp_path, texts=[text], languages=["el"], voices=VOICES, workers=3)
    assert contents(tmp_path) == contents(corpus)


def test_splits_share_no_sentence_and_no_voice(corpus):
    splits = [read_manifest(corpus / f"{name}.jsonl") for name in SPLITS]
    texts = [{utterance.text for utterance in split} for split in splits]
    assert sum(map(len, splits)) == len(set().union(*texts)) == len(GREEK) * len(VERBS)
    assert all(utterance.text.endswith(".") and "\r" not in utterance.text for split in splits for utterance in split)
    group = {name: number for number, names in enumerate(families(espeak_variants())) for name in names}
    heard = [{group[utterance.speaker.split("_")[0]] for utterance in split} for split in splits]
    assert not heard[0] & heard[1] and not heard[0] & heard[2] and not heard[1] & heard[2]
    assert read_dataset(corpus).name == "synth" and not read_dataset(corpus).shared


def test_what_was_interrupted_is_completed(corpus, text, tmp_path):
    synth.prepare(tmp_path, texts=[text], languages=["el"], voices=VOICES)
    (tmp_path / "dataset.yaml").unlink()
    next((tmp_path / "audio").glob("*/voice.jsonl")).unlink()
    synth.prepare(tmp_path, texts=[text], languages=["el"], voices=VOICES)
    assert contents(tmp_path) == contents(corpus)


def test_another_text_may_not_move_sentences_unless_told(corpus, text, tmp_path):
    synth.prepare(tmp_path, texts=[text], languages=["el"], voices=VOICES)
    other = {"texts": [text], "languages": ["el"], "voices": VOICES, "seed": 3}
    with pytest.raises(CorpusError, match=r"move to another split|another corpus"):
        synth.prepare(tmp_path, **other)
    assert contents(tmp_path) == contents(corpus)
    synth.prepare(tmp_path, **other, overwrite=True)
    assert contents(tmp_path) != contents(corpus)


def test_more_text_may_not_move_the_sentences_of_before(text, tmp_path):
    lines = text.read_text(encoding="utf-8-sig").splitlines(keepends=True)
    (tmp_path / "half.txt").write_text("".join(lines[::2]), encoding="utf-8")
    options = {"languages": ["el"], "voices": VOICES}
    synth.prepare(tmp_path / "out", texts=[tmp_path / "half.txt"], **options)
    before = contents(tmp_path / "out")
    with pytest.raises(CorpusError, match=r"sentences of \d+ of 20 recordings would move to another split"):
        synth.prepare(tmp_path / "out", texts=[text], **options)
    assert contents(tmp_path / "out") == before


def test_more_hours_than_text_says_sentences_again_in_training_alone(text):
    texts = synth.read_sentences([text]).texts
    once, often = synth.deal(texts, None, 0), synth.deal(texts, 1.0, 0)
    assert once["valid"] == often["valid"] and once["test"] == often["test"]
    assert len(set(once["train"])) == len(once["train"]) < len(often["train"])
    assert set(once["train"]) == set(often["train"])
    seconds = sum(map(synth.letters, often["train"])) / 13
    assert 3600 <= seconds < 3610


@pytest.mark.parametrize("hours", [0.0, -1.0, float("nan"), float("inf")])
def test_hours_that_never_end_are_refused(hours):
    with pytest.raises(CorpusError, match="hours must be"):
        synth.deal(GREEK, hours, 0)


def test_a_line_that_is_short_enough_is_left_as_it_is():
    line = "e.g. the U.S. at www.example.com, by Dr.Smith"
    assert list(synth.pieces(line)) == [line]
    parts = list(synth.pieces(f"{line}; " * 9))
    assert len(parts) > 1 and " ".join(parts) == (f"{line}; " * 9).strip()


@given(line=st.text(st.sampled_from("ab .,;猫！"), max_size=900))
def test_long_lines_are_cut_and_lose_nothing(line):
    parts = list(synth.pieces(line))
    assert "".join(parts).replace(" ", "") == line.replace(" ", "")
    assert all(0 < synth.letters(part) <= synth.LONGEST for part in parts)


def test_marks_stay_with_their_letters_where_a_line_without_spaces_is_cut():
    thai = "กำลังจะไปที่นั่นด้วยกัน" * 50_000  # a megabyte of it must not take minutes
    parts = list(synth.pieces(thai))
    assert "".join(parts) == thai
    assert not any(unicodedata.category(part[0])[0] == "M" for part in parts)
    assert all(0 < synth.letters(part) <= synth.LONGEST for part in parts)


def test_what_the_synthesiser_would_read_out_and_no_transcript_holds_is_not_said(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("I am happy 😀 today.\nYou & me *together*, and/or at 5 €!\nl'été – “c’est ça”\n", encoding="utf-8")
    texts = synth.read_sentences([path], numbers=True).texts
    assert texts == ["I am happy today.", "You me together , and or at 5 !", "l'été – “c’est ça”"]


def test_what_cannot_be_said_is_counted(tmp_path):
    (tmp_path / "a.txt").write_text(
        "One\0day.\none day\n*** 17 ***\nIn 1812 it was.\n...\nTwo days.\n", encoding="utf-8"
    )
    found = synth.read_sentences([tmp_path / "a.txt"])
    assert found.texts == ["One day.", "Two days."]  # nothing is cut off at a NUL
    assert sorted(found.skipped.values()) == [1, 1, 2]
    assert "In 1812 it was." in synth.read_sentences([tmp_path / "a.txt"], numbers=True).texts


def test_a_script_that_the_voice_spells_out_is_dropped(tmp_path):
    lines = [
        f"The {noun} is {word}."
        for noun in ("cat", "dog", "sea", "day", "man")
        for word in ("big", "red", "old", "wet")
    ]
    foreign = ["数学是美丽的而且非常有用" + sign for sign in "猫犬鱼鸟马牛羊狗"]
    path = tmp_path / "mixed.txt"
    path.write_text("\n".join([*lines, *foreign]), encoding="utf-8")
    said: list[str] = []
    splits = synth.prepare(tmp_path / "out", texts=[path], languages=["en-us"], voices=VOICES, say=said.append)
    texts = {utterance.text for split in splits.values() for utterance in split}
    assert texts == set(lines)
    assert said == ["left out 8 of 28 recordings: silent, or too long or short for their text"]


def test_a_voice_of_which_all_is_dropped_does_not_stop_the_others(tmp_path):
    lines = [f"The {noun} is {word}." for noun in ("cat", "dog", "sea", "day", "man") for word in ("big", "red", "old")]
    path = tmp_path / "mixed.txt"
    path.write_text(
        "\n".join([*lines, *("数学是美丽的而且非常有用" + sign for sign in "猫犬鱼鸟马牛")]), encoding="utf-8"
    )
    out = tmp_path / "out"
    for seed in range(20):  # until a voice has no sentence that can be said
        with suppress(CorpusError):
            synth.prepare(
                out,
                texts=[path],
                languages=["en-us"],
                voices={"train": 8, "valid": 1, "test": 1},
                seed=seed,
                overwrite=True,
            )
            if any(not manifest.stat().st_size for manifest in out.glob("audio/*/voice.jsonl")):
                break
    else:
        pytest.fail("no such division was drawn")
    assert {utterance.text for utterance in read_manifest(out / "train.jsonl")} < set(lines)


def test_a_language_given_twice_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("".join(f"Satz Nummer {word}.\n" for word in ("eins", "zwei", "drei", "vier")))
    with pytest.raises(CorpusError, match="language de is given twice"):
        synth.prepare(tmp_path / "out", texts=[tmp_path / "a.txt"], languages=["de", "de"], voices=VOICES)


@pytest.mark.parametrize(
    ("lines", "languages", "said"),
    [
        ("Guten Tag.", ["de-xx"], "no language 'de-xx'; similar: "),
        ("12 13\n...\n", ["de"], "no usable sentences"),
        ("Guten Tag.", ["de"], "too few sentences"),
    ],
)
def test_bad_requests(tmp_path, lines, languages, said):
    (tmp_path / "a.txt").write_text(lines, encoding="utf-8")
    with pytest.raises(CorpusError, match=said):
        synth.prepare(tmp_path / "out", texts=[tmp_path / "a.txt"], languages=languages)
    assert not (tmp_path / "out").exists()


def test_bad_files(tmp_path):
    with pytest.raises(CorpusError, match=r"none\.txt: no such file"):
        synth.read_sentences([tmp_path / "none.txt"])
    (tmp_path / "latin.txt").write_bytes("Grüße".encode("latin-1"))
    with pytest.raises(CorpusError, match=r"latin\.txt: not UTF-8"):
        synth.read_sentences([tmp_path / "latin.txt"])


def test_languages():
    assert {"el", "ar", "ka", "nb", "en-gb-scotland"} <= set(espeak_languages())
    assert not {"fo", "en-gb"} & set(espeak_languages())  # no dictionary; a code that the library does not take
