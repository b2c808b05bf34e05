"""Two evaluations of the same utterances, side by side: is the difference more than luck, and where does it lie?

What is compared are two folders that `asr evaluate` or `asr score` wrote. They must be about the same words: the same
splits, utterances and references, normalised in the same way, or nothing is said.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr.errors import ScoreError
from asr.evaluate.groups import grouped, word_fields
from asr.evaluate.markdown import EXPLAINED, aligned, percent, table
from asr.evaluate.report import FORMAT as REPORT_FORMAT
from asr.score import Score, UtteranceScore, difference, matched_pairs, score, wer_interval
from asr.wording import counted

FORMAT = 1
_NAMED = 3  # ids that an error message names
_GROUPS = 50  # of a table for people


@dataclass(frozen=True)
class Evaluation:
    """One evaluation, read from its folder.

    Attributes:
        path: The folder.
        report: Content of its report.json.
        records: Lines of its hypotheses.jsonl by split and id.
    """

    path: Path
    report: dict[str, Any]
    records: dict[str, dict[str, dict[str, Any]]]

    @property
    def name(self) -> str:
        """What tables call it: its folder, for two models of one recipe have one name."""
        return str(self.path)


def read_evaluation(path: str | Path) -> Evaluation:
    """Read what `asr evaluate` wrote: its folder, or the report.json in it.

    Raises:
        ScoreError: It is not there, or not what it should be.
    """
    path = Path(path)
    folder = path.parent if path.name == "report.json" else path
    records: dict[str, dict[str, dict[str, Any]]] = {}
    file = folder / "report.json"
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
        splits, _, _ = report["splits"], report["normalizer"], report["model"]["name"]
        if report["format"] != REPORT_FORMAT:
            raise ScoreError(f"{file}: report format {report['format']}, but this version of asr reads {REPORT_FORMAT}")
        file = folder / "hypotheses.jsonl"
        for line in filter(None, file.read_text(encoding="utf-8").split("\n")):  # other line breaks may be in ids
            record = json.loads(line)
            if not all(isinstance(record[key], str) for key in ("id", "split", "reference", "hypothesis")):
                raise TypeError("texts are missing")
            _counted(record)
            records.setdefault(record["split"], {})[record["id"]] = record
    except FileNotFoundError:
        raise ScoreError(f"{file}: no such file; `asr evaluate` or `asr score` writes it") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ScoreError(f"{file}: not a report of `asr evaluate` ({type(error).__name__}: {error})") from None
    # A kept report may have texts of some of its splits alone; those are what can be compared.
    strange = not records or not set(records) <= set(splits)
    if strange or any(_errors(texts) != _counted(splits[name]) for name, texts in records.items()):
        raise ScoreError(f"{folder}: report.json and hypotheses.jsonl are from different evaluations")
    return Evaluation(folder, report, records)


_KINDS = ("substitutions", "insertions", "deletions")


def _counted(counts: Mapping[str, Any]) -> int:
    return int(sum(counts[kind] for kind in _KINDS))


def _errors(records: Mapping[str, Mapping[str, Any]]) -> int:
    """Word errors of a split by its texts' lines."""
    return sum(map(_counted, records.values()))


def compare(first: Evaluation, second: Evaluation, split: str | None = None, examples: int = 10) -> dict[str, Any]:
    """What two evaluations differ in.

    Args:
        first: One.
        second: The other; a difference below 0 says that it has fewer errors.
        split: The only split to compare, or A=B where the two call it differently; None: all, by their names.
        examples: How many of the utterances that changed most are shown, for each split.

    Returns:
        `{"format", "first", "second", "splits": {name: ...}}`, rates as fractions.

    Raises:
        ScoreError: They are not about the same words.
    """
    if first.report["normalizer"] != second.report["normalizer"]:
        raise ScoreError(
            f"the texts were normalised differently: {first.path} by {json.dumps(first.report['normalizer'])}, "
            f"{second.path} by {json.dumps(second.report['normalizer'])}"
        )
    pairs = _splits(first, second, split)
    return {
        "format": FORMAT,
        "first": _origin(first),
        "second": _origin(second),
        "splits": {name: _compare_split(pair, first, second, examples) for name, pair in pairs.items()},
    }


def _splits(first: Evaluation, second: Evaluation, split: str | None) -> dict[str, tuple[str, str]]:
    """What the two call each split that is to be compared, by what the comparison calls it."""
    names = list(dict.fromkeys([*first.records, *second.records])) if split is None else [split]
    pairs = {name: (name, name) for name in names}
    if split and "=" in split and split not in first.records and split not in second.records:
        here, _, there = split.partition("=")
        pairs = {split: (here, there)}
    for place, one, other in ((1, second, first), (0, first, second)):
        if missing := [pair[place] for pair in pairs.values() if pair[place] not in one.records]:
            hint = (
                f"; {other.path} has it (use --split NAME to compare one, --split A=B if the second report calls it B)"
            )
            raise ScoreError(
                f"{one.path}: has no split {', '.join(missing)}, only {', '.join(one.records)}{'' if split else hint}"
            )
    return pairs


def _origin(one: Evaluation) -> dict[str, Any]:
    keys = ("model_id", "decoding", "command", "created")
    return {"report": str(one.path), "name": one.report["model"]["name"], **{key: one.report.get(key) for key in keys}}


def _compare_split(names: tuple[str, str], first: Evaluation, second: Evaluation, examples: int) -> dict[str, Any]:
    records = first.records[names[0]], second.records[names[1]]
    _check_same(names, first, second)
    keys = list(records[0])
    scores = [_score(keys, part) for part in records]
    pairs = list(zip(*(one.per_utterance for one in scores), strict=True))
    changed = sorted(pairs, key=lambda pair: -abs(_change(pair)))[:examples]
    fields = dict.fromkeys(
        ["speaker", *(by for part in records for record in part.values() for by in record.get("by", {}))]
    )
    return {
        **_rates(pairs),
        "each": [_alone(one) for one in scores],
        "matched_pairs": _matched_pairs(scores),
        "groups": {field: _by(field, records, pairs) for field in fields},
        "changed": [_example(pair) for pair in changed if _change(pair)],
    }


def _check_same(names: tuple[str, str], first: Evaluation, second: Evaluation) -> None:
    """Refuse splits that are not the same utterances with the same references."""
    here, there = first.records[names[0]], second.records[names[1]]
    lacking = (second, names[1], [key for key in here if key not in there])
    for one, name, ids in (lacking, (first, names[0], [key for key in there if key not in here])):
        if ids:
            raise ScoreError(f"{one.path}: split {name} lacks {_some(ids)}, which the other evaluation has")
    if other := [key for key in here if here[key]["reference"] != there[key]["reference"]]:
        called = " and ".join(dict.fromkeys(names))
        raise ScoreError(f"split {called}: the references differ for {_some(other)}")


def _some(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return f"{counted(len(ids), 'utterance')} ({', '.join(ids[:_NAMED])}{more})"


def _score(keys: Iterable[str], records: dict[str, dict[str, Any]]) -> Score:
    """The texts aligned anew: hypotheses.jsonl holds them as they were compared."""
    texts = {side: {key: records[key][side] for key in keys} for side in ("reference", "hypothesis")}
    return score(texts["reference"], texts["hypothesis"])


Both = tuple[UtteranceScore, ...]  # of one utterance


def _change(pair: Both) -> int:
    return pair[1].words.errors - pair[0].words.errors


def _rates(pairs: Sequence[Both]) -> dict[str, Any]:
    """How two recognisers differ over some utterances."""
    first, second = ([pair[place].words.errors for pair in pairs] for place in (0, 1))
    words = [pair[0].words.length for pair in pairs]
    found = difference(first, second, words)
    known = sum(words) > 0
    return {
        "utterances": len(pairs),
        "words": sum(words),
        "wer": [sum(first) / sum(words), sum(second) / sum(words)] if known else None,
        "difference": found.value if known else None,
        "difference_ci95": [found.low, found.high] if known else None,
        "p": found.p if known else None,
        "method": found.method,
        "fewer_errors": [sum(_change(pair) > 0 for pair in pairs), sum(_change(pair) < 0 for pair in pairs)],
    }


def _alone(one: Score) -> dict[str, Any]:
    counts = [item.words for item in one.per_utterance]
    interval = wer_interval([count.errors for count in counts], [count.length for count in counts])
    return {**word_fields(one.word_counts), "wer_ci95": [interval.low, interval.high] if one.words else None}


def _matched_pairs(scores: Sequence[Score]) -> dict[str, Any]:
    found = matched_pairs(*([item.alignment for item in one.per_utterance] for one in scores))
    return {**found._asdict(), "z": found.z if math.isfinite(found.z) else None}


def _by(field: str, records: Sequence[dict[str, dict[str, Any]]], pairs: Sequence[Both]) -> list[dict[str, Any]]:
    """The difference in each group, as either evaluation names them; the largest first."""

    def value(pair: Both) -> str | None:
        both = (part[pair[0].id] for part in records)
        known = (one.get("speaker") if field == "speaker" else one.get("by", {}).get(field) for one in both)
        return next((str(found) for found in known if found is not None), None)

    parts = [{"value": key, **_rates(part)} for key, part in grouped(pairs, value).items()]
    return sorted(parts, key=lambda part: (-abs(part["difference"] or 0.0), part["value"] or ""))


def _example(pair: Both) -> dict[str, Any]:
    return {
        "id": pair[0].id,
        "errors": [item.words.errors for item in pair],
        "aligned": [aligned(item.alignment) for item in pair],
    }


def comparison(found: dict[str, Any]) -> str:
    """The comparison as Markdown, for people."""
    lines = [f"# {found['first']['report']} (A) against {found['second']['report']} (B)"]
    for name, split in found["splits"].items():
        lines += ["", f"## {name}", "", *_section(split)]
    return "\n".join(lines) + "\n"


def _section(split: dict[str, Any]) -> list[str]:
    if split["wer"] is None:
        return ["There are no reference words, so there is no error rate to compare."]
    rows = [
        [letter, percent(rate), " – ".join(map(percent, alone["wer_ci95"])), f"{alone['errors']:,}", f"{wins:,}"]
        for letter, rate, alone, wins in zip("AB", split["wer"], split["each"], split["fewer_errors"], strict=True)
    ]
    lines = table(["", "WER %", "95 % interval", "errors", "utterances with fewer errors than the other"], rows)
    size = f"{counted(split['words'], 'word')} in {counted(split['utterances'], 'utterance')}."
    lines += ["", size, "", *_verdict(split)]
    for field, parts in split["groups"].items():
        if len(parts) > 1:
            lines += ["", f"### By {field}", "", *_group_table(field, parts)]
            lines += ["", "Each interval is for one group: about one in twenty groups excludes 0 by chance alone."]
    if split["changed"]:
        lines += ["", "### Utterances that differ most"]
    for example in split["changed"]:
        lines += ["", f"{example['id']}: errors in A {example['errors'][0]}, in B {example['errors'][1]}"]
        for letter, block in zip("AB", example["aligned"], strict=True):
            lines += ["", *(f"    {letter} {line}" for line in block)]
    return lines


def _verdict(split: dict[str, Any]) -> list[str]:
    """What the two tests say, in words."""
    low, high = split["difference_ci95"]
    better = "B" if split["difference"] < 0 else "A"
    if not any(split["fewer_errors"]):
        said = "**A and B have equally many errors in each utterance.**"
    elif split["p"] <= 0.05:
        said = f"**{better} has fewer errors, and this is unlikely to be chance.**"
    else:
        said = "**The difference may well be chance.**"
    pairs = split["matched_pairs"]
    z = "infinite" if pairs["z"] is None else f"{pairs['z']:.2f}"
    disagree = any(split["fewer_errors"]) and (low > 0 or high < 0) != (split["p"] <= 0.05)
    return [
        f"{said} B − A: {_signed(split['difference'])} points of WER, 95 % interval {_signed(low)} to {_signed(high)}, "
        f"p {_p(split['p'])} ({split['method']}).",
        *(["", _which_to_believe(split)] if disagree else []),
        "",
        f"MAPSSWE, sclite's matched-pairs test: {counted(pairs['segments'], 'segment')}, z {z}, p {_p(pairs['p'])}; it "
        "treats the errors of one utterance as independent, so it finds differences more readily. "
        f"Both tests are explained in {EXPLAINED}.",
    ]


def _which_to_believe(split: dict[str, Any]) -> str:
    """Where an interval has 0 on one side and p says luck, or the reverse."""
    few = sum(split["fewer_errors"]) < 6
    return (
        "The interval and p seem to disagree on whether this is chance: trust p. It is exact, over all ways to "
        "exchange the two results of each utterance, while the interval is an approximation."
        + (" With fewer than six utterances that differ, p cannot be below 0.05." if few else "")
    )


def _group_table(field: str, parts: Sequence[dict[str, Any]]) -> list[str]:
    rows = [
        [
            "(unknown)" if part["value"] is None else part["value"],
            *map(percent, part["wer"] or (None, None)),
            _signed(part["difference"]) if part["wer"] else "",
            " to ".join(map(_signed, part["difference_ci95"] or [])),
            f"{part['words']:,}",
            " : ".join(f"{wins:,}" for wins in part["fewer_errors"]),
        ]
        for part in parts[:_GROUPS]
    ]
    header = [field, "A: WER %", "B: WER %", "B − A", "95 % interval", "words", "utterances better in A : B"]
    left = len(parts) - len(rows)
    return [*table(header, rows), *(["", f"and {left} more"] if left else [])]


def _signed(rate: float) -> str:
    """A difference of rates in percentage points."""
    return f"{100 * rate:+.2f}"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
