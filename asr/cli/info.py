"""`asr info`: what is in a model file."""

from __future__ import annotations

from typing import Any

import typer

from asr.cli.options import Model
from asr.wording import counted, how_long


def info(model: Model) -> None:
    """Show what a model was trained on, and its settings.

    Example: asr info runs/digits
    """
    from asr.config_file import config_yaml
    from asr.model.file import load_model

    file = load_model(model)
    weights = sum(parameter.numel() for parameter in file.model.parameters())
    options = ", ".join(f"{key} {value!r}" for key, value in file.normalizer.options.items())
    facts = {
        "name": file.config.name,
        "model_id": file.model_id,
        "parameters": f"{weights:,}",
        "sample rate": f"{file.config.features.sample_rate} Hz",
        "output step": f"{1000 * file.config.step_seconds:g} ms",
        "alphabet": f"{len(file.tokenizer)} tokens: {' '.join(file.tokenizer.tokens).replace('   ', ' ␣ ')}",
        "normaliser": f"{file.normalizer.name} version {file.normalizer.version} ({options})",
        **_training(file.training),
        **_decoding(file.decoding),
        "fingerprints": _remembers(file.heard),
    }
    for label, fact in facts.items():
        typer.echo(f"{label + ':':<14}{fact}")
    typer.echo("\n" + config_yaml(file.config), nl=False)


def _decoding(facts: dict[str, Any]) -> dict[str, str]:
    """What a model file says about how its decoding was tuned."""
    from asr.decode.profile import DecodingProfile

    profile = DecodingProfile.from_json(facts)
    if profile is None:
        return {}
    settings = f"weight {profile.lm_weight:g}, word bonus {profile.word_bonus:g}, beam {profile.beam}"
    measured = f"WER {100 * profile.wer:.2f} % on {counted(profile.utterances, 'utterance')}"
    name = f"{profile.lm_name} ({profile.lm})" if profile.lm_name else profile.lm
    lexicon = "" if profile.lexicon is None else f", {profile.lexicon_facts}"
    return {"tuned with": f"language model {name}{lexicon}: {settings}; {measured}"}


def _remembers(heard: dict[str, dict[str, str]]) -> str:
    """How many recordings a model file has fingerprints of, by what they were for."""
    from asr.data.fingerprints import from_json

    counts = [f"{len(from_json(record)[0]):,} ({name})" for name, record in heard.items()]
    return (
        f"recordings: {', '.join(counts)}"
        if counts
        else "no recordings, so overlap with evaluation data cannot be detected"
    )


def _training(facts: dict[str, Any]) -> dict[str, str]:
    """What a model file says about its training, as far as it says it."""
    lines = {}
    if "train_utterances" in facts:
        audio = how_long(facts.get("train_seconds", 0))
        name = facts.get("dataset") or "unnamed data"
        lines["trained on"] = f"{name}, {counted(facts['train_utterances'], 'utterance')}, {audio}"
    if start := facts.get("started_from"):
        lines["started from"] = f"model {start}"
    if "epoch" in facts:
        lines["weights of"] = f"epoch {facts['epoch']}, step {facts.get('step', 0):,}"
    if averaged := facts.get("averaged"):
        lines["averaged"] = f"the weights of the {averaged['choice']} epochs: {', '.join(map(str, averaged['epochs']))}"
    if validation := facts.get("validation"):
        rates = [f"{rate.upper()} {100 * validation[rate]:.2f} %" for rate in ("wer", "cer") if rate in validation]
        lines["validation"] = f"{', '.join(rates)} on {counted(validation.get('utterances', 0), 'utterance')}"
    if versions := facts.get("versions"):
        lines["made with"] = ", ".join(f"{package} {number}" for package, number in versions.items())
    return lines
