"""`asr info` and `asr config`."""

from asr.config_file import load_config, shipped_configs


def test_info_says_what_a_model_is(run_asr, tiny_model):
    status, out, _ = run_asr("info", tiny_model)
    assert status == 0
    facts = dict(line.split(":", 1) for line in out.split("\n\n")[0].splitlines())
    assert facts["name"].strip() == "tiny"
    assert len(facts["model_id"].strip()) == 16
    assert facts["sample rate"].strip() == "8000 Hz"
    assert facts["output step"].strip() == "20 ms"
    assert facts["alphabet"].strip() == "7 tokens: <blank> ␣ a b c d e"
    assert facts["trained on"].strip() == "nothing, 12 utterances, 36.0 s"
    assert facts["validation"].strip() == "WER 12.50 %, CER 5.00 % on 4 utterances"
    assert int(facts["parameters"].replace(",", "")) > 1000


def test_info_ends_with_a_config_that_can_be_trained_again(run_asr, tiny_model, tmp_path):
    _, out, _ = run_asr("info", tiny_model)
    (tmp_path / "again.yaml").write_text(out.split("\n\n", 1)[1], encoding="utf-8")
    assert load_config(tmp_path / "again.yaml").model.hidden == 12


def test_info_of_what_is_no_model(run_asr, tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"no model")
    status, out, err = run_asr("info", tmp_path / "x.safetensors")
    assert (status, out) == (2, "")
    assert err.startswith("asr: error: ") and "x.safetensors" in err


def test_config_lists_and_prints(run_asr, tmp_path):
    names = run_asr("config").out.split()
    assert names == list(shipped_configs())
    status, out, _ = run_asr("config", names[0])
    assert status == 0 and out.startswith("# ") and "epochs: " in out
    (tmp_path / "mine.yaml").write_text(out, encoding="utf-8")
    assert load_config(tmp_path / "mine.yaml") == load_config(names[0])


def test_config_of_another_name(run_asr):
    status, out, err = run_asr("config", "nonesuch")
    assert (status, out) == (2, "")
    assert "nonesuch" in err and err.count("\n") == 1


def test_info_names_what_decoding_was_tuned_with(run_asr, tiny_model, tmp_path):
    from asr.decode.profile import DecodingProfile
    from asr.model.file import load_model, save_model

    file = load_model(tiny_model)
    measured = {"lm_weight": 0.5, "word_bonus": 1.0, "beam": 8, "tuned_on": "v", "utterances": 4, "wer": 0.25}
    names = {"lm_name": "own.lm", "lexicon": "beef", "lexicon_name": "words.txt", "lexicon_words": 2000}
    for extra, said in ((names, "own.lm (cafe), the lexicon words.txt (2,000 words, beef): "), ({}, "cafe: ")):
        file.decoding = DecodingProfile(lm="cafe", **measured, **extra).to_json()
        save_model(tmp_path / "model.safetensors", file)
        assert f"language model {said}weight 0.5" in run_asr("info", tmp_path).out
