"""The model file: what is written is read back, equal models are equal files, and nothing else is taken for a model."""

import hashlib
import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from asr.config_file import parse_config
from asr.errors import ModelFileError
from asr.model.acoustic import AcousticModel
from asr.model.file import ModelFile, initialise_from, keep_decoding, load_model, save_model
from asr.text import Normalizer, Tokenizer

KEYS = ("config", "tokenizer", "normalizer", "features", "model_id", "format")


def make(texts: str = "abc de", seed: int = 0, **model: object) -> ModelFile:
    config = parse_config(
        {
            "features": {"sample_rate": 8000, "mels": 12},
            "model": {"subsample": [{"channels": 8, "kernel": 3}], "layers": 1, "hidden": 6, **model},
        }
    )
    tokenizer = Tokenizer.build([texts])
    torch.manual_seed(seed)
    acoustic = AcousticModel(config, len(tokenizer)).eval()
    acoustic.set_statistics(torch.randn(12), torch.rand(12) + 0.5)
    return ModelFile(acoustic, tokenizer, Normalizer.from_config(config.text), {"epoch": 3})


def log_probs(model: AcousticModel) -> torch.Tensor:
    torch.manual_seed(9)
    with torch.inference_mode():
        return model(torch.randn(2, 3000), torch.tensor([3000, 1700]))[0]


def rewrite(source: Path, target: Path, drop: str = "", **changes: object) -> None:
    """A copy of a model file with a tensor dropped or its description changed; a change to None drops a key."""
    with safe_open(source, framework="pt") as file:
        header = json.loads(file.metadata()["asr"]) | changes
        state = {name: file.get_tensor(name) for name in file.keys() if name != drop}  # noqa: SIM118
    header = {key: value for key, value in header.items() if value is not None}
    save_file(state, target, metadata={"asr": json.dumps(header)})


def refused(path: Path) -> str:
    """The one line with which a file is refused."""
    with pytest.raises(ModelFileError) as error:
        load_model(path)
    message = str(error.value)
    assert str(path) in message
    assert "\n" not in message
    return message


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "run" / "model.safetensors"
    path.parent.mkdir()
    save_model(path, make())
    return path


def test_what_is_written_is_read_back(saved):
    written, read = make(), load_model(saved)
    assert torch.equal(log_probs(read.model), log_probs(written.model))
    assert (read.config, read.tokenizer, read.normalizer) == (written.config, written.tokenizer, written.normalizer)
    assert read.training == {"epoch": 3}
    assert not read.model.training
    assert load_model(saved.parent).model_id == load_model(str(saved)).model_id == read.model_id


def test_a_decoding_profile_changes_nothing_else(tmp_path):
    """The golden model is of format 1, whose identity is of all settings: it must stay what it was."""
    golden = Path(__file__).parents[1] / "golden" / "model.safetensors"
    path, link = tmp_path / "golden.safetensors", tmp_path / "link.safetensors"
    shutil.copy(golden, path)
    link.symlink_to(path)
    model = load_model(link)
    model.decoding = {"lm": "x", "lm_weight": 0.5}
    keep_decoding(link, model)
    assert link.is_symlink()
    with safe_open(golden, framework="pt") as old, safe_open(path, framework="pt") as new:
        before, after = (json.loads(file.metadata()["asr"]) for file in (old, new))
        assert all(torch.equal(old.get_tensor(name), new.get_tensor(name)) for name in old.keys())  # noqa: SIM118
    changed = {key for key in after if after[key] != before.get(key)}
    assert "decoding" in changed and changed <= {"decoding", "heard"} and not after["heard"]
    assert load_model(path).model_id == before["model_id"]


def test_equal_models_are_equal_files(saved, tmp_path):
    again = tmp_path / "again.safetensors"
    assert save_model(again, make()) == load_model(saved).model_id
    assert again.read_bytes() == saved.read_bytes()
    save_model(again, load_model(saved))  # reading and writing changes nothing either
    assert again.read_bytes() == saved.read_bytes()


def test_the_id_follows_what_decides_a_transcript(tmp_path):
    def identify(content: ModelFile) -> str:
        return save_model(tmp_path / "model.safetensors", content)

    original, other_weight, other_statistics, other_facts = make(), make(), make(), make()
    with torch.no_grad():
        other_weight.model.output.bias[0] += 1e-6
        other_statistics.model.mean[0] += 1e-6
    other_facts.training = {"epoch": 4, "validation": {"wer": 0.5}}
    ids = [identify(content) for content in (original, other_weight, other_statistics, make("abc dx"))]
    assert len(set(ids)) == 4
    assert identify(other_facts) == ids[0]


def test_the_id_does_not_follow_how_it_was_trained(tmp_path):
    def identify(**sections: dict[str, object]) -> str:
        content = make()
        content.model.config = content.config.model_copy(
            update={name: getattr(content.config, name).model_copy(update=more) for name, more in sections.items()}
        )
        return save_model(tmp_path / "model.safetensors", content)

    for section, change in {"batches": {"workers": 3}, "train": {"device": "cuda", "threads": 7}}.items():
        assert identify(**{section: change}) == identify()
        assert identify(**{section: change}) == (read := load_model(tmp_path)).model_id
        assert getattr(read.config, section) == getattr(make().config, section).model_copy(update=change)
    for section, change in {"features": {"hop_ms": 12.0}, "model": {"activation": "gelu"}}.items():
        assert identify(**{section: change}) != identify()


def test_a_file_of_the_first_format_is_read(saved, tmp_path):
    """Its id is a hash of all settings."""
    path = tmp_path / "first.safetensors"
    with safe_open(saved, framework="pt") as file:
        header = json.loads(file.metadata()["asr"])
        digest = hashlib.sha256()
        for key in ("config", "tokenizer", "features"):
            content = json.dumps(header[key], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            digest.update(content.encode())
        for name in sorted(file.keys()):
            digest.update(name.encode() + file.get_tensor(name).numpy().tobytes())
    rewrite(saved, path, format=1, model_id=digest.hexdigest()[:16])
    assert load_model(path).model_id == digest.hexdigest()[:16] != header["model_id"]
    rewrite(saved, path, format=1)
    assert "damaged" in refused(path)


def test_saving_does_not_touch_the_model_in_training(saved):
    content = make()
    content.model.train()
    save_model(saved, content)
    assert content.model.training
    assert "mean" in content.model.state_dict()


@pytest.mark.parametrize("size", [0, 5, 100, -1])
def test_a_truncated_file_is_refused(saved, size):
    saved.write_bytes(saved.read_bytes()[:size])
    assert "damaged" in refused(saved)


def test_a_damaged_weight_is_noticed(saved):
    content = bytearray(saved.read_bytes())
    content[-2] ^= 0x40
    saved.write_bytes(content)
    assert "damaged" in refused(saved)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_text("not a model\n" * 100)
    assert "not a model file" in refused(path)
    save_file({"weight": torch.zeros(3)}, path)
    assert "not a model of this project" in refused(path)
    save_file({"weight": torch.zeros(3)}, path, metadata={"asr": "{"})
    assert "metadata" in refused(path)


def test_missing_files_and_folders_without_a_model_are_refused(tmp_path):
    assert "no model.safetensors" in refused(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model.safetensors").touch()
    assert f"no model.safetensors in this folder (try {tmp_path / 'run'})" in refused(tmp_path)
    assert "no such" in refused(tmp_path / "nothing")
    (tmp_path / "model.safetensors").mkdir()
    refused(tmp_path)


def test_a_pickle_is_not_executed(tmp_path):
    """PyTorch's own checkpoints run what their author wanted."""

    class Payload:
        def __reduce__(self):
            return Path.touch, (tmp_path / "executed",)

    path = tmp_path / "model.safetensors"
    path.write_bytes(pickle.dumps(Payload()))
    refused(path)
    torch.save({"model": Payload()}, path)
    refused(path)
    assert not (tmp_path / "executed").exists()


def test_a_newer_format_is_refused(saved, tmp_path):
    path = tmp_path / "newer.safetensors"
    rewrite(saved, path, format=99)
    assert "newer" in refused(path)
    rewrite(saved, path, format=float("inf"))
    assert "metadata cannot be read" in refused(path)


def test_a_missing_tensor_is_refused(saved, tmp_path):
    path = tmp_path / "other.safetensors"
    rewrite(saved, path, drop="output.bias")
    assert "output.bias" in refused(path)


@pytest.mark.parametrize("value", [None, {}, "text", [1]])
@pytest.mark.parametrize("key", KEYS)
def test_a_strange_description_is_refused(key, value, saved, tmp_path):
    path = tmp_path / "strange.safetensors"
    rewrite(saved, path, **{key: value})
    refused(path)


def test_a_setting_of_another_version_is_refused(saved, tmp_path):
    path = tmp_path / "other.safetensors"
    config = load_model(saved).config.model_dump(mode="json")
    config["model"]["attention"] = 8
    rewrite(saved, path, config=config)
    assert "attention" in refused(path)


def test_start_from_a_model_of_the_same_alphabet(saved):
    content = make(seed=5)
    start = initialise_from(content.model, content.tokenizer, saved)
    assert start.left == start.new_tokens == ()
    assert set(start.taken) == set(content.model.state_dict())
    assert start.model_id == load_model(saved).model_id
    assert torch.equal(log_probs(content.model), log_probs(load_model(saved).model))


@pytest.mark.parametrize(("texts", "new"), [("abc dx", "x"), ("abcdefg", "fg"), ("bad e", "")])
def test_start_from_a_model_of_another_alphabet(saved, texts, new):
    """Letters in common keep their weights, wherever they stand; also where alphabets of one size would fit as is."""
    content = make(texts, seed=5)
    before = content.model.state_dict()
    before = {name: before[name].clone() for name in ("output.weight", "output.bias")}
    start = initialise_from(content.model, content.tokenizer, saved)
    assert start.left == () and start.new_tokens == tuple(new)
    source = load_model(saved)
    given, now = source.model.state_dict(), content.model.state_dict()
    for name in before:
        for row, token in enumerate(content.tokenizer.tokens):
            known = token in source.tokenizer.tokens
            expected = given[name][source.tokenizer.tokens.index(token)] if known else before[name][row]
            assert torch.equal(now[name][row], expected)
    assert all(torch.equal(now[name], given[name]) for name in start.taken if name not in before)


def test_another_stride_is_said(saved):
    other = make(subsample=[{"channels": 8, "kernel": 3, "stride": 5}])
    start = initialise_from(other.model, other.tokenizer, saved)
    assert start.left == () and start.layers == ("strides [1] instead of [5]",)


def test_what_no_shape_tells_of_the_layers_is_said(saved):
    content = make(seed=5, activation="gelu")
    start = initialise_from(content.model, content.tokenizer, saved)
    assert start.left == () and start.layers == ("activation relu instead of gelu",)


def test_start_from_a_model_of_another_shape(saved):
    content = make(seed=5, hidden=8)
    start = initialise_from(content.model, content.tokenizer, saved)
    assert "subsample.0.conv.weight" in start.taken
    assert {"layers.0.forwards.weight_ih_l0", "output.weight"} < set(start.left)
    assert log_probs(content.model).isfinite().all()


def test_a_model_file_names_no_path_of_the_machine_it_was_made_on(saved, tmp_path):
    content = make()
    train = content.config.train.model_copy(update={"init_from": "/home/ann/secret.safetensors"})
    augment = content.config.augment.model_copy(
        update={"noise": 0.5, "noise_files": "/home/ann/noises", "reverb": 0.5, "reverb_files": "/home/ann/r"}
    )
    content.model.config = content.config.model_copy(update={"train": train, "augment": augment})
    save_model(tmp_path / "model.safetensors", content)
    written = (tmp_path / "model.safetensors").read_bytes()
    assert b"secret" not in written and b"/home" not in written
    assert load_model(tmp_path / "model.safetensors").config.augment.noise_files == "noises"


def test_a_run_folder_may_be_moved(saved, tmp_path):
    before = load_model(saved).model_id
    shutil.move(saved.parent, tmp_path / "elsewhere")
    assert load_model(tmp_path / "elsewhere").model_id == before


def test_others_may_read_a_model(saved, tmp_path):
    (tmp_path / "plain").touch()
    assert saved.stat().st_mode == (tmp_path / "plain").stat().st_mode
