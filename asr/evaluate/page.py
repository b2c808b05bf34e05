"""report.html: the report as one file for a browser, with every utterance, and some to hear and see."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from asr.atomic import replacing
from asr.errors import AudioError
from asr.evaluate.examples import LONGEST, Example, Examples
from asr.evaluate.markdown import EXPLAINED, interval, kaldi, percent, trained
from asr.evaluate.notes import notes
from asr.evaluate.report import Result
from asr.evaluate.seen import heard_in_training, warnings
from asr.score import UtteranceScore
from asr.wording import counted, how_long

_ASSETS = "assets"
_SCRIPTS = ("theme.js", "example.js", "page.js")


def write_page(
    out: Path, report: dict[str, Any], results: Sequence[Result], examples: Examples, curves: bytes | None = None
) -> None:
    """Write report.html into a folder, in one step."""
    with replacing(out / "report.html") as aside:
        aside.write_text(render(report, results, examples, curves), encoding="utf-8", newline="\n")


def render(report: dict[str, Any], results: Sequence[Result], examples: Examples, curves: bytes | None = None) -> str:
    """The page, which needs no other file and no network.

    Args:
        report: The content of report.json.
        results: What it was made of.
        examples: Of some utterances, what there is to hear and see.
        curves: The picture of the training run, PNG.
    """
    environment = Environment(
        loader=PackageLoader("asr.evaluate", _ASSETS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "how_long": how_long, "counted": counted}
    environment.filters |= {"kaldi": kaldi, "warnings": warnings, "notes": notes}
    environment.filters |= {"interval": interval, "heard_in_training": heard_in_training}
    scripts = {name.removesuffix(".js"): _asset(name) for name in _SCRIPTS}
    splits = report["splits"]
    return environment.get_template("page.html.jinja").render(
        report=report,
        # Reaches to the highest interval or rate, so that all splits can be compared.
        scale=max([*(max([s["wer"] or 0.0, *(s["wer_ci95"] or [])]) for s in splits.values()), 0.01]),
        several=len(splits) > 1,
        explained=EXPLAINED,
        style=Markup(_asset("page.css")),
        scripts={name: Markup(source) for name, source in scripts.items()},
        policy=_policy(scripts.values()),
        data=_json(_data(results, examples)),
        examples=[_json(_example(example)) for example in examples.values()],  # each is parsed when it is opened
        trained=trained(report["trained"]) if report["trained"] else "",
        curves=base64.b64encode(curves).decode() if curves else "",
    )


def _asset(name: str) -> str:
    return (files("asr.evaluate") / _ASSETS / name).read_text(encoding="utf-8")


def _policy(scripts: Any) -> str:
    """What a browser may load or run: these very scripts, and pictures and sounds that the page itself holds."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "media-src blob: data:; base-uri 'none'; form-action 'none'"
    )


def _json(data: Any) -> Markup:
    """JSON that can stand in a script element, whatever is in its texts."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _data(results: Sequence[Result], examples: Examples) -> dict[str, Any]:
    """All utterances, compactly: lists, whose fields page.js names."""
    shown = {key: place for place, key in enumerate(examples)}
    return {
        "splits": [result.split.name for result in results],
        "utterances": [
            [
                number,
                item.id,
                utterance.speaker,
                round(result.durations.get(item.id, utterance.duration), 2),
                _alignment(item),
                _confidences(result, item),
                result.unreadable.get(item.id),
                shown.get((result.split.name, item.id)),
            ]
            for number, result in enumerate(results)
            for utterance, item in zip(result.split.utterances, result.score.per_utterance, strict=True)
        ],
        "broken": [place for place, example in enumerate(examples.values()) if isinstance(example, AudioError)],
    }


def _alignment(item: UtteranceScore) -> list[str | list[str | None]]:
    """A right word as it is, others as the reference's and the recognised word."""
    return [pair.reference if pair.reference == pair.hypothesis else list(pair) for pair in item.alignment]  # type: ignore[misc]


def _confidences(result: Result, item: UtteranceScore) -> list[int] | None:
    """Per cent, of each recognised word."""
    words = result.words(item)
    return None if words is None else [round(100 * word.confidence) for word in words]


def _example(example: Example | AudioError) -> dict[str, Any]:
    if isinstance(example, AudioError):
        return {"error": str(example)}
    return {
        **asdict(example),
        "longest": LONGEST,
        "sound": base64.b64encode(example.sound).decode(),
        "picture": base64.b64encode(example.picture).decode(),
        "words": [[word.word, round(word.start, 3), round(word.end, 3), word.right] for word in example.words],
    }
