#!/usr/bin/env bash
# Deep Speech 2, as deepspeech.pytorch documents it, on the same task, for as many epochs as fit into an evening.
#
# Usage: recipes/librispeech/rival.sh OUT [NAME ...]
#   OUT       the output of recipes/librispeech/run.sh: OUT/data; this adds OUT/rival/NAME/{run,report}
#   NAME      adamw, sgd; both by default
#   SETTINGS  (variable) settings on top of all others, such as SETTINGS="train.seed=2 train.threads=1"
#
# With 1,024 cells, its model processes less than two seconds of audio per second on one core, so an epoch would take
# three to four hours. The lines here have 192 cells, like ours, and the epochs that fit into an evening on one core.
# Its configuration file says AdamW; its papers and earlier versions, stochastic gradient descent: a learning rate of
# 1.5e-4 for the sum over 8 utterances, of some 1,065 letters, is 0.16 for their mean, and a gradient of 400 one of 0.4.
#
# Run again, the same command resumes where it was interrupted.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../steps.sh" # chosen_lines

out=${1:?usage: recipes/librispeech/rival.sh OUT [NAME ...]}
shift
rivals="adamw
sgd train.optimizer=sgd train.lr=0.16 train.clip=0.4"

chosen=$(chosen_lines "$rivals" "$@")
while read -r name settings; do
    to=$out/rival/$name
    # shellcheck disable=SC2086  # lists of words
    asr train deepspeech model.hidden=192 train.epochs=5 $settings ${SETTINGS:-} --data "$out/data" --out "$to/run" --resume
    asr evaluate "$to/run" "valid=$out/data/valid.jsonl" "test=$out/data/test.jsonl" --out "$to/report"
done <<<"$chosen"
