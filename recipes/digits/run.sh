#!/usr/bin/env bash
# The embedded corpus, end to end: make the recordings, train, evaluate, transcribe.
#
# Usage: recipes/digits/run.sh OUT
#   OUT       output folder: OUT/data, OUT/run, OUT/report
#   SETTINGS  (variable) settings on top of conf/digits.yaml, such as SETTINGS="train.seed=2 train.epochs=10"
#
# Run again, the same command resumes where it was interrupted.
set -euo pipefail

out=${1:?usage: recipes/digits/run.sh OUT}

asr prepare digits --out "$out/data"
asr check "$out"/data/{train,valid,test}.jsonl --conf digits
# shellcheck disable=SC2086  # SETTINGS is a list of words
asr train digits ${SETTINGS:-} --data "$out/data" --out "$out/run" --resume
asr evaluate "$out/run" "valid=$out/data/valid.jsonl" "test=$out/data/test.jsonl" --out "$out/report"

# What it is for: a recording in, text out. The first recording of the test set:
audio=$(sed -n '1s/.*"audio": "\([^"]*\)".*/\1/p' "$out/data/test.jsonl")
asr transcribe "$out/run" "$out/data/$audio"
