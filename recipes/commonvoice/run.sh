#!/usr/bin/env bash
# A language of Common Voice from its folder to the report: prepare, train, evaluate, transcribe.
#
# Usage: recipes/commonvoice/run.sh SOURCE OUT [options of `asr prepare commonvoice` ...]
#   SOURCE    the folder of the language, as cv-corpus-17.0-2024-03-15/cy
#   OUT       folder for everything that is made: OUT/data, OUT/run, OUT/report
#   options   such as --shards
#   SETTINGS  (variable) settings on top of conf/own.yaml, such as SETTINGS="model.hidden=384 train.epochs=20"
#
# The same command again goes on where an interrupted one stopped.
set -euo pipefail

usage="usage: recipes/commonvoice/run.sh SOURCE OUT [options of asr prepare commonvoice]"
source=${1:?$usage}
out=${2:?$usage}
shift 2

asr prepare commonvoice --source "$source" --out "$out/data" "$@"
asr check "$out"/data/{train,valid,test}.jsonl --conf own
# shellcheck disable=SC2086  # SETTINGS is a list of words
asr train own ${SETTINGS:-} --data "$out/data" --out "$out/run" --resume
asr evaluate "$out/run" "valid=$out/data/valid.jsonl" "test=$out/data/test.jsonl" --out "$out/report"

# What it is for: a recording in, text out. The first recording of the test set:
audio=$(sed -n '1s/.*"audio": "\([^"]*\)".*/\1/p' "$out/data/test.jsonl")
asr transcribe "$out/run" "$out/data/$audio"
