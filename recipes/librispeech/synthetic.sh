#!/usr/bin/env bash
# Does pre-training on synthetic speech help? 10 minutes, an hour and all of the training set, with and without.
#
# Usage: recipes/librispeech/synthetic.sh OUT TEXT [NAME ...]
#   OUT       the output of recipes/librispeech/run.sh: OUT/data; this adds OUT/synthetic, OUT/ten, OUT/hour and
#             OUT/starts/NAME/{run,report}
#   TEXT      a UTF-8 text for espeak-ng to read out, without the sentences of the test set
#   NAME      the wanted lines of the table below; all by default
#   SETTINGS  (variable) settings on top of all others, such as SETTINGS="train.seed=2 train.threads=1"
#   SYNTHETIC (variable) settings on top of those, for the model of synthetic speech alone
#
# Run again, the same command resumes where it was interrupted. `asr compare` gives the difference between two models.
set -euo pipefail

out=${1:?usage: recipes/librispeech/synthetic.sh OUT TEXT [NAME ...]}
text=${2:?usage: recipes/librispeech/synthetic.sh OUT TEXT [NAME ...]}
shift 2

base="model.hidden=192 model.dense=0 model.dropout=0.1 augment.time_mask_every=0 train.consistency=0"
# Models fine-tuned from the synthetic one get the same epochs and half the learning rate, to forget less.
after="train.init_from=$out/synthetic/run train.lr=0.0015"
starts="ten-alone ten batches.max_frames=2000 train.epochs=60
ten-after ten batches.max_frames=2000 train.epochs=60 $after
hour-alone hour batches.max_frames=6000 train.epochs=40
hour-after hour batches.max_frames=6000 train.epochs=40 $after
all-alone data batches.max_frames=6000 train.epochs=26
all-after data batches.max_frames=6000 train.epochs=26 $after"

for name in "$@"; do
    grep -q "^$name " <<<"$starts" || { echo "$0: there is no $name in the table of starts" >&2 && exit 2; }
done
asr prepare synth --text "$text" --language en-us --language en-gb-x-rp --hours 20 --voices 100 --out "$out/synthetic/data"
# shellcheck disable=SC2086  # lists of words
asr train librispeech $base batches.max_frames=4000 train.accumulate=2 train.epochs=5 augment.reverb=0.3 augment.noise=0.3 ${SETTINGS:-} ${SYNTHETIC:-} \
    --data "$out/synthetic/data" --out "$out/synthetic/run" --resume
for part in "ten 10" "hour 60"; do
    [ -f "$out/${part% *}/train.jsonl" ] || python "$(dirname "${BASH_SOURCE[0]}")/../cut.py" "$out/data" "${part#* }" "$out/${part% *}"
done
while read -r name data settings; do
    if [ $# -gt 0 ] && [[ " $* " != *" $name "* ]]; then continue; fi
    to=$out/starts/$name
    # shellcheck disable=SC2086  # lists of words
    asr train librispeech $base $settings ${SETTINGS:-} --data "$out/$data" --out "$to/run" --resume
    asr evaluate "$to/run" "valid=$out/$data/valid.jsonl" "test=$out/$data/test.jsonl" --out "$to/report"
done <<<"$starts"
