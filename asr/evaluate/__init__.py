"""A model over manifests: recognise, score, and report in a form for people and one for programs."""

from asr.evaluate.run import evaluate, score_texts
from asr.evaluate.splits import Split, read_splits

__all__ = ["Split", "evaluate", "read_splits", "score_texts"]
