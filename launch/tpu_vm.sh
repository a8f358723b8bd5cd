#!/usr/bin/env bash
# A Cloud TPU slice, v4 or v5e, by the Cloud TPU API.
# Never run on the real thing: its commands are checked against gcloud's help.
#   launch/tpu_vm.sh [--dry-run] create | install | delete
#   launch/tpu_vm.sh [--dry-run] run FLAGS_OF_MAIN...
# TPU and ZONE: its name and place. DIR: a checkout of this repository on a
# file system that all hosts have mounted. For create also ACCELERATOR_TYPE
# (v4-32, v5litepod-16), RUNTIME_VERSION (tpu-ubuntu2204-base,
# v2-alpha-tpuv5-lite), and SPOT=yes for hosts that may be taken away.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source-path=SCRIPTDIR/.. source=launch/common.sh
source launch/common.sh

need TPU "the slice's name"
need ZONE 'where it is, such as us-central2-b'
resource=(gcloud compute tpus queued-resources)
on() { # WORKER COMMAND: 0, 1, ... or all
  run gcloud compute tpus tpu-vm ssh "$TPU" "--zone=$ZONE" "--worker=$1" \
    "--command=$2"
}

action=${1:-}
shift || usage
case "$action" in
  create)
    need ACCELERATOR_TYPE 'the kind and size, such as v5litepod-16'
    need RUNTIME_VERSION 'the software, such as v2-alpha-tpuv5-lite'
    spot=()
    [[ -z "${SPOT:-}" ]] || spot=(--spot)
    run "${resource[@]}" create "$TPU" "--node-id=$TPU" "--zone=$ZONE" \
      "--accelerator-type=$ACCELERATOR_TYPE" \
      "--runtime-version=$RUNTIME_VERSION" "${spot[@]}"
    ;;
  install)
    need DIR 'the shared checkout'
    on 0 "$(quoted "$DIR/launch/run_host.sh" --install tpu)"
    ;;
  run)
    need DIR 'the shared checkout'
    on all "$(quoted "$DIR/launch/run_host.sh" --distributed "$@")"
    ;;
  delete) run "${resource[@]}" delete "$TPU" "--zone=$ZONE" --force ;;
  *) usage ;;
esac
