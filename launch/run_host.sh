#!/usr/bin/env bash
# One process of a run. This script alone knows the program.
#   launch/run_host.sh [--dry-run] FLAGS_OF_MAIN...
#   launch/run_host.sh [--dry-run] --install EXTRA_OF_JAX
# EXTRA_OF_JAX is tpu, cuda13 or cpu. PYTHON is an interpreter that has the
# package; .venv/bin/python, which --install makes, where it is not set. BASE
# is the Python (3.11 or newer) that --install makes it with.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source-path=SCRIPTDIR/.. source=launch/common.sh
source launch/common.sh

if [[ "${1:-}" == --install ]]; then
  (($# == 2)) || usage
  run "${BASE:-python3}" -m venv .venv
  extra=()
  [[ "$2" == cpu ]] || extra=("jax[$2]")
  run .venv/bin/python -m pip install --editable . "${extra[@]}"
else
  become "${PYTHON:-.venv/bin/python}" main.py "$@"
fi
