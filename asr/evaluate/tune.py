"""Finding the weights of a language model on a validation set: log-probabilities once, decoding many times.

From coarse to fine: a wide grid of language model weight and word bonus with a narrow beam, then finer ones around the
best, which move with it, with the beam that was asked for.
"""

from __future__ import annotations

import csv
import hashlib
import os
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asr.archive import parse
from asr.atomic import replacing
from asr.audio import read_audio
from asr.data.manifest import Utterance, read_manifest
from asr.decode.beam import BeamDecoder
from asr.decode.hypothesis import Hypothesis
from asr.errors import AsrError
from asr.evaluate.splits import Split
from asr.recognizer import Recognizer
from asr.score import Counts, score

LogProbs = npt.NDArray[np.float32]
Progress = Callable[[int, int], None]

WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5)
BONUSES = (-1.0, 0.0, 1.0, 2.0, 3.0, 4.0)
NARROW = 16  # beam of the coarse grid
_WALK = 4  # finer grids of one mesh, at most
_READ = 64  # recordings whose waveforms are in memory at a time


@dataclass(frozen=True)
class Point:
    """Settings that were tried, and how many errors they made."""

    lm_weight: float
    word_bonus: float
    beam: int
    errors: int
    words: int

    @property
    def wer(self) -> float:
        """A fraction."""
        return self.errors / self.words

    def __str__(self) -> str:
        settings = f"lm_weight {self.lm_weight:<6g} word_bonus {self.word_bonus:<5g} beam {self.beam:<4}"
        return f"{settings} {100 * self.wer:6.2f} %"


def held_out(split: Split) -> bool:
    """Whether a manifest is its data set's test set: by its name, or since the one beside it has its recordings."""
    if split.manifest.stem.lower().startswith("test") or split.name.lower().startswith("test"):
        return True
    test = split.manifest.with_name("test.jsonl")
    return test.exists() and not {u.audio for u in read_manifest(test)}.isdisjoint(u.audio for u in split.utterances)


def fingerprint(utterances: Sequence[Utterance]) -> str:
    """Hash of what was tuned on: ids and texts, whatever their order."""
    digest = hashlib.sha256()
    for item in sorted(utterances, key=lambda utterance: utterance.id):
        digest.update(f"{item.id}\t{item.text}\n".encode())
    return digest.hexdigest()[:16]


def cached_log_probs(
    recognizer: Recognizer, utterances: Sequence[Utterance], cache: Path, progress: Progress = lambda done, all: None
) -> list[LogProbs]:
    """What the acoustic model says about each utterance, computed once and kept in a file, the only one of its kind.

    Args:
        recognizer: Its model; another one does not take what this one left.
        utterances: Recordings; those that were changed since are gone through again.
        cache: Folder of the file.
        progress: Called with utterances done and in all.

    Returns:
        (steps, tokens) for each utterance.

    Raises:
        AudioError: One cannot be read.
    """
    recordings = "\n".join(f"{item.audio}\t{item.duration}\t{_state(item.audio)}" for item in utterances)
    key = hashlib.sha256(f"{recognizer.model_id}\n{recordings}".encode()).hexdigest()[:16]
    file = cache / f"log_probs-{key}.npz"
    if (kept := _kept(file)) is not None:
        progress(len(utterances), len(utterances))
        return kept
    found: list[LogProbs] = []
    for start in range(0, len(utterances), _READ):
        part = utterances[start : start + _READ]
        found += recognizer.log_probs([read_audio(utterance.audio, recognizer.sample_rate) for utterance in part])
        progress(len(found), len(utterances))
    cache.mkdir(parents=True, exist_ok=True)
    with replacing(file) as aside, aside.open("wb") as stream:
        np.savez(stream, rows=np.concatenate(found), ends=np.cumsum([len(row) for row in found]))
    for other in set(cache.glob("log_probs-*.npz")) - {file}:  # of another model or other recordings
        other.unlink()
    return found


def _kept(file: Path) -> list[LogProbs] | None:
    """What is in the file of `cached_log_probs`; None where there is none, or a damaged one."""
    try:
        with np.load(file) as kept:
            return list(np.split(kept["rows"], kept["ends"][:-1]))
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error):
        return None


def _state(audio: str) -> str:
    """What changes when a recording is written anew under its old name; empty where there is none."""
    member = parse(audio)
    try:
        stat = Path(member.shard if member else audio).stat()
    except OSError:  # a file called as a shard's member is, or none: reading it will say
        return ""
    return f"{stat.st_size} {stat.st_mtime_ns}"


class Tuner:
    """Decodes one validation set with many settings.

    Args:
        make: A decoder of a `beam`, `lm_weight` and `word_bonus`; the rest of it is given.
        log_probs: (steps, tokens) of each utterance.
        split: The utterances.
        recognizer: Its normaliser scores.
        progress: Called with a line for each setting that was tried.
        threads: Utterances that are decoded at a time; None: one a core.
    """

    def __init__(
        self,
        make: Callable[..., BeamDecoder],
        log_probs: Sequence[LogProbs],
        split: Split,
        recognizer: Recognizer,
        progress: Callable[[Point], None] = lambda point: None,
        threads: int | None = None,
    ) -> None:
        self.threads = threads or os.cpu_count() or 1
        self.make = make
        self.log_probs = log_probs
        self.ids = [utterance.id for utterance in split.utterances]
        self.references = {utterance.id: utterance.text for utterance in split.utterances}
        self.normalizer = recognizer.normalizer
        self.progress = progress
        self.tried: dict[tuple[float, float, int], Point] = {}

    def decode(self, lm_weight: float, word_bonus: float, beam: int, nbest: int = 1) -> list[list[Hypothesis]]:
        """The readings of all utterances under some settings."""
        decoder = self.make(beam=beam, lm_weight=lm_weight, word_bonus=word_bonus)
        return decoder.decode_batch(self.log_probs, nbest=nbest, threads=self.threads)

    def try_point(self, lm_weight: float, word_bonus: float, beam: int) -> Point:
        """The errors under some settings; asked again, they are remembered."""
        key = (round(lm_weight, 6), round(word_bonus, 6), beam)
        if key not in self.tried:
            texts = {id: nbest[0].text for id, nbest in zip(self.ids, self.decode(*key), strict=True)}
            counts: Counts = score(self.references, texts, self.normalizer).word_counts
            self.tried[key] = Point(*key, counts.errors, counts.length)
            self.progress(self.tried[key])
        return self.tried[key]

    def search(self, beam: int) -> Point:
        """The best settings with a beam of at most so many hypotheses."""
        best = self._best(WEIGHTS, BONUSES, min(NARROW, beam))
        for weight, bonus in ((0.25, 0.5), (0.125, 0.25)):
            for _ in range(_WALK):  # a best point on the border of a grid is the middle of the next
                around = best
                weights = [around.lm_weight + step * weight for step in (-1, 0, 1)]
                bonuses = [around.word_bonus + step * bonus for step in (-1, 0, 1)]
                best = self._best([value for value in weights if value >= 0], bonuses, beam)
                if (best.lm_weight, best.word_bonus) == (around.lm_weight, around.word_bonus):
                    break
        return best

    def _best(self, weights: Sequence[float], bonuses: Sequence[float], beam: int) -> Point:
        """Fewest errors; of equals the smallest weight and bonus, which trust the language model least."""
        points = [self.try_point(weight, bonus, beam) for weight in weights for bonus in bonuses]
        return min(points, key=lambda point: (point.errors, point.lm_weight, abs(point.word_bonus)))

    def save(self, folder: Path) -> None:
        """Write all that was tried as surface.csv."""
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / "surface.csv") as aside, aside.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(["lm_weight", "word_bonus", "beam", "errors", "words", "wer"])
            for point in sorted(self.tried.values(), key=lambda point: (point.beam, point.lm_weight, point.word_bonus)):
                writer.writerow([point.lm_weight, point.word_bonus, point.beam, point.errors, point.words, point.wer])


def refuse_test_set(split: Split, allowed: int) -> None:
    """Make sure that nothing is tuned on a test set by mistake.

    Args:
        split: What would be tuned on.
        allowed: How many times the user has said that it may be one; twice is enough.

    Raises:
        AsrError: It is one.
    """
    if held_out(split) and allowed < 2:
        raise AsrError(
            f"{split.manifest}: a test set; after tuning on it, results on it are biased. Tune on the validation set "
            "(or, if you are sure, give --on-test-set twice)"
        )
