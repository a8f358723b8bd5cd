"""The programs of a run, compiled for chips that are not on this machine."""

from collections.abc import Mapping
import math
import re
import time
import types
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh
from ml_collections import config_dict

from fedprompt_jax.mesh import make_mesh
from fedprompt_jax.planning import counts, hlo, laws, programs, topology
from fedprompt_jax.planning.chips import Chip
from fedprompt_jax.planning.expected import (
    Planned,
    planned,
    read_by_steps,
    summed,
)
from fedprompt_jax.planning.plan import Inputs
from fedprompt_jax.planning.programs import Program

NOTHING: Mapping[str, Any] = types.MappingProxyType({})
# What a TPU's compiler says: bytes that it needs, and that there are.
_NUMBER = r'([\d.]+)([KMGT]?)'
_SHORT = (
    rf'Used {_NUMBER} of {_NUMBER}',
    rf'temporaries \({_NUMBER}\) exceeds available HBM \({_NUMBER}\)',
    rf'Requires {_NUMBER}, has {_NUMBER} available',
)
_UNITS = {'': 1, 'K': 2**10, 'M': 2**20, 'G': 2**30, 'T': 2**40}


class Compiled(NamedTuple):
    """What XLA says of one program, for one chip of the mesh.

    Attributes:
      name: of programs.of_run.
      size: of its batch, see programs.Program.
      seconds: that it took to compile.
      fault: why it does not compile, in a sentence; '' if it does. Then all
        numbers are NaN.
      arguments: bytes of what it reads, the base among them.
      temporaries: bytes besides arguments and results.
      peak: bytes of all of them, without what is counted twice.
      flops: floating-point operations of products, loops multiplied out.
      bytes: that it reads from the main memory and writes to it, likewise.
      sent: kind of collective -> (how often it runs, bytes of all of them).
      kernels: custom kernel -> how often it runs.
      copies: (bytes, name) of arrays that are copied, loops multiplied out.
      movers: what moves the most bytes, likewise.
      largest: (bytes, name) of its largest arrays.
      planned: what the plan's formulas expect.
      broken: sentences about laws that do not hold; see laws.py.
      text: of the program.
    """

    name: str
    size: tuple[int, ...]
    seconds: float
    fault: str = ''
    arguments: float = math.nan
    temporaries: float = math.nan
    peak: float = math.nan
    flops: float = math.nan
    bytes: float = math.nan
    sent: Mapping[str, tuple[float, float]] = NOTHING
    kernels: Mapping[str, float] = NOTHING
    copies: tuple[tuple[float, str], ...] = ()
    movers: tuple[counts.Mover, ...] = ()
    largest: tuple[tuple[float, str], ...] = ()
    planned: Planned = Planned()
    broken: tuple[str, ...] = ()
    text: str = ''

    def floor(self, chip: Chip, dtype: str) -> dict[str, float]:
        """Seconds that operations, bytes and communication take at least.

        The roofline model (Williams et al. 2009): no program is faster than
        the largest of the three.

        Args:
          chip: each device of the mesh.
          dtype: config.model.dtype.
        """
        return {
            'operations': self.flops / chip.flops[dtype],
            'bytes': self.bytes / chip.bandwidth,
            'links': sum(size for _, size in self.sent.values()) / chip.links,
        }


def compile_run(
    config: config_dict.ConfigDict,
    inputs: Inputs,
    chip: str,
    slice_: str,
    only: str = '',
) -> list[Compiled]:
    """Compiles the programs of a run for a slice of chips.

    Args:
      config: a checked one, whose mesh has as many chips as the slice.
      inputs: of plan.read.
      chip: as topology.check takes it.
      slice_: likewise.
      only: a regex; programs whose names do not match are left out.
    """
    devices = topology.devices(chip, slice_)
    mesh = make_mesh(config.mesh.data, config.mesh.model, devices)
    return [
        compile_program(name, program, config, mesh)
        for name, program in programs.of_run(config, inputs, mesh).items()
        if re.search(only, name)
    ]


def compile_program(
    name: str, program: Program, config: config_dict.ConfigDict, mesh: Mesh
) -> Compiled:
    """Compiles one program for the devices of a mesh.

    Args:
      name: of programs.of_run.
      program: its value there.
      config: of the run.
      mesh: with which the program was made.

    Returns:
      What XLA says; where the program does not fit a chip, a `fault` that
      names by how much, and the largest arrays that it is given.
    """
    began = time.perf_counter()
    lowered = program.lower()
    try:
        made = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        return Compiled(
            name,
            program.size,
            time.perf_counter() - began,
            _fault(str(error)),
            largest=tuple(largest_arguments(program)),
            planned=planned(name, program, config, dict(mesh.shape)),
        )
    seconds = time.perf_counter() - began
    memory, text = made.memory_analysis(), made.as_text()
    read = hlo.parse(text)
    counted = counts.count(read)
    arguments, temporaries = (
        memory.argument_size_in_bytes,
        memory.temp_size_in_bytes,
    )
    peak = arguments + temporaries + memory.output_size_in_bytes
    axes = dict(mesh.shape)
    return Compiled(
        name=name,
        size=program.size,
        seconds=seconds,
        arguments=arguments,
        temporaries=temporaries,
        peak=peak - memory.alias_size_in_bytes,
        flops=counted.flops,
        bytes=counted.bytes,
        sent={k: (s.times, s.bytes) for k, s in counted.sent.items()},
        kernels=counted.kernels,
        copies=counted.copies,
        movers=counted.movers,
        largest=tuple(counts.largest(read)),
        planned=planned(name, program, config, axes),
        broken=tuple(
            laws.compiled(
                lowered,
                text,
                axes['data'],
                config.mesh.fsdp,
                summed(name, program, axes),
                read_by_steps(name, program, axes),
            )
        ),
        text=text,
    )


def _fault(message: str) -> str:
    """A sentence for the message of XLA where memory does not suffice."""
    for pattern in _SHORT:
        if found := re.search(pattern, message):
            need, have = (
                float(number) * _UNITS[unit]
                for number, unit in (found.groups()[:2], found.groups()[2:])
            )
            return (
                f'It does not fit: it needs {need / 1e9:.2f} GB of a chip, '
                f'{(need - have) / 1e9:.2f} GB more than XLA has there.'
            )
    return f'XLA does not compile it: {message.splitlines()[0]}'


def largest_arguments(
    program: Program, most: int = 5
) -> list[tuple[float, str]]:
    """(bytes on a chip, path) of the largest arrays that a program is given.

    Args:
      program: of programs.of_run.
      most: as many of them.
    """
    found = []
    for keys, x in jax.tree_util.tree_leaves_with_path(program.args):
        if isinstance(x, jax.ShapeDtypeStruct) and x.sharding is not None:
            part = math.prod(x.sharding.shard_shape(x.shape))
            # The first key is the number of the argument.
            name = jax.tree_util.keystr(keys[1:], simple=True, separator='/')
            found.append((float(part * x.dtype.itemsize), name))
    return sorted(found, reverse=True)[:most]
