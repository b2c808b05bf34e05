"""What an evaluation found, as report.json and hypotheses.jsonl: every number with what it was made of."""

from __future__ import annotations

import datetime
import json
import platform
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from asr.atomic import replacing
from asr.errors import ScoreError
from asr.evaluate.groups import grouped, groups, value_of, word_fields
from asr.evaluate.origin import Origin
from asr.evaluate.splits import Split
from asr.evaluate.vocabulary import Vocabulary, in_and_out
from asr.outputs import require_folder, spare_inputs
from asr.program import program
from asr.score import Counts, Score, UtteranceScore, wer_interval
from asr.score.calibration import Reliability
from asr.score.interval import bootstrapped
from asr.score.wer import pooled
from asr.transcript import Word

FORMAT = 2  # 1 had no groups, nothing heard before, and a model always
_MIN_SPEAKERS = 20  # for an interval over speakers
_TOP = 50  # most frequent errors of each kind that are kept
_WRONG_DURATION = 0.1, 0.05  # seconds, and share of the recording: by more than both is no rounding nor a codec's end
_EXAMPLES = 10
_PACKAGES = ("torch", "numpy", "jiwer", "rapidfuzz", "soundfile", "soxr")


@dataclass(frozen=True)
class Result:
    """One split recognised and scored.

    Attributes:
        split: What was recognised.
        score: Of all its utterances.
        reliability: How far its words' confidences can be trusted; None where no word was recognised.
        oracle: Word errors if of each n-best list the best reading had been chosen; None without such lists.
        recognised: The words of each utterance as the recognizer gave them, by id; of none that could not be read.
        unreadable: Messages by the ids of the utterances that could not be read, scored as deleted.
        audio_seconds: Length of the audio that was recognised; None where that is not known.
        decode_seconds: Time that took, from the file to the text; None where others did it.
        heard: What the recogniser has heard of it before: see `asr.evaluate.seen`.
        durations: Seconds of the recordings that were read, by id.
    """

    split: Split
    score: Score
    oracle: Counts | None
    reliability: Reliability | None
    recognised: Mapping[str, Sequence[Word]]
    unreadable: dict[str, str]
    audio_seconds: float | None
    decode_seconds: float | None
    heard: dict[str, Any] | None
    durations: Mapping[str, float] = field(default_factory=dict)

    def words(self, item: UtteranceScore) -> Sequence[Word] | None:
        """What was heard, one for each word that was scored; None where a normaliser has joined or parted words."""
        words = self.recognised.get(item.id)
        return words if words is not None and len(words) == len(item.correct) else None


@dataclass(frozen=True)
class Extras:
    """What a report is to have beside the rates of its splits and speakers.

    Attributes:
        command: What it says it was made by.
        by: Fields of the manifests, for each of whose values there are rates too.
        vocabulary: Words in and outside of which errors are counted apart.
        trn: Whether texts are written for NIST's sclite too, `NAME.ref.trn` and `NAME.hyp.trn` for each split.
        examples: Utterances that report.html lets one hear and see, half of them the worst, half drawn at random.
        curves: The picture of the training run, for report.html.
        history: How the model was trained: see `asr.evaluate.history`.
    """

    command: str | None = None
    by: tuple[str, ...] = ()
    vocabulary: Vocabulary | None = None
    trn: bool = False
    examples: int = 30
    curves: bytes | None = None
    history: dict[str, Any] | None = None


PLAIN = Extras()


def build_report(origin: Origin, results: Sequence[Result], extras: Extras) -> dict[str, Any]:
    """The content of report.json; rates are fractions, and null where there is no reference word."""
    return {
        "format": FORMAT,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": extras.command,
        "program": program(),
        **origin.fields,
        "trained": extras.history,
        "versions": {
            "python": platform.python_version(),
            **{package: version(package) for package in _PACKAGES},
        },
        "splits": {result.split.name: _split(result, origin.unknown, extras) for result in results},
    }


def write_report(out: Path, report: dict[str, Any], text: str, results: Sequence[Result], extras: Extras) -> None:
    """Write report.json, report.md and hypotheses.jsonl into a folder, each in one step.

    What an earlier report left here and this one does not replace is removed first, and the page, which is written
    last: they must not stand beside other figures.

    Raises:
        AsrError: One of them is what was scored.
        OSError: They cannot be written.
    """
    require_folder(out)
    records = (record for result in results for record in hypothesis_records(result, extras.by))
    lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    contents = {
        "hypotheses.jsonl": "".join(lines),
        "report.md": text,
        "report.json": json.dumps(report, ensure_ascii=False, indent=2, allow_nan=False) + "\n",
        **(_trn(results) if extras.trn else {}),
    }
    spare_inputs((out / name for name in report_files(report["splits"], extras.trn)), _scored(report))
    for path in [out / "report.html", *_earlier_trn(out, report)]:
        path.unlink(missing_ok=True)
    for name, content in contents.items():
        with replacing(out / name) as aside:
            aside.write_text(content, encoding="utf-8", newline="\n")


def report_files(splits: Iterable[str], trn: bool) -> list[str]:
    """The names of what a report is written as, with its page."""
    files = ["hypotheses.jsonl", "report.md", "report.json", "report.html"]
    return [*files, *(name for split in splits for name in _trn_names(split) if trn)]


def hypothesis_records(result: Result, by: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The lines of hypotheses.jsonl for one split: enough to score, compare and look at without the model."""
    utterances = {utterance.id: utterance for utterance in result.split.utterances}
    records = []
    for item in result.score.per_utterance:
        record: dict[str, Any] = {
            "id": item.id,
            "split": result.split.name,
            "speaker": utterances[item.id].speaker,
            "reference": item.reference,
            "hypothesis": item.hypothesis,
            **word_fields(item.words),
            "characters": item.characters.length,
            "character_errors": item.characters.errors,
        }
        if by:
            record["by"] = {field: value_of(utterances[item.id], field) for field in by}
        if (words := result.words(item)) is not None:
            record["confidence"] = [round(word.confidence, 4) for word in words]
        if item.id in result.unreadable:
            record["error"] = result.unreadable[item.id]
        records.append(record)
    return records


def check_trn(splits: Iterable[Split]) -> None:
    """Make sure that files for sclite can name all utterances.

    Raises:
        ScoreError: An id has parentheses, which stand around it in such a file, or a line break.
    """
    for split in splits:
        for utterance in split.utterances:
            if re.search(r"[()\r\n]", utterance.id):
                raise ScoreError(f"{split.manifest}: files for sclite (--trn) cannot contain the id {utterance.id!r}")


def _trn(results: Sequence[Result]) -> dict[str, str]:
    """Files for sclite by name: the texts as they were compared, each with its id in parentheses."""
    files = {}
    for result in results:
        for side, name in zip(("reference", "hypothesis"), _trn_names(result.split.name), strict=True):
            lines = (f"{getattr(item, side)} ({item.id})\n" for item in result.score.per_utterance)
            files[name] = "".join(lines)
    return files


def _trn_names(split: str) -> tuple[str, str]:
    return f"{split}.ref.trn", f"{split}.hyp.trn"


def _earlier_trn(out: Path, report: Mapping[str, Any]) -> list[Path]:
    """The files for sclite that the report now in a folder may have written, but for those that are scored here."""
    try:
        splits = list(json.loads((out / "report.json").read_text(encoding="utf-8"))["splits"])
    except (OSError, ValueError, KeyError, TypeError):  # none there, or not ours: then neither are such files
        return []
    kept = {path.resolve() for path in _scored(report)}
    found = [out / name for split in splits for name in _trn_names(split)]
    return [path for path in found if path.resolve() not in kept]


def _scored(report: Mapping[str, Any]) -> list[Path]:
    """The files that a report is of: manifests or references, and the texts of others."""
    others = [report["hypotheses"]["file"]] if report["hypotheses"] else []
    return [Path(path) for path in [*(split["manifest"] for split in report["splits"].values()), *others]]


def _split(result: Result, unknown: Callable[[str], set[str]] | None, extras: Extras) -> dict[str, Any]:
    score, dataset = result.score, result.split.dataset
    return {
        "wer": score.wer,
        **_intervals(result),
        "cer": score.cer,
        "cer_no_space": score.cer_no_space,
        "ser": score.ser,
        "oracle_wer": result.oracle.rate if result.oracle else None,
        "confidence": _confidence(result.reliability),
        **word_fields(score.word_counts),
        "characters": score.character_counts.length,
        "utterances": score.utterances,
        "audio_seconds": _rounded(result.audio_seconds),
        "decode_seconds": _rounded(result.decode_seconds),
        "wrong_durations": _wrong_durations(result),
        "manifest": str(result.split.manifest),
        "manifest_sha256": result.split.sha256,
        "dataset": {
            "name": dataset.name,
            "license": dataset.license,
            "attribution": dataset.attribution,
            "shared": list(dataset.shared),
        },
        "overlaps": list(result.split.overlaps),
        "heard": result.heard,
        "outside_alphabet": _outside_alphabet(score, unknown),
        "unreadable": [{"id": key, "error": message} for key, message in result.unreadable.items()],
        "frequent_errors": _frequent_errors(score),
        "speakers": groups(result.split, score, "speaker", name="speaker"),
        "groups": {field: groups(result.split, score, field) for field in extras.by},
        "vocabulary": in_and_out(score, extras.vocabulary) if extras.vocabulary else None,
    }


def _rounded(seconds: float | None) -> float | None:
    return seconds if seconds is None else round(seconds, 3)


def _wrong_durations(result: Result) -> dict[str, Any] | None:
    """Recordings that are not as long as their manifest says, those furthest from it first; None where all are."""
    seconds, allowed = _WRONG_DURATION
    wrong: list[dict[str, Any]] = []
    for item in result.split.utterances:
        found = result.durations.get(item.id, item.duration)
        if abs(found - item.duration) > max(seconds, allowed * found):
            wrong.append({"id": item.id, "declared": round(item.duration, 3), "measured": round(found, 3)})
    wrong.sort(key=lambda one: -abs(one["declared"] - one["measured"]))
    return {"utterances": len(wrong), "examples": wrong[:_EXAMPLES]} if wrong else None


def _confidence(found: Reliability | None) -> dict[str, Any] | None:
    """What confidences are worth; see `asr.score.calibration`."""
    return found and {"words": found.words, "ece": found.ece, "auroc": found.auroc, "nce": found.nce}


def _intervals(result: Result) -> dict[str, Any]:
    """The WER's confidence interval over utterances, and over speakers where there are enough of them."""
    items = result.score.per_utterance
    overall = wer_interval([item.words.errors for item in items], [item.words.length for item in items])
    fields: dict[str, Any] = {
        "wer_ci95": [overall.low, overall.high] if result.score.words else None,
        "ci_method": overall.method,
        "wer_ci95_by_speaker": None,
    }
    names = {utterance.id: utterance.speaker for utterance in result.split.utterances}
    parts = grouped(items, lambda item: names[item.id])
    speakers = [pooled(item.words for item in part) for part in parts.values()]
    if None in parts and len(parts) > 1:
        return fields | {"ci_by_speaker_method": "some speakers are unknown"}
    if len(speakers) < _MIN_SPEAKERS or not result.score.words:
        return fields | {"ci_by_speaker_method": "too few speakers"}
    # With few errors one cannot see how much speakers differ, and there is no general figure to assume.
    interval = bootstrapped([c.errors for c in speakers], [c.length for c in speakers], units="speakers")
    if interval is None:
        return fields | {"ci_by_speaker_method": "too few errors"}
    return fields | {"wer_ci95_by_speaker": [interval.low, interval.high], "ci_by_speaker_method": interval.method}


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


def _outside_alphabet(score: Score, unknown: Callable[[str], set[str]] | None) -> dict[str, int]:
    """Characters of the references that the recogniser cannot write, each with the number of times it occurs."""
    if unknown is None:
        return {}
    counts = Counter(character for item in score.per_utterance for character in item.reference)
    strange = unknown("".join(counts))
    return {character: count for character, count in counts.most_common() if character in strange}
