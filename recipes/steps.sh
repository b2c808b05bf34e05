# The steps from a corpus folder to a report, which most recipes share; sourced by their run.sh.
# SETTINGS (variable): settings on top of the config, such as SETTINGS="train.seed=2"
# ANYWAY (variable): ANYWAY=1 trains whatever `asr check` finds; training leaves out what cannot be learnt, and says so

# Prepare, check, train, evaluate, and transcribe the first recording of the test set.
from_folder_to_report() { # CORPUS CONF SOURCE OUT [options of `asr prepare CORPUS` ...]
    local corpus=$1 conf=$2 usage="usage: recipes/$1/run.sh SOURCE OUT [options of asr prepare $1]"
    local source=${3:?$usage} out=${4:?$usage} audio
    shift 4

    asr prepare "$corpus" --source "$source" --out "$out/data" "$@"
    asr check "$out"/data/{train,valid,test}.jsonl --conf "$conf" || [ -n "${ANYWAY:-}" ]
    # shellcheck disable=SC2086  # SETTINGS is a list of words
    asr train "$conf" ${SETTINGS:-} --data "$out/data" --out "$out/run" --resume
    asr evaluate "$out/run" "valid=$out/data/valid.jsonl" "test=$out/data/test.jsonl" --out "$out/report"

    # What it is for: a recording in, text out.
    audio=$(sed -n '1s/.*"audio": "\([^"]*\)".*/\1/p' "$out/data/test.jsonl")
    asr transcribe "$out/run" "$out/data/$audio"
}
