#!/usr/bin/env bash
# How many recordings does it take? FSDD's official split with 10, 50, 200 and all training clips, from scratch and
# fine-tuned from the model of synthetic voices.
#
# Usage: recipes/fsdd/few.sh OUT
#   OUT       the output of recipes/fsdd/run.sh: OUT/data/official, OUT/synthetic, and seed 1, which is the last row;
#             this adds OUT/data/few-N and OUT/few/N/{alone,adapted}/{run,report,report-words}
#   SETTINGS  (variable) settings on top of the configs
#
# Run again, the same command resumes where it was interrupted.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh" # train_and_evaluate

out=${1:?usage: recipes/fsdd/few.sh OUT}

# Balanced over digits and speakers as far as the number allows; a larger selection contains the smaller ones.
python - "$out/data" <<'END'
import json, pathlib, random, shutil, sys

data = pathlib.Path(sys.argv[1])
clips = [json.loads(line) for line in (data / "official/train.jsonl").open(encoding="utf-8")]
random.Random(1).shuffle(clips)
taken = {"text": {}, "speaker": {}}
order = []
for _ in range(200):
    clip = min(clips, key=lambda clip: [taken[field].get(clip[field], 0) for field in ("text", "speaker")])
    clips.remove(clip)
    order.append(clip)
    for field, counts in taken.items():
        counts[clip[field]] = counts.get(clip[field], 0) + 1
for count in (10, 50, 200):
    folder = data / f"few-{count}"  # beside the official split: the paths of the audio are relative
    folder.mkdir(exist_ok=True)
    for name in ("valid.jsonl", "test.jsonl", "dataset.yaml"):
        shutil.copy(data / "official" / name, folder)
    lines = (json.dumps(clip, ensure_ascii=False) + "\n" for clip in order[:count])
    (folder / "train.jsonl").write_text("".join(lines), encoding="utf-8")
END

# Fewer clips are trained on for more epochs, in smaller batches.
for row in "10 200 2" "50 100 4" "200 60 8"; do
    read -r count epochs batch <<<"$row"
    few=("train.epochs=$epochs" "batches.max_utterances=$batch")
    train_and_evaluate "$out/data/few-$count" "$out/few/$count/alone" fsdd "${few[@]}"
    train_and_evaluate "$out/data/few-$count" "$out/few/$count/adapted" fsdd-adapt "train.init_from=$out/synthetic/run" "${few[@]}"
done

python - "$out" <<'END'
import json, pathlib, sys

out = pathlib.Path(sys.argv[1])
rows = {count: out / f"few/{count}" for count in (10, 50, 200)}
for count in (*rows, 2400):
    for start in ("alone", "adapted"):
        folder = rows[count] / start if count in rows else out / start / "official/seed-1"
        for report, title in (("report", "greedy"), ("report-words", "its words")):
            test = json.loads((folder / report / "report.json").read_text())["splits"]["test"]
            low, high = test["wer_ci95"]
            print(f"{count:5} clips, {start:8} {title:9} test WER {test['wer']:7.2%} ({low:.2%} - {high:.2%})")
END
