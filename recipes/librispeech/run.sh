#!/usr/bin/env bash
# LibriSpeech, or an excerpt of it, from its folder to the report: prepare, train, evaluate, transcribe.
#
# Usage: recipes/librispeech/run.sh SOURCE OUT [options of `asr prepare librispeech` ...]
#   SOURCE    the folder LibriSpeech/ or the one above it
#   OUT       output folder: OUT/data, OUT/run, OUT/report
#   options   which utterances; train-clean-100, dev-clean and test-clean by default. For an excerpt with id lists:
#             recipes/librispeech/run.sh LibriSpeech runs/libri-mini --ids recipes/librispeech/libri-mini
#   SETTINGS  (variable) settings on top of conf/librispeech.yaml, such as SETTINGS="model.hidden=512 train.epochs=15"
#   ANYWAY    (variable) ANYWAY=1 goes on without recordings that cannot be used, and whatever `asr check` finds
#
# Run again, the same command resumes where it was interrupted.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../steps.sh" # from_folder_to_report

from_folder_to_report librispeech librispeech "$@"
