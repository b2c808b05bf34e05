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
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rapidfuzz.distance import Levenshtein

from asr.audio import read_audio
from asr.data.manifest import Utterance, read_manifest
from asr.decode import NgramModel
from asr.errors import AsrError, CorpusError
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


def dynamic_range(utterance: Utterance) -> float:
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


def substitutions(words: Sequence[Word], trained: Counter[str]) -> list[str]:
    """How far the words recognised as others are from what was said."""
    others = [(word.text, word.heard) for word in words if word.wrong and word.heard is not None]
    if not others:
        return ["No word was substituted.", ""]
    spoken = phonemes({text for pair in others for text in pair})
    counts: Counter[str] = Counter()
    for said, heard in others:
        distance = Levenshtein.distance(said, heard)
        if spoken is not None:
            counts["homophone (in espeak-ng's American English)"] += spoken[said] == spoken[heard]
        counts["edit distance of 1 letter"] += distance == 1
        counts["2 letters"] += distance == 2
        counts["3 letters or more"] += distance > 2
        counts["recognised word not in the training transcripts"] += heard not in trained
    lines = ["| substitutions | number | share |", "| --- | ---: | ---: |"]
    return [*lines, *(f"| {name} | {n:,} | {100 * n / len(others):.1f} % |" for name, n in counts.items()), ""]


def joined(items: Iterable[UtteranceScore]) -> tuple[int, list[str]]:
    """How often the letters are right and the word boundaries wrong, as *away* for *a way*, and some of the places."""
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


def by_recording(words: Sequence[Word], items: Iterable[UtteranceScore], test: Mapping[str, Utterance]) -> list[str]:
    """Tables by speaker, and by thirds of the utterances."""
    lengths = {item.id: item.words.length for item in items}
    measures: dict[str, Callable[[Utterance], float]] = {
        "speaking rate, words per second": lambda one: lengths[one.id] / one.duration,
        "duration, s": lambda one: one.duration,
        "dynamic range, dB": dynamic_range,
    }
    lines = table("speaker", grouped(words, lambda word: test[word.utterance].speaker or "unknown"))
    for title, measure in measures.items():
        lines += table(title, by_third(words, {id: measure(test[id]) for id in lengths}))
    return [
        *lines,
        "Dynamic range: the loudest tenth of the 25 ms frames over the quietest, small where it is noisy.",
        "",
    ]


def by_word(words: Sequence[Word], trained: Counter[str], vocabulary: Collection[str] | None) -> list[str]:
    """Tables by the frequency and length of a word, and by whether the language model knows it."""
    order = [within(low, FREQUENCIES) for low, _ in FREQUENCIES]
    lines = table(
        "occurrences in the training transcripts",
        grouped(words, lambda word: within(trained[word.text], FREQUENCIES), order),
    )
    order = [within(low, LETTERS) for low, _ in LETTERS]
    lines += table("letters", grouped(words, lambda word: within(len(word.text), LETTERS), order))
    if vocabulary is not None:
        name = {True: "in the vocabulary", False: "not in it"}
        lines += table("language model", grouped(words, lambda word: name[word.text in vocabulary], name.values()))
    return lines


def analysis(result: Path, train: Path, test: Path, lm: Path | None, title: str) -> str:
    """The page.

    Raises:
        SystemExit: If `result` has no words of a split called test, or is of other recordings.
        AsrError: If a file cannot be read.
    """
    vocabulary = None if lm is None else set(NgramModel.load(lm).vocabulary)
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
    if strangers := {item.id for item in items} - utterances.keys():
        raise SystemExit(f"{test}: holds no utterance {min(strangers)!r}; {result} is of another test set")
    count, examples = joined(items)
    page = [
        f"# {title}",
        "",
        f"Made by `python recipes/errors.py` from {result.as_posix()}: WER {scored.wer:.2%}; {len(words):,} words, "
        f"{sum(word.wrong for word in words):,} of them wrong (substituted or deleted), "
        f"{scored.insertions:,} inserted.",
        "",
        *["## Speakers and recordings", "", *by_recording(words, items, utterances)],
        *["## Words", "", *by_word(words, trained, vocabulary)],
        *["## Kinds of errors", "", *substitutions(words, trained)],
        *[f"Only the word boundaries wrong ({count}): {', '.join(examples) or 'none'}.", ""],
        *[f"Most frequent: {most_frequent(words)}.", ""],
    ]
    return "\n".join(page)


def file(text: str) -> Path:
    """A path of the command line that must exist."""
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"no file {text}")
    return Path(text)


def main() -> None:
    """Print the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path)
    parser.add_argument("--train", type=file, required=True)
    parser.add_argument("--test", type=file, required=True)
    parser.add_argument("--lm", type=file)
    parser.add_argument("--title", default="What it gets wrong")
    arguments = parser.parse_args()
    if not (arguments.result / "hypotheses.jsonl").is_file():
        parser.error(f"{arguments.result}: no folder with the hypotheses.jsonl of a report")
    try:
        print(analysis(arguments.result, arguments.train, arguments.test, arguments.lm, arguments.title), end="")
    except AsrError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
