#!/usr/bin/env bash
# LibriSpeech, or an excerpt of it, from its folder to the report: prepare, train, evaluate, transcribe.
#
# Usage: recipes/librispeech/run.sh SOURCE OUT [options of `asr prepare librispeech` ...]
#   SOURCE    the folder LibriSpeech/ or the one above it
#   OUT       folder for everything that is made: OUT/data, OUT/run, OUT/report
#   options   which utterances; train-clean-100, dev-clean and test-clean without any. For an excerpt with id lists:
#             recipes/librispeech/run.sh libri-mini runs/libri-mini --ids libri-mini/splits
#   SETTINGS  (variable) settings on top of conf/librispeech.yaml, such as SETTINGS="model.hidden=512 train.epochs=15"
#
# The same command again goes on where an interrupted one stopped.
set -euo pipefail

usage="usage: recipes/librispeech/run.sh SOURCE OUT [options of asr prepare librispeech]"
source=${1:?$usage}
out=${2:?$usage}
shift 2

asr prepare librispeech --source "$source" --out "$out/data" "$@"
asr check "$out"/data/{train,valid,test}.jsonl --conf librispeech
# shellcheck disable=SC2086  # SETTINGS is a list of words
asr train librispeech ${SETTINGS:-} --data "$out/data" --out "$out/run" --resume
asr evaluate "$out/run" "valid=$out/data/valid.jsonl" "test=$out/data/test.jsonl" --out "$out/report"

# What it is for: a recording in, text out. The first recording of the test set:
audio=$(sed -n '1s/.*"audio": "\([^"]*\)".*/\1/p' "$out/data/test.jsonl")
asr transcribe "$out/run" "$out/data/$audio"
