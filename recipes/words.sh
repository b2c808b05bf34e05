#!/usr/bin/env bash
# What words are worth to a trained model: greedy decoding, beam search, with a language model, and with that model's
# vocabulary as the lexicon too. Tuned on validation; the test set is decoded once with each.
#
# Usage: recipes/words.sh RUN DATA OUT [TEXT ...]
#   RUN       a run folder, or a model file; tuning keeps its decoding profile there
#   DATA      the prepared corpus it was trained on
#   OUT       output folder: OUT/words.lm, words.txt, tune/, {greedy,beam,lm,lexicon}/report.md
#   TEXT      more text for the language model, one sentence per line, none of it from DATA's validation or test set;
#             the training transcripts are always included
#   ORDER     (variable) order of the n-gram model; 3 by default
set -euo pipefail

usage="usage: recipes/words.sh RUN DATA OUT [TEXT ...]"
run=${1:?$usage}
data=${2:?$usage}
out=${3:?$usage}
shift 3

mkdir -p "$out"
asr lm train "$@" "$data/train.jsonl" --order "${ORDER:-3}" --normalizer "$run" --out "$out/words.lm"
python - "$out/words.lm" "$out/words.txt" <<'END'
import pathlib, sys
from asr.decode import NgramModel

words = "".join(f"{word}\n" for word in NgramModel.load(sys.argv[1]).vocabulary)
pathlib.Path(sys.argv[2]).write_text(words, encoding="utf-8")
END
asr tune "$run" "$data/valid.jsonl" --lm "$out/words.lm" --out "$out/tune"

splits=("valid=$data/valid.jsonl" "test=$data/test.jsonl")
asr evaluate "$run" "${splits[@]}" --decoder greedy --out "$out/greedy"
asr evaluate "$run" "${splits[@]}" --beam 100 --out "$out/beam"
asr evaluate "$run" "${splits[@]}" --lm "$out/words.lm" --out "$out/lm"
asr evaluate "$run" "${splits[@]}" --lm "$out/words.lm" --lexicon "$out/words.txt" --nbest 10 --out "$out/lexicon"

python - "$out" <<'END'
import json, pathlib, sys

print(f"{'':8} valid WER  test WER (95 %)           test CER")
for name in ("greedy", "beam", "lm", "lexicon"):
    splits = json.loads(pathlib.Path(sys.argv[1], name, "report.json").read_text())["splits"]
    test = splits["test"]
    low, high = test["wer_ci95"]
    print(f"{name:8} {splits['valid']['wer']:9.2%}  {test['wer']:8.2%} ({low:.2%} - {high:.2%})  {test['cer']:8.2%}")
END
