"""The espeak-ng speech synthesiser, called through ctypes from the library that the `espeakng-loader` wheel carries.

The functions and numbers are those of espeak-ng's `speak_lib.h` (version 1.52).
"""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asr.errors import CorpusError

_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: espeak_Synth returns when the last samples were handed over
_DO_NOT_EXIT = 0x8000  # espeakINITIALIZE_DONT_EXIT: without it, missing data ends the whole process
_CHARACTERS_ARE_UTF8 = 1
_RATE, _PITCH, _RANGE = 1, 3, 4  # espeak_PARAMETER
_OK = 0
_WITHOUT_DICTIONARY = {"fo", "kaa", "xex"}  # of espeakng-loader 0.2; they can only be spelled out
_IPA = 2  # bit 1 of espeak_TextToPhonemes' phonememode: the International Phonetic Alphabet in UTF-8

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int16), ctypes.c_int, ctypes.c_void_p)


def espeak_data() -> Path:
    """The folder of espeak-ng's data (voices, dictionaries).

    Raises:
        CorpusError: espeakng-loader is not installed.
    """
    try:
        import espeakng_loader
    except ImportError:
        raise CorpusError("the espeak-ng speech synthesiser is missing: pip install espeakng-loader") from None
    return Path(espeakng_loader.get_data_path())


def espeak_variants() -> dict[str, tuple[str, ...]]:
    """Voice variants by name, in alphabetic order, each with the settings lines that shape its sound.

    Raises:
        CorpusError: espeakng-loader is not installed.
    """
    about = ("name", "language", "gender", "maintainer", "status")  # lines that say who, not how it sounds
    variants = {}
    for path in sorted((espeak_data() / "voices" / "!v").iterdir()):
        lines = (" ".join(line.split("#")[0].split()) for line in path.read_text("utf-8", "replace").splitlines())
        variants[path.name] = tuple(line for line in lines if line and line.split()[0] not in about)
    return variants


def espeak_languages() -> list[str]:
    """Codes of the languages and accents that it speaks, such as "el" and "en-gb-scotland", sorted.

    They are the names of its files: some of the codes that stand in these ("en-gb", "fr-fr") it does not take itself.

    Raises:
        CorpusError: espeakng-loader is not installed.
    """
    names = {path.name.lower() for path in (espeak_data() / "lang").rglob("*") if path.is_file()}
    return sorted(names - _WITHOUT_DICTIONARY)


class Espeak:
    """espeak-ng with one voice, once a process.

    The library keeps global state that drifts from one utterance to the next: only a fresh process that speaks the same
    texts in the same order makes the same samples again.

    Attributes:
        sample_rate: Of the waveforms that it makes, Hz.
    """

    def __init__(self, voice: str, seed: int) -> None:
        """Start the synthesiser.

        Args:
            voice: An accent and one of `espeak_variants`, such as "en-us+m3".
            seed: Of its breath noise (unset, espeak-ng takes the time of day).

        Raises:
            CorpusError: The library cannot be used, or has no such voice.
        """
        data = espeak_data()
        import espeakng_loader

        try:
            self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        except OSError as error:
            raise CorpusError(f"espeak-ng cannot be loaded: {error}") from None
        self.sample_rate: int = self._library.espeak_Initialize(_SYNCHRONOUS, 0, str(data).encode(), _DO_NOT_EXIT)
        if self.sample_rate <= 0:
            raise CorpusError(f"espeak-ng cannot read its data in {data} (its path must be at most 159 bytes long)")
        variant = voice.partition("+")[2]  # an unknown variant would be ignored without a word
        if variant not in espeak_variants() or self._library.espeak_SetVoiceByName(voice.encode()) != _OK:
            raise CorpusError(f"espeak-ng has no voice {voice!r}")
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
        self._chunks: list[bytes] = []
        self._callback = _Callback(self._receive)  # kept: the library holds only its address
        self._library.espeak_SetSynthCallback(self._callback)

    def _receive(self, samples: ctypes._Pointer[ctypes.c_int16] | None, count: int, _events: int | None) -> int:
        if samples and count > 0:
            self._chunks.append(ctypes.string_at(samples, 2 * count))
        return 0  # go on

    def speak(self, text: str, *, rate: int = 175, pitch: int = 50, intonation: int = 50) -> npt.NDArray[np.float32]:
        """Speech of a text.

        Args:
            text: What to say.
            rate: Words per minute, 80 to 450.
            pitch: 0 to 99; 50 is the voice's own.
            intonation: Range of the pitch, 0 (monotonous) to 99; 50 is the voice's own.

        Returns:
            float32 (samples,) in [-1, 1], at `sample_rate`.

        Raises:
            CorpusError: The synthesiser reports an error.
        """
        for parameter, value in ((_RATE, rate), (_PITCH, pitch), (_RANGE, intonation)):
            self._library.espeak_SetParameter(parameter, value, 0)
        self._chunks.clear()
        encoded = text.encode()
        status = self._library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, _CHARACTERS_ARE_UTF8, None, None)
        if status != _OK:
            raise CorpusError(f"espeak-ng cannot speak {text!r} (status {status})")
        samples = np.frombuffer(b"".join(self._chunks), dtype=np.int16)
        return samples.astype(np.float32) / np.float32(32768)

    def phonemes(self, text: str) -> str:
        """How the voice pronounces a text, in IPA; two texts with the same phonemes sound the same."""
        pronounced = []
        rest = ctypes.c_char_p(text.encode())
        translate = self._library.espeak_TextToPhonemes
        translate.restype = ctypes.c_char_p
        while rest.value is not None:  # one clause a call, until the pointer is null
            pronounced.append(translate(ctypes.byref(rest), _CHARACTERS_ARE_UTF8, _IPA))
        return b" ".join(pronounced).decode()
