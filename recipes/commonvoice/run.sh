#!/usr/bin/env bash
# A language of Common Voice, from its folder to the report: prepare, train, evaluate, transcribe.
#
# Usage: recipes/commonvoice/run.sh SOURCE OUT [options of `asr prepare commonvoice` ...]
#   SOURCE    the folder of the language, such as cv-corpus-17.0-2024-03-15/cy
#   OUT       output folder: OUT/data, OUT/run, OUT/report
#   options   such as --shards
#   SETTINGS  (variable) settings on top of conf/own.yaml, such as SETTINGS="model.hidden=384 train.epochs=20"
#   ANYWAY    (variable) ANYWAY=1 goes on without recordings that cannot be used, and whatever `asr check` finds
#
# Run again, the same command resumes where it was interrupted.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../steps.sh" # from_folder_to_report

from_folder_to_report commonvoice own "$@"
