"""The shipped configs: each is read, says all that there is to say, and trains."""

from pathlib import Path

import pytest
import torch

from asr.config_file import config_yaml, leading_comment, load_config, shipped_configs
from asr.data.dataset import SpeechData
from asr.data.plan import epoch_plan
from asr.model.acoustic import AcousticModel
from asr.text import Normalizer, Tokenizer
from asr.train.losses import batch_losses
from asr.train.schedule import make_optimizer

FILES = sorted((Path(__file__).parents[1] / "conf").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_has_every_setting_with_its_meaning(file):
    """What stands in the file is a few lines about the recipe, and every setting; `asr config` prints all of it."""
    comment = leading_comment(file)
    assert comment.startswith("# ")
    assert file.read_text(encoding="utf-8") == comment + config_yaml(load_config(file))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_is_shipped_under_its_name(file):
    config = load_config(file.stem)
    assert config == load_config(file)
    assert config.name == file.stem
    assert load_config(file.stem, ["train.seed=7"]).train.seed == 7


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_takes_a_training_step(file, write_split, tmp_path):
    config = load_config(file)
    utterances = write_split(tmp_path, "train", ["one two", "three", "oh"], rate=config.features.sample_rate)
    normalizer = Normalizer.from_config(config.text)
    tokenizer = Tokenizer.build([" ", *(normalizer(utterance.text) for utterance in utterances)])
    data = SpeechData(utterances, config, normalizer, tokenizer)
    model = AcousticModel(config, len(tokenizer))
    optimizer = make_optimizer(model, config.train)
    before = model.output.weight.detach().clone()
    (batch, *_) = data.batches(epoch_plan(data.items, config, 1, 0), epoch=0)
    losses = batch_losses(model, batch, bf16=False)
    losses.sum().backward()
    optimizer.step()
    assert losses.isfinite().all() and (losses > 0).all()
    assert not torch.equal(model.output.weight, before)


def test_all_are_shipped():
    assert {file.stem for file in FILES} == set(shipped_configs()) >= {"digits", "fsdd", "librispeech"}
