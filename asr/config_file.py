"""Settings read from files and the command line, and written as commented YAML.

A file is YAML 1.2; `section.field=value` on the command line wins over it.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from asr.config import Config, Section
from asr.errors import ConfigError
from asr.wording import complaint

_SECTIONS = tuple(name for name, field in Config.model_fields.items() if isinstance(field.default, Section))


def load_config(path: str | Path, overrides: Iterable[str] = ()) -> Config:
    """A config file with `section.field=value` overrides.

    Args:
        path: A YAML file, or the name of one that is shipped (`asr config` lists them).
        overrides: Each `section.field=value`, the value in YAML: `train.lr=1e-3`, `augment.speed=[1, 1]`.

    Raises:
        ConfigError: No such file, not YAML, or a field that is unknown or out of its limits.
    """
    file = find_config(path)
    try:
        tree = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8-sig"))
    except (YAMLError, ValueError) as error:  # ValueError: not UTF-8, or a date like 2020-99-99
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {(error.strerror or str(error)).lower()}") from None
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: a config must be a mapping of sections, not {type(tree).__name__}")
    for section in _SECTIONS:
        if tree.get(section, tree) is None:  # its heading stands, its settings are all commented out
            tree[section] = {}
    for override in overrides:
        _apply(tree, override)
    return parse_config(tree, source=str(path))


def parse_config(tree: Mapping[str, Any], source: str = "config") -> Config:
    """A mapping as a `Config`; see `load_config` for the errors."""
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise ConfigError("; ".join(f"{source}: {_explain(item)}" for item in error.errors())) from None


def find_config(path: str | Path) -> Path:
    """The file of a config given by path or by the name of a shipped one.

    Raises:
        ConfigError: There is neither.
    """
    if Path(path).is_file():
        return Path(path)
    shipped = shipped_configs()
    if str(path) in shipped:
        return shipped[str(path)]
    if Path(path).is_dir():
        raise ConfigError(f"{path}: is a folder, not a config file")
    raise ConfigError(f"{path}: no such file, and no shipped config of that name ({', '.join(shipped)})")


def leading_comment(path: str | Path) -> str:
    """The comment lines at the top of a config file: what it is for, and what to change first."""
    lines = find_config(path).read_text(encoding="utf-8-sig").splitlines(keepends=True)
    return "".join(takewhile(lambda line: line.startswith("#"), lines))


def shipped_configs() -> dict[str, Path]:
    """Names and files of the configs that come with the package."""
    here = Path(__file__).parent
    for folder in (here / "conf", here.parent / "conf"):  # in a wheel, in a checkout
        if folder.is_dir():
            return {file.stem: file for file in sorted(folder.glob("*.yaml"))}
    return {}


def config_yaml(config: Config) -> str:
    """A config as commented YAML, every field with its meaning; `load_config` reads it back unchanged."""
    lines = [f"name: {_scalar(config.name)}  # {Config.model_fields['name'].description}"]
    for section in Config.model_fields:
        value = getattr(config, section)
        if not isinstance(value, Section):
            continue
        lines += ["", f"# {(type(value).__doc__ or '').splitlines()[0]}", f"{section}:"]
        for name, field in type(value).model_fields.items():
            lines.append(f"  {name}: {_scalar(getattr(value, name))}  # {field.description}")
    return "\n".join(lines) + "\n"


def _scalar(value: Any) -> str:
    """A value in YAML's one-line form, which for what configs hold is JSON with bare words."""
    if isinstance(value, Section):
        return "{" + ", ".join(f"{k}: {_scalar(v)}" for k, v in value) + "}"
    if isinstance(value, tuple):
        return "[" + ", ".join(_scalar(item) for item in value) + "]"
    if not isinstance(value, str):
        return json.dumps(value)
    bare = value.replace("_", "a").replace("-", "a").isalnum() and value[0].isalpha()
    if bare and value.lower() not in ("null", "true", "false"):
        return value
    return '"' + "".join(map(_quoted, value)) + '"'


def _quoted(character: str) -> str:
    """A character inside YAML's double quotes."""
    return json.dumps(character, ensure_ascii=False)[1:-1] if character.isprintable() else f"\\U{ord(character):08X}"


def _apply(tree: dict[str, Any], override: str) -> None:
    """Set one `section.field=value` in a tree of mappings."""
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise ConfigError(f"{override}: write overrides as section.field=value (in quotes if they contain spaces)")
    value = _value(text, _annotation(path.split(".")))
    *parents, name = path.split(".")
    for parent in parents:
        branch = tree.setdefault(parent, {})
        if not isinstance(branch, dict):
            raise ConfigError(f"{override}: {parent} is not a section")
        tree = branch
    tree[name] = value


def _value(text: str, taken: Any) -> Any:
    """What is said of a setting, as YAML; of one that takes any text, the text as it stands, unless it is in quotes.

    Else `text.keep=-` would be a list, and ` #` would cut off the end of a path.
    """
    if taken in (str, str | None) and text[:1] not in ("'", '"'):
        return None if taken is not str and text in ("", "null") else text
    try:
        return YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError):
        return text  # as in text.keep=', which is no YAML but a good text


def _annotation(path: Iterable[str]) -> Any:
    """What a setting takes; None where there is no such setting."""
    held: Any = Config
    for part in path:
        fields = held.model_fields if isinstance(held, type) and issubclass(held, BaseModel) else {}
        if part not in fields:
            return None
        held = fields[part].annotation
    return held


def _explain(item: Any) -> str:
    """One pydantic error as one line: the field's path, what is wrong, and the nearest valid name."""
    place = item["loc"][:-1] if item["type"] == "missing" else item["loc"]  # a list that is too short, not its end
    path = ".".join(str(part) for part in place)
    if item["type"] in ("extra_forbidden", "invalid_key"):
        fields = _fields_at(item["loc"][:-1])
        near = difflib.get_close_matches(str(item["loc"][-1]), fields, n=1, cutoff=0.5)
        near = near or [f"{section}.{path}" for section in _SECTIONS if path in _fields_at((section,))]
        hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(fields)}"
        return f"{path}: no such setting; {hint}"
    given = "" if isinstance(item["input"], dict | Section) else f", not {item['input']!r}"
    return (f"{path}: " if path else "") + complaint(item) + given


def _fields_at(path: tuple[Any, ...]) -> list[str]:
    """Names of the settings in the section at a path."""
    section: type[BaseModel] = Config
    for part in path:
        if isinstance(part, int):
            continue  # a list was entered as what it holds
        annotation = section.model_fields[part].annotation
        held = annotation if isinstance(annotation, type) else get_args(annotation)[0]  # tuple[Section, ...]
        section = held
    return list(section.model_fields)
