"""Settings: what a file and overrides give, and the one line that says what is wrong with them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.config import Config
from asr.config_file import config_yaml, load_config, parse_config, shipped_configs
from asr.errors import ConfigError


@pytest.fixture
def write(tmp_path):
    def write(content: str | bytes) -> Path:
        path = tmp_path / "c.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def error(path, *overrides) -> str:
    """The error of loading a config, checked to be one line."""
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_empty_file_is_the_defaults(write):
    assert load_config(write("")) == Config()
    assert load_config(write("train:\n  # lr: 1\ntext:\n")) == Config()  # headings whose settings are commented out
    assert load_config(write("train:\n"), ["train.lr=1"]).train.lr == 1


def test_yaml_reads_no_as_a_word_and_1e_3_as_a_number(write):
    config = load_config(write("name: no\ntrain: {lr: 1e-3, bf16: on}\n"))
    assert (config.name, config.train.lr, config.train.bf16) == ("no", 0.001, "on")
    config = load_config(write("name: x"), ["name=yes", "train.lr=5e-4", "train.bf16=off"])
    assert (config.name, config.train.lr, config.train.bf16) == ("yes", 0.0005, "off")


def test_crlf_and_byte_order_mark_are_harmless(write):
    assert load_config(write(b"\xef\xbb\xbfname: a\r\ntrain:\r\n  seed: 7\r\n")).train.seed == 7


def test_overrides_win_over_the_file_and_the_last_wins(write):
    path = write("train: {lr: 1, epochs: 5}")
    config = load_config(path, ["train.lr=2", "train.lr=3", "augment.speed=[1, 1]", "model.subsample=[{stride: 2}]"])
    assert (config.train.lr, config.train.epochs, config.augment.speed) == (3, 5, (1, 1))
    assert [conv.stride for conv in config.model.subsample] == [2]


def test_override_that_is_no_yaml_is_text(write):
    assert load_config(write(""), ["text.keep='"]).text.keep == "'"
    assert load_config(write(""), ['text.keep=""']).text.keep == ""
    for text in ("-", ":", "#", "~", "!", "7", "", "'-", "null"):
        assert load_config(write(""), [f"text.keep={text}"]).text.keep == text
    assert load_config(write(""), ["text.keep='-'", 'augment.join_text=" "']).text.keep == "-"
    assert load_config(write(""), ["augment.noise=1", "augment.noise_files=a #1: b"]).augment.noise_files == "a #1: b"
    for none in ("", "null"):
        assert load_config(write("train: {init_from: old}"), [f"train.init_from={none}"]).train.init_from is None
    assert load_config(write(""), ["train.device=cuda:1"]).train.device == "cuda:1"
    assert load_config(write(""), ["name=a=b"]).name == "a=b"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("trian: {lr: 1}", "trian: no such setting; did you mean train?"),
        ("train: {epoch: 1}", "train.epoch: no such setting; did you mean epochs?"),
        ("lr: 1", "lr: no such setting; did you mean train.lr?"),
        ("train: {zzz: 1}", "train.zzz: no such setting; choose from seed, epochs"),
        ("model: {subsample: [{kernal: 3}]}", "model.subsample.0.kernal: no such setting; did you mean kernel?"),
        ("train: {lr: fast}", "train.lr: must be a number, not 'fast'"),
        ("train: {lr: []}", "train.lr: must be a number, not []"),
        ("train: {lr: -1}", "train.lr: must be more than 0, not -1"),
        ("train: {lr: .inf}", "train.lr: must be a finite number, not inf"),
        ("train: {seed: 1.5}", "train.seed: must be a whole number, not 1.5"),
        ("train: {epochs: five}", "train.epochs: must be a whole number, not 'five'"),
        ("train: {epochs: {a: 1}}", "train.epochs: must be a whole number"),
        ("train: {epochs: 0}", "train.epochs: must be at least 1, not 0"),
        ("batches: {workers: 65}", "batches.workers: must be at most 64, not 65"),
        ("batches: {sorted_first: maybe}", "batches.sorted_first: must be true or false, not 'maybe'"),
        ("batches: {sorted_first: []}", "batches.sorted_first: must be true or false, not []"),
        ("train: 3", "train: must be a section of settings, not 3"),
        ("model: {subsample: 3}", "model.subsample: must be a list, not 3"),
        ("model: {subsample: [3]}", "model.subsample.0: must be a section of settings, not 3"),
        ("augment: {speed: [1]}", "augment.speed: must be two values, not [1]"),
        ("augment: {speed: [1, 1, 1]}", "augment.speed: must be two values, not [1, 1, 1]"),
        ("augment: {speed: [slow, 1]}", "augment.speed.0: must be a number, not 'slow'"),
        ("model: {subsample: [{kernel: 4}]}", "model.subsample.0: kernel must be odd, not 4"),
        ("model: {conv2d: [{stride: [1]}]}", "model.conv2d.0.stride: must be two values, not [1]"),
        ("model: {conv2d: [{strides: 1}]}", "model.conv2d.0.strides: no such setting; did you mean stride?"),
        ("model: {conv2d: [{kernel: [3, 4]}]}", "model.conv2d.0: kernel must be two odd numbers, not [3, 4]"),
        ("model: {conv2d: [{stride: [0, 1]}]}", "model.conv2d.0: stride must be two numbers of at least 1, not [0, 1]"),
        ("{model: {norm: batch}, train: {ema: 0.9}}", "model.norm: batch cannot be combined with train.ema; use layer"),
        ("{model: {norm: batch}, train: {average: best}}", "batch cannot be combined with train.average"),
        ("{model: {norm: batch}, train: {freeze: [subsample]}}", "batch cannot be combined with train.freeze"),
        ("augment: {speed: [1.1, 0.9]}", "augment.speed: the first number must not be above the second"),
        ("augment: {join_gap_ms: [-300, -100]}", "augment: join_gap_ms must be the shortest and longest silence"),
        ("augment: {speed: [0.1, 1]}", "augment: speed must lie between 0.5 and 2"),
        ("augment: {reverb_seconds: [0, 1]}", "augment: reverb_seconds must lie between 0.05 and 10, not [0.0, 1.0]"),
        ("augment: {band_low_hz: [300, 3000]}", "augment: band_low_hz [300.0, 3000.0] is not below band_high_hz"),
        ("augment: {noise_files: noise/}", "augment: noise_files is given, but noise, the share"),
        ("augment: {reverb_files: rooms.txt}", "augment: reverb_files is given, but reverb, the share"),
        ("features: {high_hz: 9000}", "features: low_hz < high_hz"),
        ("text: {normalizer: whisper}", "text.normalizer: must be 'basic' or 'none', not 'whisper'"),
        (
            "train: {intermediate: [2]}",
            "train.intermediate: must list layers below the top one, each once (0 to 1 with",
        ),
        ("train: {intermediate: [7]}", "model.layers 3), not [7]"),
        ("train: {intermediate: [1, 1]}", "each once"),
        ("{model: {layers: 1}, train: {intermediate: [0]}}", "there are none with model.layers 1"),
        ("train: {intermediate: [-1]}", "train.intermediate.0: must be at least 0, not -1"),
        (
            "train: {intermediate: [0], intermediate_weight: 1}",
            "train.intermediate_weight: must be less than 1, not 1",
        ),
        ("name: 5", "name: must be text, not 5"),
        ("train: {1: 2}", "train.1: no such setting; choose from seed, "),
        ("- 1", "a config must be a mapping of sections, not list"),
        ("a: b: c", "not YAML"),
        ("train: {lr: 1, lr: 2}", "not YAML"),  # one of the two would be ignored
        ("name: 2020-99-99", "not YAML"),
        ("name: !!python/object/apply:os.system [ls]", "not YAML"),
        (b"name: \xff", "not YAML"),
    ],
)
def test_bad_config_is_one_line_with_the_path_of_the_field(write, content, expected):
    path = write(content)
    line = error(path)
    assert line.startswith(f"{path}: ") and expected in line


def test_all_bad_fields_are_named_at_once(write):
    line = error(write("train: {lr: -1, epocs: 3}\ntext: {case: title}"))
    assert "train.lr" in line and "did you mean epochs?" in line and "text.case" in line


@pytest.mark.parametrize("override", ["train.lr", "=3", "train.lr: 3"])
def test_override_without_a_field_and_a_value(write, override):
    assert (
        error(write(""), override)
        == f"{override}: write overrides as section.field=value (in quotes if they contain spaces)"
    )


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("train.learning_rates=3", "train.learning_rates: no such setting"),
        ("train.lr=[", "train.lr: must be a number, not '['"),
        ("train.lr=", "train.lr: must be a number, not None"),
        ("train.lr.x=3", "train.lr"),
        ("name.x.y=3", "name is not a section"),
        ("features.hop_ms=0.01", "are too short for this sample_rate"),
        ("features.window_ms=0.01", "are too short for this sample_rate"),
    ],
)
def test_bad_override(write, override, expected):
    assert expected in error(write("name: x"), override)


def test_missing_file_and_folder(tmp_path):
    line = error(tmp_path / "no.yaml")
    assert "no such file" in line and all(name in line for name in shipped_configs())
    assert "is a folder" in error(tmp_path)


def test_shipped_configs_load_by_name_and_by_path():
    shipped = shipped_configs()
    assert "fsdd" in shipped
    for name, path in shipped.items():
        assert load_config(name) == load_config(path)


def test_yaml_of_every_shipped_config_is_read_back_unchanged(write):
    for name in shipped_configs():
        config = load_config(name)
        assert load_config(write(config_yaml(config))) == config


AWKWARD = ["no", "TRUE", "Null", "~", "1e-3", "012", "2020-01-01", "", "a # b", "it's", "a: b", "é😀", '"\\\x85']


@pytest.mark.parametrize("name", AWKWARD)
def test_yaml_of_awkward_text_is_read_back_unchanged(write, name):
    config = Config(name=name)
    assert load_config(write(config_yaml(config))) == config


@given(st.text(), st.text(), st.floats(1e-300, 1e300), st.tuples(st.floats(0.5, 1), st.floats(1, 2)))
def test_yaml_of_any_value_is_read_back_unchanged(tmp_path_factory, name, keep, lr, speed):
    config = parse_config({"name": name, "text": {"keep": keep}, "train": {"lr": lr}, "augment": {"speed": speed}})
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(config_yaml(config).encode())
    assert load_config(path) == config


def test_yaml_explains_every_setting():
    lines = config_yaml(Config()).splitlines()
    settings = [line for line in lines if line.startswith("  ")]
    assert len(settings) > 50 and all("  # " in line and not line.endswith("None") for line in settings)


def test_steps_are_counted_as_the_model_makes_them():
    config = parse_config({"features": {"sample_rate": 16000}, "model": {"subsample": [{"stride": 3}]}})
    assert config.step_seconds == pytest.approx(0.03)
    assert [config.steps(seconds) for seconds in (0.01, 0.02, 0.03, 1.0)] == [1, 1, 2, 34]
