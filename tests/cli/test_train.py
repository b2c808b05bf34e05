"""`asr train`: its exit statuses, its one line for each mistake, and a run through it."""

from pathlib import Path

import pytest

from asr.model.file import load_model


@pytest.fixture
def data(write_split, tmp_path) -> Path:
    """A data folder; three utterances to train on, one for validation."""
    write_split(tmp_path / "data", "train", ["one two", "three", "two three"])
    write_split(tmp_path / "data", "valid", ["three one"])
    return tmp_path / "data"


@pytest.fixture
def train(run_asr, data, tiny, tmp_path):
    """A function that runs `asr train digits` with tiny settings; arguments may replace the folders."""

    def run(*settings: str, data: Path = data, out: Path | None = tmp_path / "run", conf: str = "digits"):
        folders = ["--data", data] + (["--out", out] if out else [])
        return run_asr("train", conf, *tiny, *settings, *folders)

    return run


def assert_refused(result, *words: str) -> None:
    """Exit status 2, one line on stderr with these words, no traceback."""
    assert result.status == 2
    assert result.err.count("\n") == 1 and result.err.startswith("asr: error: ")
    assert all(word in result.err for word in words), result.err


def test_a_run_leaves_a_model(train, tmp_path):
    result = train()
    assert result.status == 0
    assert result.out == f"model: {tmp_path / 'run' / 'model.safetensors'}\n"
    assert load_model(tmp_path / "run").training["train_utterances"] == 3


def test_an_existing_run_needs_resume(train, tmp_path):
    assert train().status == 0
    assert_refused(train(), "--resume")
    assert train("--resume").status == 0
    assert_refused(train("--resume", "train.lr=0.3"), "train.lr", "0.3")


def test_lower_layers_and_an_average_of_epochs(train, run_asr, tmp_path):
    """The average of both epochs is validated; whether it is kept, the model file says."""
    result = train("train.epochs=2", "train.average=best", "model.layers=2", "train.intermediate=[0]")
    assert result.status == 0
    assert "average of the weights of epochs 1, 2: validation WER" in result.err
    kept = "now the run's model" in result.err
    assert ("averaged:     the weights of the best epochs: 1, 2" in run_asr("info", tmp_path / "run").out) == kept


def test_a_model_may_write_pieces_of_words(train, run_asr, data, tmp_path):
    assert_refused(train("text.units=bpe", "text.bpe_tokens=200"), "text.bpe_tokens=200")
    assert train("text.units=bpe", "text.bpe_tokens=14", "--resume").status == 0
    assert "14 tokens: <blank> ␣ " in run_asr("info", tmp_path / "run").out
    (tmp_path / "words.txt").write_text("one\ntwo\nthree\n")
    flags = ["--lexicon", tmp_path / "words.txt", "--out", tmp_path / "report"]
    assert run_asr("evaluate", tmp_path / "run", data / "valid.jsonl", *flags).status == 0
    checked = run_asr("check", data / "train.jsonl", "--model", tmp_path / "run")
    assert checked.status == 0 and "errors 0" in checked.out


def test_mistakes_end_with_one_line(train, tmp_path):
    assert_refused(train(data=tmp_path / "nowhere"), "nowhere", "no such file")
    assert_refused(train("train.lrr=1"), "train.lrr", "did you mean lr?")
    assert_refused(train("train.lr=fast"), "train.lr")
    assert_refused(train("train.intermediate=[0]"), "train.intermediate", "model.layers 1")
    assert_refused(train("--resume", "epochs"), "section.field=value")
    assert_refused(train(conf="nothing"), "nothing", "digits")
    assert_refused(train("train.device=abacus"), "abacus")
    assert_refused(train("train.device=meta"), "meta", "cpu or cuda")
    (tmp_path / "file").touch()
    assert_refused(train(out=tmp_path / "file"), "file: not a directory")
    assert_refused(train(out=tmp_path / "file" / "run"), "not a directory")
    (tmp_path / "data" / "train.jsonl").write_text("{}\n")
    assert_refused(train(), "train.jsonl:1")


def test_wrong_usage_is_exit_2(run_asr, train):
    without_out = train(out=None)
    assert without_out.status == 2 and "--out" in without_out.err
    without_data = run_asr("train", "digits", "--out", "run")
    assert without_data.status == 2 and "--data" in without_data.err
    assert run_asr("train").status == 2
    assert not Path("run").exists()


def test_overfit_says_whether_it_learnt(train, monkeypatch, tmp_path):
    learnt = train("--overfit", "model.hidden=32", "train.lr=2e-2", out=None)
    assert learnt.status == 0
    assert "one batch was overfit" in learnt.out
    monkeypatch.setattr("asr.train.overfit._STEPS", 25)
    assert train("--overfit", "train.lr=1e-9", out=None).status == 1
    assert not (tmp_path / "run").exists()


def test_help_has_an_example(run_asr):
    result = run_asr("train", "--help")
    assert result.status == 0
    assert "Example: asr train fsdd" in result.out and "--overfit" in result.out
