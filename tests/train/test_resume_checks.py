"""What decides whether a run may go on; the refusals themselves are tried in test_run.py, through `train`."""

import pytest

from asr.errors import TrainingError
from asr.train.group import Group
from asr.train.resume_checks import differences, refuse_unlike_processes, settings_id


def test_differences_are_named_by_their_path(settings):
    assert differences(settings(), settings()) == []
    other = settings(name="other", text={"case": "keep"})
    assert differences(settings(), other) == ["name: 'tones' -> 'other'", "text.case: 'lower' -> 'keep'"]


class Pair(Group):
    """One of two processes: what it hands out is kept, and what the other one has handed out comes back with it."""

    def __init__(self, other=()):
        super().__init__()
        self.other, self.said = list(other), []

    def gather(self, mine):
        self.said.append(mine)
        return [*mine, *(self.other.pop(0) if self.other else [])]


def meet(config, other):
    first = Pair()
    refuse_unlike_processes(first, other, "data")
    refuse_unlike_processes(Pair(first.said), config, "data")


@pytest.mark.parametrize("other", [{"train": {"epochs": 9}}, {"batches": {"unreadable": 3}}, {"train": {"lr": 0.5}}])
def test_processes_with_settings_of_their_own_do_not_train_together(settings, other):
    meet(settings(), settings())
    with pytest.raises(TrainingError, match="different settings"):
        meet(settings(), settings(**other))


def test_settings_have_an_id_of_what_may_not_change(settings):
    same = settings(
        batches={"workers": 2, "cache_mb": 1, "unreadable": 3}, train={"epochs": 7, "threads": 2, "device": "auto"}
    )
    assert settings_id(same) == settings_id(settings())
    assert settings_id(settings(train={"seed": 2})) != settings_id(settings())
