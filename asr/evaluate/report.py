"""What an evaluation found, as report.json and hypotheses.jsonl: every number with what it was made of."""

from __future__ import annotations

import datetime
import json
import platform
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import asr
from asr.atomic import replacing
from asr.evaluate.splits import Split
from asr.recognizer import Recognizer
from asr.score import Counts, Score, UtteranceScore, wer_interval
from asr.score.calibration import Reliability
from asr.score.wer import pooled
from asr.transcript import Word

FORMAT = 1
_MIN_SPEAKERS = 20  # for an interval over speakers
_TOP = 50  # most frequent errors of each kind that are kept
_PACKAGES = ("torch", "numpy", "jiwer", "rapidfuzz", "soundfile", "soxr")


@dataclass(frozen=True)
class Result:
    """One split recognised and scored.

    Attributes:
        split: What was recognised.
        score: Of all its utterances.
        reliability: How far its words' confidences can be trusted; None where no word was recognised.
        oracle: Word errors if of each n-best list the best reading had been chosen; None without such lists.
        heard: The words of each utterance as the recognizer gave them, by id; none for one that could not be read.
        unreadable: Messages by the ids of the utterances that could not be read, scored as deleted.
        audio_seconds: Length of the audio that was recognised.
        decode_seconds: Time that took, from the file to the text.
    """

    split: Split
    score: Score
    oracle: Counts | None
    reliability: Reliability | None
    heard: Mapping[str, Sequence[Word]]
    unreadable: dict[str, str]
    audio_seconds: float
    decode_seconds: float

    def words(self, item: UtteranceScore) -> Sequence[Word] | None:
        """What was heard, one for each word that was scored; None where a normaliser has joined or parted words."""
        words = self.heard.get(item.id)
        return words if words is not None and len(words) == len(item.correct) else None


def build_report(
    recognizer: Recognizer, results: Sequence[Result], batch_frames: int, command: str | None
) -> dict[str, Any]:
    """The content of report.json; rates are fractions, and null where there is no reference word."""
    return {
        "format": FORMAT,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": command,
        "model_id": recognizer.model_id,
        "model": {"name": recognizer.file.config.name, "training": recognizer.file.training},
        "normalizer": recognizer.normalizer.to_json(),
        "decoding": recognizer.decoding.settings,
        "batch_frames": batch_frames,
        "device": str(recognizer.device),
        "versions": {
            "asr": asr.__version__,
            "python": platform.python_version(),
            **{package: version(package) for package in _PACKAGES},
        },
        "splits": {result.split.name: _split(result, recognizer) for result in results},
    }


def write_report(out: Path, report: dict[str, Any], text: str, results: Sequence[Result]) -> None:
    """Write report.json, report.md and hypotheses.jsonl into a folder, each in one step."""
    out.mkdir(parents=True, exist_ok=True)
    lines = (
        json.dumps(record, ensure_ascii=False) + "\n" for result in results for record in hypothesis_records(result)
    )
    contents = {
        "hypotheses.jsonl": "".join(lines),
        "report.md": text,
        "report.json": json.dumps(report, ensure_ascii=False, indent=2, allow_nan=False) + "\n",
    }
    for name, content in contents.items():
        with replacing(out / name) as aside:
            aside.write_text(content, encoding="utf-8", newline="\n")


def hypothesis_records(result: Result) -> list[dict[str, Any]]:
    """The lines of hypotheses.jsonl for one split: enough to score, compare and look at without the model."""
    speakers = {utterance.id: utterance.speaker for utterance in result.split.utterances}
    records = []
    for item in result.score.per_utterance:
        record: dict[str, Any] = {
            "id": item.id,
            "split": result.split.name,
            "speaker": speakers[item.id],
            "reference": item.reference,
            "hypothesis": item.hypothesis,
            **_word_fields(item.words),
            "characters": item.characters.length,
            "character_errors": item.characters.errors,
        }
        if (words := result.words(item)) is not None:
            record["confidence"] = [round(word.confidence, 4) for word in words]
        if item.id in result.unreadable:
            record["error"] = result.unreadable[item.id]
        records.append(record)
    return records


def _split(result: Result, recognizer: Recognizer) -> dict[str, Any]:
    score, dataset = result.score, result.split.dataset
    return {
        "wer": score.wer,
        **_intervals(result),
        "cer": score.cer,
        "cer_no_space": score.cer_no_space,
        "ser": score.ser,
        "oracle_wer": result.oracle.rate if result.oracle else None,
        "confidence": _confidence(result.reliability),
        **_word_fields(score.word_counts),
        "characters": score.character_counts.length,
        "utterances": score.utterances,
        "audio_seconds": round(result.audio_seconds, 3),
        "decode_seconds": round(result.decode_seconds, 3),
        "manifest": str(result.split.manifest),
        "dataset": {
            "name": dataset.name,
            "license": dataset.license,
            "attribution": dataset.attribution,
            "shared": list(dataset.shared),
        },
        "overlaps": list(result.split.overlaps),
        "outside_alphabet": _outside_alphabet(score, recognizer),
        "unreadable": [{"id": key, "error": message} for key, message in result.unreadable.items()],
        "frequent_errors": _frequent_errors(score),
        "speakers": [_speaker(name, items) for name, items in _by_speaker(result)],
    }


def _confidence(found: Reliability | None) -> dict[str, Any] | None:
    """What confidences are worth; see `asr.score.calibration`."""
    return found and {"words": found.words, "ece": found.ece, "auroc": found.auroc, "nce": found.nce}


def _word_fields(counts: Counts) -> dict[str, int]:
    return {
        "words": counts.length,
        "errors": counts.errors,
        "substitutions": counts.substitutions,
        "insertions": counts.insertions,
        "deletions": counts.deletions,
    }


def _intervals(result: Result) -> dict[str, Any]:
    """The WER's confidence interval over utterances, and over speakers where there are enough of them."""
    items = result.score.per_utterance
    overall = wer_interval([item.words.errors for item in items], [item.words.length for item in items])
    fields: dict[str, Any] = {
        "wer_ci95": [overall.low, overall.high] if result.score.words else None,
        "ci_method": overall.method,
        "wer_ci95_by_speaker": None,
        "ci_by_speaker_method": "too few speakers",
    }
    speakers = [pooled(item.words for item in items) for name, items in _by_speaker(result) if name is not None]
    if len(speakers) >= _MIN_SPEAKERS and result.score.words:
        interval = wer_interval([c.errors for c in speakers], [c.length for c in speakers], units="speakers")
        fields |= {"wer_ci95_by_speaker": [interval.low, interval.high], "ci_by_speaker_method": interval.method}
    return fields


def _by_speaker(result: Result) -> list[tuple[str | None, list[UtteranceScore]]]:
    """Utterances of each speaker, None where the manifest names none; highest WER first."""
    speakers = {utterance.id: utterance.speaker for utterance in result.split.utterances}
    groups: dict[str | None, list[UtteranceScore]] = defaultdict(list)
    for item in result.score.per_utterance:
        groups[speakers[item.id]].append(item)
    return sorted(groups.items(), key=lambda group: (-(pooled(i.words for i in group[1]).rate or 0.0), group[0] or ""))


def _speaker(name: str | None, items: Sequence[UtteranceScore]) -> dict[str, Any]:
    counts = pooled(item.words for item in items)
    return {"speaker": name, "utterances": len(items), "wer": counts.rate, **_word_fields(counts)}


def _frequent_errors(score: Score) -> dict[str, list[list[Any]]]:
    """The most frequent errors of each kind, as [reference word, recognised word, count] or [word, count]."""
    pairs = Counter(
        pair for item in score.per_utterance for pair in item.alignment if pair.reference != pair.hypothesis
    )
    kinds: dict[str, list[list[Any]]] = {"substitutions": [], "deletions": [], "insertions": []}
    for (reference, hypothesis), count in sorted(pairs.items(), key=lambda item: (-item[1], str(item[0]))):
        kind = "deletions" if hypothesis is None else "insertions" if reference is None else "substitutions"
        kinds[kind].append([*(word for word in (reference, hypothesis) if word is not None), count])
    return {kind: found[:_TOP] for kind, found in kinds.items()}


def _outside_alphabet(score: Score, recognizer: Recognizer) -> dict[str, int]:
    """Characters of the references that the model cannot write, each with the number of times it occurs."""
    counts = Counter(character for item in score.per_utterance for character in item.reference)
    unknown = recognizer.tokenizer.unknown("".join(counts))
    return {character: count for character, count in counts.most_common() if character in unknown}
