# Shared by the scripts of this recipe, which source it.
# SETTINGS (variable): settings on top of the configs, such as SETTINGS="train.epochs=10"

# A training and two reports: greedy, and with the words of the training set as the lexicon.
train_and_evaluate() { # DATA OUT CONF [SETTING...]
    local data=$1 to=$2 conf=$3
    shift 3
    # shellcheck disable=SC2086  # SETTINGS is a list of words
    asr train "$conf" "$@" ${SETTINGS:-} --data "$data" --out "$to/run" --resume
    asr evaluate "$to/run" "valid=$data/valid.jsonl" "test=$data/test.jsonl" --out "$to/report"
    python - "$data/train.jsonl" >"$to/words.txt" <<'END'
import json, pathlib, sys

lines = pathlib.Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
print("\n".join(sorted({word for line in lines for word in json.loads(line)["text"].split()})))
END
    asr evaluate "$to/run" "valid=$data/valid.jsonl" "test=$data/test.jsonl" --lexicon "$to/words.txt" --out "$to/report-words"
}
