# What the scripts of this recipe share; sourced by them.
# SETTINGS (variable): settings on top of the configs, such as SETTINGS="train.epochs=10"

# A training and two reports: greedy, and with a decoder that writes no word but those of the training set.
train_and_evaluate() { # DATA OUT CONF [SETTING...]
    local data=$1 to=$2 conf=$3
    shift 3
    # shellcheck disable=SC2086  # SETTINGS is a list of words
    asr train "$conf" "$@" ${SETTINGS:-} --data "$data" --out "$to/run" --resume
    asr evaluate "$to/run" "valid=$data/valid.jsonl" "test=$data/test.jsonl" --out "$to/report"
    sed 's/.*"text": "\([^"]*\)".*/\1/' "$data/train.jsonl" | tr ' ' '\n' | sort -u >"$to/words.txt"
    asr evaluate "$to/run" "valid=$data/valid.jsonl" "test=$data/test.jsonl" --lexicon "$to/words.txt" --out "$to/report-words"
}
