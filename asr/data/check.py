"""Everything that is wrong with manifests, found at once and named by line; and a copy without what cannot be used."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from asr.audio import AudioInfo, probe, read_audio
from asr.bpe import learn_tokenizer
from asr.config import Config
from asr.data.manifest import Dataset, Utterance, manifest_lines, parse_line, real_folder, write_dataset, write_manifest
from asr.data.splits import overlaps, shared_dataset
from asr.errors import AudioError, ManifestError, TextError
from asr.text import Normalizer, Tokenizer, describe_characters, steps_needed
from asr.wording import how_long

_FASTEST_SPEECH = 40  # characters a second; nobody speaks so fast, so such a text is not that of its audio
_SILENCE = 1e-4  # -80 dB: nothing but the last bits of 16
_RARE = 2  # utterances; a character in so few of many is more often a typing error than something to learn
_MANY = 100
_SHOWN = 100  # characters of an alphabet
_THREADS = 8
_SIGN = re.compile(r"(?<=\S)[^\w\s](?=\S)")  # inside a word, perhaps; millions of letters are passed over quickly


@dataclass(frozen=True)
class Problem:
    """Something wrong with a manifest.

    Attributes:
        manifest: Its path.
        line: From 1; 0 where it is about the whole.
        message: What is wrong.
        warning: Whether one can live with it.
    """

    manifest: str
    line: int
    message: str
    warning: bool = False

    def __str__(self) -> str:
        """One line in the form that editors jump to."""
        place = f"{self.manifest}:{self.line}" if self.line else self.manifest
        return f"{place}: {'warning' if self.warning else 'error'}: {self.message}"


@dataclass(frozen=True)
class Target:
    """What utterances are checked against: a config, its normaliser, and the alphabet if there is one already."""

    config: Config
    normalizer: Normalizer
    tokenizer: Tokenizer | None = None


@dataclass(frozen=True)
class Measured:
    """An audio file looked at: what its header says, or what is wrong with it; and whether it is silent."""

    info: AudioInfo | None = None
    error: str = ""
    silent: bool = False


@dataclass
class Checked:
    """One manifest with what was found.

    Attributes:
        path: The manifest.
        utterances: Those of all lines that could be read, with their line numbers.
        lines: Lines that are not empty.
        problems: What is wrong.
        usable: Utterances that can be read and tested on, durations corrected; a model may not be able to learn them.
        corrected: How many durations were.
        unlearnable: Usable ones that training will leave out, where it is the manifest that is trained on.
        rates: Sample rates of the audio files in Hz, with their number of utterances.
        channels: Utterances whose audio has several channels.
        characters: Of the usable texts (normalised if there is a target), with their number of utterances.
        spaced: Characters that the normaliser turns into spaces inside words, with how often it does.
    """

    path: Path
    utterances: list[tuple[int, Utterance]] = field(default_factory=list)
    lines: int = 0
    problems: list[Problem] = field(default_factory=list)
    usable: list[Utterance] = field(default_factory=list)
    corrected: int = 0
    unlearnable: int = 0
    rates: Counter[int] = field(default_factory=Counter)
    channels: int = 0
    characters: Counter[str] = field(default_factory=Counter)
    spaced: Counter[str] = field(default_factory=Counter)

    def report(self, line: int, message: str, warning: bool = False) -> None:
        """Note a problem."""
        self.problems.append(Problem(str(self.path), line, message, warning))

    def __str__(self) -> str:
        """A line that says how much there is that can be used, and one about words that are cut in two."""
        audio = how_long(sum(utterance.duration for utterance in self.usable))
        speakers = len({utterance.speaker for utterance in self.usable} - {None})
        nameless = sum(utterance.speaker is None for utterance in self.usable)
        utterances = f"{len(self.usable):,}" + (f" of {self.lines:,}" if len(self.usable) < self.lines else "")
        unknown = f" ({nameless:,} utterances without)" if nameless else ""
        rates = ", ".join(f"{rate} Hz" for rate in sorted(self.rates)) or "no audio"
        shown = "".join(map(_visible, sorted(self.characters)[:_SHOWN])) + " ..." * (len(self.characters) > _SHOWN)
        spaced = ", ".join(f"{describe_characters(one)} ({count:,} times)" for one, count in self.spaced.most_common())
        cut = f"\n{self.path}: replaced by spaces inside words (text.keep keeps them): {spaced}" if spaced else ""
        return (
            f"{self.path}: utterances {utterances}, audio {audio}, speakers {speakers:,}{unknown}, {rates}, "
            f"characters {len(self.characters):,}: {shown}{cut}"
        )


def check_manifests(
    splits: Mapping[str, Path],
    target: Target | None = None,
    decode: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[Checked], list[Problem]]:
    """All problems of manifests that belong together.

    Args:
        splits: Manifests by split name. Where the target has no tokenizer, the alphabet is that of the manifest called
            train, or else of the first.
        target: Check characters, lengths and sample rates against this too.
        decode: Read audio to its end instead of only its header, which also finds damage in the middle, samples that
            are no numbers, and silence.
        on_progress: Called after each audio file with the number done and the number of all.

    Returns:
        What was found in each manifest; and between them: what they share, as warnings where dataset.yaml declares it.

    Raises:
        ManifestError: A manifest cannot be read at all.
    """
    manifests = {name: _parse(path) for name, path in splits.items()}
    training = manifests.get("train") or next(iter(manifests.values()))
    audio = _measure_all(manifests.values(), decode, on_progress)
    if target and not target.tokenizer:
        target = replace(target, tokenizer=_alphabet(training, target.normalizer, target.config))
    for checked in manifests.values():
        _check_utterances(checked, audio, target, trained_on=checked is training)
        _check_rates(checked, target)
        _check_channels(checked)
        checked.problems.sort(key=lambda problem: problem.line)
    return list(manifests.values()), _between(manifests, target)


def write_repaired(splits: Mapping[str, Checked], out: Path) -> list[str]:
    """Write manifests without the lines that cannot be used, with durations corrected; dataset.yaml goes with them.

    Lines that a model cannot learn stay: training leaves them out by itself, and another model may learn them.

    Args:
        splits: What was found, by split name.
        out: For one manifest its new file; for several, or where it is a folder, the folder of NAME.jsonl.

    Returns:
        A line for each that says what was done.

    Raises:
        ManifestError: A file is there already, of one manifest nothing usable is left, or a dataset.yaml is broken:
            then none is written.
    """
    several = len(splits) > 1 or out.is_dir()
    targets = {name: out / f"{name}.jsonl" if several else out for name in splits}
    for name, target in targets.items():
        if target.exists():
            raise ManifestError(f"{target}: already exists; write the repaired manifest elsewhere")
        if not splits[name].usable:
            raise ManifestError(f"{splits[name].path}: no usable line, so there is nothing to write")
    # Before anything is written, since it may be broken.
    dataset = shared_dataset(checked.path for checked in splits.values())
    lines = [_write_repaired(checked, targets[name]) for name, checked in splits.items()]
    folder = next(iter(targets.values())).parent
    if dataset != Dataset() and not (folder / "dataset.yaml").exists():
        write_dataset(folder, dataset)
    return lines


def _write_repaired(checked: Checked, target: Path) -> str:
    """One repaired manifest."""
    write_manifest(target, checked.usable)
    dropped = checked.lines - len(checked.usable)
    stay = f"; {checked.unlearnable:,} kept that a model cannot learn" if checked.unlearnable else ""
    return (
        f"{target}: utterances {len(checked.usable):,}, dropped {dropped:,}, durations corrected {checked.corrected:,}"
        f"{stay}"
    )


def _parse(path: Path) -> Checked:
    """A manifest's lines read, those that cannot be read reported."""
    checked = Checked(path)
    real = real_folder(path.parent)
    for number, line in manifest_lines(path):
        checked.lines += 1
        try:
            checked.utterances.append((number, parse_line(line, path.parent, real)))
        except ManifestError as error:
            checked.report(number, str(error))
    if not checked.lines:
        checked.report(0, "contains no utterances")
    return checked


def _measure_all(
    manifests: Iterable[Checked], decode: bool, on_progress: Callable[[int, int], None]
) -> dict[str, Measured]:
    """Every audio file of the manifests looked at once, by threads: the work is mostly waiting for the disk."""
    files = list(dict.fromkeys(item.audio for checked in manifests for _, item in checked.utterances))
    found = {}
    with ThreadPoolExecutor(_THREADS) as pool:
        for file, measured in zip(files, pool.map(partial(_measure, decode=decode), files), strict=True):
            found[file] = measured
            on_progress(len(found), len(files))
    return found


def _measure(path: str, decode: bool) -> Measured:
    try:
        info = probe(path)
        silent = decode and float(np.abs(read_audio(path, info.sample_rate)).max()) < _SILENCE
    except AudioError as error:
        return Measured(error=str(error))
    return Measured(info, silent=silent)


def _check_utterances(checked: Checked, audio: Mapping[str, Measured], target: Target | None, trained_on: bool) -> None:
    """Report what is wrong with single lines, and collect those that can be used.

    What a model cannot learn is an error only where it is trained on, and never a reason to drop a line: a test set
    without its hard utterances would flatter.
    """
    ids: dict[str, int] = {}
    files: dict[str, int] = {}
    for line, utterance in checked.utterances:
        measured = audio[utterance.audio]
        info = measured.info
        wrong = info is not None and _disagree(utterance.duration, info.duration)
        if info and wrong:
            checked.report(line, f"duration is {utterance.duration:.3f} s, but the audio lasts {info.duration:.3f} s")
            utterance = replace(utterance, duration=info.duration)
        errors = list(_errors(utterance, measured, target))
        if (first := ids.setdefault(utterance.id, line)) != line:
            errors.append(f"duplicate id {utterance.id!r} (first on line {first})")
        for message in errors:
            checked.report(line, message)
        unlearnable = list(_unlearnable(utterance, target)) if target else []
        for message in unlearnable:
            checked.report(line, message, warning=not trained_on)
        for message in _warnings(utterance, target):
            checked.report(line, message, warning=True)
        if (first := files.setdefault(utterance.audio, line)) != line:
            checked.report(line, f"same audio as on line {first}", warning=True)
        if info and not errors:
            checked.usable.append(utterance)
            checked.corrected += wrong
            checked.unlearnable += trained_on and bool(unlearnable)
            checked.rates[info.sample_rate] += 1
            checked.channels += info.channels > 1
            checked.spaced.update(_spaced(utterance.text, target.normalizer) if target else ())
            checked.characters.update(set(_normalized(utterance, target)))


def _disagree(stated: float, measured: float) -> bool:
    """Whether a stated duration is wrong by more than rounding: 30 ms or, in long recordings, 1 %."""
    return abs(stated - measured) > max(0.030, 0.01 * measured)


def _normalized(utterance: Utterance, target: Target | None) -> str:
    return target.normalizer(utterance.text) if target else utterance.text.strip()


def _errors(utterance: Utterance, measured: Measured, target: Target | None) -> Iterator[str]:
    """Why an utterance cannot be used."""
    text = _normalized(utterance, target)
    if measured.error:
        yield f"audio: {measured.error}"
    if measured.silent and text:
        yield f"audio: {utterance.audio}: is silent, but has a text"


def _unlearnable(utterance: Utterance, target: Target) -> Iterator[str]:
    """Why a model cannot be trained on an utterance."""
    text = target.normalizer(utterance.text)
    tokens = list(map(ord, text))  # a token a letter
    if target.tokenizer and (unknown := target.tokenizer.unknown(text)):
        yield f"not in the alphabet: {describe_characters(unknown)}, in {text!r:.80}"
    elif target.tokenizer:
        tokens = target.tokenizer.encode(text)
    speed = target.config.augment.speed[1]
    steps = target.config.steps(utterance.duration / speed)
    if (needed := steps_needed(tokens)) > steps:
        at_speed = f" at {speed:g} times the speed" if speed != 1 else ""
        yield f"text needs {needed} output steps, but {utterance.duration:.2f} s{at_speed} give only {steps}"


def _warnings(utterance: Utterance, target: Target | None) -> Iterator[str]:
    """What is odd about an utterance."""
    text = _normalized(utterance, target)
    if not text:
        yield f"text is empty{' when normalised' if utterance.text.strip() else ''}"
    if "\ufffd" in utterance.text:
        yield f"text contains U+FFFD, a sign of wrong encoding: {utterance.text!r:.80}"
    if len(text) > _FASTEST_SPEECH * utterance.duration:
        yield f"text of {len(text)} characters is too long for {utterance.duration:.2f} s of speech"
    if target and utterance.duration > target.config.batches.max_seconds:
        limit = target.config.batches.max_seconds
        yield f"{utterance.duration:.2f} s is longer than batches.max_seconds = {limit:g}: training leaves it out"


def _alphabet(training: Checked, normalizer: Normalizer, config: Config) -> Tokenizer | None:
    """The alphabet that training would build, None where there are no texts; warn of characters hardly used."""
    texts = {line: normalizer(utterance.text) for line, utterance in training.utterances}
    uses = Counter(character for text in texts.values() for character in set(text))
    rare = {character for character, count in uses.items() if count <= _RARE and len(texts) >= _MANY}
    for line, text in texts.items():
        if found := rare & set(text):
            training.report(line, f"rare in these texts: {describe_characters(found)}, in {text!r:.80}", True)
    if not uses:
        return None
    try:
        return learn_tokenizer(config.text, [*texts.values(), *config.augment.join_texts])
    except TextError as error:  # too few texts for so many pieces, say: their letters can be checked all the same
        training.report(0, str(error))
        return Tokenizer.build([*texts.values(), *config.augment.join_texts])


def _check_rates(checked: Checked, target: Target | None) -> None:
    """Warn of audio whose upper band is empty."""
    wanted = target.config.features.sample_rate if target else 0
    if low := {rate: count for rate, count in checked.rates.items() if rate < wanted}:
        checked.report(
            0,
            f"{sum(low.values()):,} utterances are below the model's {wanted} Hz, so its upper band is empty; "
            f"if all recordings are like that, train with features.sample_rate={max(low)}",
            warning=True,
        )


def _check_channels(checked: Checked) -> None:
    """Warn of several channels: of a telephone call each may be somebody else, who is no part of the other's text."""
    if checked.channels:
        checked.report(
            0,
            f"{checked.channels:,} utterances have several channels, which are averaged; if each is a different "
            "speaker, as in recorded calls, split them into separate recordings",
            warning=True,
        )


def _spaced(text: str, normalizer: Normalizer) -> Iterator[str]:
    """Signs between two letters, or marks on them, that the normaliser turns into spaces."""
    for match in _SIGN.finditer(text):
        before, sign, after = text[match.start() - 1], match[0], text[match.end()]
        inside = _is_spelling(before) and _is_spelling(after) and not _is_spelling(sign)
        if inside and " " in normalizer(f"a{sign}a"):
            yield sign


def _is_spelling(character: str) -> bool:
    return unicodedata.category(character)[0] in "LM"


def _visible(character: str) -> str:
    """A character as it can be seen in a row of others: a mark on a circle, an invisible one as a number."""
    if character == " ":
        return "␣"
    if unicodedata.category(character)[0] == "M":
        return f"◌{character}"
    return character if character.isprintable() else f"<U+{ord(character):04X}>"


def _between(manifests: Mapping[str, Checked], target: Target | None) -> list[Problem]:
    """What manifests share, and what is wrong with their dataset.yaml."""
    problems = []
    try:
        dataset = shared_dataset(checked.path for checked in manifests.values())
    except ManifestError as error:
        path, _, message = str(error).partition(": ")
        problems.append(Problem(path, 0, message))
        dataset = Dataset()
    splits = {name: [utterance for _, utterance in checked.utterances] for name, checked in manifests.items()}
    for overlap in overlaps(splits, dataset, target.normalizer if target else None):
        problems.append(Problem(str(manifests[overlap.splits[1]].path), 0, str(overlap), overlap.declared))
    return problems
