#!/usr/bin/env bash
# A text in any language of the synthesiser, from the file to the report: speak it, check, train, evaluate, transcribe.
#
# Usage: recipes/synth/run.sh TEXT LANGUAGE OUT [options of `asr prepare synth` ...]
#   TEXT      a UTF-8 text file, one sentence or paragraph per line
#   LANGUAGE  espeak-ng's code, such as el
#   OUT       output folder: OUT/data, OUT/run, OUT/report
#   options   such as --hours 10, --voices 40, --language en-us (another accent)
#   SETTINGS  (variable) settings on top of conf/own.yaml, such as SETTINGS="train.epochs=10"
#
# Run again, the same command resumes where it was interrupted.
set -euo pipefail

usage="usage: recipes/synth/run.sh TEXT LANGUAGE OUT [options of asr prepare synth]"
text=${1:?$usage}
language=${2:?$usage}
out=${3:?$usage}
shift 3

asr prepare synth --text "$text" --language "$language" --out "$out/data" "$@"
asr check "$out"/data/{train,valid,test}.jsonl --conf own
# shellcheck disable=SC2086  # SETTINGS is a list of words
asr train own augment.reverb=0.3 ${SETTINGS:-} --data "$out/data" --out "$out/run" --resume
asr evaluate "$out/run" "valid=$out/data/valid.jsonl" "test=$out/data/test.jsonl" --out "$out/report"

# What it is for: a recording in, text out. The first recording of the test set:
audio=$(sed -n '1s/.*"audio": "\([^"]*\)".*/\1/p' "$out/data/test.jsonl")
asr transcribe "$out/run" "$out/data/$audio"
