"""The embedded corpus: digit strings and short commands, spoken by espeak-ng wherever the program runs, no download.

A voice is a variant of the synthesiser with an accent of English, and every utterance has a room of its own. In
training each variant speaks with two accents: it is in both that the voices of the test differ. The splits share no
variant, no near-copy of one, and no sentence: the test set is what was never heard, said by voices that were never
heard. Equal parameters make equal bytes, whatever the number of processes.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType

import numpy as np
import soxr

from asr.audio import write_wav
from asr.corpora.common import SPLITS, refuse_to_move, write_corpus
from asr.corpora.espeak import Espeak, espeak_variants
from asr.corpora.processes import in_fresh_processes
from asr.corpora.rooms import in_a_room
from asr.corpora.shards import FOLDER, pack
from asr.data.manifest import Dataset, Utterance, read_manifest, write_manifest
from asr.errors import CorpusError

DATASET = Dataset(
    name="digits",
    license="CC0-1.0",
    attribution="made by asr with the speech synthesiser espeak-ng, https://github.com/espeak-ng/espeak-ng",
)

VOICES: Mapping[str, int] = MappingProxyType({"train": 160, "valid": 8, "test": 12})
ACCENTS = ("en", "en-us", "en-us-nyc", "en-029", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd")
NOT_A_VOICE = ("fast", "whisper", "whisperf", "caleb")  # a speaking rate; three that whisper, so that nothing is voiced

# Every word stands in hundreds of sentences, so that no word can be missing from a split.
GRAMMAR: Mapping[str, tuple[str, ...]] = {
    "sentence": (*["{string}"] * 3, *["{turn}"] * 2, *["{open}"] * 2, "{set}", "{play}", "{sum}"),
    "string": tuple(" ".join(["{digit}"] * length) for length in range(3, 8)),
    "digit": ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    "turn": ("turn {switch} the {room} {device}{later}",),
    "switch": ("on", "off"),
    "room": ("kitchen", "bedroom", "bathroom", "garage", "hall"),
    "device": ("light", "heater", "fan", "radio"),
    "open": ("{move} the {side} {opening}{later}",),
    "move": ("open", "close", "lock"),
    "side": ("front", "back", "{room}"),
    "opening": ("door", "window"),
    "later": ("", " in {number} {unit}"),
    "set": ("set {clock} for {number} {unit}",),
    "clock": ("a timer", "the timer", "an alarm", "the alarm"),
    "unit": ("seconds", "minutes", "hours"),
    "play": ("play channel {number}", "play channel {number} in the {room}"),
    "sum": ("what is {number} {operator} {number}",),
    "operator": ("plus", "minus", "times"),
    "number": ("{ones}", "ten", "{tens}", "{tens} {ones}"),
    "ones": ("two", "three", "four", "five", "six", "seven", "eight", "nine"),
    "tens": ("twenty", "thirty", "forty", "fifty"),
}


@dataclass(frozen=True)
class Voice:
    """One speaker: a variant of the synthesiser with an accent, in one split."""

    variant: str
    accent: str
    split: str

    @property
    def speaker(self) -> str:
        """The speaker's id, fit for a file name."""
        return f"{self.variant.replace(' ', '-')}_{self.accent}"


def draw_sentence(split: str, generator: random.Random, seed: int) -> str:
    """A random sentence of those that belong to the split: a hash deals 8, 1 and 1 of ten to train, valid and test."""
    while True:
        sentence = "{sentence}"
        while "{" in sentence:
            before, _, rest = sentence.partition("{")
            symbol, _, after = rest.partition("}")
            sentence = before + generator.choice(GRAMMAR[symbol]) + after
        tenth = zlib.crc32(f"{seed} {sentence}".encode()) % 10
        if split == {0: "valid", 1: "test"}.get(tenth, "train"):
            return sentence


def families(variants: Mapping[str, tuple[str, ...]]) -> list[list[str]]:
    """Groups of variants that sound alike: half of all their settings or more are the same, for one pair at least.

    "robosoft3" and "robosoft4" differ in one setting, "Hugo" and "Henrique" too: near-copies that must not meet across
    splits.
    """

    def alike(one: str, other: str) -> bool:
        ours, theirs = set(variants[one]), set(variants[other])
        return 2 * len(ours & theirs) >= len(ours | theirs)

    groups: list[list[str]] = []
    for name in variants:
        related = [group for group in groups if any(alike(name, other) for other in group)]
        groups = [group for group in groups if group not in related]
        groups.append([*(member for group in related for member in group), name])
    return groups


def cast(voices: Mapping[str, int], seed: int) -> list[Voice]:
    """Who speaks in which split: chance decides, by whole families (see `families`).

    The families are shuffled, and each goes to test if it still has room, else to valid, else to train. Families of
    more than two would make a monotonous test set: they go to train. Accents are dealt in turn; a split with more
    voices than variants starts over, each with its next accent.

    Args:
        voices: How many voices each split gets.
        seed: Of the shuffle.

    Raises:
        CorpusError: The synthesiser has too few variants.
    """
    variants = {name: settings for name, settings in espeak_variants().items() if name not in NOT_A_VOICE}
    generator = random.Random(seed)
    shuffled = families(variants)
    generator.shuffle(shuffled)
    names: dict[str, list[str]] = {split: [] for split in SPLITS}
    for family in shuffled:
        fits = [split for split in ("test", "valid") if len(names[split]) + len(family) <= voices[split]]
        names[fits[0] if fits and len(family) <= 2 else "train"] += family
    generator.shuffle(names["train"])
    for split in SPLITS:
        most = len(names[split]) * len(ACCENTS)
        if not 1 <= voices[split] <= most:
            raise CorpusError(f"digits: {split} can have 1 to {most} voices, not {voices[split]}")
    return [
        Voice(names[split][i % len(names[split])], ACCENTS[(i + i // len(names[split])) % len(ACCENTS)], split)
        for split in SPLITS
        for i in range(voices[split])
    ]


def record(voice: Voice, folder: Path, utterances: int, sample_rate: int, seed: int) -> None:
    """Speak all utterances of a voice into `folder`: audio, and a manifest that is written last, when all is there.

    This is the work of one fresh process (see `Espeak`).
    """
    generator = random.Random(f"{seed} {voice.speaker}")
    room = np.random.default_rng(generator.getrandbits(64))
    espeak = Espeak(f"{voice.accent}+{voice.variant}", seed=generator.getrandbits(31))
    folder.mkdir(parents=True, exist_ok=True)
    spoken = []
    for number in range(utterances):
        name = _id(voice, number)
        text = draw_sentence(voice.split, generator, seed)
        rate, pitch, intonation = (generator.randint(*limits) for limits in ((110, 170), (30, 70), (20, 80)))
        speech = espeak.speak(text, rate=rate, pitch=pitch, intonation=intonation)
        waveform = in_a_room(soxr.resample(speech, espeak.sample_rate, sample_rate), sample_rate, room)
        path = folder / f"{name}.wav"
        write_wav(path, waveform, sample_rate)
        spoken.append(Utterance(name, str(path), text, len(waveform) / sample_rate, voice.speaker))
    write_manifest(folder / "voice.jsonl", spoken)


def _id(voice: Voice, number: int) -> str:
    """The id of a voice's utterance."""
    return f"{voice.speaker}_{number:03d}"


def prepare(
    out: str | Path,
    *,
    voices: Mapping[str, int] = VOICES,
    utterances: int = 24,
    sample_rate: int = 16000,
    seed: int = 0,
    workers: int | None = None,
    shard_mb: float | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    overwrite: bool = False,
) -> dict[str, list[Utterance]]:
    """Make the corpus in the folder `out`; or find it there, made earlier with the same parameters.

    What an interrupted call left is completed. A digits corpus of other parameters is made anew; if that would move
    an utterance into another split, only with `overwrite`.

    Args:
        out: Gets the manifests, dataset.yaml, recipe.json (the parameters), and audio/ or shards/.
        voices: Speakers of train, valid and test.
        utterances: Of each speaker; they are 2.1 s long on average.
        sample_rate: Of the audio, Hz.
        seed: Equal seeds make equal bytes.
        workers: Processes that work at the same time; None is one a core.
        shard_mb: Size of the tar archives that the recordings end up in (see `pack`); None: they stay files.
        on_progress: Called with the voices made so far and their total.
        overwrite: Replace another division that is there already.

    Returns:
        The utterances by split.

    Raises:
        CorpusError: espeakng-loader is not installed, fewer variants than voices, or `out` holds something else or
            another division.
    """
    out = Path(out)
    plan = {voice: out / "audio" / voice.speaker for voice in cast(voices, seed)}
    parameters = {"voices": dict(voices), "utterances": utterances, "sample_rate": sample_rate, "seed": seed}
    parameters |= {"shard_mb": shard_mb} if shard_mb else {}
    owner = {_id(voice, number): voice.split for voice in plan for number in range(utterances)}
    recipe = {"corpus": "digits", "version": 2, "espeakng-loader": version("espeakng-loader")} | parameters
    _open_folder(out, recipe, None if overwrite else owner)
    if not (out / "dataset.yaml").exists():  # the last file to be written
        missing = [(voice, folder) for voice, folder in plan.items() if not (folder / "voice.jsonl").exists()]
        jobs = [(voice, folder, utterances, sample_rate, seed) for voice, folder in missing]
        made = len(plan) - len(jobs)
        workers = workers or os.cpu_count() or 1
        in_fresh_processes(record, jobs, workers, on_done=lambda done: on_progress(made + done, len(plan)))
        spoken = {voice: read_manifest(folder / "voice.jsonl") for voice, folder in plan.items()}
        splits = {name: [u for voice in plan if voice.split == name for u in spoken[voice]] for name in SPLITS}
        write_corpus(out, pack(out, splits, shard_mb) if shard_mb else splits, DATASET, overwrite=True)
    if shard_mb:
        shutil.rmtree(out / "audio", ignore_errors=True)  # made only to be packed
    return {name: read_manifest(out / f"{name}.jsonl") for name in SPLITS}


def _open_folder(out: Path, recipe: dict[str, object], owner: Mapping[str, str] | None) -> None:
    """Leave in `out` the recipe and nothing that was made by another one.

    Raises:
        CorpusError: It holds files, but no corpus of ours; or one where an utterance is in another split than its
            `owner` (see `refuse_to_move`).
    """
    path = out / "recipe.json"
    written = json.dumps(recipe, indent=2) + "\n"
    found = path.read_text(encoding="utf-8", errors="replace") if path.exists() else None
    if found == written:
        return
    if out.is_dir() and any(out.iterdir()):
        if found is None or (found and '"corpus": "digits"' not in found):
            raise CorpusError(f"{out}: holds other files than a digits corpus; choose another folder")
        if owner is not None:
            refuse_to_move(out, owner)
        path.write_text("")  # whatever ends this process now, the next one finds no recipe that fits what is left
        (out / "dataset.yaml").unlink(missing_ok=True)
        shutil.rmtree(out / "audio", ignore_errors=True)
        shutil.rmtree(out / FOLDER, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(written, encoding="utf-8")
