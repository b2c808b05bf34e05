# Shared by the recipes' scripts, to be sourced: the steps from a corpus folder to a report, and a choice from a list.
# SETTINGS (variable): settings on top of the config, such as SETTINGS="train.seed=2"
# ANYWAY (variable): ANYWAY=1 goes on without recordings that cannot be used, and whatever `asr check` finds

# A step that names what it could not use and does the rest (exit status 1): the user is to look, unless told otherwise.
or_anyway() { # COMMAND ...
    local status=0
    "$@" || status=$?
    if [ "$status" = 1 ]; then
        [ -n "${ANYWAY:-}" ] && return
        echo "stopped after \`$1 $2\`, for the errors above; ANYWAY=1 in front of the command goes on regardless" >&2
    fi
    return "$status"
}

# Prepare, check, train, evaluate, and transcribe the first recording of the test set.
from_folder_to_report() { # CORPUS CONF SOURCE OUT [options of `asr prepare CORPUS` ...]
    local corpus=$1 conf=$2 usage="usage: recipes/$1/run.sh SOURCE OUT [options of asr prepare $1]"
    local source=${3:?$usage} out=${4:?$usage} audio
    shift 4

    or_anyway asr prepare "$corpus" --source "$source" --out "$out/data" "$@"
    or_anyway asr check "$out"/data/{train,valid,test}.jsonl --conf "$conf"
    # shellcheck disable=SC2086  # SETTINGS is a list of words
    asr train "$conf" ${SETTINGS:-} --data "$out/data" --out "$out/run" --resume
    asr evaluate "$out/run" "valid=$out/data/valid.jsonl" "test=$out/data/test.jsonl" --out "$out/report"

    # What it is for: a recording in, text out.
    audio=$(sed -n '1s/.*"audio": "\([^"]*\)".*/\1/p' "$out/data/test.jsonl")
    echo "asr transcribe $out/run $out/data/$audio"
    asr transcribe "$out/run" "$out/data/$audio"
}

# The lines of a list whose first word is one of the given names; all without any. An unknown name is refused.
chosen_lines() { # LIST [NAME ...]
    local list=$1 name
    shift
    [ $# -gt 0 ] || echo "$list"
    for name in "$@"; do
        grep -E "^$name( |\$)" <<<"$list" || { echo "$name: there are" $(cut -d' ' -f1 <<<"$list") >&2 && return 2; }
    done
}
