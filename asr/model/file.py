"""The model file: one `model.safetensors` that holds everything needed to transcribe.

Tensors are the weights; under the one metadata key `asr` stands canonical JSON: format version, config, tokenizer,
normaliser, feature statistics, what the model was trained on, how its decoding was tuned, and fingerprints of the
recordings that it has heard. Reading a stranger's file runs no code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from asr.atomic import replacing
from asr.bpe import tokenizer_from_json
from asr.config import Config, Section
from asr.errors import AsrError, ModelFileError
from asr.model.acoustic import AcousticModel
from asr.text import Normalizer, Tokenizer

FORMAT = 2  # in format 1, model_id was a hash of all settings
MODEL_NAME = "model.safetensors"
_STATISTICS = ("mean", "std")
_MEANING = ("norm", "activation", "merge")  # settings of layers that no shape tells
_HEARD_WITH = ("features", "model", "text")  # settings that a model recognises with; the others were for its training


@dataclass
class ModelFile:
    """A model with all that belongs to it.

    Attributes:
        model: The acoustic model, feature statistics included.
        tokenizer: Tokens and their text.
        normalizer: What was done to the transcripts that became targets.
        training: What it was trained on, and how well that went; shown by `asr info`.
        model_id: Hash of tensors, tokenizer and the settings that recognition uses; equal ids give equal
            log-probabilities.
        decoding: The tuned decoding profile (`asr.decode.profile`), empty where nothing was tuned; not in `model_id`.
        heard: Fingerprints (`asr.data.fingerprints.to_json`) of the recordings that it was made with, by what for:
            `train`, `valid` and `tune`; empty where it does not remember. Not in `model_id`.
    """

    model: AcousticModel
    tokenizer: Tokenizer
    normalizer: Normalizer
    training: dict[str, Any] = field(default_factory=dict)
    model_id: str = ""
    decoding: dict[str, Any] = field(default_factory=dict)
    heard: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def config(self) -> Config:
        """The settings that the model was made with."""
        return self.model.config


def save_model(path: str | Path, content: ModelFile) -> str:
    """Write a model file in one step and return its `model_id`."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in content.model.state_dict().items()}
    statistics = {name: state.pop(name).tolist() for name in _STATISTICS}
    config = content.config.model_dump(mode="json")
    config["train"]["init_from"] = None  # a path, of this machine alone; `training` has the id of what lay there
    for setting in ("noise_files", "reverb_files"):
        if path_here := config["augment"][setting]:
            config["augment"][setting] = Path(path_here).name
    header = {
        "format": FORMAT,
        "config": config,
        "tokenizer": content.tokenizer.to_json(),
        "normalizer": content.normalizer.to_json(),
        "features": statistics,
        "training": content.training,
        "decoding": content.decoding,
        "heard": content.heard,
    }
    header["model_id"] = _identify(state, header)
    with replacing(path) as aside:
        aside.write_bytes(save(state, metadata={"asr": _canonical(header)}))  # `save_file` lets no one else read it
    return str(header["model_id"])


def keep_decoding(path: Path, content: ModelFile) -> None:
    """Put a tuned `decoding`, and what is `heard` by now, into the file of a model; nothing else of it changes.

    Raises:
        ModelFileError: Another model stands there meanwhile, as after a better epoch of a training that goes on.
    """
    path = path.resolve()  # a link stays one
    metadata, state = _read(path)
    header = _header(path, metadata)
    if header.get("model_id") != content.model_id:
        raise ModelFileError(
            f"{path}: contains another model than at the start ({header.get('model_id')}, then {content.model_id}); "
            "it was not changed. Is it still being trained?"
        )
    header |= {"decoding": content.decoding, "heard": content.heard}
    with replacing(path) as aside:
        aside.write_bytes(save(state, metadata={"asr": _canonical(header)}))


def load_model(path: str | Path, device: str = "cpu") -> ModelFile:
    """Read a model file.

    Args:
        path: The file, or a run folder that holds `model.safetensors`.
        device: Where the weights go.

    Raises:
        ModelFileError: There is none, it is not a model of this project, it is damaged, or its format is newer.
    """
    path = model_path(path)
    metadata, state = _read(path)
    header = _header(path, metadata)
    try:
        config = Config.model_validate(header["config"])
        tokenizer = tokenizer_from_json(header["tokenizer"])
        normalizer = Normalizer.from_json(header["normalizer"])
        statistics = {name: torch.tensor(header["features"][name]) for name in _STATISTICS}
        model = AcousticModel(config, len(tokenizer), initialise=False)
        model.load_state_dict(state | statistics)
        if header["model_id"] != _identify(state, header):
            raise ModelFileError("damaged: its content does not match its model_id")
    except (AsrError, ValidationError, AttributeError, KeyError, TypeError, RuntimeError, ValueError) as error:
        raise ModelFileError(f"{path}: not a usable model: {' '.join(str(error).split())[:300]}") from None
    told = {key: header.get(key) or {} for key in ("training", "decoding", "heard")}
    return ModelFile(model.to(device).eval(), tokenizer, normalizer, model_id=header["model_id"], **told)


def model_path(path: str | Path) -> Path:
    """The model file meant by a path to it or to its run folder.

    Raises:
        ModelFileError: There is none.
    """
    path = Path(path)
    if path.is_dir():
        if not (path / MODEL_NAME).exists():
            nearer = path / "run"  # where the recipes train
            why = f"try {nearer}" if (nearer / MODEL_NAME).exists() else "a run writes it after its first epoch"
            raise ModelFileError(f"{path}: no {MODEL_NAME} in this folder ({why})")
        return path / MODEL_NAME
    if not path.exists():
        raise ModelFileError(f"{path}: no such model file or run folder")
    return path


@dataclass(frozen=True)
class Start:
    """What a model started from.

    Attributes:
        model_id: The model that weights were taken from; empty where none was.
        taken: Names of the tensors that came from it, in whole or (the output layer) token by token.
        left: Names of the tensors that kept their random start.
        new_tokens: Tokens that it does not know, whose rows of the output layer kept their random start.
        features: Settings of its features that are other than ours, so that its mean and standard deviation say nothing
            and are not taken, each as `name value instead of ours`.
        layers: Settings of its layers that change what the same weights mean and are other than ours, likewise.
        heard: What that model remembers: see `ModelFile`.
    """

    model_id: str = ""
    taken: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    new_tokens: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    heard: dict[str, dict[str, str]] = field(default_factory=dict)


def initialise_from(model: AcousticModel, tokenizer: Tokenizer, path: str | Path) -> Start:
    """Start a model's weights from a model file.

    A tensor is taken where name and shape agree; the output layer token by token, so that another alphabet keeps the
    letters that it has in common.

    Raises:
        ModelFileError: See `load_model`.
    """
    source = load_model(path)
    given, own = source.model.state_dict(), model.state_dict()
    place = {token: row for row, token in enumerate(source.tokenizer.tokens)}
    known = [token in place for token in tokenizer.tokens]
    rows = torch.tensor([place[token] for token in tokenizer.tokens if token in place])
    for name in ("output.weight", "output.bias"):
        if given[name].shape[1:] == own[name].shape[1:]:
            mixed = own[name].clone()
            mixed[torch.tensor(known)] = given[name][rows]
            given[name] = mixed
    features = _differing(source.config.features, model.config.features)
    layers = [text for text in _differing(source.config.model, model.config.model) if text.split()[0] in _MEANING]
    if (theirs := source.config.model.strides) != (ours := model.config.model.strides):
        layers.append(f"strides {list(theirs)} instead of {list(ours)}")
    if features:
        given = {name: tensor for name, tensor in given.items() if name not in _STATISTICS}
    taken = {name: given[name] for name in own if name in given and given[name].shape == own[name].shape}
    model.load_state_dict(taken, strict=False)
    left = [name for name in own if name not in taken]
    new = [token for token, is_known in zip(tokenizer.tokens, known, strict=True) if not is_known]
    new = new if "output.weight" in taken else []
    return Start(source.model_id, tuple(taken), tuple(left), tuple(new), tuple(features), tuple(layers), source.heard)


def _differing(theirs: Section, ours: Section) -> list[str]:
    """The settings that are not the same, each as `name value instead of ours`."""
    other, own = theirs.model_dump(), ours.model_dump()
    return [f"{name} {other[name]} instead of {own[name]}" for name in own if other[name] != own[name]]


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors of a safetensors file."""
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"{path}: not a model file, or damaged: {error}") from None


def _header(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """The JSON under the metadata key `asr`, its format checked."""
    if "asr" not in metadata:
        raise ModelFileError(f"{path}: a safetensors file, but not a model of this project")
    try:
        header = json.loads(metadata["asr"])
        version = int(header["format"])
    except (ValueError, KeyError, TypeError, OverflowError):
        raise ModelFileError(f"{path}: its metadata cannot be read") from None
    if version > FORMAT:
        raise ModelFileError(f"{path}: format {version} is newer than this version of asr reads ({FORMAT})")
    return dict(header)


def _identify(state: Mapping[str, Tensor], header: Mapping[str, Any]) -> str:
    """Hash of what decides a transcript: tensors, tokenizer, feature statistics and the settings that it depends on.

    How many processes read the audio in training, say, is none of them.
    """
    config = header["config"]
    if int(header["format"]) > 1:
        config = {section: config[section] for section in _HEARD_WITH}
    digest = hashlib.sha256()
    for part in (config, header["tokenizer"], header["features"]):
        digest.update(_canonical(part).encode())
    for name in sorted(state):
        digest.update(name.encode())
        digest.update(state[name].numpy().tobytes())
    return digest.hexdigest()[:16]


def _canonical(value: Any) -> str:
    """JSON with one spelling: sorted keys, no spaces, so that equal models are equal files."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
