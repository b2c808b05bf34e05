"""One evaluation from its manifests to its report: recognise every utterance, score, write."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from asr.errors import AudioError
from asr.evaluate.examples import make_examples
from asr.evaluate.markdown import markdown
from asr.evaluate.page import write_page
from asr.evaluate.report import Result, build_report, write_report
from asr.evaluate.splits import Split
from asr.recognizer import BATCH_FRAMES, Recognizer
from asr.score import oracle_counts, score
from asr.score.calibration import Reliability, reliability
from asr.transcript import Word

Progress = Callable[[str, float, float], None]
EXAMPLES = 30


def evaluate(
    recognizer: Recognizer,
    splits: Sequence[Split],
    out: str | Path,
    batch_frames: int = BATCH_FRAMES,
    command: str | None = None,
    progress: Progress = lambda split, done, total: None,
    examples: int = EXAMPLES,
) -> dict[str, Any]:
    """Measure a recognizer on any number of splits.

    Every utterance counts: one that cannot be read has all its words deleted, and is listed. References are the
    normalised transcripts as they are, so characters outside the model's alphabet are errors.

    Args:
        recognizer: What is measured.
        splits: What it is measured on.
        out: Folder for report.json, report.md, report.html and hypotheses.jsonl.
        batch_frames: Most frames in a batch; changes the speed, not the result.
        command: What the report says it was made by.
        progress: Called with a split's name and its audio seconds done and in all.
        examples: Utterances that report.html lets one hear and see, half of them the worst, half drawn at random.

    Returns:
        The content of report.json.
    """
    results = [_recognise(recognizer, split, batch_frames, progress) for split in splits]
    report = build_report(recognizer, results, batch_frames, command)
    write_report(Path(out), report, markdown(report, results), results)
    # Last, when the numbers are safe: here recordings are read and run through the model once more.
    write_page(Path(out), report, results, make_examples(recognizer, results, examples))
    return report


def _recognise(recognizer: Recognizer, split: Split, batch_frames: int, progress: Progress) -> Result:
    """The score of one split."""
    # Longest first: little padding, and a batch that does not fit in memory fails in the first second.
    order = sorted(split.utterances, key=lambda utterance: -utterance.duration)
    total = sum(utterance.duration for utterance in order)
    nbests: dict[str, list[str]] = {}
    heard: dict[str, Sequence[Word]] = {}
    unreadable: dict[str, str] = {}
    audio = done = 0.0
    start = time.perf_counter()
    transcripts = recognizer.transcribe_many((utterance.audio for utterance in order), batch_frames)
    for utterance, result in zip(order, transcripts, strict=True):
        if isinstance(result, AudioError):
            unreadable[utterance.id] = str(result)
            nbests[utterance.id] = [""]
        else:
            nbests[utterance.id] = [reading.text for reading in result.nbest]
            heard[utterance.id] = result.words
            audio += result.duration
        done += utterance.duration
        progress(split.name, done, total)
    seconds = time.perf_counter() - start
    references = {utterance.id: utterance.text for utterance in split.utterances}
    texts = {id: readings[0] for id, readings in nbests.items()}
    found = Result(
        split=split,
        score=score(references, texts, recognizer.normalizer),
        reliability=None,
        oracle=oracle_counts(references, nbests, recognizer.normalizer) if recognizer.decoding.nbest > 1 else None,
        heard=heard,
        unreadable={item.id: unreadable[item.id] for item in split.utterances if item.id in unreadable},
        audio_seconds=audio,
        decode_seconds=seconds,
    )
    return replace(found, reliability=_reliability(found))


def _reliability(result: Result) -> Reliability | None:
    """How far the words' confidences can be trusted; None where no word was recognised."""
    said: list[float] = []
    right: list[bool] = []
    for item in result.score.per_utterance:
        if words := result.words(item):
            said += [word.confidence for word in words]
            right += item.correct
    return reliability(said, right) if said else None
