"""Examples as files: what is in them is what training gets."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from asr.audio import read_audio, write_wav
from asr.data.dataset import SpeechData
from asr.data.manifest import Utterance
from asr.data.plan import epoch_plan
from asr.text import Normalizer
from asr.train.preview import write_examples

MASK = (0xC9, 0xD6, 0xDF)


@pytest.fixture
def recordings(tmp_path, babble) -> list[Path]:
    files = [tmp_path / f"{name}.wav" for name in ("one", "two")]
    for seed, file in enumerate(files):
        write_wav(file, babble(1.0 + 0.3 * seed, 16000, seed), 16000)
    return files


def stems(files: list[Path]) -> list[Path]:
    return [Path(file.stem) for file in files]


def test_they_are_those_of_training(recordings, settings, tmp_path):
    """The same waveforms and masks as in the batches of a run on these recordings."""
    config = settings(augment={"noise": 0.5, "reverb": 0.5, "band": 0.5, "band_high_hz": [1000, 3000]})
    written = list(write_examples(recordings, stems(recordings), config, 2, tmp_path / "out"))
    utterances = [Utterance(file.stem, str(file), "", len(read_audio(file, 8000)) / 8000) for file in recordings]
    data = SpeechData(utterances, config, Normalizer.from_config(config.text), None)
    for epoch in range(2):
        for batch in data.batches(epoch_plan(data.items, config, config.train.seed, epoch), epoch):
            for row, (id, length) in enumerate(zip(batch.ids, batch.lengths.tolist(), strict=True)):
                path = tmp_path / "out" / f"{id}-{epoch + 1}.wav"
                assert np.allclose(read_audio(path, 8000), batch.waveforms[row, :length], atol=2**-15)
                (line,) = (str(one.drawn) for one in written if one.path == path)
                masks = [f"{start}-{end}" for start, end in batch.time_masks[0, row].tolist() if end > start]
                assert all(span in line for span in masks)


def test_what_is_written(recordings, settings, tmp_path):
    written = list(write_examples(recordings[:1], [Path("deep/one")], settings(), 2, tmp_path / "out"))
    names = sorted(path.name for path in (tmp_path / "out" / "deep").iterdir())
    assert names == ["one-1.png", "one-1.wav", "one-2.png", "one-2.wav", "one-original.wav"]
    assert [one.path.name for one in written] == ["one-1.wav", "one-2.wav"]
    assert all(one.drawn.startswith("speed ") and not one.error for one in written)
    original = read_audio(tmp_path / "out" / "deep" / "one-original.wav", 8000)
    assert np.allclose(original, read_audio(recordings[0], 8000), atol=2**-15)


def test_masks_are_in_the_picture(recordings, settings, tmp_path):
    """As much of it as was drawn, in a colour that features have not."""

    def masked(**augment: object) -> int:
        config = settings(augment={"noise": 0, "mel_masks": 0, "time_masks": 1, "time_mask_share": 0.3, **augment})
        (one,) = write_examples(recordings[:1], stems(recordings[:1]), config, 1, tmp_path / "out")
        pixels = np.round(imread(one.path.with_suffix(".png"))[..., :3] * 255)
        return int((pixels == MASK).all(-1).sum())

    assert masked(time_mask_ms=0) == 0
    assert masked(time_mask_ms=300) > 1000


def test_there_is_a_panel_for_each_view(recordings, settings, tmp_path):
    heights = []
    for consistency in (0.0, 0.3):
        config = settings(train={"consistency": consistency})
        (one,) = write_examples(recordings[:1], stems(recordings[:1]), config, 1, tmp_path / "out")
        heights.append(imread(one.path.with_suffix(".png")).shape[0])
    assert heights[1] > 1.3 * heights[0]


def test_another_seed_makes_other_examples(recordings, settings, tmp_path):
    for seed in (1, 2):
        config = settings(train={"seed": seed})
        list(write_examples(recordings[:1], stems(recordings[:1]), config, 1, tmp_path / str(seed)))
    assert (tmp_path / "1" / "one-1.wav").read_bytes() != (tmp_path / "2" / "one-1.wav").read_bytes()


def test_what_cannot_be_read_is_named_and_the_rest_is_done(recordings, settings, tmp_path):
    recordings[0].write_bytes(b"RIFF")
    written = list(write_examples(recordings, stems(recordings), settings(), 1, tmp_path / "out"))
    assert "one.wav" in written[0].error
    assert [one.path.name for one in written[1:]] == ["two-1.wav"]
    assert not (tmp_path / "out" / "one-original.wav").exists()
    (only,) = write_examples(recordings[:1], stems(recordings[:1]), settings(), 1, tmp_path / "none")
    assert only.error
