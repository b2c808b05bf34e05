#!/usr/bin/env bash
# How many minutes of recordings does it take? The training set of a recipe cut to 5, 10, 20 and 40 minutes, each trained
# from nothing, or from a model that you have; the validation and test sets stay whole.
#
# Usage: recipes/own/curve.sh OUT [MODEL]
#   OUT       what recipes/own/run.sh has made: OUT/data; this adds OUT/data-N and OUT/minutes-N/{run,report}, or
#             OUT/minutes-N-from/{run,report} where there is a model to start from
#   MODEL     run folder or model file that each training starts from, of the same features and layers
#   SETTINGS  (variable) settings on top of conf/own.yaml
#   MINUTES   (variable) lines of minutes and epochs; by default "5 120", "10 80", "20 50" and "40 35"
#
# The same command again goes on where an interrupted one stopped.
set -euo pipefail

out=${1:?usage: recipes/own/curve.sh OUT [MODEL]}
model=${2:-}

# Every text once before any is there twice, as someone would record them; a larger choice holds the smaller.
cut_to() { # MINUTES
    python - "$out" "$1" <<'END'
import collections, json, pathlib, random, shutil, sys

out, minutes = pathlib.Path(sys.argv[1]), float(sys.argv[2])
clips = [json.loads(line) for line in (out / "data/train.jsonl").open(encoding="utf-8")]
random.Random(1).shuffle(clips)
times = collections.Counter()
order = []
for clip in clips:
    order.append((times[clip["text"]], len(order), clip))
    times[clip["text"]] += 1
order.sort(key=lambda entry: entry[:2])
folder = out / f"data-{sys.argv[2]}"  # beside the whole set: the paths of the audio are relative
folder.mkdir(exist_ok=True)
for name in ("valid.jsonl", "test.jsonl", "dataset.yaml"):
    shutil.copy(out / "data" / name, folder)
seconds, lines = 0.0, []
for _, _, clip in order:
    if seconds >= 60 * minutes:
        break
    seconds += clip["duration"]
    lines.append(json.dumps(clip, ensure_ascii=False) + "\n")
if seconds < 60 * minutes:
    sys.exit(f"{out}/data: its training set has {seconds / 60:.1f} minutes, not {sys.argv[2]}")
(folder / "train.jsonl").write_text("".join(lines), encoding="utf-8")
END
}

# Fewer recordings are gone through more often.
while read -r minutes epochs; do
    cut_to "$minutes"
    data=$out/data-$minutes to=$out/minutes-$minutes${model:+-from}
    # shellcheck disable=SC2086  # SETTINGS is a list of words
    asr train own "train.epochs=$epochs" ${SETTINGS:-} ${model:+"train.init_from=$model"} \
        --data "$data" --out "$to/run" --resume
    asr evaluate "$to/run" "valid=$data/valid.jsonl" "test=$data/test.jsonl" --out "$to/report"
done <<<"${MINUTES:-5 120
10 80
20 50
40 35}"
