#!/usr/bin/env bash
# CMU's AN4, from its folder to the report: prepare, train, evaluate, transcribe.
#
# Usage: recipes/an4/run.sh SOURCE OUT [options of `asr prepare an4` ...]
#   SOURCE    the folder an4/ or the one above it
#   OUT       output folder: OUT/data, OUT/run, OUT/report
#   options   such as --valid 0.05
#   SETTINGS  (variable) settings on top of conf/an4.yaml, such as SETTINGS="train.seed=2 train.epochs=40"
#   ANYWAY    (variable) ANYWAY=1 goes on without recordings that cannot be used, and whatever `asr check` finds
#
# Run again, the same command resumes where it was interrupted.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../steps.sh" # from_folder_to_report

from_folder_to_report an4 an4 "$@"
