"""Flags with which tiny models compile quickly; of this process and its own.

A tiny model takes longer to compile than to run.
"""

import os
import subprocess
import sys

# XLA's older emitters compile in half the time; code that is not cut into parts
# for many threads, in nine tenths of that.
FLAGS = (
    '--xla_cpu_use_fusion_emitters=false',
    '--xla_cpu_parallel_codegen_split_count=1',
)


def set_flags() -> None:
    """Sets the environment, of which JAX reads a part when it is imported."""
    os.environ['JAX_DISABLE_MOST_OPTIMIZATIONS'] = '1'
    if 'XLA_FLAGS' not in os.environ:
        # An XLA that does not know a flag would end the process.
        flag = {'XLA_FLAGS': ' '.join(FLAGS)}
        done = subprocess.run(
            [sys.executable, '-c', 'import jax; jax.devices()'],
            env=os.environ | flag,
            capture_output=True,
            check=False,
        )
        os.environ |= flag if done.returncode == 0 else {'XLA_FLAGS': ''}
