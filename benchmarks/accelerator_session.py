"""What the parts of accelerator.py share: sizes, the device, loaded models.

A row of their results has `what`, and some of: seconds, tokens, tokens_per_s,
mfu, floor_s, planned_s, temporary_gb, compile_s, note; see accelerator.py.
"""

import functools
import re
from typing import Any, NamedTuple

from benchmarks import children, cohort_step

# What JAX calls a TPU, where it is not the name in planning/chips.py.
TPUS = {'v5 lite': 'v5e', 'v6 lite': 'v6e', 'v5': 'v5p'}
Row = dict[str, Any]


class Scale(NamedTuple):
    """Sizes of all parts.

    Attributes:
      batch: examples a client.
      most_tokens: config.packing.max_tokens.
      parity_rows: rows of the grid that the CPU computes too.
      round: clients, local steps and examples a client a step of a round.
      repeats: timed calls, after one that compiles.
      queries: that are scored, and decoded at each batch size.
      new_tokens: of an output, at most.
    """

    batch: int
    most_tokens: int
    parity_rows: int
    round: tuple[int, int, int]
    repeats: int
    queries: int
    new_tokens: int


class Session:
    """The device, what the parts share, and how large they are."""

    def __init__(self, scale: Scale) -> None:
        import jax

        from fedprompt_jax.experiment.last_loaded import LastLoaded

        self.scale, self.loaded = scale, LastLoaded()
        self.device = jax.devices()[0]
        xla = children.cache() / 'xla'  # a program is compiled once
        jax.config.update('jax_compilation_cache_dir', str(xla))

    @functools.cached_property
    def chip(self):
        """What the vendor says that the device does; a CPU is measured."""
        from fedprompt_jax.planning import chips

        return chips.get(chip_name(self.device.device_kind, chips.CHIPS))

    def config(self, clients: int, dtype: str, **changes):
        """The config of cohort_step.py with other sizes."""
        config = cohort_step.make_config('packed')
        config.clients_per_round, config.batch_size = clients, self.scale.batch
        config.model.dtype = dtype
        config.packing.max_tokens = self.scale.most_tokens
        config.evaluation.max_new_tokens = self.scale.new_tokens
        config.update_from_flattened_dict(changes)
        return config

    def kernel_fault(self, attention: str) -> str:
        """Why this device has no such config.model.attention; '' if it has."""
        from fedprompt_jax.models.kernels.choice import check_kernel

        try:
            check_kernel(attention)
        except ValueError as error:
            return str(error)
        return ''

    def model(self, config) -> 'Loaded':
        """The data and the model of a config, on the device."""
        import jax

        from fedprompt_jax.experiment import build
        from fedprompt_jax.mesh import Devices, make_mesh

        exact = 'highest' if config.model.dtype == 'float32' else None
        jax.config.update('jax_default_matmul_precision', exact)
        folder, data = build.load_data(config, children.cache(), self.loaded)
        devices = Devices(make_mesh(1, 1))
        lm = build.load_model(config, folder, devices, self.loaded)
        model = build.make_model(config, lm, devices)
        params = devices.replicate(build.initial_params(config, lm, model.kind))
        return Loaded(config, data, devices, lm, model, params)


class Loaded(NamedTuple):
    """A model and its data; see experiment.build.Experiment."""

    config: Any
    data: Any
    devices: Any
    lm: Any
    model: Any
    params: Any

    def simulation(self):
        """That of stage 1."""
        from fedprompt_jax.experiment import build

        return build.make_simulation(
            self.config, self.lm, self.model, self.data, self.devices
        )

    def steps(self) -> list:
        """The batches of the first cohort."""
        from fedprompt_jax.experiment import build

        c = self.config
        people = build.population(c, self.data)
        return build.cohort(c, self.data, people, c.clients_per_round, 0).steps

    def bank(self):
        """Every client's parameters before the first step."""
        from fedprompt_jax.bank.owners import replicate

        return replicate(self.params, self.config.clients_per_round)


def chip_name(kind: str, names) -> str:
    """The name in planning/chips.py of a device_kind of JAX; 'cpu' for a CPU.

    >>> chip_name('NVIDIA H100 80GB HBM3', ['h100'])
    'h100'
    >>> chip_name('TPU v5 lite', ['v5e', 'v5p'])
    'v5e'

    Raises:
      ValueError: it has none.
    """
    kind = kind.lower()
    known = {'cpu': 'cpu'} | {n: n for n in names} | TPUS
    for said, name in known.items():
        if re.search(rf'\b{said}\b', kind):
            return name
    raise ValueError(
        f'planning/chips.py has no chip for {kind!r}: add its data sheet there.'
    )


def speed(session: Session, dtype: str, times: Row, work: Row) -> Row:
    """Seconds, tokens a second and MFU of work that was timed."""
    seconds = times['median_s']
    return {
        'seconds': seconds,
        'tokens': work['tokens'],
        'tokens_per_s': work['tokens'] / seconds,
        'mfu': work['flops'] / seconds / session.chip.flops[dtype],
        'compile_s': times.get('compile_s', 0.0),
        'peak_gb_so_far': times['peak_memory_gb'],
    }
