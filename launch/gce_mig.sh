#!/usr/bin/env bash
# A slice of a newer TPU (v5p, v6e, TPU7x) as Compute Engine VMs, which a
# managed instance group keeps together.
# Never run on the real thing: its commands are checked against gcloud's help.
#   launch/gce_mig.sh [--dry-run] create | install | delete
#   launch/gce_mig.sh [--dry-run] run FLAGS_OF_MAIN...
# GROUP and ZONE: its name and place. DIR: a checkout of this repository on a
# file system that all hosts have mounted. For create also MACHINE_TYPE
# (ct6e-standard-4t, tpu7x-standard-4t), TOPOLOGY (4x4), HOSTS (4: chips by
# chips a host), IMAGE_FAMILY and IMAGE_PROJECT (of Google's TPU images), and
# SPOT=yes for hosts that may be taken away.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source-path=SCRIPTDIR/.. source=launch/common.sh
source launch/common.sh

need GROUP "the group's name"
need ZONE 'where it is, such as us-central1-c'
compute=(gcloud compute)
managed=("${compute[@]}" instance-groups managed)

hosts() { # a name a line
  if [[ -n "$dry_run" ]]; then
    echo "HOST_OF_$GROUP"
  else
    "${managed[@]}" list-instances "$GROUP" "--zone=$ZONE" \
      '--format=value(name)'
  fi
}
on() { # HOST COMMAND
  run "${compute[@]}" ssh "$1" "--zone=$ZONE" "--command=$2"
}

action=${1:-}
shift || usage
case "$action" in
  create)
    need MACHINE_TYPE 'that of a host, such as ct6e-standard-4t'
    need TOPOLOGY 'how its chips are joined, such as 4x4'
    need HOSTS 'how many hosts that makes'
    need IMAGE_FAMILY "one of Google's TPU images"
    need IMAGE_PROJECT "the project of Google's TPU images"
    spot=()
    if [[ -n "${SPOT:-}" ]]; then
      spot=(--provisioning-model=SPOT --instance-termination-action=STOP)
    fi
    region=${ZONE%-*}
    run "${compute[@]}" resource-policies create workload-policy "$GROUP" \
      --type=HIGH_THROUGHPUT "--accelerator-topology=$TOPOLOGY" \
      "--region=$region"
    run "${compute[@]}" instance-templates create "$GROUP" \
      "--machine-type=$MACHINE_TYPE" --maintenance-policy=TERMINATE \
      "--image-family=$IMAGE_FAMILY" "--image-project=$IMAGE_PROJECT" \
      "${spot[@]}"
    run "${managed[@]}" create "$GROUP" "--zone=$ZONE" "--size=$HOSTS" \
      "--template=$GROUP" "--workload-policy=$GROUP"
    ;;
  install)
    need DIR 'the shared checkout'
    on "$(hosts | head -n 1)" \
      "$(quoted "$DIR/launch/run_host.sh" --install tpu)"
    ;;
  run)
    need DIR 'the shared checkout'
    pids=()
    for host in $(hosts); do
      on "$host" "$(quoted "$DIR/launch/run_host.sh" --distributed "$@")" &
      pids+=($!)
    done
    code=0
    for pid in "${pids[@]}"; do wait "$pid" || code=$?; done
    exit "$code"
    ;;
  delete)
    run "${managed[@]}" delete "$GROUP" "--zone=$ZONE" --quiet
    run "${compute[@]}" instance-templates delete "$GROUP" --quiet
    run "${compute[@]}" resource-policies delete "$GROUP" \
      "--region=${ZONE%-*}" --quiet
    ;;
  *) usage ;;
esac
