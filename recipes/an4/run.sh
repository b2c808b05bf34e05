#!/usr/bin/env bash
# CMU's AN4 from its folder to the report: prepare, train, evaluate, transcribe.
#
# Usage: recipes/an4/run.sh SOURCE OUT [options of `asr prepare an4` ...]
#   SOURCE    the folder an4/ or the one above it
#   OUT       folder for everything that is made: OUT/data, OUT/run, OUT/report
#   options   such as --valid 0.05
#   SETTINGS  (variable) settings on top of conf/an4.yaml, such as SETTINGS="train.seed=2 train.epochs=40"
#
# The same command again goes on where an interrupted one stopped.
set -euo pipefail

usage="usage: recipes/an4/run.sh SOURCE OUT [options of asr prepare an4]"
source=${1:?$usage}
out=${2:?$usage}
shift 2

asr prepare an4 --source "$source" --out "$out/data" "$@"
asr check "$out"/data/{train,valid,test}.jsonl --conf an4
# shellcheck disable=SC2086  # SETTINGS is a list of words
asr train an4 ${SETTINGS:-} --data "$out/data" --out "$out/run" --resume
asr evaluate "$out/run" "valid=$out/data/valid.jsonl" "test=$out/data/test.jsonl" --out "$out/report"

# What it is for: a recording in, text out. The first recording of the test set:
audio=$(sed -n '1s/.*"audio": "\([^"]*\)".*/\1/p' "$out/data/test.jsonl")
asr transcribe "$out/run" "$out/data/$audio"
