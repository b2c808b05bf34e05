"""What ran, and on what."""

import json

import torch

import asr
from asr.program import command_line, program, surroundings


def test_the_program_says_its_version_and_in_a_checkout_its_commit():
    found = program()
    assert found["version"] == asr.__version__
    assert found["commit"] is None or len(found["commit"].removesuffix("-dirty")) >= 12


def test_the_command_can_be_typed_again(monkeypatch):
    monkeypatch.setattr("sys.argv", ["/usr/bin/asr", "train", "a b.yaml", "text.keep='"])
    assert command_line() == """asr train 'a b.yaml' 'text.keep='"'"''"""


def test_a_log_says_what_computes():
    found = surroundings(torch.device("cpu"), processes=3)
    assert json.loads(json.dumps(found)) == found
    assert (found["device"], found["processes"], found["threads"]) == ("cpu", 3, torch.get_num_threads())
    assert found["processor"]
