#!/usr/bin/env bash
# The Free Spoken Digit Dataset from its recordings to nine reports: the official split with three seeds, and each of
# the six speakers held out once.
#
# Usage: recipes/fsdd/run.sh SOURCE OUT
#   SOURCE    the corpus folder (it holds recordings/)
#   OUT       folder for everything that is made: OUT/official/{data,seed-1,...}, OUT/hold-out/{george,...}
#   SETTINGS  (variable) settings on top of conf/fsdd.yaml, such as SETTINGS="train.epochs=10"
#
# The same command again goes on where an interrupted one stopped.
set -euo pipefail

source=${1:?usage: recipes/fsdd/run.sh SOURCE OUT}
out=${2:?usage: recipes/fsdd/run.sh SOURCE OUT}

# People who were not heard, through microphones that were not heard: stronger changes of voice, tone and noise. They
# slow the training down, and where the speakers are known they only do harm.
unheard="train.epochs=40 augment.speed=[0.8,1.25] augment.noise=0.6 augment.noise_snr_db=[5,35]
    augment.tone_db=3 augment.mel_masks=2"

train_and_evaluate() { # DATA RUN SETTING...
    local data=$1 run=$2
    shift 2
    # shellcheck disable=SC2086  # SETTINGS is a list of words
    asr train fsdd "$@" ${SETTINGS:-} --data "$data" --out "$run/run" --resume
    asr evaluate "$run/run" "valid=$data/valid.jsonl" "test=$data/test.jsonl" --out "$run/report"
}

asr prepare fsdd --source "$source" --out "$out/official/data"
asr check "$out"/official/data/{train,valid,test}.jsonl --conf fsdd
for seed in 1 2 3; do
    train_and_evaluate "$out/official/data" "$out/official/seed-$seed" "train.seed=$seed"
done

for speaker in george jackson lucas nicolas theo yweweler; do
    asr prepare fsdd --source "$source" --out "$out/hold-out/$speaker/data" --hold-out "$speaker"
    asr check "$out/hold-out/$speaker"/data/{train,valid,test}.jsonl --conf fsdd
    # shellcheck disable=SC2086  # a list of words
    train_and_evaluate "$out/hold-out/$speaker/data" "$out/hold-out/$speaker" $unheard
done

# The two figures of this recipe: means over the seeds and over the held-out speakers.
python - "$out" <<'END'
import json, pathlib, sys

for protocol in ("official", "hold-out"):
    reports = sorted(pathlib.Path(sys.argv[1], protocol).glob("*/report/report.json"))
    rates = {path.parts[-3]: json.loads(path.read_text())["splits"]["test"]["wer"] for path in reports}
    for name, rate in rates.items():
        print(f"{protocol:<10}{name:<10}test WER {rate:7.2%}")
    print(f"{protocol:<10}{'mean':<10}test WER {sum(rates.values()) / len(rates):7.2%}\n")
END

# What it is for: a recording in, text out.
asr transcribe "$out/official/seed-1/run" "$(find "$source" -name 7_jackson_0.wav -print -quit)"
