#!/usr/bin/env bash
# The Free Spoken Digit Dataset, from its recordings to the reports of nineteen trainings: the official split with three
# seeds and each of the six speakers held out, all from scratch and again pre-trained on synthetic digits.
#
# Usage: recipes/fsdd/run.sh SOURCE OUT
#   SOURCE    the corpus folder (which holds recordings/)
#   OUT       output folder: OUT/data, and OUT/{alone,adapted}/{official,hold-out}/*/{run,report,report-words}
#   SETTINGS  (variable) settings on top of the configs, such as SETTINGS="train.epochs=10"
#
# Run again, the same command resumes where it was interrupted.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh" # train_and_evaluate

source=${1:?usage: recipes/fsdd/run.sh SOURCE OUT}
out=${2:?usage: recipes/fsdd/run.sh SOURCE OUT}

# For unseen speakers and unseen microphones: stronger augmentation of voice, tone and noise.
unheard=("augment.speed=[0.8,1.25]" augment.noise=0.6 "augment.noise_snr_db=[5,35]"
    augment.tone_db=3 augment.mel_masks=2)

# Synthetic digits and commands: no voice of FSDD, but a hundred and sixty others.
asr prepare digits --out "$out/data/synthetic"
asr check "$out"/data/synthetic/{train,valid,test}.jsonl --conf fsdd
train_and_evaluate "$out/data/synthetic" "$out/synthetic" fsdd "${unheard[@]}" train.epochs=8 batches.max_frames=4000
adapt=(fsdd-adapt "train.init_from=$out/synthetic/run")

asr prepare fsdd --source "$source" --out "$out/data/official"
asr check "$out"/data/official/{train,valid,test}.jsonl --conf fsdd
for seed in 1 2 3; do
    train_and_evaluate "$out/data/official" "$out/alone/official/seed-$seed" fsdd "train.seed=$seed"
    train_and_evaluate "$out/data/official" "$out/adapted/official/seed-$seed" "${adapt[@]}" "train.seed=$seed"
done

for speaker in george jackson lucas nicolas theo yweweler; do
    data=$out/data/without-$speaker
    asr prepare fsdd --source "$source" --out "$data" --hold-out "$speaker"
    asr check "$data"/{train,valid,test}.jsonl --conf fsdd
    train_and_evaluate "$data" "$out/alone/hold-out/$speaker" fsdd "${unheard[@]}" train.epochs=40
    train_and_evaluate "$data" "$out/adapted/hold-out/$speaker" "${adapt[@]}" "${unheard[@]}"
done

# The figures of this recipe: means over the seeds and over the held-out speakers.
python - "$out" <<'END'
import itertools, json, pathlib, sys

for protocol, start in itertools.product(("official", "hold-out"), ("alone", "adapted")):
    folders = sorted(pathlib.Path(sys.argv[1], start, protocol).iterdir())
    means = []
    for name, title in (("report", "greedy"), ("report-words", "its words")):
        reports = [json.loads((folder / name / "report.json").read_text()) for folder in folders]
        means.append([title, [report["splits"]["test"]["wer"] for report in reports]])
    print(f"{protocol}, {start}: test WER, " + " / ".join(title for title, _ in means))
    for number, folder in enumerate(folders):
        print(f"    {folder.name:<10}" + " / ".join(f"{rates[number]:7.2%}" for _, rates in means))
    print(f"    {'mean':<10}" + " / ".join(f"{sum(rates) / len(rates):7.2%}" for _, rates in means))
END

# What it is for: a recording in, text out.
asr transcribe "$out/adapted/official/seed-1/run" "$(find "$source" -name 7_jackson_0.wav -print -quit)"
