"""Division of groups into splits: complete, never empty, near the wanted shares, the same for the same seed."""

from hypothesis import given
from hypothesis import strategies as st

from asr.corpora.divide import divide

SHARES = {"valid": 0.1, "test": 0.1}
groups = st.dictionaries(st.text(min_size=1, max_size=8), st.floats(0.1, 1000), min_size=3, max_size=60)


def share(owner, seconds, split) -> float:
    return sum(seconds[group] for group in owner if owner[group] == split) / sum(seconds.values())


@given(groups, st.integers(0, 5), st.floats(0.01, 0.49), st.floats(0.01, 0.49))
def test_every_group_has_a_split_and_every_split_a_group(seconds, seed, valid, test):
    owner = divide(seconds, {"valid": valid, "test": test}, seed)
    assert owner.keys() == seconds.keys()
    assert set(owner.values()) == {"train", "valid", "test"}


@given(groups, st.integers(0, 5))
def test_the_order_of_the_groups_does_not_matter(seconds, seed):
    backwards = dict(reversed(seconds.items()))
    assert divide(seconds, SHARES, seed) == divide(backwards, SHARES, seed)


def test_many_groups_come_within_one_group_of_their_share():
    seconds = {f"text {number}": 1.0 + number % 7 for number in range(500)}
    owner = divide(seconds, {"valid": 0.05, "test": 0.2}, seed=1)
    longest = 7 / sum(seconds.values())
    assert abs(share(owner, seconds, "valid") - 0.05) <= longest
    assert abs(share(owner, seconds, "test") - 0.2) <= longest


def test_another_seed_is_another_division():
    seconds = {f"text {number}": 1.0 for number in range(100)}
    assert divide(seconds, SHARES, 0) == divide(seconds, SHARES, 0)
    assert divide(seconds, SHARES, 0) != divide(seconds, SHARES, 1)


def test_the_long_group_trains():
    for seed in range(20):
        assert divide({"anna": 3000.0, "bert": 400.0, "cleo": 350.0}, SHARES, seed)["anna"] == "train"


@given(groups, groups, st.integers(0, 5))
def test_groups_that_are_kept_stay_while_others_come(seconds, more, seed):
    before = divide(seconds, SHARES, 0)
    after = divide(more | seconds, SHARES, seed, kept=before)
    assert after.keys() == seconds.keys() | more.keys()
    assert {group: after[group] for group in before} == before


def test_what_is_kept_counts_towards_the_shares():
    seconds = {f"text {number}": 1.0 for number in range(100)}
    owner = divide(seconds, SHARES, 0)
    for evening in range(1, 6):
        seconds |= {f"evening {evening}, text {number}": 1.0 for number in range(30)}
        owner = divide(seconds, SHARES, evening, kept=owner)
    assert share(owner, seconds, "valid") == share(owner, seconds, "test") == 0.1


def test_a_split_that_lost_its_groups_gets_a_new_one():
    kept = {"text 1": "train", "text 2": "valid"}
    owner = divide({"text 1": 9.0, "text 2": 9.0, "text 3": 1.0}, SHARES, 0, kept)
    assert owner == kept | {"text 3": "test"}
