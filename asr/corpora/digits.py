"""The embedded corpus: digit strings and short commands, spoken by espeak-ng wherever the program runs, no download.

A voice is a variant of the synthesiser with an accent of English, and every utterance has a room of its own. In
training each variant speaks with two accents: it is in both that the voices of the test differ. The splits share no
variant, no near-copy of one, and no sentence: the test set is what was never heard, said by voices that were never
heard. Equal parameters make equal bytes, whatever the number of processes.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType

import numpy as np
import soxr

from asr.audio import write_wav
from asr.corpora.espeak import Espeak
from asr.corpora.rooms import in_a_room
from asr.corpora.spoken import AUDIO, VOICE, speak_corpus
from asr.corpora.voices import Voice, cast
from asr.data.manifest import Dataset, Utterance, write_manifest

DATASET = Dataset(
    name="digits",
    license="CC0-1.0",
    attribution="made by asr with the speech synthesiser espeak-ng, https://github.com/espeak-ng/espeak-ng",
)

VOICES: Mapping[str, int] = MappingProxyType({"train": 160, "valid": 8, "test": 12})
ACCENTS = ("en", "en-us", "en-us-nyc", "en-029", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd")

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
    write_manifest(folder / VOICE, spoken)


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
    plan = {voice: out / AUDIO / voice.speaker for voice in cast(voices, ACCENTS, seed)}
    parameters = {"voices": dict(voices), "utterances": utterances, "sample_rate": sample_rate, "seed": seed}
    parameters |= {"shard_mb": shard_mb} if shard_mb else {}
    recipe = {"corpus": "digits", "version": 2, "espeakng-loader": version("espeakng-loader")} | parameters
    return speak_corpus(
        out,
        recipe,
        {voice.speaker: voice.split for voice in plan},
        {_id(voice, number): voice.split for voice in plan for number in range(utterances)},
        record,
        {voice.speaker: (voice, folder, utterances, sample_rate, seed) for voice, folder in plan.items()},
        DATASET,
        workers=workers,
        shard_mb=shard_mb,
        on_progress=on_progress,
        overwrite=overwrite,
    )
