"""The object that a user holds: a model file and a decoder, audio in, transcripts out.

Computed in float32, without autocast or TF32: what is recognised does not depend on what else is in the batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import soxr
import torch
from torch import Tensor

from asr.audio import LOUDEST, read_audio
from asr.decode.confidence import confidences, evidence
from asr.decode.hypothesis import Hypothesis
from asr.decode.options import Chosen, DecodingOptions, choose_decoder
from asr.decode.profile import NBEST, DecodingProfile
from asr.device import choose_device, out_of_memory, without_tf32
from asr.errors import AsrError, AudioError, TextError
from asr.model.file import ModelFile, load_model
from asr.transcript import Alternative, Transcript, Word, overall_confidence, words_from

Waveform = npt.NDArray[np.float32]
Source = str | Path | bytes | tuple[npt.NDArray[Any], int]

BATCH_FRAMES = 24_000
_WINDOW = 4  # batches' worth of audio that is read ahead and sorted by length


class Recognizer:
    """Recognises speech with a trained model.

    Attributes:
        file: The model and all that came with it: config, tokenizer, normalizer, model_id, training.
        decoding: The decoder, how it is called, and what a user should know about it.
    """

    def __init__(self, file: ModelFile, decoding: Chosen) -> None:
        self.file = file
        self.tokenizer = file.tokenizer
        self.normalizer = file.normalizer
        self.decoding = decoding
        self.device = next(file.model.parameters()).device

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu", decoding: DecodingOptions | None = None) -> Self:
        """A recognizer from a model file or run folder.

        Args:
            path: `model.safetensors`, or a folder that holds it.
            device: cpu, cuda, cuda:1, ..., or auto: cuda where there is one.
            decoding: How log-probabilities become text; None: greedily.

        Raises:
            ModelFileError: There is no usable model.
            AsrError: There is no such device, or the decoding options cannot be followed.
        """
        file = load_model(path, str(choose_device(device)))
        profile = DecodingProfile.from_json(file.decoding)
        return cls(file, choose_decoder(decoding or DecodingOptions(), file.tokenizer, profile))

    @property
    def model_id(self) -> str:
        """Hash of the model; equal ids transcribe equally."""
        return self.file.model_id

    @property
    def sample_rate(self) -> int:
        """Hz, of the waveforms that the model takes."""
        return self.file.config.features.sample_rate

    @property
    def step_seconds(self) -> float:
        """Seconds in one output step."""
        return self.file.config.step_seconds

    def transcribe(self, source: Source) -> Transcript:
        """The transcript of one recording.

        Args:
            source: A path ("-": standard input), the bytes of an audio file, or (waveform, sample rate) with samples
                (samples,) or (samples, channels) as `soundfile.read` gives them.

        Raises:
            AudioError: The audio cannot be read.
        """
        (result,) = self.transcribe_many([source])
        if isinstance(result, AudioError):
            raise result
        return result

    def align(self, source: Source, text: str) -> Transcript:
        """A recording's known text with the times of its words; confidences are posteriors.

        Args:
            source: As for `transcribe`.
            text: What is said; it is normalised as the texts of training were.

        Raises:
            AudioError: The audio cannot be read.
            TextError: The text is empty, or holds characters outside the model's alphabet.
            DecodeError: The audio is too short for it.
        """
        from asr.decode.alignment import align
        from asr.decode.ctc import forward_score
        from asr.decode.hypothesis import DecodeError
        from asr.text import steps_needed

        audio = self._read(source)
        if isinstance(audio, AudioError):
            raise audio
        text = self.normalizer(text)
        if not text:
            raise TextError("nothing to align: the text is empty when normalised")
        (log_probs,) = self.log_probs([audio])
        tokens = tuple(self.tokenizer.encode(text))
        name = str(source) if isinstance(source, str | Path) else None
        if (needed := steps_needed(tokens)) > len(log_probs):
            raise DecodeError(
                f"{name or 'audio data'}: {len(audio) / self.sample_rate:.2f} s is too short for a text of "
                f"{len(text)} characters (at least {math.ceil(100 * needed * self.step_seconds) / 100:.2f} s)"
            )
        spans = align(log_probs, tokens)
        score = forward_score(log_probs, tokens)
        said = Hypothesis(text, tokens, score, score, spans=spans)
        duration = len(audio) / self.sample_rate
        return self._transcript(name, duration, [said], self.words(said, log_probs, duration))

    def transcribe_many(
        self,
        sources: Iterable[Source],
        batch_frames: int = BATCH_FRAMES,
        listen: Callable[[int, Waveform], None] | None = None,
    ) -> Iterator[Transcript | AudioError]:
        """Transcripts of many recordings, in their order, each as soon as its part of them is done.

        Args:
            sources: As for `transcribe`; read a few batches ahead, never all at once.
            batch_frames: Most frames in a batch, padding included. A longer recording makes a batch of its own.
            listen: Called with the number of each source that can be read, from 0, and its waveform, (samples,).

        Yields:
            A transcript, or the error of a recording that cannot be read.
        """
        window: list[tuple[str | None, Waveform | AudioError]] = []
        frames = 0
        for number, source in enumerate(sources):
            name = str(source) if isinstance(source, str | Path) else None
            audio = self._read(source)
            if listen and not isinstance(audio, AudioError):
                listen(number, audio)
            window.append((name, audio))
            frames += 0 if isinstance(audio, AudioError) else self._frames(audio)
            if frames >= _WINDOW * batch_frames:
                yield from self._transcribe_window(window, batch_frames)
                window, frames = [], 0
        yield from self._transcribe_window(window, batch_frames)

    def log_probs(self, waveforms: Sequence[Waveform], batch_frames: int = BATCH_FRAMES) -> list[Waveform]:
        """What the acoustic model says, before any decoder.

        Args:
            waveforms: Each (samples,) at `sample_rate`.
            batch_frames: See `transcribe_many`.

        Returns:
            For each waveform (steps, tokens) natural logarithms, float32.
        """
        rows: dict[int, Waveform] = {}
        for places, batch, steps in self._batches(waveforms, batch_frames):
            for place, row, size in zip(places, batch.cpu().numpy(), steps.tolist(), strict=True):
                rows[place] = row[:size].copy()
        return [rows[place] for place in range(len(waveforms))]

    def _transcribe_window(
        self, window: Sequence[tuple[str | None, Waveform | AudioError]], batch_frames: int
    ) -> Iterator[Transcript | AudioError]:
        """Results for recordings that have been read."""
        results: dict[int, Transcript | AudioError] = {}
        readable: dict[int, Waveform] = {}
        for place, (_, audio) in enumerate(window):
            if isinstance(audio, AudioError):
                results[place] = audio
            else:
                readable[place] = audio
        places = list(readable)
        for chosen, log_probs, steps in self._batches(list(readable.values()), batch_frames):
            decoded = self.decoding.decode_batch(log_probs, steps)
            rows = log_probs.cpu().numpy()
            for number, nbest, row, size in zip(chosen, decoded, rows, steps.tolist(), strict=True):
                place = places[number]
                duration = len(readable[place]) / self.sample_rate
                words = self._calibrated(self.words(nbest[0], row[:size], duration), nbest)
                results[place] = self._transcript(window[place][0], duration, nbest, words)
        for place in range(len(window)):
            yield results[place]

    def words(self, hypothesis: Hypothesis, log_probs: Waveform, duration: float = math.inf) -> tuple[Word, ...]:
        """The words of a reading where they were heard; their confidences are posteriors, not calibrated.

        Args:
            hypothesis: A reading.
            log_probs: (steps, tokens) that it is a reading of.
            duration: Of the audio, in seconds.
        """
        spans = hypothesis.spans
        if hypothesis.tokens and not spans:
            from asr.decode.alignment import align  # here: who decodes greedily does not wait for numba

            spans = align(log_probs, hypothesis.tokens)
        return words_from(spans, self.tokenizer.tokens, self.step_seconds, duration)

    def _calibrated(self, words: tuple[Word, ...], nbest: Sequence[Hypothesis]) -> tuple[Word, ...]:
        """The words of the best reading, as sure as was learned with the decoder's profile, if it has one."""
        profile = self.decoding.profile
        if not (profile and profile.calibration and words):
            return words
        found = evidence([word.confidence for word in words], nbest[:NBEST], self.decoding.lm)
        sure = confidences(found, profile.calibration).tolist()
        return tuple(replace(word, confidence=one) for word, one in zip(words, sure, strict=True))

    def _transcript(
        self, name: str | None, duration: float, nbest: Sequence[Hypothesis], words: tuple[Word, ...]
    ) -> Transcript:
        return Transcript(
            audio=name,
            duration=duration,
            text=nbest[0].text,
            confidence=overall_confidence(words),
            words=words,
            nbest=tuple(Alternative(hypothesis.text, hypothesis.score) for hypothesis in nbest[: self.decoding.nbest]),
        )

    def _batches(self, waveforms: Sequence[Waveform], batch_frames: int) -> Iterator[tuple[list[int], Tensor, Tensor]]:
        """Waveforms through the model, longest first: their places, (batch, steps, tokens), (batch,) steps."""
        for places in _plan([self._frames(waveform) for waveform in waveforms], batch_frames):
            try:
                log_probs, steps = self._outputs([waveforms[place] for place in places])
            except (MemoryError, RuntimeError) as error:
                if not out_of_memory(error):
                    raise
                longest = f"{max(len(waveforms[place]) for place in places) / self.sample_rate:,.0f} s"
                raise AsrError(
                    f"out of memory with {len(places)} recordings of up to {longest} at a time: lower --batch-frames"
                    if len(places) > 1
                    else f"out of memory with one recording of {longest}: cut it at pauses"
                ) from None
            yield places, log_probs, steps

    def _outputs(self, waveforms: Sequence[Waveform]) -> tuple[Tensor, Tensor]:
        """The model's (batch, steps, tokens) log-probabilities of one batch, and its (batch,) steps."""
        lengths = torch.tensor([len(waveform) for waveform in waveforms])
        padded = torch.zeros(len(waveforms), int(lengths.max()))
        for row, waveform in zip(padded, waveforms, strict=True):
            row[: len(waveform)] = torch.as_tensor(waveform)
        with torch.inference_mode(), without_tf32():
            log_probs, steps = self.file.model(padded.to(self.device), lengths.to(self.device))
        return log_probs, steps

    def _frames(self, waveform: Waveform) -> int:
        return len(waveform) // self.file.config.features.hop + 1

    def _read(self, source: Source) -> Waveform | AudioError:
        """A source as a waveform at the model's rate, or what is wrong with it."""
        try:
            if isinstance(source, tuple):
                return _resampled(*source, self.sample_rate)
            return read_audio(source, self.sample_rate)
        except AudioError as error:
            return error


def _plan(frames: Sequence[int], batch_frames: int) -> list[list[int]]:
    """Places of recordings in batches of like length, longest first, within a bound of padded frames."""
    plan: list[list[int]] = []
    for place in sorted(range(len(frames)), key=lambda place: -frames[place]):
        if not plan or frames[plan[-1][0]] * (len(plan[-1]) + 1) > batch_frames:
            plan.append([])
        plan[-1].append(place)
    return plan


def _resampled(samples: npt.ArrayLike, rate: float, sample_rate: int) -> Waveform:
    """Samples as float32 mono at another rate; those of 8, 16 and 32 bits are scaled to [-1, 1]."""
    waveform = _scaled(samples)
    if waveform.ndim == 2:
        if waveform.shape[1] > waveform.shape[0]:
            raise AudioError(
                f"audio data: {waveform.shape} has more channels than samples; transpose it to (samples, channels)"
            )
        waveform = waveform.mean(axis=1)
    if waveform.ndim != 1:
        raise AudioError(f"audio data: samples must be (samples,) or (samples, channels), not {waveform.shape}")
    if not np.isfinite(waveform).all():
        raise AudioError("audio data: contains NaN or infinite samples")
    if len(waveform) and (peak := float(np.abs(waveform).max())) > LOUDEST:
        raise AudioError(f"audio data: samples reach {peak:.6g}; floating-point audio must be scaled to [-1, 1]")
    if not 0 < rate < math.inf:
        raise AudioError(f"audio data: the rate must be above 0 Hz, not {rate}")
    if rate != sample_rate:
        waveform = soxr.resample(waveform, rate, sample_rate)
    if not len(waveform):
        raise AudioError(f"audio data: too short, less than one sample at {sample_rate} Hz")
    return np.ascontiguousarray(waveform, dtype=np.float32)


def _scaled(samples: npt.ArrayLike) -> Waveform:
    """Samples as float32, full scale at 1.

    Of whole numbers the type says what full scale is: a list of them, or a wider type, does not, and would be taken for
    silence.
    """
    try:
        given = np.asarray(samples)
        waveform = given.astype(np.float32)
    except (TypeError, ValueError) as error:
        raise AudioError(f"audio data: not an array of numbers: {error}") from None
    kind = given.dtype.kind + str(given.dtype.itemsize)
    if kind == "u1":  # as in 8-bit WAV files, where silence is 128
        return (waveform - np.float32(128)) / np.float32(128)
    if kind in ("i1", "i2", "i4"):
        return waveform / np.float32(np.iinfo(given.dtype).max + 1.0)
    if given.dtype.kind != "f":
        raise AudioError(
            f"audio data: the full scale of {given.dtype} is unknown; samples must be floats in [-1, 1], int16, "
            "int32 or 8-bit integers"
        )
    return waveform
