"""What decides whether a run may go on; the refusals themselves are tried in test_run.py, through `train`."""

from asr.train.going_on import differences, settings_id


def test_differences_are_named_by_their_path(settings):
    assert differences(settings(), settings()) == []
    other = settings(name="other", text={"case": "keep"})
    assert differences(settings(), other) == ["name: 'tones' -> 'other'", "text.case: 'lower' -> 'keep'"]


def test_settings_have_an_id_of_what_may_not_change(settings):
    same = settings(
        batches={"workers": 2, "cache_mb": 1, "unreadable": 3}, train={"epochs": 7, "threads": 2, "device": "auto"}
    )
    assert settings_id(same) == settings_id(settings())
    assert settings_id(settings(train={"seed": 2})) != settings_id(settings())
