"""The launchers: the commands they print, and that shells accept them.

Only those of one machine are run; there is no cloud here.
"""

import os
from pathlib import Path
import shlex
import shutil
import signal
import subprocess
import sys

import pytest
import yaml

ROOT = Path(__file__).parents[1]
LAUNCH = ROOT / 'launch'
SCRIPTS = sorted([*LAUNCH.glob('*.sh'), LAUNCH / 'slurm.sbatch'])
TRIED = {'common.sh', 'run_host.sh', 'local_multiprocess.sh'}
FLAGS = ['--config=configs/fedavg_adam.py:paper', "--config.x=('a b',)"]
HOST = ['launch/run_host.sh', '--distributed', *FLAGS]
SHARED = ['/shared/launch/run_host.sh', '--distributed', *FLAGS]
TPU = {'TPU': 'slice', 'ZONE': 'us-west4-a', 'DIR': '/shared'}
MIG = {'GROUP': 'slice', 'ZONE': 'us-west4-a', 'DIR': '/shared'}
XPK = {
    'CLUSTER': 'cluster',
    'ZONE': 'us-west4-a',
    'PROJECT': 'project',
    'WORKLOAD': 'job',
    'TPU_TYPE': 'tpu7x-2x2x2',
    'IMAGE': 'image',
}


def launch(script: str, *arguments: str, **environment: str):
    return subprocess.run(
        ['bash', LAUNCH / script, *arguments],
        cwd=ROOT,
        env={'PATH': os.environ['PATH']} | environment,
        capture_output=True,
        text=True,
    )


def commands(script: str, *arguments: str, **environment: str):
    """What a dry run prints, as lists of words."""
    done = launch(script, '--dry-run', *arguments, **environment)
    assert done.returncode == 0, done.stderr
    return [shlex.split(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize('path', SCRIPTS, ids=lambda p: p.name)
def test_shells_accept_every_script(path):
    subprocess.run(['bash', '-n', path], check=True)
    beside = Path(sys.executable).with_name('shellcheck')
    found = beside if beside.exists() else shutil.which('shellcheck')
    assert found, "shellcheck is not there: pip install -e '.[test]'"
    done = subprocess.run(
        [found, '--external-sources', path],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_what_was_never_run_says_so():
    table = (LAUNCH / 'README.md').read_text()
    for path in [*SCRIPTS, LAUNCH / 'gke_jobset.yaml']:
        said = 'ever run on the real thing' in path.read_text()
        assert said == (path.name not in TRIED), path
        if path.name != 'common.sh':
            assert f'`{path.name}`' in table


def test_only_one_script_knows_the_program():
    for path in LAUNCH.iterdir():
        knows = 'main.py' in path.read_text()
        assert knows == (path.name == 'run_host.sh'), path


def test_a_host_runs_the_program():
    assert commands('run_host.sh', *FLAGS) == [
        ['.venv/bin/python', 'main.py', *FLAGS]
    ]
    assert commands('run_host.sh', *FLAGS, PYTHON='python3') == [
        ['python3', 'main.py', *FLAGS]
    ]
    assert commands('run_host.sh', '--install', 'tpu', BASE='python3.11') == [
        ['python3.11', '-m', 'venv', '.venv'],
        shlex.split('.venv/bin/python -m pip install --editable . jax[tpu]'),
    ]


def test_local_processes_are_told_apart():
    found = commands('local_multiprocess.sh', '2', *FLAGS, PORT='5')
    for i, words in enumerate(found):
        assert words[:3] == [
            'env',
            'JAX_PLATFORMS=cpu',
            'JAX_NUM_CPU_DEVICES=1',
        ]
        assert words[-6:] == [
            'launch/run_host.sh',
            '--coordinator=localhost:5',
            '--num_processes=2',
            f'--process_id={i}',
            *FLAGS,
        ]
    assert len(found) == 2


def test_tpu_vms_all_run_the_same():
    (create,) = commands(
        'tpu_vm.sh',
        'create',
        **TPU,
        ACCELERATOR_TYPE='v5litepod-16',
        RUNTIME_VERSION='v2-alpha-tpuv5-lite',
        SPOT='yes',
    )
    assert create == shlex.split(
        'gcloud compute tpus queued-resources create slice --node-id=slice '
        '--zone=us-west4-a --accelerator-type=v5litepod-16 '
        '--runtime-version=v2-alpha-tpuv5-lite --spot'
    )
    (words,) = commands('tpu_vm.sh', 'run', *FLAGS, **TPU)
    ssh = 'gcloud compute tpus tpu-vm ssh slice --zone=us-west4-a --worker=all'
    assert words[:-1] == shlex.split(ssh)
    assert shlex.split(words[-1].removeprefix('--command=')) == SHARED
    (words,) = commands('tpu_vm.sh', 'install', **TPU)
    assert words[-2:] == [
        '--worker=0',
        '--command=/shared/launch/run_host.sh --install tpu',
    ]
    (words,) = commands('tpu_vm.sh', 'delete', **TPU)
    assert words == shlex.split(
        'gcloud compute tpus queued-resources delete slice --zone=us-west4-a '
        '--force'
    )


def test_a_group_of_vms_has_a_policy_a_template_and_its_size():
    found = commands(
        'gce_mig.sh',
        'create',
        **MIG,
        MACHINE_TYPE='ct6e-standard-4t',
        TOPOLOGY='4x4',
        HOSTS='4',
        IMAGE_FAMILY='family',
        IMAGE_PROJECT='images',
    )
    lines = (
        'gcloud compute resource-policies create workload-policy slice '
        '--type=HIGH_THROUGHPUT --accelerator-topology=4x4 --region=us-west4',
        'gcloud compute instance-templates create slice '
        '--machine-type=ct6e-standard-4t --maintenance-policy=TERMINATE '
        '--image-family=family --image-project=images',
        'gcloud compute instance-groups managed create slice '
        '--zone=us-west4-a --size=4 --template=slice --workload-policy=slice',
    )
    assert found == [shlex.split(line) for line in lines]
    (words,) = commands('gce_mig.sh', 'run', *FLAGS, **MIG)
    ssh = 'gcloud compute ssh HOST_OF_slice --zone=us-west4-a'
    assert words[:-1] == shlex.split(ssh)
    assert shlex.split(words[-1].removeprefix('--command=')) == SHARED
    deleted = [words[2] for words in commands('gce_mig.sh', 'delete', **MIG)]
    assert deleted == [
        'instance-groups', 'instance-templates', 'resource-policies'
    ]  # fmt: skip


def test_xpk_submits_a_job_that_restarts():
    (words,) = commands('xpk.sh', *FLAGS, **XPK)
    assert words[:3] == ['xpk', 'workload', 'create']
    options = dict(
        w.removeprefix('--').split('=', 1) for w in words[3:-1] if '=' in w
    )
    assert options == {
        'cluster': 'cluster',
        'zone': 'us-west4-a',
        'project': 'project',
        'workload': 'job',
        'tpu-type': 'tpu7x-2x2x2',
        'num-slices': '1',
        'docker-image': 'image',
        'max-restarts': '50',
        'termination-grace-period-seconds': '600',
    }
    assert '--restart-on-user-code-failure' in words
    command = shlex.split(words[-1].removeprefix('--command='))
    assert command == ['PYTHON=python3', *HOST]


def test_slurm_runs_every_task_and_queues_again():
    assert commands('slurm.sbatch', *FLAGS) == [
        ['srun', '--kill-on-bad-exit=0', *HOST],
        ['scontrol', 'requeue', 'JOB'],
    ]
    text = (LAUNCH / 'slurm.sbatch').read_text()
    for option in ('--requeue', '--signal=TERM@600', '--open-mode=append'):
        assert f'#SBATCH {option}' in text


def test_the_jobset_starts_the_host_script_and_restarts():
    text = (LAUNCH / 'gke_jobset.yaml').read_text()
    job = yaml.safe_load(text)
    assert job['kind'] == 'JobSet'
    assert job['spec']['failurePolicy']['maxRestarts'] > 0
    (slice_,) = job['spec']['replicatedJobs']
    spec = slice_['template']['spec']
    assert spec['parallelism'] == spec['completions']
    assert spec['backoffLimit'] == 0
    pod = spec['template']['spec']
    assert pod['restartPolicy'] == 'Never'
    (container,) = pod['containers']
    assert container['command'] == ['launch/run_host.sh']
    assert container['args'][0] == '--distributed'
    chips = container['resources']['limits']['google.com/tpu']
    topology = pod['nodeSelector']['cloud.google.com/gke-tpu-topology']
    a, b, c = map(int, topology.split('x'))
    assert a * b * c == chips * spec['parallelism']


@pytest.mark.parametrize(
    ('script', 'said'),
    [
        ('run_host.sh', None),
        ('local_multiprocess.sh', 'local_multiprocess.sh [--dry-run] N'),
        ('tpu_vm.sh', 'error: TPU is not set'),
        ('gce_mig.sh', 'error: GROUP is not set'),
        ('xpk.sh', 'xpk.sh [--dry-run] FLAGS_OF_MAIN'),
        ('slurm.sbatch', 'sbatch [--nodes=N] launch/slurm.sbatch'),
    ],
)
def test_without_arguments_a_script_says_what_it_needs(script, said):
    if said is None:
        assert commands(script) == [['.venv/bin/python', 'main.py']]
        return
    done = launch(script)
    assert done.returncode == 2
    assert said in done.stderr and 'SBATCH' not in done.stderr


def program(folder: Path, text: str) -> str:
    """An executable that stands in for Python."""
    path = folder / 'python'
    path.write_text(f'#!/usr/bin/env bash\n{text}\n')
    path.chmod(0o755)
    return str(path)


def test_local_processes_get_the_signal_and_their_code_comes_back(tmp_path):
    waits = 'trap "exit 75" TERM; echo ready; while :; do sleep 0.05; done'
    process = subprocess.Popen(
        ['bash', LAUNCH / 'local_multiprocess.sh', '2'],
        env=os.environ | {'PYTHON': program(tmp_path, waits)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == process.stdout.readline() == 'ready\n'
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 75


def test_one_local_process_that_fails_fails_the_run(tmp_path):
    fails = '[[ "$*" != *process_id=1* ]]'
    done = launch('local_multiprocess.sh', '2', PYTHON=program(tmp_path, fails))
    assert done.returncode == 1
