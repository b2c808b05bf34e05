"""The object that a user holds: a model file and a decoder, audio in, transcripts out.

Computed in float32, without autocast or TF32: what is recognised does not depend on what else is in the batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import soxr
import torch
from torch import Tensor

from asr.audio import read_audio
from asr.decode import DECODERS, GreedyDecoder, Hypothesis, TokenSpan
from asr.device import choose_device
from asr.errors import AsrError, AudioError
from asr.model.file import ModelFile, load_model
from asr.transcript import Alternative, Transcript, confidence, words_from

if TYPE_CHECKING:
    from asr.decode import BeamDecoder

Waveform = npt.NDArray[np.float32]
Source = str | Path | bytes | tuple[npt.NDArray[Any], int]

BATCH_FRAMES = 24_000
_WINDOW = 4  # batches' worth of audio that is read ahead and sorted by length


class Recognizer:
    """Recognises speech with a trained model.

    Attributes:
        file: The model and all that came with it: config, tokenizer, normalizer, model_id, training.
        decoder: Turns log-probabilities into text.
    """

    def __init__(self, file: ModelFile, decoder: GreedyDecoder | BeamDecoder) -> None:
        self.file = file
        self.tokenizer = file.tokenizer
        self.normalizer = file.normalizer
        self.decoder = decoder
        self.device = next(file.model.parameters()).device

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu", decoder: str = "greedy") -> Self:
        """A recognizer from a model file or run folder.

        Args:
            path: `model.safetensors`, or a folder that holds it.
            device: cpu, cuda, cuda:1, ..., or auto: cuda where there is one.
            decoder: A name in `asr.decode.DECODERS`.

        Raises:
            ModelFileError: There is no usable model.
            AsrError: There is no such device or decoder.
        """
        if decoder not in DECODERS:
            raise AsrError(f"no such decoder: {decoder}; there are {', '.join(DECODERS)}")
        file = load_model(path, str(choose_device(device)))
        return cls(file, DECODERS[decoder](file.tokenizer.tokens, file.tokenizer.blank))

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

    def transcribe_many(
        self, sources: Iterable[Source], batch_frames: int = BATCH_FRAMES
    ) -> Iterator[Transcript | AudioError]:
        """Transcripts of many recordings, in their order, each as soon as its part of them is done.

        Args:
            sources: As for `transcribe`; read a few batches ahead, never all at once.
            batch_frames: Most frames in a batch, padding included. A longer recording makes a batch of its own.

        Yields:
            A transcript, or the error of a recording that cannot be read.
        """
        window: list[tuple[str | None, Waveform | AudioError]] = []
        frames = 0
        for source in sources:
            name = str(source) if isinstance(source, str | Path) else None
            audio = self._read(source)
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
            decoded = self.decoder.decode_batch(log_probs, steps)
            for number, row, size, nbest in zip(chosen, log_probs, steps.tolist(), decoded, strict=True):
                place = places[number]
                duration = len(readable[place]) / self.sample_rate
                spans = _align(nbest[0], row[:size], self.tokenizer.blank)
                results[place] = self._transcript(window[place][0], duration, nbest, spans)
        for place in range(len(window)):
            yield results[place]

    def _transcript(
        self, name: str | None, duration: float, nbest: Sequence[Hypothesis], spans: Sequence[TokenSpan]
    ) -> Transcript:
        words = words_from(spans, self.tokenizer.tokens, self.step_seconds, duration)
        spoken = [span for span in spans if not self.tokenizer.tokens[span.token].isspace()]
        return Transcript(
            audio=name,
            duration=duration,
            text=nbest[0].text,
            confidence=confidence(spoken) if spoken else None,
            words=words,
            nbest=tuple(Alternative(hypothesis.text, hypothesis.score) for hypothesis in nbest),
        )

    def _batches(self, waveforms: Sequence[Waveform], batch_frames: int) -> Iterator[tuple[list[int], Tensor, Tensor]]:
        """Waveforms through the model, longest first: their places, (batch, steps, tokens), (batch,) steps."""
        for places in _plan([self._frames(waveform) for waveform in waveforms], batch_frames):
            lengths = torch.tensor([len(waveforms[place]) for place in places])
            padded = torch.zeros(len(places), int(lengths.max()))
            for row, place in zip(padded, places, strict=True):
                row[: len(waveforms[place])] = torch.as_tensor(waveforms[place])
            with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
                log_probs, steps = self.file.model(padded.to(self.device), lengths.to(self.device))
            yield places, log_probs, steps

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


def _align(hypothesis: Hypothesis, log_probs: Tensor, blank: int) -> tuple[TokenSpan, ...]:
    """Where each token of a text stands: for a greedy path, where it was decoded; else by forced alignment.

    Args:
        hypothesis: The text.
        log_probs: (steps, tokens) that it was decoded from.
        blank: Number of the blank.
    """
    if hypothesis.spans or not hypothesis.tokens:
        return hypothesis.spans
    from asr.decode import align  # brings numba along, which greedy decoding does without

    return align(log_probs, hypothesis.tokens, blank)


def _plan(frames: Sequence[int], batch_frames: int) -> list[list[int]]:
    """Places of recordings in batches of like length, longest first, within a bound of padded frames."""
    plan: list[list[int]] = []
    for place in sorted(range(len(frames)), key=lambda place: -frames[place]):
        if not plan or frames[plan[-1][0]] * (len(plan[-1]) + 1) > batch_frames:
            plan.append([])
        plan[-1].append(place)
    return plan


def _resampled(samples: npt.NDArray[Any], rate: int, sample_rate: int) -> Waveform:
    """Samples as float32 mono at another rate; integers are scaled to [-1, 1]."""
    scale = np.iinfo(samples.dtype).max + 1.0 if np.issubdtype(samples.dtype, np.integer) else 1.0
    waveform = np.asarray(samples, dtype=np.float32) / np.float32(scale)
    if waveform.ndim == 2:
        waveform = waveform.mean(axis=1)
    if waveform.ndim != 1:
        raise AudioError(f"audio data: samples must be (samples,) or (samples, channels), not {samples.shape}")
    if not np.isfinite(waveform).all():
        raise AudioError("audio data: holds samples that are NaN or infinite")
    if rate != sample_rate:
        waveform = soxr.resample(waveform, rate, sample_rate)
    if not len(waveform):
        raise AudioError(f"audio data: holds no sample at {sample_rate} Hz")
    return np.ascontiguousarray(waveform, dtype=np.float32)
