#!/usr/bin/env bash
# What makes the difference: an hour of the training set, the same number of epochs, and one setting changed at a time.
#
# Usage: recipes/librispeech/ablation.sh OUT [NAME ...]
#   OUT       the output of recipes/librispeech/run.sh: OUT/data; this adds OUT/hour and
#             OUT/ablation/NAME/seed-N/{run,report}
#   NAME      the wanted lines of the table below; all by default
#   SEEDS     (variable) the seeds that each is trained with, such as SEEDS="1 2 3"; 1 by default
#   SETTINGS  (variable) settings on top of all others, such as SETTINGS="train.threads=1"
#
# Run again, the same command resumes where it was interrupted. `asr compare` gives the difference between two models.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../steps.sh" # chosen_lines

out=${1:?usage: recipes/librispeech/ablation.sh OUT [NAME ...]}
shift

# Forty epochs of an hour, with a smaller model and without what the lines are to test. A shorter stride lengthens the
# LSTM's input, so that line takes longer than the others.
base="model.hidden=192 model.dense=0 model.dropout=0.1 augment.time_mask_every=0 train.consistency=0 batches.max_frames=6000 train.epochs=40"
changes='plain
no-masks augment.time_masks=0 augment.mel_masks=0
wide-masks augment.mel_mask_bands=27 augment.time_masks=4
no-speed augment.speed=[1,1]
wide-speed augment.speed=[0.8,1.2]
noise augment.noise=0.3
rooms augment.reverb=0.3
dropout-0 model.dropout=0
dropout-0.3 model.dropout=0.3
two-layers model.layers=2 model.hidden=240
four-layers model.layers=4 model.hidden=164
narrow model.hidden=128
wide model.hidden=256
stride-2 model.subsample=[{"channels":256,"kernel":5,"stride":2}]
dense model.dense=384
intermediate train.intermediate=[1]
consistency train.consistency=0.2
average train.average=best
ema train.ema=0.998
pieces text.units=bpe text.bpe_tokens=200'

chosen=$(chosen_lines "$changes" "$@")
[ -f "$out/hour/train.jsonl" ] || python "$(dirname "${BASH_SOURCE[0]}")/../cut.py" "$out/data" 60 "$out/hour"
while read -r name settings; do
    for seed in ${SEEDS:-1}; do
        to=$out/ablation/$name/seed-$seed
        # shellcheck disable=SC2086  # lists of words
        asr train librispeech $base $settings "train.seed=$seed" ${SETTINGS:-} --data "$out/hour" --out "$to/run" --resume
        asr evaluate "$to/run" "valid=$out/hour/valid.jsonl" "test=$out/hour/test.jsonl" --out "$to/report"
    done
done <<<"$chosen"
