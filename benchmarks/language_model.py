"""An n-gram language model of a text: making, storing, loading and asking it, beside KenLM where that is installed.

    python benchmarks/language_model.py TEXT [--order 3] [--words 1000000] [--kenlm FOLDER]

TEXT is cut at white space, a sentence a line. FOLDER holds KenLM's programs lmplz, build_binary and query; its Python
module is used if it can be imported. All figures are CPU seconds, one thread, so that other programs on the machine
count little; the compilation of our loops, once a machine, is not in them.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import accumulate, takewhile
from pathlib import Path
from typing import Any

import numpy as np

from asr.decode.compiled import compiled
from asr.decode.kneser_ney import estimate
from asr.decode.ngram import NgramModel
from asr.decode.ngram_arrays import NgramArrays, advance, score_words

SENTENCES = 10_000  # for the comparison of scores


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of this process, and what was made in them."""
    start = time.process_time()
    made = run()
    return time.process_time() - start, made


def outside(*command: str | Path, stdin: Path | None = None, stdout: Path | None = None) -> float:
    """CPU seconds of a program."""

    def used() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return children.ru_utime + children.ru_stime

    before = used()
    with (stdin or Path(os.devnull)).open("rb") as source, (stdout or Path(os.devnull)).open("wb") as sink:
        subprocess.run([*command], stdin=source, stdout=sink, stderr=subprocess.DEVNULL, check=True)
    return used() - before


@compiled
def scattered(arrays: NgramArrays, states: np.ndarray, words: np.ndarray) -> float:
    """Sum of the log-probabilities of words after states that have nothing to do with each other."""
    total = 0.0
    for place in range(len(words)):
        total += advance(arrays, states[place], words[place])[0]
    return total


def ours(sentences: list[list[str]], order: int, folder: Path) -> NgramModel:
    seconds, found = timed(lambda: estimate(sentences, order))
    model: NgramModel
    linking, model = timed(lambda: NgramModel.from_table(found.table))
    print(f"{'n-grams':<34}{' + '.join(f'{count:,}' for count in model.counts)} = {sum(model.counts):,}")
    print(f"{'training, from words in memory':<34}{seconds + linking:8.2f} s")
    model.score(["warm", "up"])
    for name in ("ours.arpa", "ours.ngram"):
        writing, _ = timed(partial(model.save, folder / name))
        loading, _ = timed(partial(NgramModel.load, folder / name))
        size = (folder / name).stat().st_size / 1e6
        print(f"{name + ': write, load, size':<34}{writing:8.2f} s {loading:8.3f} s {size:7.1f} MB")
    numbers = np.concatenate([model.numbers(sentence) for sentence in sentences])
    seconds, scores = timed(lambda: score_words(model.arrays, model.start, model.end, numbers))
    print(f"{'queries in a loop, the text':<34}{len(numbers) / seconds / 1e6:8.2f} M/s")
    rng = np.random.default_rng(0)
    states = rng.permutation(model.arrays.state[rng.integers(0, len(model.arrays.word), len(numbers))]).astype(np.int64)
    shuffled = rng.permutation(numbers)
    scattered(model.arrays, states[:1], shuffled[:1])
    seconds, _ = timed(lambda: scattered(model.arrays, states, shuffled))
    print(f"{'queries in a loop, scattered':<34}{len(numbers) / seconds / 1e6:8.2f} M/s")
    seconds, _ = timed(lambda: [model.score(sentence) for sentence in sentences])
    print(f"{'sentences, from Python':<34}{len(numbers) / seconds / 1e6:8.2f} M words/s")
    print(f"{'perplexity of the text itself':<34}{math.exp(-scores.mean()):8.2f}")
    return model


def programs(kenlm: Path, order: int, folder: Path) -> None:
    """KenLM's own programs; `query` reads text, and that is in its time."""
    text = folder / "text"
    seconds = outside(kenlm / "lmplz", "-o", str(order), "-S", "1G", stdin=text, stdout=folder / "kenlm.arpa")
    print(f"{'KenLM lmplz, from a file':<34}{seconds:8.2f} s")
    for kind in ("probing", "trie"):
        packed = folder / f"kenlm.{kind}"
        seconds = outside(kenlm / "build_binary", kind, folder / "kenlm.arpa", packed)
        size = packed.stat().st_size / 1e6
        print(f"{f'KenLM {kind}: from ARPA, size':<34}{seconds:8.2f} s {'':10} {size:7.1f} MB")
        written = text.read_text(encoding="utf-8")
        events = len(written.split()) + written.count("\n")  # with the ends of sentences, as ours are counted
        answering = outside(kenlm / "query", "-v", "summary", packed, stdin=text)
        print(f"{f'KenLM query {kind}, the text':<34}{events / answering / 1e6:8.2f} M/s")


def module(model: NgramModel, sentences: list[list[str]], folder: Path) -> None:
    """KenLM's Python module on our ARPA file: its speed, and whether it says the same."""
    try:
        import kenlm
    except ImportError:
        print("KenLM's Python module is not installed")
        return
    loading, peer = timed(lambda: kenlm.Model(str(folder / "ours.arpa")))
    print(f"{'KenLM module: load ours.arpa':<34}{loading:8.2f} s")
    texts = [" ".join(sentence) for sentence in sentences]
    seconds, _ = timed(lambda: [peer.score(text) for text in texts])
    events = sum(map(len, sentences)) + len(sentences)
    print(f"{'KenLM sentences, from Python':<34}{events / seconds / 1e6:8.2f} M words/s")
    rng = np.random.default_rng(1)
    some = [list(sentences[number]) for number in rng.choice(len(sentences), min(SENTENCES, len(sentences)), False)]
    for sentence in some[::2]:  # every second one in disorder, with a word that nobody knows
        rng.shuffle(sentence)
        sentence[0] = "nonesuchword"
    words = [(sentence, " ".join(sentence)) for sentence in some]
    exact = [sum(log10 for log10, *_ in peer.full_scores(text)) for _, text in words]  # summed in float64
    totals = [peer.score(text) for _, text in words]  # summed in float32
    mine = [model.score(sentence) / math.log(10) for sentence, _ in words]
    print(f"{len(some):,} sentences, largest distance in log10 from")
    print(f"{'  KenLM, its words added up in float64':<42}{_farthest(mine, exact):.1e}")
    print(f"{'  KenLM, its sentence scores (float32)':<42}{_farthest(mine, totals):.1e}")
    print(f"{'  (these two from each other)':<42}{_farthest(exact, totals):.1e}")


def _farthest(one: list[float], other: list[float]) -> float:
    return float(np.abs(np.subtract(one, other)).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--order", type=int, default=3)
    parser.add_argument("--words", type=int, default=1_000_000)
    parser.add_argument("--kenlm", type=Path)
    arguments = parser.parse_args()
    lines = [line.split() for line in arguments.text.read_text(encoding="utf-8").splitlines()]
    totals = takewhile(lambda total: total <= arguments.words, accumulate(map(len, lines)))
    sentences = [line for line, _ in zip(lines, totals, strict=False) if line]
    print(f"{sum(map(len, sentences)):,} words, {len(sentences):,} sentences, order {arguments.order}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "text").write_text("\n".join(map(" ".join, sentences)) + "\n", encoding="utf-8")
        model = ours(sentences, arguments.order, folder)
        if arguments.kenlm:
            programs(arguments.kenlm, arguments.order, folder)
        else:
            print("KenLM's programs: not asked for (--kenlm)")
        module(model, sentences, folder)


if __name__ == "__main__":
    main()
