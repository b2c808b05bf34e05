"""One tuning from a model and a validation set to the decoding profile in the model file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asr.audio import read_audio
from asr.data.fingerprints import Prints, make_print, speaker_hashes, to_json
from asr.decode.beam import BeamDecoder
from asr.decode.confidence import confidences, evidence, fit
from asr.decode.greedy import GreedyDecoder
from asr.decode.hypothesis import Hypothesis
from asr.decode.ngram import NgramModel
from asr.decode.options import ONE_WORD, word_boundary
from asr.decode.profile import NBEST, Calibration, DecodingProfile
from asr.decode.wordlists import read_words, words_id
from asr.errors import AsrError
from asr.evaluate.pictures import draw_reliability, draw_surface
from asr.evaluate.seen import seen
from asr.evaluate.splits import Split
from asr.evaluate.tune import LogProbs, Tuner, cached_log_probs, fingerprint, refuse_test_set
from asr.model.file import keep_decoding, model_path
from asr.outputs import require_folder
from asr.recognizer import Recognizer
from asr.score import Score, score
from asr.score.calibration import reliability
from asr.wording import counted


@dataclass(frozen=True)
class Tuned:
    """What came of a tuning.

    Attributes:
        profile: As it now stands in the model file.
        greedy_wer: Of the greedy decoder on the same utterances, a fraction.
        model: The model file.
        folder: Where surface.csv and the pictures are.
    """

    profile: DecodingProfile
    greedy_wer: float
    model: Path
    folder: Path


def tune_model(
    model: str | Path,
    split: Split,
    lm: Path,
    lexicon: Path | None,
    beam: int,
    out: Path | None,
    on_test_set: int,
    device: str = "cpu",
    threads: int | None = None,
    progress: Callable[[str, float, float], None] = lambda what, done, total: None,
    say: Callable[[str], None] = lambda line: None,
) -> Tuned:
    """Tune decoding with a language model, calibrate confidences, and keep both in the model file.

    Args:
        model: A model file or run folder; the file is replaced by one with the profile, its `model_id` unchanged.
        split: The validation set.
        lm: The language model.
        lexicon: A file of words that the decoder keeps to, if any.
        beam: The widest beam.
        out: Folder for what was tried; None: `tune` beside the model file.
        on_test_set: How often the user has said that the split may be a test set.
        device: Where log-probabilities are computed.
        threads: Utterances that are decoded at a time; None: one a core.
        progress: Called with what is done, how much of it, and of how much.
        say: Gets a line for each setting that was tried.

    Raises:
        AsrError: A test set; no words; a file that cannot be used; the model was replaced meanwhile.
        OSError: A folder cannot be written to.
    """
    refuse_test_set(split, on_test_set)
    path = model_path(model)
    folder = out or path.parent / "tune"
    for needed in (folder, path.resolve().parent):  # who may not write there need not wait to hear of it
        require_folder(needed)
    recognizer = Recognizer.load(path, device)
    if not any(recognizer.normalizer(item.text) for item in split.utterances):
        raise AsrError(f"{split.manifest}: no words to tune on")
    language = NgramModel.load(lm)
    words = read_words(lexicon) if lexicon else None
    make = _decoders(recognizer, language, words, say)
    prints = _prints(split, recognizer)
    for line in _heard(split, recognizer, prints):
        say(line)
    log_probs = cached_log_probs(
        recognizer, split.utterances, folder / "cache", lambda done, total: progress("log-probabilities", done, total)
    )
    greedy = _scored(GreedyDecoder(recognizer.tokenizer.tokens).decode_batch(log_probs), split, recognizer)
    tuner = Tuner(make, log_probs, split, recognizer, lambda point: say(f"  {point}"), threads)
    best = tuner.search(beam)
    if len({point.errors for point in tuner.tried.values()}) == 1:
        say(
            f"all settings made the same errors: {counted(len(split.utterances), 'utterance')} cannot tell them apart, "
            "so those that rely least on the language model are kept"
        )
    tuner.save(folder)
    draw_surface(list(tuner.tried.values()), best, folder / "surface.png")
    nbests = tuner.decode(best.lm_weight, best.word_bonus, best.beam, NBEST)
    profile = DecodingProfile(
        lm=language.model_id,
        lm_weight=best.lm_weight,
        word_bonus=best.word_bonus,
        beam=best.beam,
        tuned_on=fingerprint(split.utterances),
        utterances=len(split.utterances),
        wer=best.wer,
        calibration=_calibrate(nbests, log_probs, split, recognizer, language, folder / "reliability.png"),
        lm_name=lm.name,
        lexicon=words_id(words),
        lexicon_name=lexicon.name if lexicon else "",
        lexicon_words=len(set(words or ())),
    )
    recognizer.file.decoding = profile.to_json()
    if prints:
        voices = speaker_hashes(split.dataset.name, split.utterances)
        recognizer.file.heard |= {"tune": to_json(np.concatenate(list(prints.values())), voices)}
    keep_decoding(path, recognizer.file)
    return Tuned(profile, greedy.wer or 0.0, path, folder)


def _decoders(
    recognizer: Recognizer, lm: NgramModel, words: Sequence[str] | None, say: Callable[[str], None]
) -> Callable[..., BeamDecoder]:
    """What makes a decoder of a `beam`, `lm_weight` and `word_bonus`."""
    boundary = word_boundary(recognizer.tokenizer, lm, words)
    if boundary == "":
        say(ONE_WORD)
    decoder = BeamDecoder(
        recognizer.tokenizer.tokens,
        word_boundary=boundary,
        spell=recognizer.tokenizer.spell,
        lm=lm,
        lexicon=words,
    )
    return decoder.with_weights


def _prints(split: Split, recognizer: Recognizer) -> dict[str, Prints]:
    """The fingerprints of what is tuned on, by id; none where a model remembers nothing, or it would seem to."""
    rate = recognizer.sample_rate
    items = split.utterances if recognizer.file.heard else ()
    return {item.id: make_print(item.id, read_audio(item.audio, rate), rate) for item in items}


def _heard(split: Split, recognizer: Recognizer, prints: Mapping[str, Prints]) -> list[str]:
    """What a user should know who tunes on what was learnt from: a line, or none."""
    found = (seen(recognizer.file.heard, split, prints) or {}).get("train", {}).get("utterances", 0)
    if not found:
        return []
    return [
        f"{found:,} of {counted(len(split.utterances), 'utterance')} {'was' if found == 1 else 'were'} seen in "
        "training: settings tuned on them trust the model too much, and confidences come out too high"
    ]


def _scored(nbests: Sequence[Sequence[Hypothesis]], split: Split, recognizer: Recognizer) -> Score:
    texts = {item.id: nbest[0].text for item, nbest in zip(split.utterances, nbests, strict=True)}
    return score({item.id: item.text for item in split.utterances}, texts, recognizer.normalizer)


def _calibrate(
    nbests: Sequence[Sequence[Hypothesis]],
    log_probs: Sequence[LogProbs],
    split: Split,
    recognizer: Recognizer,
    lm: NgramModel,
    picture: Path,
) -> Calibration | None:
    """The calibration under which the words of these readings are judged best; None where nothing can be learned."""
    judged = _scored(nbests, split, recognizer)
    found, correct = [], []
    for nbest, rows, item in zip(nbests, log_probs, judged.per_utterance, strict=True):
        posteriors = [word.confidence for word in recognizer.words(nbest[0], rows)]
        if len(item.correct) == len(posteriors) > 0:  # a normaliser may join or part words: those are left out
            found.append(evidence(posteriors, nbest, lm))
            correct += item.correct
    calibration = fit(np.concatenate(found), np.array(correct)) if found else None
    if calibration:
        measured = reliability(confidences(np.concatenate(found), calibration), correct)
        title = f"{counted(measured.words, 'word')} used for the fit: ECE {measured.ece:.3f}"
        draw_reliability(measured, title, picture)
    return calibration
