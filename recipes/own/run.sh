#!/usr/bin/env bash
# Your own recordings from their folder to the report: prepare, train, evaluate, transcribe.
#
# Usage: recipes/own/run.sh SOURCE OUT [options of `asr prepare own` ...]
#   SOURCE    folder of audio files, each with a .txt beside it; or where the paths in a table start
#   OUT       folder for everything that is made: OUT/data, OUT/run, OUT/report
#   options   such as --table transcripts.tsv, --speaker-from folder, --test 0.2
#   SETTINGS  (variable) settings on top of conf/own.yaml, such as SETTINGS="features.sample_rate=8000"
#
# The same command again goes on where an interrupted one stopped.
set -euo pipefail

usage="usage: recipes/own/run.sh SOURCE OUT [options of asr prepare own]"
source=${1:?$usage}
out=${2:?$usage}
shift 2

asr prepare own --source "$source" --out "$out/data" "$@"
asr check "$out"/data/{train,valid,test}.jsonl --conf own
# shellcheck disable=SC2086  # SETTINGS is a list of words
asr train own ${SETTINGS:-} --data "$out/data" --out "$out/run" --resume
asr evaluate "$out/run" "valid=$out/data/valid.jsonl" "test=$out/data/test.jsonl" --out "$out/report"

# What it is for: a recording in, text out. The first recording of the test set:
audio=$(sed -n '1s/.*"audio": "\([^"]*\)".*/\1/p' "$out/data/test.jsonl")
asr transcribe "$out/run" "$out/data/$audio"
