"""One evaluation from its manifests, or from texts, to its report: recognise every utterance, score, write."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from asr.archive import size
from asr.data.fingerprints import Prints, Waveform, make_print
from asr.errors import AudioError, ScoreError
from asr.evaluate.examples import make_examples
from asr.evaluate.groups import check_fields
from asr.evaluate.markdown import markdown
from asr.evaluate.origin import Origin, by_recognizer
from asr.evaluate.page import write_page
from asr.evaluate.report import PLAIN, Extras, Result, build_report, check_trn, report_files, write_report
from asr.evaluate.seen import heard_again, seen
from asr.evaluate.splits import Split
from asr.outputs import require_folder, spare_inputs
from asr.recognizer import BATCH_FRAMES, Recognizer
from asr.score import oracle_counts, score
from asr.score.calibration import Reliability, reliability
from asr.text import Normalizer
from asr.transcript import Word
from asr.wording import counted

Progress = Callable[[str, float, float], None]


def evaluate(
    recognizer: Recognizer,
    splits: Sequence[Split],
    out: str | Path,
    batch_frames: int = BATCH_FRAMES,
    progress: Progress = lambda split, done, total: None,
    extras: Extras = PLAIN,
    strict: bool = False,
) -> dict[str, Any]:
    """Measure a recognizer on any number of splits.

    Every utterance counts: one that cannot be read has all its words deleted, and is listed. References are the
    normalised transcripts as they are, so characters outside the model's alphabet are errors.

    Args:
        recognizer: What is measured.
        splits: What it is measured on.
        out: Folder for report.json, report.md, report.html and hypotheses.jsonl.
        batch_frames: Most frames in a batch; changes the speed, not the result.
        progress: Called with a split's name and its audio seconds done and in all.
        extras: What the report is to have beside the rates.
        strict: Refuse to report on what the model has heard before.

    Returns:
        The content of report.json.

    Raises:
        ManifestError: No utterance of a split has a field to group by.
        ScoreError: No recording of a split can be read; or an id cannot stand in a file for sclite; or `strict` is
            asked for, and the model has heard some of it before, cannot read some of it, or does not remember.
        AsrError: A manifest would be written over, or a batch does not fit in memory.
        OSError: Nothing can be written into `out`.
    """
    check_fields(extras.by, splits)
    if extras.trn:
        check_trn(splits)
    if strict and not recognizer.file.heard:
        raise ScoreError(
            "this model keeps no record of its training recordings, so --strict cannot rule out overlap with them"
        )
    require_folder(Path(out))  # before hours of recognising
    files = report_files((split.name for split in splits), extras.trn)
    spare_inputs((Path(out) / name for name in files), (split.manifest for split in splits))
    for split in splits:
        _require_one_there(split)
    results = []
    for split in splits:
        results.append(_recognise(recognizer, split, batch_frames, progress))
        _refuse_unreadable(results[-1])
    report = build_report(by_recognizer(recognizer, batch_frames), results, extras)
    if strict and (unheard := [item for result in results for item in result.unreadable.values()]):
        raise ScoreError(f"{unheard[0]}; --strict cannot rule out that the model has seen it, so no report was written")
    if strict and (lines := heard_again(report)):
        raise ScoreError(
            "; ".join(f"{name}: {line}" for name, line in lines) + "; no report was written, because of --strict"
        )
    return _write(Path(out), report, results, extras, recognizer)


def score_texts(
    references: Split,
    hypotheses: Mapping[str, str],
    origin: Origin,
    out: str | Path,
    normalizer: Normalizer,
    extras: Extras = PLAIN,
) -> dict[str, Any]:
    """The same report for texts that were recognised elsewhere.

    Args:
        references: What was said.
        hypotheses: What was recognised, by id.
        origin: Who recognised it: see `by_others`.
        out: As for `evaluate`.
        normalizer: Applied to both.
        extras: As for `evaluate`.

    Raises:
        ScoreError: The ids differ, or one cannot stand in a file for sclite.
        AsrError: One of the files that are read would be written over.
        ManifestError: No reference has a field to group by.
    """
    check_fields(extras.by, [references])
    if extras.trn:
        check_trn([references])
    texts = {utterance.id: utterance.text for utterance in references.utterances}
    durations = [utterance.duration for utterance in references.utterances]
    result = Result(
        split=references,
        score=score(texts, hypotheses, normalizer),
        oracle=None,
        reliability=None,
        recognised={},
        unreadable={},
        audio_seconds=sum(durations) if all(durations) else None,
        decode_seconds=None,
        heard=None,
    )
    return _write(Path(out), build_report(origin, [result], extras), [result], extras)


def _require_one_there(split: Split) -> None:
    """Refuse a split whose disk is not mounted before the others are recognised."""
    if split.utterances and all(size(utterance.audio) is None for utterance in split.utterances):
        raise _none_readable(split, f"{split.utterances[0].audio}: missing or incomplete")


def _refuse_unreadable(result: Result) -> None:
    """Refuse a split of which nothing could be read: 100 % errors would be said of no recording at all."""
    if result.split.utterances and len(result.unreadable) == len(result.split.utterances):
        raise _none_readable(result.split, next(iter(result.unreadable.values())))


def _none_readable(split: Split, first: str) -> ScoreError:
    return ScoreError(f"{split.name}: none of its {counted(len(split.utterances), 'recording')} can be read: {first}")


def _write(
    out: Path, report: dict[str, Any], results: Sequence[Result], extras: Extras, recognizer: Recognizer | None = None
) -> dict[str, Any]:
    """Write a report in all its forms; with a recognizer, examples to hear and see."""
    write_report(out, report, markdown(report, results), results, extras)
    # Last, when the numbers are safe: here recordings are read and run through the model once more.
    write_page(
        out, report, results, make_examples(recognizer, results, extras.examples) if recognizer else {}, extras.curves
    )
    return report


def _recognise(recognizer: Recognizer, split: Split, batch_frames: int, progress: Progress) -> Result:
    """The score of one split."""
    # Longest first: little padding, and a batch that does not fit in memory fails in the first second.
    order = sorted(split.utterances, key=lambda utterance: -utterance.duration)
    total = sum(utterance.duration for utterance in order)
    nbests: dict[str, list[str]] = {}
    recognised: dict[str, Sequence[Word]] = {}
    unreadable: dict[str, str] = {}
    measured: dict[str, float] = {}
    prints: dict[str, Prints] = {}
    done = printing = 0.0

    def listen(place: int, waveform: Waveform) -> None:
        nonlocal printing
        start = time.perf_counter()  # in threads of their own they take longer, for want of Python's lock
        prints[order[place].id] = make_print(order[place].id, waveform, recognizer.sample_rate)
        printing += time.perf_counter() - start

    start = time.perf_counter()
    transcripts = recognizer.transcribe_many((utterance.audio for utterance in order), batch_frames, listen)
    for utterance, result in zip(order, transcripts, strict=True):
        if isinstance(result, AudioError):
            unreadable[utterance.id] = str(result)
            nbests[utterance.id] = [""]
        else:
            nbests[utterance.id] = [reading.text for reading in result.nbest]
            # Without their letters, which no report shows and which would be most of what is held of a large split.
            recognised[utterance.id] = [replace(word, parts=()) for word in result.words]
            measured[utterance.id] = result.duration
        done += utterance.duration
        progress(split.name, done, total)
    seconds = time.perf_counter() - start - printing
    references = {utterance.id: utterance.text for utterance in split.utterances}
    texts = {id: readings[0] for id, readings in nbests.items()}
    found = Result(
        split=split,
        score=score(references, texts, recognizer.normalizer),
        reliability=None,
        oracle=oracle_counts(references, nbests, recognizer.normalizer) if recognizer.decoding.nbest > 1 else None,
        recognised=recognised,
        unreadable={item.id: unreadable[item.id] for item in split.utterances if item.id in unreadable},
        audio_seconds=sum(measured.values()),
        decode_seconds=seconds,
        durations=measured,
        heard=seen(_counts_here(recognizer), split, prints),
    )
    return replace(found, reliability=_reliability(found))


def _counts_here(recognizer: Recognizer) -> Mapping[str, Mapping[str, str]]:
    """What the model remembers, as far as it matters for how it is used: a profile that is not, learnt from nothing."""
    heard = recognizer.file.heard
    return heard if recognizer.decoding.profile else {name: one for name, one in heard.items() if name != "tune"}


def _reliability(result: Result) -> Reliability | None:
    """How far the words' confidences can be trusted; None where no word was recognised."""
    said: list[float] = []
    right: list[bool] = []
    for item in result.score.per_utterance:
        if words := result.words(item):
            said += [word.confidence for word in words]
            right += item.correct
    return reliability(said, right) if said else None
