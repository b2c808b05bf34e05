"""Speech recognition: train on your own recordings, trust the numbers.

    import asr

    recognizer = asr.load("runs/digits")
    print(recognizer.transcribe("speech.wav").text)

Names are loaded when they are first used (PEP 562): `import asr` costs nothing, and imports no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asr.decode.options import DecodingOptions
    from asr.recognizer import Recognizer
    from asr.transcript import Transcript

    load = Recognizer.load
    __version__: str

__all__ = ["DecodingOptions", "Recognizer", "Transcript", "__version__", "load"]


def __getattr__(name: str) -> Any:
    if name == "load":
        from asr.recognizer import Recognizer

        return Recognizer.load
    if name == "Recognizer":
        from asr.recognizer import Recognizer

        return Recognizer
    if name == "DecodingOptions":
        from asr.decode.options import DecodingOptions

        return DecodingOptions
    if name == "Transcript":
        from asr.transcript import Transcript

        return Transcript
    if name == "__version__":
        from importlib.metadata import version

        return version("asr-ctc")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
