#!/usr/bin/env bash
# A slice of a newer TPU on a GKE cluster that xpk made: a job by xpk.
# Never run on the real thing: its commands are checked against xpk's parser.
#   launch/xpk.sh [--dry-run] FLAGS_OF_MAIN...
# CLUSTER, ZONE, PROJECT: the cluster. WORKLOAD: the job's name. TPU_TYPE:
# such as v6e-16 or tpu7x-2x2x2. IMAGE: a container image whose working folder
# is this repository, installed with jax[tpu] for PYTHON. --workdir and
# --cache_dir have to lie on a storage that xpk has attached to the cluster.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source-path=SCRIPTDIR/.. source=launch/common.sh
source launch/common.sh

(($#)) || usage
need CLUSTER "the cluster's name"
need ZONE 'where it is, such as us-central1-c'
need PROJECT 'the Google Cloud project'
need WORKLOAD "the job's name"
need TPU_TYPE 'the kind and size, such as tpu7x-2x2x2'
need IMAGE 'the container image'
# A preempted process exits with 75, which must count as worth a restart.
run xpk workload create "--cluster=$CLUSTER" "--zone=$ZONE" \
  "--project=$PROJECT" "--workload=$WORKLOAD" "--tpu-type=$TPU_TYPE" \
  --num-slices=1 "--docker-image=$IMAGE" --max-restarts=50 \
  --restart-on-user-code-failure --termination-grace-period-seconds=600 \
  "--command=PYTHON=${PYTHON:-python3} $(
    quoted launch/run_host.sh --distributed "$@"
  )"
