#!/usr/bin/env bash
# How many minutes of recordings does it take? A recipe's training set is cut to 5, 10, 20 and 40 minutes, and a model
# is trained on each, from scratch or from a model that you have; the validation and test sets stay whole.
#
# Usage: recipes/own/curve.sh OUT [MODEL]
#   OUT       the output of recipes/own/run.sh: OUT/data; this adds OUT/data-N and OUT/minutes-N/{run,report}, or
#             OUT/minutes-N-from/{run,report} where there is a model to start from
#   MODEL     run folder or model file that each training is initialised from, with the same features and layers
#   SETTINGS  (variable) settings on top of conf/own.yaml
#   MINUTES   (variable) lines of minutes and epochs; by default "5 120", "10 80", "20 50" and "40 35"
#
# Run again, the same command resumes where it was interrupted.
set -euo pipefail

out=${1:?usage: recipes/own/curve.sh OUT [MODEL]}
model=${2:-}

# Fewer recordings are trained on for more epochs.
while read -r minutes epochs; do
    python "$(dirname "${BASH_SOURCE[0]}")/../cut.py" "$out/data" "$minutes" "$out/data-$minutes"
    data=$out/data-$minutes to=$out/minutes-$minutes${model:+-from}
    # shellcheck disable=SC2086  # SETTINGS is a list of words
    asr train own "train.epochs=$epochs" ${SETTINGS:-} ${model:+"train.init_from=$model"} \
        --data "$data" --out "$to/run" --resume
    asr evaluate "$to/run" "valid=$data/valid.jsonl" "test=$data/test.jsonl" --out "$to/report"
done <<<"${MINUTES:-5 120
10 80
20 50
40 35}"
