#!/usr/bin/env bash
# Your own recordings, from their folder to the report: prepare, train, evaluate, transcribe.
#
# Usage: recipes/own/run.sh SOURCE OUT [options of `asr prepare own` ...]
#   SOURCE    folder of audio files, each with a .txt beside it; or the folder that the paths in a table start from
#   OUT       output folder: OUT/data, OUT/run, OUT/report
#   options   such as --table transcripts.tsv, --speaker-from folder, --test 0.2
#   SETTINGS  (variable) settings on top of conf/own.yaml, such as SETTINGS="features.sample_rate=8000"
#   ANYWAY    (variable) ANYWAY=1 goes on without recordings that cannot be used, and whatever `asr check` finds
#
# Run again, the same command resumes where it was interrupted.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../steps.sh" # from_folder_to_report

from_folder_to_report own own "$@"
