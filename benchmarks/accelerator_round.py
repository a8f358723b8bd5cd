"""Where the seconds of a round go, host and device; see accelerator.py."""

from collections import Counter, defaultdict
from collections.abc import Callable
import contextlib
import time
from unittest import mock

import numpy as np

from benchmarks import children, profile_step, timing
from benchmarks.accelerator_session import Row, Session, speed
from fedprompt_jax.planning import hlo


class Clock:
    """Seconds that named calls take."""

    def __init__(self) -> None:
        self.seconds: Counter = Counter()

    def timed(self, name: str, call: Callable) -> Callable:
        """The call, whose seconds are added to those of that name."""

        def wrapper(*args, **kwargs):
            began = time.perf_counter()
            try:
                return call(*args, **kwargs)
            finally:
                self.seconds[name] += time.perf_counter() - began

        return wrapper


def timeline(session: Session, dtype: str) -> list[Row]:
    """Where the seconds of a round of FedAvg(Adam) go, host and device."""
    from fedprompt_jax.experiment import build

    clients, steps, batch = session.scale.round
    config = session.config(clients, dtype)
    config.local_steps, config.batch_size = steps, batch
    config.loss = 'sequence'
    folder, data = build.load_data(config, children.cache(), session.loaded)
    experiment = build.build(config, folder, data, session.loaded)
    began = time.perf_counter()
    cohort = experiment.cohort(0)
    sampling = time.perf_counter() - began
    state = experiment.algorithm.init()

    def once():
        metrics = experiment.algorithm.round(state, None, cohort)[2]
        return {k: np.asarray(v) for k, v in metrics.items()}

    times = timing.measure(once, min(session.scale.repeats, 2))
    work = experiment.simulation.compute(cohort.steps)
    row = {'what': 'round'} | speed(session, dtype, times, work)
    rows = [row, {'what': 'sampling, in a thread', 'seconds': sampling}]
    rows += [
        {'what': name, 'seconds': seconds, 'note': f'{seconds / total:.0%}'}
        for total, spent in [clocked(experiment.simulation, once)]
        for name, seconds in spent.items()
    ]
    return rows + operations(experiment, cohort.steps[0])


def clocked(simulation, once: Callable) -> tuple[float, dict[str, float]]:
    """Seconds of a round, and of what the host does in it.

    The device computes what was dispatched while the host packs the next
    step's rows; `waiting` is where the host has nothing left to do.
    """
    from fedprompt_jax.data.packing import Packer
    from fedprompt_jax.federated import client, packed

    clock = Clock()
    places = {
        'packing': (Packer, 'pack'),
        'placing': (simulation, 'place_rows'),
        'dispatch of gradients': (packed, 'grid_gradients'),
        'dispatch of updates': (client, 'cohort_step'),
        'waiting': (client, 'to_host'),
        'waiting for what is finite': (packed, '_any_lost'),
    }
    with contextlib.ExitStack() as stack:
        for name, (owner, attribute) in places.items():
            call = clock.timed(name, getattr(owner, attribute))
            stack.enter_context(mock.patch.object(owner, attribute, call))
        train = clock.timed('training', simulation.local_train)
        stack.enter_context(mock.patch.object(simulation, 'local_train', train))
        began = time.perf_counter()
        once()
        total = time.perf_counter() - began
    spent = {name: clock.seconds[name] for name in places}
    training = clock.seconds['training']
    spent['other work of the local steps'] = training - sum(spent.values())
    return total, spent | {'server step and metrics': total - training}


def operations(experiment, examples) -> list[Row]:
    """Device seconds of one gradient by part of the model, if they are told."""
    import jax

    from fedprompt_jax.bank.grid import grid_gradients
    from fedprompt_jax.bank.owners import replicate
    from fedprompt_jax.data.examples import token_weights

    simulation = experiment.simulation
    bank = replicate(experiment.params, experiment.config.clients_per_round)
    weights = token_weights(examples, experiment.config.loss)
    grid = simulation.place_rows(simulation.packer.pack(examples, weights)[0])
    args = experiment.model, simulation.base, bank, grid
    names = hlo.operation_names(grid_gradients.lower(*args).compile().as_text())
    jax.block_until_ready(grid_gradients(*args))
    events = profile_step.operations(lambda: grid_gradients(*args))
    spent: dict[str, float] = defaultdict(float)
    for operation, seconds in events.items():
        spent[profile_step.part_of(names.get(operation, ''))] += seconds
    total = sum(spent.values()) or 1.0
    return [
        {
            'what': f'one gradient: {part}',
            'seconds': seconds,
            'note': f'{seconds / total:.0%} of the operations',
        }
        for part, seconds in sorted(spent.items(), key=lambda item: -item[1])
    ]
