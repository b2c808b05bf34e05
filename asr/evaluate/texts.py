"""Texts by utterance from the files that recognisers and scorers write: JSON lines, trn, tsv, Kaldi's text.

What a file is, its name says:

- `.jsonl`, `.json`: an object a line, with "id" and a text, under any of the names that manifests, NeMo's manifests and
  our own hypotheses.jsonl use for it;
- `.trn` (NIST's sclite): the words, then the id in parentheses; lines that start with `;;` are comments; alternatives,
  `{ a / b / @ }`, are refused; words that may be left out, `(uh)`, are words like others;
- `.tsv`: id, tabulator, text; a first line that names its columns, such as `id<TAB>text`, is a header;
- `.txt`, `.text` or nothing (Kaldi): id, white space, text.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from asr.data.manifest import Dataset, Utterance, duration_of, half_character, parse_record, read_dataset
from asr.errors import ManifestError, ScoreError
from asr.evaluate.splits import Split, file_hash

_REFERENCE = ("reference", "text")
_HYPOTHESIS = ("hypothesis", "pred_text", "text")
# sclite counts the alternative with the fewest errors, `@` being no word at all; as words they would all be errors.
_ALTERNATIVES = re.compile(r"\{[^{}]*/[^{}]*\}")
_NO_WORD = re.compile(r"(?<!\S)@(?!\S)")
_HEADERS = ("id", "utterance", "utterance_id", "utt", "utt_id", "uttid", "key", "file", "filename", "path")
_TRN = re.compile(r"(.*?)\(([^()]+)\)\s*")

Row = tuple[str, str, dict[str, Any]]  # id, text, other fields


def read_references(path: str | Path, name: str | None = None) -> Split:
    """What was said, as a split: with speakers, durations and other fields where the file has them.

    Args:
        path: See the module.
        name: Of the split; None: the file's without its ending.

    Raises:
        ScoreError: The file cannot be used; its line is named.
    """
    path = Path(path)
    utterances = []
    for id, text, fields in _rows(path, _REFERENCE):
        speaker = fields.get("speaker")
        utterances.append(
            Utterance(
                id=id,
                audio=str(fields.get("audio", "")),
                text=text,
                duration=duration_of(fields.get("duration")) or 0.0,
                speaker=None if speaker in (None, "") else str(speaker),
                extra=fields,
            )
        )
    # What is beside a manifest says whose texts these are, and what its splits share.
    dataset = read_dataset(path.parent) if path.suffix == ".jsonl" else Dataset()
    return Split(name or path.stem, path, utterances, dataset, sha256=file_hash(path))


def read_hypotheses(path: str | Path) -> dict[str, str]:
    """What was recognised, by id.

    Raises:
        ScoreError: The file cannot be used; its line is named.
    """
    return {id: text for id, text, _ in _rows(Path(path), _HYPOTHESIS)}


def _rows(path: Path, names: tuple[str, ...]) -> Iterator[Row]:
    """The texts of a file, each id once."""
    parse = _parser(path, names)
    seen: dict[str, int] = {}
    for number, line in enumerate(_lines(path), start=1):
        header = parse is _tsv and number == 1 and line.lower().split("\t")[0].strip() in _HEADERS
        if not line.strip() or header or (parse is _trn and line.startswith(";;")):
            continue
        try:
            row = parse(line)
        except (ValueError, ManifestError) as error:
            raise ScoreError(f"{path}, line {number}: {error}") from None
        if row[0] in seen:
            ends = "; in this format ids end at the first space, use .tsv for others" if parse is _kaldi else ""
            raise ScoreError(f"{path}, line {number}: duplicate id {row[0]} (first on line {seen[row[0]]}){ends}")
        seen[row[0]] = number
        yield row
    if not seen:
        raise ScoreError(f"{path}: contains no texts")


def _lines(path: Path) -> list[str]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ScoreError(f"{path}: no such file") from None
    try:
        text = content.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ScoreError(f"{path}, line {line}: not UTF-8") from None
    return [line.removesuffix("\r") for line in text.split("\n")]  # only these end a line: texts may hold others


def _parser(path: Path, names: tuple[str, ...]) -> Callable[[str], Row]:
    kinds: dict[str, Callable[[str], Row]] = {".trn": _trn, ".tsv": _tsv, ".txt": _kaldi, ".text": _kaldi, "": _kaldi}
    if path.suffix in (".jsonl", ".json"):
        return lambda line: _json(line, names)
    if path.suffix not in kinds:
        raise ScoreError(f"{path}: unknown format; the file name must end in .jsonl, .trn, .tsv or .txt (Kaldi's)")
    return kinds[path.suffix]


def _json(line: str, names: tuple[str, ...]) -> Row:
    record = parse_record(line.encode("utf-8", "surrogatepass"))
    name = next((name for name in names if name in record), None)
    if name is None:
        raise ValueError(f'no field "{names[0]}"' + "".join(f' or "{other}"' for other in names[1:]))
    id, text = record.get("id"), record[name]
    if not isinstance(id, str) or not id:
        raise ValueError('no field "id" that is text')
    if not isinstance(text, str):
        raise ValueError(f'field "{name}" is not text')
    if half_character(id) or half_character(text):
        raise ValueError("contains an unpaired surrogate (invalid Unicode)")
    return id, text, {key: value for key, value in record.items() if key not in ("id", name)}


def _trn(line: str) -> Row:
    match = _TRN.fullmatch(line)
    if not match:
        raise ValueError("does not end with an id in parentheses, as a .trn line must")
    if found := _ALTERNATIVES.search(match[1]) or _NO_WORD.search(match[1]):
        raise ValueError(
            f"contains sclite's markup for alternatives or no word, {found[0]!r:.60}, which is not supported: write "
            "the one text that counts, or score with sclite"
        )
    return match[2].strip(), match[1].strip(), {}


def _tsv(line: str) -> Row:
    id, tab, text = line.partition("\t")
    if not tab:
        raise ValueError("has no tab between id and text")
    if "\t" in text.strip():
        raise ValueError("has more columns than id and text")
    return id.strip(), text.strip(), {}


def _kaldi(line: str) -> Row:
    id, *text = line.split(maxsplit=1)
    return id, text[0].strip() if text else "", {}
