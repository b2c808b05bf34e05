"""Beam searches on the log-probabilities of a trained model: time, word errors and exact CTC scores, in one run.

    python benchmarks/decoders.py MODEL MANIFEST [--limit 100] [--beams 16,100] [--peer-python PYTHON]
                                  [--lm LM.arpa --lm-weight 0.5 --word-bonus 1.0] [--skip NAME,...]
                                  [--losses FILE]

The log-probabilities are computed once; all decode the same. Ours is measured against those of flashlight-text (C++,
through torchaudio), fast-ctc-decode (Rust) and pyctcdecode (Python) that are installed; pyctcdecode wants numpy < 2 and
so a Python of its own. Times are processor seconds of one thread, so that other work on the machine counts little, the
median of three turns; what compiles or loads is done before the clock starts, and how long compiling took is said.
"lower" counts utterances whose text scores lower than ours by the exact objective, "higher" those where it scores
higher; --losses appends a line for each of the latter to a file: decoder, utterance, by how much, both texts. Each
model is a run of its own. Peers get our pruning where they can be told. With --lm, all search with that language model
(of words, ARPA) and its words as the lexicon, ours also with an open vocabulary. A peer that decodes fewer utterances
is compared with our time on those, which stands beside it with our error rate.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from asr.audio import read_audio
from asr.data.manifest import Utterance, read_manifest
from asr.decode import BeamDecoder, GreedyDecoder, Hypothesis, forward_score
from asr.decode.ngram import NgramModel
from asr.errors import TextError
from asr.recognizer import Recognizer
from asr.score import score

THRESHOLD, FLOOR = 20.0, -12.0  # our defaults, and what peers are told
TURNS = 3  # the median time of them counts
Clock = Callable[[], float]
Rows = Sequence[np.ndarray]
Found = Sequence[str] | Sequence[Hypothesis]
Decode = Callable[[Rows], Found]
Weights = tuple[float, float]  # of the language model, and for each word


class Race:
    """The utterances, what texts are judged by, and the table as it grows."""

    def __init__(
        self,
        recognizer: Recognizer,
        rows: Rows,
        utterances: Sequence[Utterance],
        lm: NgramModel | None,
        weights: Weights,
        losses: Path | None = None,
    ) -> None:
        self.tokenizer = recognizer.tokenizer
        self.rows, self.lm, self.weights = rows, lm, weights
        self.references = [recognizer.normalizer(one.text) for one in utterances]
        self.ids = [one.id for one in utterances]
        self.losses = losses
        self.ours: list[float] = []
        self.our_texts: list[str] = []
        self.time = 0.0
        self.again: Decode | None = None  # our decoder, for those that decode fewer utterances
        print(f"{'':52} {'ms/utt.':>9} {'x ours':>8} {'WER %':>7} {'lower':>6} {'higher':>7}")

    def run(self, name: str, decode: Decode, ours: bool = False, clock: Clock = time.process_time) -> None:
        """Measure a decoder that takes and gives lists, and print its line."""
        decode(self.rows[:1])
        if ours:
            self.again = decode
        self.line(name, *timed(decode, self.rows, clock), ours)

    def line(self, name: str, seconds: float, found: Found, ours: bool = False) -> None:
        """Print what a decoder reached."""
        texts = [one if isinstance(one, str) else one.text for one in found]
        milliseconds = 1000 * seconds / len(texts)
        reached = [self.objective(row, text) for row, text in zip(self.rows, texts, strict=False)]
        for place, one in enumerate(found):  # ours may have scored with a space at an edge, which the text has not
            if isinstance(one, Hypothesis):
                reached[place] = max(reached[place], one.score)
        if ours:
            self.ours, self.our_texts, self.time = reached, texts, milliseconds
        ours_there = self.time
        if self.again and len(texts) < len(self.our_texts):
            ours_there = 1000 * timed(self.again, self.rows[: len(texts)])[0] / len(texts)
        differences = np.array(reached) - np.array(self.ours[: len(reached)] or reached)
        ratio = f"{milliseconds / ours_there:8.1f}" if ours_there else f"{'':8}"
        errors = self.percent(texts)
        lower, higher = (differences < -1e-4).sum(), (differences > 1e-4).sum()
        there = ""
        if len(texts) < len(self.our_texts):
            there = f"   (ours there: {ours_there:.2f} ms, {self.percent(self.our_texts[: len(texts)]):.2f})"
        print(f"{name:52} {milliseconds:9.2f} {ratio} {errors:7.2f} {lower:6} {higher:7}{there}", flush=True)
        if self.losses is not None:
            with self.losses.open("a", encoding="utf-8") as file:
                for place, higher_by in enumerate(differences):
                    if higher_by <= 1e-4:
                        continue
                    loss = {"decoder": name, "id": self.ids[place], "higher": round(float(higher_by), 4)}
                    loss |= {"text": texts[place], "ours": self.our_texts[place]}
                    file.write(json.dumps(loss, ensure_ascii=False) + "\n")

    def percent(self, texts: Sequence[str]) -> float:
        """The word error rate of texts of the first utterances; NaN if these have no words."""
        wer = score(self.references[: len(texts)], texts).wer
        return math.nan if wer is None else 100 * wer

    def objective(self, row: np.ndarray, text: str) -> float:
        """The exact CTC score of a text and what the language model adds; -inf for characters that are no tokens."""
        try:
            total = forward_score(row, self.tokenizer.encode(text))
        except TextError:
            return -np.inf
        if self.lm is not None:
            words = text.split()
            unknown = sum(self.lm.id(word) == self.lm.unknown for word in words)
            total += self.weights[0] * self.lm.score(words) + self.weights[1] * len(words) - 10 * unknown
        return total


def timed(decode: Decode, rows: Rows, clock: Clock = time.process_time) -> tuple[float, Found]:
    """The median seconds of several turns, and what was found."""
    times = []
    for _ in range(TURNS):
        start = clock()
        found = decode(rows)
        times.append(clock() - start)
    return float(np.median(times)), found


def best_of(decoder: Any, **settings: Any) -> Decode:
    """How our decoders are asked."""
    return lambda rows: [nbest[0] for nbest in decoder.decode_batch(list(rows), **settings)]


def with_ours(race: Race, beam: int) -> None:
    tokens, boundary = race.tokenizer.tokens, race.tokenizer.word_boundary
    settings: dict[str, Any] = {"beam_threshold": THRESHOLD, "token_floor": FLOOR}
    name = f"asr, beam {beam}"
    if race.lm is not None:
        opened = BeamDecoder(tokens, boundary, beam, race.lm, *race.weights, **settings)
        settings["lexicon"] = list(race.lm.vocabulary)
    decoder = BeamDecoder(tokens, boundary, beam, race.lm, *race.weights, **settings)
    start = time.process_time()
    decoder.decode(race.rows[0])
    compiling = time.process_time() - start
    cores = os.cpu_count() or 1
    race.run(name, best_of(decoder), ours=True)
    race.run(f"{name}, {cores} threads (wall)", best_of(decoder, threads=cores), clock=time.perf_counter)
    if race.lm is not None:
        race.run(f"{name}, open vocabulary", best_of(opened))
    print(f"  (first call, compiled or read from the cache: {compiling:.1f} s)")


def with_flashlight(race: Race, beam: int, lm: Path | None, folder: Path) -> None:
    try:
        import torch
        from torchaudio.models.decoder import ctc_decoder
    except (ImportError, RuntimeError) as error:
        print(f"flashlight-text: left out: {error}")
        return
    tokens = ["|" if token == " " else token for token in race.tokenizer.tokens]
    lexicon = None
    if race.lm is not None:
        lexicon = folder / "lexicon.txt"
        words = [word for word in race.lm.words if set(word) <= set(tokens)]
        lexicon.write_text("".join(f"{word} {' '.join(word)} |\n" for word in words), encoding="utf-8")
    decoder = ctc_decoder(
        lexicon=lexicon and str(lexicon),
        tokens=tokens,
        lm=lm and str(lm),
        beam_size=beam,
        beam_threshold=THRESHOLD,
        lm_weight=race.weights[0] * math.log(10) if lm else 0.0,  # its language models score in decimal logarithms
        word_score=race.weights[1] if lm else 0.0,
        log_add=True,
        blank_token=tokens[0],
        sil_token="|" if "|" in tokens else tokens[-1],
    )

    # Words of the lexicon end with a boundary, which our model never outputs after the last: a step more does.
    end = np.full((1, len(tokens)), -40.0, np.float32)
    end[0, tokens.index("|") if "|" in tokens else 0] = 0.0
    spare = [end] if lm else []

    def decode(rows: Rows) -> list[str]:
        texts = []
        for row in rows:
            best = decoder(torch.from_numpy(np.concatenate([row, *spare]))[None])[0][0]
            said = " ".join(best.words) if lm else "".join(race.tokenizer.tokens[i] for i in best.tokens.tolist())
            texts.append(" ".join(said.split()))
        return texts

    race.run(f"flashlight-text, beam {beam}", decode)


def with_fast_ctc(race: Race, beam: int) -> None:
    try:
        from fast_ctc_decode import beam_search
    except ImportError as error:
        print(f"fast-ctc-decode: left out: {error}")
        return
    alphabet = "\0" + "".join(race.tokenizer.tokens[1:])

    def decode(rows: Rows) -> list[str]:
        return [" ".join(beam_search(np.exp(row), alphabet, beam, float(np.exp(FLOOR)))[0].split()) for row in rows]

    race.run(f"fast-ctc-decode, beam {beam}", decode)


def with_pyctcdecode(
    race: Race, beam: int, python: str | None, limit: int, language: Sequence[str], folder: Path
) -> None:
    if python is None:
        print("pyctcdecode: left out: no --peer-python")
        return
    archive, names = folder / "log_probs.npz", folder / "tokens.json"
    names.write_text(json.dumps(race.tokenizer.tokens))
    ways = (("defaults", "its defaults", limit), (f"{FLOOR},{-THRESHOLD}", "our pruning", max(1, limit // 5)))
    for prune, label, count in ways:
        rows = race.rows[:count]
        np.savez(archive, *rows)
        script = Path(__file__).with_name("pyctcdecode_peer.py")
        command = [python, str(script), str(archive), str(names), str(beam), prune, *language]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            print(f"pyctcdecode: left out: {done.stderr.strip().splitlines()[-1]}")
            return
        result = json.loads(done.stdout)
        race.line(f"pyctcdecode, beam {beam}, {label}, the first {len(rows)}", result["seconds"], result["texts"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--limit", type=int, default=100, help="utterances, spread over the manifest")
    parser.add_argument(
        "--slow-limit", type=int, default=20, help="utterances for pyctcdecode; a fifth with our pruning"
    )
    parser.add_argument("--beams", default="16,100")
    parser.add_argument("--peer-python", help="a Python that has pyctcdecode")
    parser.add_argument("--lm", type=Path, help="ARPA file of words")
    parser.add_argument("--lm-weight", type=float, default=0.5)
    parser.add_argument("--word-bonus", type=float, default=1.0)
    parser.add_argument("--losses", type=Path, help="where to append what a peer found that scores higher, JSON lines")
    parser.add_argument("--skip", default="", help="peers to leave out: flashlight,fast,pyctcdecode")
    arguments = parser.parse_args()
    recognizer = Recognizer.load(arguments.model)
    utterances = read_manifest(arguments.manifest)
    utterances = utterances[:: max(1, len(utterances) // arguments.limit)][: arguments.limit]
    random.Random(1).shuffle(utterances)  # those of one speaker stand together, and some peers decode the first ones
    rows = recognizer.log_probs([read_audio(one.audio, recognizer.sample_rate) for one in utterances])
    steps, alphabet = np.mean([len(row) for row in rows]), len(recognizer.tokenizer)
    print(f"{len(rows)} utterances of {steps:.0f} steps in the mean, {alphabet} tokens; no result is cached")
    lm = NgramModel.load(arguments.lm) if arguments.lm else None
    weights = (arguments.lm_weight, arguments.word_bonus)
    race = Race(recognizer, rows, utterances, lm, weights, arguments.losses)
    race.run("asr, greedy", best_of(GreedyDecoder(recognizer.tokenizer.tokens)))
    language = [str(arguments.lm), *map(str, weights)] if lm else []
    skipped = arguments.skip.split(",")
    with tempfile.TemporaryDirectory() as folder:
        for beam in map(int, arguments.beams.split(",")):
            with_ours(race, beam)
            if "flashlight" not in skipped:
                with_flashlight(race, beam, arguments.lm, Path(folder))
            if "fast" not in skipped and lm is None:
                with_fast_ctc(race, beam)
            if "pyctcdecode" not in skipped:
                with_pyctcdecode(race, beam, arguments.peer_python, arguments.slow_limit, language, Path(folder))


if __name__ == "__main__":
    main()
