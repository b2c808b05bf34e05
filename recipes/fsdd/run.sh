#!/usr/bin/env bash
# The Free Spoken Digit Dataset from its recordings to fifteen reports: the official split with three seeds, and each of
# the six speakers held out, once with the other five alone and once after training on synthetic digits.
#
# Usage: recipes/fsdd/run.sh SOURCE OUT
#   SOURCE    the corpus folder (it holds recordings/)
#   OUT       folder for everything that is made: OUT/data, and OUT/{official,hold-out,hold-out-synthetic}/*/{run,report}
#   SETTINGS  (variable) settings on top of the configs, such as SETTINGS="train.epochs=10"
#
# The same command again goes on where an interrupted one stopped.
set -euo pipefail

source=${1:?usage: recipes/fsdd/run.sh SOURCE OUT}
out=${2:?usage: recipes/fsdd/run.sh SOURCE OUT}

train_and_evaluate() { # DATA OUT CONF [SETTING...]
    local data=$1 to=$2 conf=$3
    shift 3
    # shellcheck disable=SC2086  # SETTINGS is a list of words
    asr train "$conf" "$@" ${SETTINGS:-} --data "$data" --out "$to/run" --resume
    asr evaluate "$to/run" "valid=$data/valid.jsonl" "test=$data/test.jsonl" --out "$to/report"
}

asr prepare fsdd --source "$source" --out "$out/data/official"
asr check "$out"/data/official/{train,valid,test}.jsonl --conf fsdd
for seed in 1 2 3; do
    train_and_evaluate "$out/data/official" "$out/official/seed-$seed" fsdd "train.seed=$seed"
done

# Synthetic digits and commands: no voice of FSDD, but a hundred and sixty others.
asr prepare digits --out "$out/data/synthetic"
train_and_evaluate "$out/data/synthetic" "$out/synthetic" fsdd-unheard train.epochs=16 batches.max_frames=4000

for speaker in george jackson lucas nicolas theo yweweler; do
    data=$out/data/without-$speaker
    asr prepare fsdd --source "$source" --out "$data" --hold-out "$speaker"
    asr check "$data"/{train,valid,test}.jsonl --conf fsdd-unheard
    train_and_evaluate "$data" "$out/hold-out/$speaker" fsdd-unheard
    train_and_evaluate "$data" "$out/hold-out-synthetic/$speaker" fsdd-unheard "train.init_from=$out/synthetic/run"
done

# The figures of this recipe: means over the seeds and over the held-out speakers.
python - "$out" <<'END'
import json, pathlib, sys

for protocol in ("official", "hold-out", "hold-out-synthetic"):
    reports = sorted(pathlib.Path(sys.argv[1], protocol).glob("*/report/report.json"))
    rates = {path.parts[-3]: json.loads(path.read_text())["splits"]["test"]["wer"] for path in reports}
    for name, rate in rates.items():
        print(f"{protocol:<20}{name:<10}test WER {rate:7.2%}")
    print(f"{protocol:<20}{'mean':<10}test WER {sum(rates.values()) / len(rates):7.2%}\n")
END

# What it is for: a recording in, text out.
asr transcribe "$out/official/seed-1/run" "$(find "$source" -name 7_jackson_0.wav -print -quit)"
