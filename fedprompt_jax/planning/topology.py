"""Devices that are not on this machine, for which XLA compiles here.

XLA's compiler for TPUs is in libtpu, that for NVIDIA's GPUs in JAX's CUDA
plugin. Both compile without a device: jax.experimental.topologies.
"""

from collections.abc import Sequence
import importlib.util
import math
import os
import re

TPUS = ('v4', 'v5e', 'v5p', 'v6e')
GPUS = ('h100',)
# The packages of compilers for TPUs and for GPUs, and the extra with them.
COMPILERS = (
    (('libtpu',), 'tpu-compile'),
    (('jax_cuda13_plugin', 'jax_cuda12_plugin'), 'cuda'),
)
MEGACORE = ('v4', 'v5p')  # TPUs with two cores a chip
# The smallest slices that libtpu knows.
SMALLEST = {'v4': '2x2x1', 'v5p': '2x2x1', 'v5e': '2x2', 'v6e': '2x2'}
# Else libtpu looks for a TPU, asks Google's cloud which one this is, and lets
# one process of a machine compile at a time.
TPU_ENVIRONMENT = {
    'ALLOW_MULTIPLE_LIBTPU_LOAD': '1',
    'TPU_SKIP_MDS_QUERY': '1',
    'TPU_WORKER_HOSTNAMES': 'localhost',
}
GPU_ENVIRONMENT = {'CUDA_VISIBLE_DEVICES': '-1'}
# XLA's GpuTargetConfigProto of an H100 SXM, from NVIDIA's data sheet and its
# CUDA programming guide (compute capability 9.0).
H100 = """
gpu_device_info {
  threads_per_block_limit: 1024
  threads_per_warp: 32
  shared_memory_per_block: 49152
  shared_memory_per_core: 233472
  shared_memory_per_block_optin: 232448
  threads_per_core_limit: 2048
  core_count: 132
  fpus_per_core: 128
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  memory_bandwidth: 3352320000000
  l2_cache_size: 52428800
  clock_rate_ghz: 1.98
  device_memory_size: 84929347584
  registers_per_core_limit: 65536
  registers_per_block_limit: 65536
  cuda_compute_capability { major: 9 minor: 0 }
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 7 }
runtime_version { major: 12 minor: 8 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""


def check(chip: str, topology: str) -> int:
    """The number of chips of a slice.

    Args:
      chip: one of TPUS or GPUS.
      topology: such as '4x4x4'; '1' for a single chip. Of GPUs, their number
        in one machine.

    Raises:
      ValueError: the slice has another form, or the compiler is missing.
    """
    if chip not in (*TPUS, *GPUS):
        raise ValueError(
            f'--chip={chip} has no compiler here; use one of '
            f'{", ".join((*TPUS, *GPUS))}.'
        )
    sides = 1 if chip in GPUS else len(SMALLEST[chip].split('x'))
    form = r'\d+' + r'x\d+' * (sides - 1)
    if topology != '1' and not re.fullmatch(form, topology):
        example = {1: '8', 2: '4x4', 3: '4x4x4'}[sides]
        raise ValueError(
            f'--topology={topology} is no slice of {chip}; use 1 or {sides} '
            f'number(s), such as {example}.'
        )
    packages, extra = COMPILERS[chip in GPUS]
    if not any(map(importlib.util.find_spec, packages)):
        raise ValueError(
            f'--compile for --chip={chip} needs the package '
            f'{" or ".join(packages)}: install the extra {extra}, '
            f"pip install '.[{extra}]'."
        )
    return math.prod(map(int, topology.split('x')))


def prepare(chip: str) -> None:
    """Has JAX compute on the CPU, and compilers look for no device.

    It must be called before JAX looks for devices.
    """
    import jax

    os.environ.update(GPU_ENVIRONMENT if chip in GPUS else TPU_ENVIRONMENT)
    if chip in TPUS:
        os.environ['TPU_ACCELERATOR_TYPE'] = f'{chip}-8'
    jax.config.update('jax_platforms', 'cpu')


def devices(chip: str, topology: str) -> Sequence:
    """The devices of a slice, for mesh.make_mesh.

    Args:
      chip: as `check` takes it.
      topology: likewise; of a single chip, the first of the smallest slice.

    Raises:
      ValueError: the compiler knows no such slice.
    """
    import jax

    prepare(chip)
    try:
        return _devices(chip, topology)
    except jax.errors.JaxRuntimeError as error:
        raise ValueError(
            f'--topology={topology}: the compiler for {chip} has no such '
            f'slice, or does not start: {str(error).splitlines()[0]}'
        ) from error


def _devices(chip: str, topology: str) -> Sequence:
    from jax.experimental import topologies

    if chip in GPUS:
        # Slices, machines of a slice, GPUs of a machine.
        found = topologies.get_topology_desc(
            platform='cuda', topology=f'1x1x{topology}', target_config=H100
        )
        return found.devices
    alone = topology == '1'
    name = SMALLEST[chip] if alone else topology
    found = topologies.get_topology_desc(
        platform='tpu',
        topology_name=f'{chip}:{name}',
        # Both cores of a chip are one device, as in JAX on such a chip.
        chip_config_name='megacore' if chip in MEGACORE else 'default',
    )
    return found.devices[:1] if alone else found.devices
