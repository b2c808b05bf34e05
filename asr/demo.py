"""The whole path on the embedded corpus: speech made, a model trained, evaluated and used, with no download."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

from asr.config_file import load_config
from asr.corpora import digits
from asr.evaluate import evaluate, read_splits
from asr.evaluate.history import history
from asr.evaluate.report import Extras
from asr.recognizer import Recognizer
from asr.train.run import train
from asr.wording import how_long

SPLITS = ("train", "valid", "test")


def demo(
    out: Path,
    settings: list[str],
    say: Callable[[str], None],
    progress: Callable[[], AbstractContextManager[Callable[[str, float, float], None]]],
    command: str | None = None,
) -> dict[str, Any]:
    """Run the demonstration; what an interrupted one left is used.

    Args:
        out: Gets data/ (the corpus), run/ (the model) and report/.
        settings: `section.field=value`, which win over conf/digits.yaml.
        say: Where lines for the reader go.
        progress: What shows how far the making of speech is, such as `asr.cli.progress.progress`.
        command: What the report says it was made by.

    Returns:
        The content of report.json.

    Raises:
        CorpusError: The synthesiser is not installed.
    """
    config = load_config("digits", settings)  # a misspelt one shows before the work
    start = time.monotonic()

    def stage(text: str) -> None:
        say(f"[{time.monotonic() - start:4.0f} s] {text}")

    data, run = out / "data", out / "run"
    stage(f"synthesising speech in {data}: digit strings and short commands")
    with progress() as advance:
        spoken = digits.prepare(data, on_progress=partial(advance, "voices"))
    for name, utterances in spoken.items():
        audio = how_long(sum(utterance.duration for utterance in utterances))
        voices = len({utterance.speaker for utterance in utterances})
        say(f"  {name}: {len(utterances)} utterances, {audio}, {voices} voices")
    stage(f"training in {run}")
    train(config, data, run, resume=True)
    stage("evaluating: the test voices are unseen, both in training and in choosing the model")
    recognizer = Recognizer.load(run)
    splits = read_splits([str(data / f"{name}.jsonl") for name in SPLITS])
    report = evaluate(
        recognizer,
        splits,
        out / "report",
        extras=Extras(command, curves=(run / "curves.png").read_bytes(), history=history(run)),
    )
    sample = spoken["test"][0]
    stage(f"transcribing {sample.audio}")
    say(f"  reference:  {sample.text}")
    say(f"  hypothesis: {recognizer.transcribe(sample.audio).text}")
    stage("done")
    return report
