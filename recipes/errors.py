"""What a recogniser gets wrong, and where: an analysis of the texts kept of a report, as a page of Markdown.

    python recipes/errors.py RESULT --train train.jsonl --test test.jsonl [--lm words.lm] [--title TITLE] >errors.md

RESULT is a folder with the hypotheses.jsonl of a report. A word of the references is wrong if it was recognised as
another or not at all; inserted words belong to none and are counted by themselves. Rates of small groups are uncertain:
the number of words stands beside each, and words of one speaker are not independent.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rapidfuzz.distance import Levenshtein

from asr.audio import read_audio
from asr.data.manifest import Utterance, read_manifest
from asr.errors import CorpusError
from asr.score import score
from asr.score.wer import UtteranceScore
from asr.text import Normalizer

FREQUENCIES = ((0, 0), (1, 2), (3, 9), (10, 99), (100, None))
LETTERS = ((1, 2), (3, 3), (4, 5), (6, 7), (8, None))
THIRDS = ("lowest third", "middle third", "highest third")
EXAMPLES = 12
FRAME = 400  # samples, 25 ms


@dataclass(frozen=True)
class Word:
    """A word of the references."""

    text: str
    heard: str | None  # None: nothing
    utterance: str

    @property
    def wrong(self) -> bool:
        """Whether it was not recognised."""
        return self.heard != self.text


def words_of(items: Iterable[UtteranceScore]) -> list[Word]:
    """All words of the references, in their order."""
    return [
        Word(pair.reference, pair.hypothesis, item.id)
        for item in items
        for pair in item.alignment
        if pair.reference is not None
    ]


def table(title: str, groups: Mapping[str, Sequence[Word]]) -> list[str]:
    """Words and the share of them that is wrong, a line for each group."""
    lines = [f"| {title} | words | wrong | share |", "| --- | ---: | ---: | ---: |"]
    for name, words in groups.items():
        wrong = sum(word.wrong for word in words)
        lines.append(f"| {name} | {len(words):,} | {wrong:,} | {100 * wrong / len(words):.1f} % |")
    return [*lines, ""]


def within(number: int, bounds: Sequence[tuple[int, int | None]]) -> str:
    """The name of the bounds that a number is between."""
    low, high = next(pair for pair in bounds if pair[0] <= number and (pair[1] is None or number <= pair[1]))
    return f"{low} or more" if high is None else f"{low}" if low == high else f"{low} to {high}"


def grouped(words: Iterable[Word], name: Callable[[Word], str], order: Iterable[str] = ()) -> dict[str, list[Word]]:
    """Words by the name of their group; the groups in the `order` given, or by name."""
    groups: dict[str, list[Word]] = defaultdict(list)
    for word in words:
        groups[name(word)].append(word)
    names = [each for each in order if each in groups] or sorted(groups)
    return {each: groups[each] for each in names}


def by_third(words: Iterable[Word], values: Mapping[str, float]) -> dict[str, list[Word]]:
    """Words by whether their utterance is in the lowest, middle or highest third by a value of it."""
    low, high = np.quantile(list(values.values()), (1 / 3, 2 / 3))
    names = [f"{THIRDS[0]}, up to {low:.1f}", THIRDS[1], f"{THIRDS[2]}, above {high:.1f}"]

    def name(word: Word) -> str:
        value = values[word.utterance]
        return names[int(value > low) + int(value > high)]

    return grouped(words, name, names)


def quiet_below_loud(utterance: Utterance) -> float:
    """How far the quietest tenth of a recording's frames lies below its loudest tenth, dB: little where it is noisy."""
    waveform = read_audio(utterance.audio, 16000)
    frames = waveform[: len(waveform) // FRAME * FRAME].reshape(-1, FRAME)
    low, high = np.quantile(np.log10((frames.astype(np.float64) ** 2).mean(1) + 1e-10), (0.1, 0.9))
    return float(10 * (high - low))


def phonemes(words: Iterable[str]) -> dict[str, str] | None:
    """How espeak-ng pronounces words in American English, stress left out; None where it is not installed."""
    from asr.corpora.espeak import Espeak

    try:
        espeak = Espeak("en-us+m3", seed=1)
    except CorpusError:
        return None
    return {word: espeak.phonemes(word).translate(dict.fromkeys(map(ord, "ˈˌ"))) for word in words}


def kinds(words: Sequence[Word], trained: Counter[str]) -> list[str]:
    """What became of the words that were recognised as others."""
    others = [(word.text, word.heard) for word in words if word.wrong and word.heard is not None]
    if not others:
        return ["No word was recognised as another.", ""]
    spoken = phonemes({text for pair in others for text in pair})
    counts: Counter[str] = Counter()
    for said, heard in others:
        far = Levenshtein.distance(said, heard)
        if spoken is not None:
            counts["sounds the same (espeak-ng's American English)"] += spoken[said] == spoken[heard]
        counts["one letter is another, missing or too many"] += far == 1
        counts["two letters"] += far == 2
        counts["more letters"] += far > 2
        counts["the word written is none of the training transcripts"] += heard not in trained
    lines = ["| of the words recognised as another | number | share |", "| --- | ---: | ---: |"]
    return [*lines, *(f"| {name} | {n:,} | {100 * n / len(others):.1f} % |" for name, n in counts.items()), ""]


def joined(items: Iterable[UtteranceScore]) -> tuple[int, list[str]]:
    """Places where words have the right letters and the wrong borders, as *away* for *a way*, and some of them."""
    found = []
    for item in items:
        run: list[tuple[str, str]] = []
        for pair in [*item.alignment, None]:
            if pair is not None and pair.reference != pair.hypothesis:
                run.append((pair.reference or "", pair.hypothesis or ""))
                continue
            said, heard = (" ".join(filter(None, side)) for side in zip(*run, strict=True)) if run else ("", "")
            if run and said != heard and said.replace(" ", "") == heard.replace(" ", ""):
                found.append(f"*{heard}* for *{said}*")
            run = []
    return len(found), found[:EXAMPLES]


def most_frequent(words: Iterable[Word]) -> str:
    """The confusions that happened most often."""
    counts = Counter((word.text, word.heard) for word in words if word.wrong)
    shown = [f"*{said}* → {f'*{heard}*' if heard else 'nothing'} ({n})" for (said, heard), n in counts.most_common(24)]
    return ", ".join(shown) or "nothing"


def analysis(result: Path, train: Path, test: Path, lm: Path | None, title: str) -> str:
    """The page."""
    report = json.loads((result / "report.json").read_text(encoding="utf-8"))
    lines = [json.loads(line) for line in (result / "hypotheses.jsonl").read_text(encoding="utf-8").splitlines()]
    lines = [line for line in lines if line["split"] == "test"]
    if not any(line["reference"] for line in lines):
        raise SystemExit(f"{result}: no utterance with words of a split called test")
    references, hypotheses = ({line["id"]: line[side] for line in lines} for side in ("reference", "hypothesis"))
    scored = score(references, hypotheses)
    items, words = scored.per_utterance, words_of(scored.per_utterance)
    normalize = Normalizer.from_json(report["normalizer"])
    trained = Counter(word for utterance in read_manifest(train) for word in normalize(utterance.text).split())
    utterances = {utterance.id: utterance for utterance in read_manifest(test)}
    if strangers := references.keys() - utterances.keys():
        raise SystemExit(f"{test}: holds no utterance {min(strangers)!r}; {result} is of another test set")
    inserted = scored.insertions
    page = [
        f"# {title}",
        "",
        f"Made by `python recipes/errors.py` from {result.as_posix()}: {scored.wer:.2%} WER, {len(words):,} words, "
        f"{sum(word.wrong for word in words):,} of them wrong, {inserted:,} inserted beside them.",
        "",
        "## Who speaks, and how",
        "",
        *table("speaker", grouped(words, lambda word: utterances[word.utterance].speaker or "unknown")),
    ]
    measures = {
        "speaking rate, words a second": {item.id: item.words.length / utterances[item.id].duration for item in items},
        "length, s": {item.id: utterances[item.id].duration for item in items},
        "quietest tenth of a recording below its loudest, dB": {
            item.id: quiet_below_loud(utterances[item.id]) for item in items
        },
    }
    for measure, values in measures.items():
        page += table(measure, by_third(words, values))
    page += ["## Which words", ""]
    order = [within(low, FREQUENCIES) for low, _ in FREQUENCIES]
    times = grouped(words, lambda word: within(trained[word.text], FREQUENCIES), order)
    page += table("times in the training transcripts", times)
    order = [within(low, LETTERS) for low, _ in LETTERS]
    page += table("letters", grouped(words, lambda w: within(len(w.text), LETTERS), order))
    if lm:
        from asr.decode import NgramModel

        vocabulary = set(NgramModel.load(lm).vocabulary)
        name = {True: "a word of the language model", False: "none of it"}
        page += table("language model", grouped(words, lambda w: name[w.text in vocabulary], name.values()))
    count, examples = joined(items)
    page += ["## What became of them", "", *kinds(words, trained)]
    page += [f"Right letters, wrong borders, {count} times: {', '.join(examples) or 'none'}.", ""]
    page += [f"Most often: {most_frequent(words)}.", ""]
    return "\n".join(page)


def main() -> None:
    """Print the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--lm", type=Path)
    parser.add_argument("--title", default="What it gets wrong")
    arguments = parser.parse_args()
    print(analysis(arguments.result, arguments.train, arguments.test, arguments.lm, arguments.title), end="")


if __name__ == "__main__":
    main()
