"""What an evaluation costs beside recognising: scores, intervals, fingerprints, reports, the page.

    python benchmarks/evaluation.py MODEL [--utterances 10000] [--words 20] [--seconds 7] [--wer 0.1]

Any trained model lends its name and alphabet; the recordings are noise of the length asked for, and what is said to be
recognised are made-up sentences with errors, so that neither model nor decoder works. The model is made to remember as
many recordings as LibriSpeech has. The page has no examples, whose cost does not depend on the number of utterances.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from asr.data.fingerprints import PRINT, make_print, to_json
from asr.data.manifest import Utterance, read_manifest, write_manifest
from asr.evaluate import evaluate, read_splits
from asr.evaluate.report import Extras
from asr.recognizer import Recognizer
from asr.transcript import Alternative, Transcript, Word

HEARD = 281_241  # utterances of LibriSpeech's 960 hours
SPEAKERS = 40


class Echo(Recognizer):
    """Says what it was told, and hears noise."""

    says: dict[str, str]
    noise: np.ndarray

    def transcribe_many(self, sources: Any, batch_frames: int = 0, listen: Any = None) -> Iterator[Transcript]:
        """As `Recognizer.transcribe_many`, for nothing."""
        for number, source in enumerate(sources):
            listen(number, self.noise)
            text = self.says[Path(source).stem]
            words = tuple(Word(word, 0.0, 1.0, 0.9) for word in text.split())
            yield Transcript(str(source), 7.0, text, None, words, (Alternative(text, 0.0),))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--utterances", type=int, default=10_000)
    parser.add_argument("--words", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=7.0)
    parser.add_argument("--wer", type=float, default=0.1)
    arguments = parser.parse_args()
    rng = np.random.default_rng(1)
    recognizer = Echo.load(arguments.model)
    letters = [token for token in recognizer.tokenizer.tokens[1:] if token != " "]
    vocabulary = ["".join(rng.choice(letters, rng.integers(2, 8))) for _ in range(5000)]
    recognizer.noise = rng.standard_normal(round(arguments.seconds * recognizer.sample_rate)).astype(np.float32)
    heard = np.zeros(HEARD, PRINT)
    heard["duration"] = rng.integers(100, 1700, HEARD)
    heard["sound"] = rng.integers(0, 256, heard["sound"].shape)
    heard["id"] = np.frombuffer(rng.bytes(5 * HEARD), "V5")
    recognizer.file.heard = {"train": to_json(heard, [])}
    with tempfile.TemporaryDirectory() as folder:
        utterances, recognizer.says = [], {}
        for number in range(arguments.utterances):
            said = rng.choice(vocabulary, arguments.words)
            wrong = rng.random(arguments.words) < arguments.wer
            recognizer.says[f"u{number}"] = " ".join(np.where(wrong, rng.choice(vocabulary, arguments.words), said))
            path = str(Path(folder) / f"u{number}.wav")
            text = " ".join(said)
            utterances.append(Utterance(f"u{number}", path, text, arguments.seconds, f"s{number % SPEAKERS}"))
        manifest = Path(folder) / "test.jsonl"
        write_manifest(manifest, utterances)
        assert len(read_manifest(manifest)) == arguments.utterances
        start, used = time.perf_counter(), time.process_time()
        report = evaluate(recognizer, read_splits([str(manifest)]), Path(folder) / "out", extras=Extras(examples=0))
        seconds, used = time.perf_counter() - start, time.process_time() - used
        page = (Path(folder) / "out" / "report.html").stat().st_size
    start = time.process_time()
    for number in range(200):
        make_print(str(number), recognizer.noise, recognizer.sample_rate)
    prints = (time.process_time() - start) / 200 * arguments.utterances
    print(f"{arguments.utterances:,} utterances of {arguments.words} words and {arguments.seconds:g} s, one model that")
    print(f"remembers {HEARD:,} recordings; WER {100 * report['splits']['test']['wer']:.1f} %")
    print(f"{seconds:.1f} s by the clock; processor {used:.1f} s, of which fingerprints about {prints:.1f} s")
    print(f"page: {page / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
