#!/usr/bin/env bash
# The rival on the same work: Deep Speech 2 as deepspeech.pytorch documents it, for the epochs that fit into an evening.
#
# Usage: recipes/librispeech/rival.sh OUT [NAME ...]
#   OUT       what recipes/librispeech/run.sh has made: OUT/data; this adds OUT/rival/NAME/{run,report}
#   NAME      adamw, sgd; both without any
#   SETTINGS  (variable) settings on top of all, such as SETTINGS="train.seed=2 train.threads=1"
#
# Of 1,024 cells its model goes through less than two seconds of audio in one of a processor core, so that an epoch would
# be three to four hours: the lines here have 192 cells, as ours, and the epochs that fit into an evening of one core. Its configuration
# file says AdamW; its papers and its earlier versions, stochastic gradient descent: 1.5e-4 for the sum over 8 utterances,
# of some 1,065 letters, is 0.16 for their mean, and a gradient of 400 is one of 0.4.
#
# The same command again goes on where an interrupted one stopped.
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
