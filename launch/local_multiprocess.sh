#!/usr/bin/env bash
# N processes on the CPUs of this machine, for trying out: a device each.
#   launch/local_multiprocess.sh [--dry-run] N FLAGS_OF_MAIN...
# The flags need --config.mesh.data and .model with N as their product.
# SIGTERM is passed on, and the exit code is that of a process that failed.
# PORT is the coordinator's, 9911 where it is not set.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source-path=SCRIPTDIR/.. source=launch/common.sh
source launch/common.sh

[[ "${1:-}" =~ ^[1-9][0-9]*$ ]] || usage
n=$1
shift
pids=()
trap 'kill -TERM "${pids[@]}" 2>/dev/null || true' TERM INT
for ((i = 0; i < n; i++)); do
  process=(env JAX_PLATFORMS=cpu JAX_NUM_CPU_DEVICES=1)
  ((i == 0)) || process+=(TQDM_DISABLE=1)
  process+=(
    launch/run_host.sh "--coordinator=localhost:${PORT:-9911}"
    "--num_processes=$n" "--process_id=$i" "$@"
  )
  if [[ -n "$dry_run" ]]; then
    quoted "${process[@]}"
  else
    "${process[@]}" &
    pids+=($!)
  fi
done
code=0
for pid in "${pids[@]}"; do
  status=0
  wait "$pid" || status=$?
  # A signal to this script ends the wait and not the process.
  while ((status > 128)) && kill -0 "$pid" 2>/dev/null; do
    status=0
    wait "$pid" || status=$?
  done
  ((status == 0)) || code=$status
done
exit "$code"
