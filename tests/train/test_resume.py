"""The second promise: a run killed at any moment and resumed ends with the same weights, bit for bit.

With another number of loader processes, too. Checkpoints, log and model file are compared with those of a run that was
not disturbed. `pytest -s` prints what was resumed from where; what a fault is, `family.py` says.
"""

import random
import signal

import pytest

DEAD = (-signal.SIGKILL, -signal.SIGXFSZ)


def kills(file: str, size: int, folder: str, skip: int) -> dict[str, dict[str, object]]:
    """Around all that replaces a file. Its folder was synced `skip` times before; after the write is before fsync."""
    faults = {
        f"{file}: before write": {"what": "write", "file": file, "when": "before"},
        f"{file}: during write": {"what": "write", "file": file, "when": "during", "bytes": size // 2},
    }
    for what in ("fsync", "rename"):
        for when in ("before", "after"):
            faults[f"{file}: {when} {what}"] = {"what": what, "file": file, "when": when}
    faults[f"{file}: after fsync of its folder"] = {"what": "fsync", "file": folder, "when": "after", "skip": skip}
    return faults


def appends(name: str, file: str, **which: object) -> dict[str, dict[str, object]]:
    """Around a record of a log."""
    return {
        f"{file}: {when} {name}": {"what": "append", "file": file, "when": when, **which}
        for when in ("before", "during", "after")
    }


FAULTS = {
    **kills("config.yaml", 5000, "run", 0),
    **appends("step 5", "log.jsonl", line='"step": 5,'),
    **appends("the first epoch", "log.jsonl", line='"kind": "epoch"'),
    **appends("a record", "events.*", skip=7),
    **kills("step-00000000.pt", 20000, "checkpoints", 0),
    **kills("step-00000006.pt", 60000, "checkpoints", 3),
    **{
        f"step-00000003.pt: {when} it is deleted": {
            "what": "unlink",
            "file": "step-00000003.pt",
            "when": when,
            "skip": 1,
        }
        for when in ("before", "after")  # skipped: what was the temporary file beside it
    },
    **kills("model.safetensors", 19000, "run", 2),
    **kills("curves.png", 60000, "run", 4),
}
AT_RESUMING = {**kills("config.yaml", 5000, "run", 0), **kills("log.jsonl", 800, "run", 1)}
QUICK = (
    "config.yaml: during write",
    "log.jsonl: during step 5",
    "step-00000006.pt: during write",
    "step-00000006.pt: before rename",
    "model.safetensors: after fsync of its folder",
)


def told(moment: str, workers: int, resumed: str) -> None:
    """A line of the table."""
    print(f"| {moment} | {workers} -> {2 - workers} | {resumed} | equal |")


def some_long(faults: dict[str, dict[str, object]]) -> list[object]:
    return [pytest.param(fault, id=fault, marks=() if fault in QUICK else pytest.mark.long) for fault in faults]


@pytest.mark.parametrize("moment", some_long(FAULTS))
def test_a_killed_run_ends_with_the_same_weights(moment, family, tmp_path):
    """Killed with no loader processes and resumed with two, or the other way round."""
    workers = 2 * (list(FAULTS).index(moment) % 2)
    outcome = family.train(tmp_path / "run", workers, fault=FAULTS[moment])
    assert outcome.status in DEAD, outcome.err
    told(moment, workers, family.resume(tmp_path / "run", 2 - workers))


@pytest.mark.parametrize("moment", [pytest.param(name, id=name, marks=pytest.mark.long) for name in AT_RESUMING])
def test_a_run_killed_as_it_is_resumed_ends_with_the_same_weights(moment, family, tmp_path):
    workers = 2 * (list(AT_RESUMING).index(moment) % 2)
    begun = {"what": "append", "file": "log.jsonl", "line": '"step": 6,', "when": "after"}
    for fault in (begun, AT_RESUMING[moment]):
        outcome = family.train(tmp_path / "run", workers, fault=fault)
        assert outcome.status in DEAD, outcome.err
    told(f"resuming, {moment}", workers, family.resume(tmp_path / "run", 2 - workers))


@pytest.mark.parametrize("seed", [pytest.param(seed, marks=pytest.mark.long if seed else ()) for seed in range(10)])
def test_a_run_killed_at_a_random_time_ends_with_the_same_weights(seed, family, tmp_path):
    workers = 2 * (seed % 2)
    family.undisturbed(workers)
    after = random.Random(seed).uniform(0.1, 0.9) * family.seconds[workers]
    outcome = family.train(tmp_path / "run", workers, kill_after=after)
    assert outcome.status in (0, *DEAD), outcome.err  # 0: the machine was quicker this time
    told(f"after {after:.2f} s of {family.seconds[workers]:.2f}", workers, family.resume(tmp_path / "run", 2 - workers))


@pytest.mark.long
def test_a_run_killed_again_and_again_ends_with_the_same_weights(family, tmp_path):
    chance = random.Random(0)
    for sitting in range(10):
        workers = 2 * (sitting % 2)
        family.undisturbed(workers)
        after = chance.uniform(0.2, 0.7) * family.seconds[workers]
        outcome = family.train(tmp_path / "run", workers, kill_after=after)
        assert outcome.status in (0, *DEAD), outcome.err
    told("ten times in a row", 2, family.resume(tmp_path / "run", 0))
