"""report.md: what a person wants to know of an evaluation, the numbers first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any

from rich.cells import cell_len  # columns on a screen: two for a Chinese character, none for a combining mark

from asr.evaluate.notes import notes
from asr.evaluate.report import Result
from asr.evaluate.seen import heard_in_training, warnings
from asr.score import Counts, Pair, UtteranceScore
from asr.wording import counted, how_long

_RATES = ("WER % (95 % interval)", "CER %", "CER % without spaces", "SER %")
_WORST = 10
_FREQUENT = 10
_GROUPS = 50
_COLUMNS = 100  # of an aligned line
EXPLAINED = "docs/statistics.md of asr"
_NONE = "*"  # fills the place of a word that is not there


def markdown(report: dict[str, Any], results: Sequence[Result]) -> str:
    """The report as Markdown."""
    lines = [f"# Evaluation of {report['model']['name']}", ""]
    lines += table(
        ["split", *_RATES, "words", "utterances", "audio", "speed"],
        [_summary(name, split) for name, split in report["splits"].items()],
    )
    lines += ["", *_provenance(report)]
    others = report["hypotheses"] is not None
    for result in results:
        lines += ["", f"## {result.split.name}", "", *_section(report["splits"][result.split.name], result, others)]
    return "\n".join(lines) + "\n"


def summary(report: dict[str, Any]) -> str:
    """One line a split: Kaldi's counts, the interval, the character error rate."""
    lines = []
    for name, split in report["splits"].items():
        bounds = split["wer_ci95"]
        reach = f", 95 % interval {percent(bounds[0])} – {percent(bounds[1])}" if bounds else ""
        unread = f", {counted(len(split['unreadable']), 'recording')} unreadable" if split["unreadable"] else ""
        mark = f", {heard}" if (heard := heard_in_training(split)) else ""
        lines.append(f"{name}: {kaldi(split)}{reach}, CER {percent(split['cer'])}{unread}{mark}")
        lines += [f"{name}: {line}" for line in (*warnings(split), *notes(split))]
    return "\n".join(lines)


def trained(history: dict[str, Any]) -> str:
    """How long the model was trained, and on what; of report.json's `trained`."""
    places = {
        f"{one['processor']} ({one['device']}; processes: {one['processes']}, threads per process: {one['threads']}"
        + (f"; {one['precision']})" if one.get("precision") else ")")
        for one in history["sittings"]
    }
    line = f"trained in {how_long(history['seconds'])} (epochs: {history['epochs']}, steps: {history['steps']:,})"
    return line + (f" on {', and on '.join(sorted(places))}" if places else "")


def kaldi(split: dict[str, Any]) -> str:
    """The word errors of a split in Kaldi's form."""
    return Counts(split["words"], split["substitutions"], split["insertions"], split["deletions"]).kaldi()


def aligned(pairs: Iterable[Pair], columns: int = _COLUMNS) -> list[str]:
    """An alignment as lines of text: reference above hypothesis, errors in capitals, S, I or D under each.

    Long alignments go on in a further block of three lines.
    """
    blocks: list[tuple[str, str, str]] = [("REF ", "HYP ", "    ")]
    for pair in pairs:
        wrong = pair.reference != pair.hypothesis
        mark = " " if not wrong else "I" if pair.reference is None else "D" if pair.hypothesis is None else "S"
        words = [(word or "").upper() if wrong else word or "" for word in pair]
        width = max(map(cell_len, words))
        cells = [word + (" " if word else _NONE) * (width - cell_len(word)) for word in words]
        if cell_len(blocks[-1][0]) + width > columns and len(blocks[-1][0]) > 4:
            blocks.append(("REF ", "HYP ", "    "))
        top, middle, bottom = blocks[-1]
        blocks[-1] = (f"{top} {cells[0]}", f"{middle} {cells[1]}", f"{bottom} {mark}{' ' * (width - 1)}")
    return [line.rstrip() for block in blocks for line in block if line.strip()]


def _summary(name: str, split: dict[str, Any]) -> list[str]:
    wer = f"**{percent(split['wer'])}**"
    if split["wer_ci95"]:
        wer += f" ({percent(split['wer_ci95'][0])} – {percent(split['wer_ci95'][1])})"
    audio, seconds = split["audio_seconds"], split["decode_seconds"]
    unread = f"{len(split['unreadable']):,} unreadable" if split["unreadable"] else ""
    marks = ", ".join(filter(None, (unread, heard_in_training(split))))
    return [
        f"{name} ({marks})" if marks else name,
        wer,
        *(percent(split[rate]) for rate in ("cer", "cer_no_space", "ser")),
        f"{split['words']:,}",
        f"{split['utterances']:,}",
        "" if audio is None else how_long(audio),
        f"{audio / seconds:.0f} × real time" if audio and seconds else "",
    ]


def _provenance(report: dict[str, Any]) -> list[str]:
    normalizer, program = report["normalizer"], report["program"]
    options = ", ".join(f"{key} {value!r}" for key, value in normalizer["options"].items())
    return [
        *(_of_others(report["hypotheses"]) if report["hypotheses"] else _of_ours(report)),
        f"- references and hypotheses normalised by {normalizer['name']} version {normalizer['version']} ({options})",
        "- counts are pooled over utterances; utterances that cannot be read count as deleted",
        f"- intervals, ECE, AUROC, NCE and the detection of training recordings are explained in {EXPLAINED}",
        f"- asr {program['version']}" + (f" at commit {program['commit']}" if program["commit"] else ""),
        "- " + ", ".join(f"{package} {number}" for package, number in report["versions"].items()),
        f"- {report['created']}" + (f", `{report['command']}`" if report["command"] else ""),
    ]


def _of_ours(report: dict[str, Any]) -> list[str]:
    decoding = ", ".join(f"{key} {value}" for key, value in report["decoding"].items())
    training, profile = report["model"]["training"], report["profile"]
    lines = [
        f"- model `{report['model_id']}`, trained on {training.get('dataset') or 'unknown data'} (data "
        f"{training.get('data_id', 'unknown')}), seed {report['config']['train']['seed']}",
        f"- {decoding}; batches of at most {report['batch_frames']:,} frames, on {report['device']}",
    ]
    if report["trained"]:
        lines.append(f"- {trained(report['trained'])}")
    if profile:
        lines.append(f"- decoding tuned on {counted(profile['utterances'], 'utterance')} ({profile['tuned_on']})")
    return lines


def _of_others(hypotheses: dict[str, Any]) -> list[str]:
    return [f"- hypotheses from `{hypotheses['file']}` (SHA-256 {hypotheses['sha256'][:16]}…), from another program"]


def _section(split: dict[str, Any], result: Result, others: bool) -> list[str]:
    """Everything about one split."""
    lines = [line for warning in warnings(split) for line in (f"**{warning}.**", "")]
    lines += ["    " + kaldi(split), "", f"Interval: {split['ci_method']}; over speakers: "]
    bounds = split["wer_ci95_by_speaker"]
    if bounds:
        lines[-1] += f"{percent(bounds[0])} – {percent(bounds[1])} % ({split['ci_by_speaker_method']})."
    else:
        lines[-1] += f"{split['ci_by_speaker_method']}."
    if split["oracle_wer"] is not None:
        lines += ["", f"Oracle WER, with the best hypothesis of each n-best list: {percent(split['oracle_wer'])} %."]
    if found := split["confidence"]:
        named = (f"{key.upper()} {found[key]:.3f}" for key in ("ece", "auroc", "nce") if found[key] is not None)
        lines += ["", f"Confidence of {counted(found['words'], 'word')}: {', '.join(named)}."]
    lines += [line for note in notes(split) for line in ("", f"{note[0].upper()}{note[1:]}.")]
    if split["heard"] is None and not others:
        lines += ["", "This model keeps no record of its training recordings, so overlap with them cannot be detected."]
    if shared := split["dataset"]["shared"]:
        lines += ["", f"**The splits of this dataset share {' and '.join(shared)}**, as declared in its dataset.yaml."]
    if split["overlaps"]:
        lines += ["", *(f"- {overlap}" for overlap in split["overlaps"])]
    if outside := split["outside_alphabet"]:
        found = ", ".join(f"{char!r} (U+{ord(char):04X}) {counted(count, 'time')}" for char, count in outside.items())
        lines += ["", f"In the references but not in the model's alphabet, so always errors: {found}."]
    if split["unreadable"]:
        count = len(split["unreadable"])
        verb = "counts" if count == 1 else "count"
        lines += ["", f"**{counted(count, 'utterance')} could not be read**, and {verb} as deleted:", ""]
        lines += [f"- {item['id']}: {item['error']}" for item in split["unreadable"]]
    if found := split["vocabulary"]:
        lines += ["", *_vocabulary(found)]
    lines += _errors(split["frequent_errors"]) + _worst(result) + _groups("Speaker", "speaker", split["speakers"])
    for field, parts in split["groups"].items():
        lines += _groups(f"By {field}", "value", parts)
    return lines


def _vocabulary(found: dict[str, Any]) -> list[str]:
    """Reference words that a vocabulary holds, and those that it lacks."""
    rows = [
        [f"{where} the {counted(found['size'], 'word')} of {found['file']})", percent(part["rate"]), *_counts(part)]
        for where, part in (("in-vocabulary (among", found["inside"]), ("OOV (not among", found["outside"]))
    ]
    lines = table(["reference words", "wrong %", "wrong", "words"], rows)
    return [
        *lines,
        "",
        f"OOV rate {percent(found['oov_rate'])} %; insertions count for neither.",
    ]


def _counts(part: dict[str, Any]) -> list[str]:
    return [f"{part['errors']:,}", f"{part['words']:,}"]


def _errors(errors: dict[str, list[list[Any]]]) -> list[str]:
    """The most frequent errors of each kind, side by side."""
    columns = [
        [f"{reference} → {hypothesis} ({count})" for reference, hypothesis, count in errors["substitutions"]],
        *([f"{word} ({count})" for word, count in errors[kind]] for kind in ("deletions", "insertions")),
    ]
    rows = list(zip_longest(*(column[:_FREQUENT] for column in columns), fillvalue=""))
    if not rows:
        return []
    return ["", "### Most frequent errors", "", *table(["substituted", "deleted", "inserted"], rows, align="---")]


def _worst(result: Result) -> list[str]:
    """The utterances with the most word errors, aligned."""
    wrong = [item for item in result.score.per_utterance if item.words.errors]
    if not wrong:
        return []
    lines = ["", "### Utterances with the most errors"]
    for item in sorted(wrong, key=lambda item: (-item.words.errors, item.words.length))[:_WORST]:
        lines += ["", f"{_cell(item.id)}: {_described(item)}", "", *("    " + line for line in aligned(item.alignment))]
    return lines


def _described(item: UtteranceScore) -> str:
    return f"{counted(item.words.errors, 'error')} in {counted(item.words.length, 'word')}"


def _groups(title: str, key: str, parts: Sequence[dict[str, Any]]) -> list[str]:
    """A table of the groups of a split; nothing where the manifest names none."""
    if all(part[key] is None for part in parts):
        return []
    rows = [
        [
            "(unknown)" if part[key] is None else part[key],
            percent(part["wer"]),
            interval(part),
            *(f"{part[name]:,}" for name in ("errors", "words", "utterances")),
        ]
        for part in parts[:_GROUPS]
    ]
    left = len(parts) - len(rows)
    rates = table([title.lower(), "WER %", "95 % interval", "errors", "words", "utterances"], rows)
    return ["", f"### {title}", "", *rates, *(["", f"and {left} more, in report.json"] if left else [])]


def interval(part: dict[str, Any]) -> str:
    """The interval of a group; that there is none where it would say nothing."""
    if part["wer_ci95"]:
        return " – ".join(map(percent, part["wer_ci95"]))
    return "too few" if part["words"] else ""


def table(header: Sequence[str], rows: Iterable[Sequence[str]], align: str = "---:") -> list[str]:
    """A Markdown table; the first column to the left, the others as `align` says."""
    rule = ["---", *[align] * (len(header) - 1)]
    return ["| " + " | ".join(row) + " |" for row in (header, rule, *([_cell(text) for text in row] for row in rows))]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def percent(rate: float | None, digits: int = 2) -> str:
    """A rate for people; n/a where there is none."""
    return "n/a" if rate is None else f"{100 * rate:.{digits}f}"
