#!/usr/bin/env bash
# How well a model does on the other kind of speech: one trained on synthetic voices alone, on people (FSDD's official
# test set), and one trained on FSDD's six people alone, on synthetic voices (the digit strings of the digits test set).
#
# Usage: recipes/across.sh DIGITS FSDD OUT
#   DIGITS    the output of recipes/digits/run.sh: DIGITS/{data,run}
#   FSDD      the output of recipes/fsdd/run.sh: FSDD/data/official, FSDD/alone/official/seed-1/run
#   OUT       folder for the reports: OUT/{synthetic-to-real,real-to-synthetic}/{greedy,words}; this also adds
#             DIGITS/data/strings.jsonl, the test sentences that consist of digits only
set -euo pipefail

usage="usage: recipes/across.sh DIGITS FSDD OUT"
digits=${1:?$usage}
fsdd=${2:?$usage}
out=${3:?$usage}

mkdir -p "$out"
printf '%s\n' zero one two three four five six seven eight nine >"$out/words.txt"
python - "$out/words.txt" "$digits/data/test.jsonl" "$digits/data/strings.jsonl" <<'END'
import json, pathlib, sys

words, whole, strings = map(pathlib.Path, sys.argv[1:])
known = set(words.read_text(encoding="utf-8").split())
lines = whole.read_text(encoding="utf-8").splitlines(keepends=True)
strings.write_text("".join(line for line in lines if known.issuperset(json.loads(line)["text"].split())), "utf-8")
END

# On 8 kHz recordings of single words, and the other way round on strings of three to seven; nothing is tuned for this.
across() { # MODEL TEST NAME
    asr evaluate "$1" "test=$2" --decoder greedy --out "$out/$3/greedy"
    asr evaluate "$1" "test=$2" --lexicon "$out/words.txt" --out "$out/$3/words"
}
across "$digits/run" "$fsdd/data/official/test.jsonl" synthetic-to-real
across "$fsdd/alone/official/seed-1/run" "$digits/data/strings.jsonl" real-to-synthetic
