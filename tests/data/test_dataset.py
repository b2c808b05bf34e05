"""Batches: the same bits whoever reads the audio, targets that are the texts, errors that name the file."""

import gc
import os
import signal
import sys
from dataclasses import fields, replace
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from asr.archive import parse
from asr.audio import read_audio
from asr.config import Config
from asr.config_file import parse_config
from asr.corpora.shards import pack
from asr.data import dataset
from asr.data.dataset import Batch, SpeechData
from asr.data.manifest import Utterance
from asr.data.plan import Example, epoch_plan, plain_plan
from asr.errors import AudioError, TrainingError
from asr.text import Normalizer, Tokenizer

TEXTS = ["Abc, de!", "bad", "a cab", "deed", "c", "bead a b"]


def settings(augment: dict[str, object] | None = None, **batches: object) -> Config:
    return parse_config(
        {
            "features": {"sample_rate": 8000, "mels": 16},
            "augment": {"noise": 0.5, "join_seconds": 4, "join_count": 3} | (augment or {}),
            "batches": {"max_utterances": 2, **batches},
        }
    )


@pytest.fixture
def utterances(write_split, tmp_path: Path) -> list[Utterance]:
    return write_split(tmp_path, "train", TEXTS, speaker="ann")


def make(utterances: list[Utterance], config: Config, kind: type[SpeechData] = SpeechData) -> SpeechData:
    normalizer = Normalizer.from_config(config.text)
    texts = [normalizer(utterance.text) for utterance in utterances]
    tokenizer = Tokenizer.build([*texts, " "])
    return kind(utterances, config, normalizer, tokenizer, tolerated=config.batches.unreadable)


def epoch(data: SpeechData, number: int = 0) -> list[Batch]:
    return list(data.batches(epoch_plan(data.items, data.config, 1, number), number))


def tensors(batch: Batch) -> dict[str, torch.Tensor]:
    values = {field.name: getattr(batch, field.name) for field in fields(Batch)}
    return {name: value for name, value in values.items() if isinstance(value, torch.Tensor)}


def assert_same(ours: list[Batch], theirs: list[Batch]) -> None:
    """Bit for bit."""
    for one, other in zip(ours, theirs, strict=True):
        assert one.ids == other.ids
        for name, values in tensors(one).items():
            assert torch.equal(values, tensors(other)[name]), name


def test_the_number_of_workers_changes_no_bit(utterances):
    alone, shared = (epoch(make(utterances, settings(workers=workers))) for workers in (0, 2))
    assert len(alone) > 1
    assert_same(alone, shared)


def test_the_number_of_workers_changes_no_noise_or_room(utterances, write_split, tmp_path):
    write_split(tmp_path / "noise", "noise", ["a", "b", "c"], rate=11025)
    simulated = {"noise": 1, "noise_files": str(tmp_path / "noise"), "reverb": 0.5, "band": 0.5}
    recorded = simulated | {"reverb_files": str(tmp_path / "noise" / "audio")}
    batches = {}
    for name, augment in (("simulated", simulated), ("recorded", recorded)):
        alone, shared = (epoch(make(utterances, settings(augment, workers=workers))) for workers in (0, 2))
        assert_same(alone, shared)
        batches[name] = alone
    pairs = zip(batches["simulated"], batches["recorded"], strict=True)
    assert any(not torch.equal(one.waveforms, other.waveforms) for one, other in pairs)


@pytest.mark.parametrize("workers", [0, 2])
def test_noise_that_vanishes_is_named_in_one_line(utterances, write_split, tmp_path, workers):
    (noise,) = write_split(tmp_path / "noise", "noise", ["a"])
    data = make(utterances, settings({"noise": 1, "noise_files": str(tmp_path / "noise")}, workers=workers))
    Path(noise.audio).unlink()
    with pytest.raises(AudioError, match=r"noise-0.wav: no such file$"):
        epoch(data)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_cache_changes_no_bit(utterances, workers):
    with_cache, without = make(utterances, settings()), make(utterances, settings(cache_mb=0, workers=workers))
    assert with_cache.waveforms.cache is not None and without.waveforms.cache is None
    assert_same(epoch(with_cache), epoch(without))


def test_a_cache_larger_than_allowed_is_not_filled(utterances):
    small = [replace(utterance, duration=utterance.duration * 100) for utterance in utterances]
    assert make(small, settings(cache_mb=1)).waveforms.cache is None


def test_what_one_meets_in_a_batch_changes_nothing(utterances):
    """An example is a function of (seed, epoch, id): not of its batch, nor of what was read before it."""
    data = make(utterances, settings())
    together = epoch(data)
    for batch, examples in zip(together, epoch_plan(data.items, data.config, 1, 0), strict=True):
        for place, example in enumerate(examples):
            alone = data[[example], 0]
            assert alone.ids == [batch.ids[place]]
            assert torch.equal(alone.waveforms[0], batch.waveforms[place, : int(batch.lengths[place])])
            assert torch.equal(alone.time_masks[0, 0], batch.time_masks[0, place])


def test_seed_and_epoch_change_the_augmentation(utterances):
    data = make(utterances, settings())
    other = make(utterances, data.config.model_copy(update={"train": data.config.train.model_copy(update={"seed": 2})}))
    example = Example((0,), (), 1.0, utterances[0].duration)
    versions = [data[[example], 0], data[[example], 1], other[[example], 0]]
    assert len({version.waveforms.numpy().tobytes() for version in versions}) == 3


def test_targets_are_the_texts(utterances):
    data = make(utterances, settings())
    texts = {utterance.id: Normalizer.from_config(data.config.text)(utterance.text) for utterance in utterances}
    for batch in epoch(data):
        spoken = torch.split(batch.targets, batch.target_lengths.tolist())
        expected = [" ".join(texts[id] for id in ids.split("+")) for ids in batch.ids]
        assert [data.tokenizer.decode(target.tolist()) for target in spoken] == expected
        assert not (batch.targets == data.tokenizer.blank).any()


@given(st.permutations(range(len(TEXTS))), st.integers(1, len(TEXTS)), st.sampled_from(["", " ", "c b"]))
@settings_of_hypothesis(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_tokens_of_joined_texts_are_those_of_their_target(utterances, order, count, between):
    config = settings(cache_mb=0)
    config = config.model_copy(update={"augment": config.augment.model_copy(update={"join_text": between})})
    data = make(utterances, config)
    example = Example(tuple(order[:count]), (0.1,) * (count - 1), 1.0, 1.0)
    assert data.tokens(example) == len(data.tokenizer.encode(data.text(example)))


def test_what_would_stand_between_texts_that_are_never_joined_need_not_be_in_the_alphabet(utterances):
    config = parse_config({"features": {"sample_rate": 8000}, "augment": {"join_text": "?"}})
    assert make(utterances, config).tokens(Example((1,), (), 1.0, 1.0)) == len("bad")


def test_without_an_epoch_nothing_is_augmented(utterances):
    data = make(utterances, settings())
    plan = plain_plan(data.items, data.config)
    for examples, batch in zip(plan, data.batches(plan, epoch=None), strict=True):
        assert batch.time_masks.numel() == batch.mel_masks.numel() == 0
        assert [data.text(example) for example in examples] == [data.texts[example.members[0]] for example in examples]
        for example, row, length in zip(examples, batch.waveforms, batch.lengths.tolist(), strict=True):
            expected = read_audio(utterances[example.members[0]].audio, 8000)
            assert length == len(expected)
            assert np.abs(row[:length].numpy() - expected).max() < 2**-15
            assert not row[length:].any()


def test_joined_examples_have_their_gaps(utterances):
    data = make(utterances, settings())
    (batch,) = data.batches([[Example((2, 0, 1), (0.1, 0.25), 1.0, 4.0)]], epoch=None)
    first, second, third = (data.waveforms[position] for position in (2, 0, 1))
    silence = [np.zeros(round(8000 * gap), np.float32) for gap in (0.1, 0.25)]
    expected = np.concatenate([first, silence[0], second, silence[1], third])
    assert np.array_equal(batch.waveforms[0].numpy(), expected)
    assert batch.ids == ["train-2+train-0+train-1"]
    assert data.tokenizer.decode(batch.targets.tolist()) == "a cab abc de bad"


def test_the_planned_length_is_that_of_the_audio(utterances):
    """The plan and the check for targets that are too long know only durations."""
    data = make(utterances, settings())
    for number in range(5):
        plan = epoch_plan(data.items, data.config, 1, number)
        for examples, batch in zip(plan, data.batches(plan, number), strict=True):
            planned = [8000 * example.seconds for example in examples]
            assert batch.lengths.tolist() == pytest.approx(planned, abs=2)


@pytest.mark.parametrize(("workers", "cache_mb"), [(0, 100), (0, 0), (2, 0)])
def test_an_unreadable_file_is_named_in_one_line(utterances, workers, cache_mb):
    broken = Path(utterances[3].audio)
    broken.write_bytes(broken.read_bytes()[:20])
    with pytest.raises(AudioError) as error:
        epoch(make(utterances, settings(workers=workers, cache_mb=cache_mb)))
    assert str(broken) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("workers", "cache_mb"), [(0, 100), (0, 0), (2, 0)])
def test_unreadable_files_are_left_out_where_so_many_are_allowed(utterances, workers, cache_mb):
    alone = settings({"join_seconds": 0}, workers=workers, cache_mb=cache_mb, unreadable=2)
    whole = epoch(make(utterances, alone))
    for place in (3, 4):
        Path(utterances[place].audio).write_bytes(b"RIFF")
    data = make(utterances, alone)
    left = epoch(data)
    assert [name for batch in whole for name in batch.ids if name not in ("train-3", "train-4")] == [
        name for batch in left for name in batch.ids
    ]
    assert sorted(name for batch in left for name in batch.lost) == ["train-3", "train-4"]
    assert all(utterances[int(name[-1])].audio in error for batch in left for name, error in batch.lost.items())
    assert sum(batch.lost_tokens for batch in left) == len(data.texts[3] + data.texts[4])
    for before, after in zip(whole, left, strict=True):
        for row, name in enumerate(after.ids):
            was, length = before.ids.index(name), int(after.lengths[row])
            assert torch.equal(after.waveforms[row, :length], before.waveforms[was, :length])


@pytest.mark.parametrize("workers", [0, 2])
def test_what_is_lost_is_named_by_the_recording_not_by_what_it_was_joined_with(utterances, workers):
    Path(utterances[3].audio).write_bytes(b"RIFF")
    data = make(utterances, settings(workers=workers, cache_mb=0, unreadable=1))
    for number in range(3):
        lost = [(name, batch.lost_tokens) for batch in epoch(data, number) for name in batch.lost]
        assert [name for name, _ in lost] == ["train-3"]
        assert lost[0][1] >= len(data.texts[3])


@pytest.mark.parametrize("cache_mb", [0, 100])
@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_audio_that_is_not_as_long_as_planned_is_named(utterances, cache_mb, factor):
    """Batches are bounded by what manifests say; a minute where a second was planned would not fit."""
    wrong = replace(utterances[3], duration=factor * utterances[3].duration)
    with pytest.raises(
        AudioError, match=rf"train-3\.wav: lasts .* s, but its manifest says {wrong.duration:.2f} s; .*--fix"
    ):
        epoch(make([*utterances[:3], wrong, *utterances[4:]], settings(cache_mb=cache_mb)))


def test_audio_too_short_for_its_text_is_named_before_its_loss_is_infinite(utterances):
    """Selection goes by the manifest, from which audio may differ by a little."""
    data = make(utterances, settings({"join_seconds": 0}))
    place = min(range(len(utterances)), key=lambda place: utterances[place].duration)
    rate = data.config.features.sample_rate
    seconds = len(data.waveforms[place]) / rate
    long = replace(utterances[place], text="ab" * data.config.steps(seconds), duration=seconds + 0.1)
    others = [*utterances[:place], long, *utterances[place + 1 :]]
    with pytest.raises(AudioError, match=rf"train-{place}\.wav: too short for its text, .* batches\.unreadable=1"):
        epoch(make(others, settings({"join_seconds": 0})))
    left = epoch(make(others, settings({"join_seconds": 0}, unreadable=1)))
    assert [name for batch in left for name in batch.lost] == [f"train-{place}"]


def test_durations_may_be_rounded(utterances):
    rounded = [replace(utterance, duration=round(utterance.duration, 1)) for utterance in utterances]
    assert len(epoch(make(rounded, settings())))


def test_too_many_unreadable_files_are_named_before_training(utterances):
    for place in (0, 3, 4):
        Path(utterances[place].audio).write_bytes(b"RIFF")
    with pytest.raises(AudioError, match=r"train-0.*train-3.*train-4.*\(batches\.unreadable allows 2\)"):
        make(utterances, settings(unreadable=2))


class Dying(SpeechData):
    """Its worker processes are killed, as by a system that is out of memory."""

    def __getitem__(self, key: tuple[list[Example], int | None]) -> Batch:
        if torch.utils.data.get_worker_info():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(key)


def test_a_dead_worker_does_not_hang_the_run(utterances):
    with pytest.raises(RuntimeError, match="DataLoader worker"):
        epoch(make(utterances, settings(workers=2), kind=Dying))


def test_a_worker_that_dies_when_it_is_no_longer_wanted_is_passed_over(utterances, monkeypatch):
    """torch, told by a signal at whatever line, would raise within a destructor, which Python can only print."""
    unheard, kind = [], dataset._MultiProcessingDataLoaderIter
    monkeypatch.setattr(sys, "unraisablehook", unheard.append)
    end = kind._shutdown_workers

    def noticed(loader) -> None:
        if not loader._shutdown:
            end(loader)
            raise RuntimeError("DataLoader worker (pid 1) is killed by signal: Killed.")

    monkeypatch.setattr(kind, "_shutdown_workers", noticed)
    data = make(utterances, settings(workers=2))
    batches = data.batches(epoch_plan(data.items, data.config, 1, 0), 0)
    assert next(batches).ids
    del batches
    gc.collect()
    assert unheard == []


def test_a_worker_is_silent_about_a_training_process_that_is_gone(capsys, monkeypatch):
    """Where that ended with an error, the error's one line is all there is to say."""
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    dataset._start_worker(0)
    for error in (ConnectionResetError(104, "reset by peer"), EOFError()):
        sys.excepthook(type(error), error, None)
    assert capsys.readouterr().err == ""
    sys.excepthook(ValueError, ValueError("a bug"), None)
    assert "a bug" in capsys.readouterr().err


def test_no_shared_memory_does_not_hang_the_run(utterances, monkeypatch):
    """As in a container, which has little of it: torch's own attempt to share would fail in a thread, unheard."""

    def refuse(tensor: torch.Tensor) -> None:
        raise RuntimeError("unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)")

    monkeypatch.setattr(torch.Tensor, "share_memory_", refuse)
    with pytest.raises(TrainingError, match="no shared memory left"):
        epoch(make(utterances, settings(workers=2)))
    assert epoch(make(utterances, settings(workers=0)))


def test_a_batch_moves_whole(utterances):
    batch = epoch(make(utterances, settings()))[0]
    moved = batch.to(torch.device("meta"))
    assert len(tensors(moved)) == 7 and all(values.device.type == "meta" for values in tensors(moved).values())
    assert moved.ids == batch.ids


@pytest.fixture
def packed(utterances, tmp_path) -> list[Utterance]:
    """The same utterances in shards of two."""
    shards = pack(tmp_path / "packed", {"train": utterances}, 0.06)["train"]
    assert len({parse(utterance.audio).shard for utterance in shards}) == 3
    return shards


def by_id(batches: list[Batch]) -> dict[str, bytes]:
    """The waveform of each example."""
    return {
        name: batch.waveforms[row, : int(batch.lengths[row])].numpy().tobytes()
        for batch in batches
        for row, name in enumerate(batch.ids)
    }


def test_shards_in_memory_are_as_good_as_files(utterances, packed):
    ours, theirs = make(packed, settings()), make(utterances, settings())
    assert ours.items == theirs.items
    assert_same(epoch(ours), epoch(theirs))


@pytest.mark.parametrize("workers", [0, 2])
def test_shards_read_in_each_epoch_are_read_window_by_window(utterances, packed, workers):
    config = settings(cache_mb=0, shard_window=1, workers=workers)
    data = make(packed, config)
    plan = epoch_plan(data.items, config, 1, 0)
    batches = epoch(data)
    assert [batch.ids for batch in batches] == [
        ["+".join(data.items[n].id for n in e.members) for e in b] for b in plan
    ]
    shards = [[data.items[position].shard for example in b for position in example.members] for b in plan]
    assert all(len(set(shard)) == 1 for shard in shards)
    assert len(list(groupby(shards, key=lambda shard: shard[0]))) == 3
    loose = make(utterances, config)
    made = loose.batches(plan, 0)  # the same examples from files
    assert by_id(batches) == by_id(list(made))


def test_an_epoch_taken_up_in_its_middle_goes_on_as_it_would_have(packed):
    data = make(packed, settings(cache_mb=0, shard_window=2))
    plan = epoch_plan(data.items, data.config, 1, 0)
    assert_same(list(data.batches(plan[2:], 0)), epoch(data)[2:])


def test_a_shard_that_is_cut_is_named(packed):
    shard = Path(parse(packed[-1].audio).shard)
    shard.write_bytes(shard.read_bytes()[:20_000])
    with pytest.raises(AudioError, match="is truncated"):
        epoch(make(packed, settings(cache_mb=0)))


def test_a_speed_that_leaves_too_little_time_for_the_text_is_not_used(utterances):
    """By its manifest, an utterance may be a few milliseconds longer than it is: then it is heard as recorded."""
    config = settings({"join_seconds": 0, "noise": 0})
    data = make(utterances, config)
    place = max(range(len(utterances)), key=lambda place: len(data.waveforms[place]))
    samples = len(data.waveforms[place])
    steps = config.steps(samples / config.features.sample_rate)
    tight = make([replace(utterances[place], text=("ab" * steps)[:steps])], config)
    (example,) = (example for examples in plain_plan(tight.items, config) for example in examples)
    for speed, length in ((0.9, samples / 0.9), (1.1, samples)):
        assert len(tight.make(replace(example, speed=speed), 0).waveform) == pytest.approx(length, abs=2)
