"""FedPepTAO's server steps on a toy: how near the optimum do they end?

    python benchmarks/fedpeptao_servers.py

Device k of 100 minimises |x - b_k|^2_D / 2 in 50 dimensions, D diagonal, from
gradients without noise; b_k are normal around one point, with the spread that
says how heterogeneous the devices are. 10 devices a round take K steps of Adam
from a fresh state; 100 rounds; all devices weigh the same. Printed is the
squared distance to the optimum of the mean objective after the last round,
mean over seeds. It says nothing of real accuracy. What to expect: plain
averaging is left with the noise of sampling 10 of 100 devices, which a control
variate of each device takes away; the released code's chained buffer adds to
it.
"""

import functools
import json
from typing import Any

from absl import app, flags
import jax
import jax.numpy as jnp
import numpy as np

from fedprompt_jax.algorithms import fedpeptao
from fedprompt_jax.federated import aggregates, optimizers
from fedprompt_jax.federated.layers.server_steps import (
    STEPS,
    Memory,
    Uploads,
)

_DEVICES = flags.DEFINE_integer('devices', 100, 'N.')
_SAMPLED = flags.DEFINE_integer('sampled', 10, 'Devices of a round.')
_DIMENSIONS = flags.DEFINE_integer('dimensions', 50, 'Of x.')
_ROUNDS = flags.DEFINE_integer('rounds', 100, 'Rounds.')
_SEEDS = flags.DEFINE_integer('seeds', 3, 'Repetitions.')
_RATE = flags.DEFINE_float('learning_rate', 0.04, 'Of the devices.')
_JSON = flags.DEFINE_bool('json', False, 'Print one JSON object instead.')

# (K steps, spread of the devices' optima, name of the row).
ROWS = (
    (4, 1.0, '4, high'),
    (8, 1.0, '8, high'),
    (20, 1.0, '20, high'),
    (8, 0.3, '8, low'),
)
# Column -> (step, server learning rate by round, beta).
COLUMNS = {
    'FedAvg': (fedpeptao.FEDAVG, lambda t: 1.0, 0.0),
    'fedpeptao_code': (
        'fedpeptao_code',
        lambda t: max(0.05 * 0.99**t, 1e-4),
        0.9,
    ),
    'fedpeptao, beta 0': ('fedpeptao', lambda t: 1.0, 0.0),
    'fedpeptao, beta 0.5': ('fedpeptao', lambda t: 1.0, 0.5),
    'fedpeptao, beta 0.9': ('fedpeptao', lambda t: 1.0, 0.9),
}


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f'unexpected arguments: {argv[1:]}')
    table = {
        name: {
            column: float(
                np.mean(
                    [_distance(steps, spread, *settings, seed) for seed in
                     range(_SEEDS.value)]
                )
            )
            for column, settings in COLUMNS.items()
        }
        for steps, spread, name in ROWS
    }  # fmt: skip
    if _JSON.value:
        print(json.dumps({'squared distance at the end': table}))
        return
    print(f'{"K, spread":<10}' + ''.join(f'{c:>21}' for c in COLUMNS))
    for name, row in table.items():
        cells = ''.join(f'{value:>21.4g}' for value in row.values())
        print(f'{name:<10}{cells}')


def _distance(
    steps: int, spread: float, name: str, rate, beta: float, seed: int
) -> float:
    """Squared distance to the optimum after the last round."""
    rng = np.random.default_rng(seed)
    size, count = _DIMENSIONS.value, _DEVICES.value
    slopes = jnp.asarray(np.exp(rng.normal(size=size) / 2))
    optima = rng.normal(size=size) + spread * rng.normal(size=(count, size))
    best, at = optima.mean(axis=0), jnp.asarray(optima)
    x: Any = {'x': jnp.zeros(size)}
    memory = Memory(x, x, x)
    variates = np.zeros((count, size), np.float32)
    for number in range(_ROUNDS.value):
        chosen = np.sort(rng.choice(count, _SAMPLED.value, replace=False))
        ends = _local(slopes, at[chosen], x['x'], steps, _RATE.value)
        uploads = Uploads(
            {'x': x['x'] - ends},
            {'x': jnp.asarray(variates[chosen])},
            jnp.ones(len(chosen), bool),
            jnp.full(len(chosen), float(steps)),
            jnp.ones(len(chosen)),
            jnp.float32(_RATE.value),
        )
        if name == fedpeptao.FEDAVG:
            x = {'x': ends.mean(axis=0)}
            continue
        step = STEPS[name](
            x,
            memory,
            uploads,
            jnp.float32(rate(number)),
            jnp.asarray(number == 0),
            jnp.float32(1 / count),
            _MEAN,
            beta,
        )
        x, memory = step.params, step.memory
        variates[chosen] = np.asarray(step.variates['x'])
    return float(((np.asarray(x['x']) - best) ** 2).sum())


_MEAN = aggregates.make('uniform')


@functools.partial(jax.jit, static_argnames=('steps', 'rate'))
def _local(slopes, optima, x, steps: int, rate: float) -> jax.Array:
    """Where each device ends, [C, n], after steps of Adam from x."""
    tx = optimizers.make('adam', rate)

    def device(optimum):
        def step(_, carry):
            y, state = carry
            updates, state = tx.update(slopes * (y - optimum), state)
            return y + updates, state

        return jax.lax.fori_loop(0, steps, step, (x, tx.init(x)))[0]

    return jax.vmap(device)(optima)


if __name__ == '__main__':
    app.run(main)
