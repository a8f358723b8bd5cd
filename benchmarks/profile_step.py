"""Where the time of one packed gradient goes, by part of the model.

    python -m benchmarks.profile_step [--rows=12 --length=336 --targets=112]
        [--data=DIR] [--ops=20] [--json]

A grid of that shape, full of examples of cohorts of --clients x --batch. Its
gradient is traced by jax.profiler; each operation of XLA goes to the part of
the model that its metadata names, forward or backward. Operations may run at
the same time, so that shares are of their sum. Below stand the matrix products
with the model's kernels, each timed alone: the least that the call could take.
"""

from collections import Counter, defaultdict
import functools
import json
from pathlib import Path
import re
import tempfile
import time
from typing import Any

from absl import flags

from benchmarks import children, cohort_step, timing
from fedprompt_jax.planning import hlo

_ROWS = flags.DEFINE_integer('rows', 12, 'R.')
_ROW_LENGTH = flags.DEFINE_integer('length', 336, 'L.')
_TARGETS = flags.DEFINE_integer('targets', 112, 'K.')
_OPS = flags.DEFINE_integer('ops', 0, 'Show so many of the slowest operations.')

REPEATS = 5  # of a product, after the first time
# The first that is found in the name of an operation counts.
PARTS = (
    ('logits and loss', r'logits|logsumexp|take_along_axis'),
    ('MLP', r'/mlp/'),
    ('queries, keys, values', r'/(query|key|value|qkv)/'),
    ('attention output', r'/attention/output/'),
    ('attention scores', r'/attention/'),
    ('norms', r'norm/'),
    ('embeddings', r'embed'),
)


def main() -> None:
    seconds, events, names, config = trace()
    parts = defaultdict(Counter)
    for op, spent in events.items():
        name = names.get(op, '')
        way = 'backward' if 'transpose(' in name else 'forward'
        parts[part_of(name)][way] += spent
    total = sum(events.values())
    rows = [
        {
            'part': part,
            'forward_ms': 1e3 * spent['forward'],
            'backward_ms': 1e3 * spent['backward'],
            'share': spent.total() / total,
        }
        for part, spent in parts.items()
    ]
    rows.sort(key=lambda row: -row['share'])
    alone = products(config)
    if children.JSON.value:
        found = {'step_s': seconds, 'sum_s': total, 'parts': rows}
        print(json.dumps(found | {'products': alone}))
        return
    print(table(rows, seconds))
    print(products_table(alone))
    for op, spent in events.most_common(_OPS.value):
        print(f'{1e3 * spent:9.1f} ms  {op:40} {names.get(op, "")[-90:]}')


def trace() -> tuple[float, Counter, dict[str, str], Any]:
    """Seconds of the call and of each operation, their names, and the model.

    The last is its models.config.ModelConfig.
    """
    import jax

    from fedprompt_jax.bank.grid import grid_gradients
    from fedprompt_jax.bank.owners import replicate
    from fedprompt_jax.data.examples import token_weights
    from fedprompt_jax.data.packing import Shape
    from fedprompt_jax.experiment import build

    config = cohort_step.make_config('packed')
    folder, data = build.load_data(config, children.cache())
    experiment = build.build(config, folder, data)
    simulation = experiment.simulation
    shape = Shape(_ROW_LENGTH.value, _TARGETS.value, (_ROWS.value,))
    examples = [
        example
        for number in range(8)
        for example in experiment.cohort(number).steps[0]
        if shape.holds(example, config.prompt.length)
    ]
    weights = token_weights(examples, 'token')
    grid, *_ = experiment.model.packer(shape).pack(examples, weights)
    bank = replicate(experiment.params, config.clients_per_round)
    args = (
        experiment.model,
        simulation.base,
        bank,
        simulation.place_rows(grid),
    )
    lowered = grid_gradients.lower(*args)
    names = hlo.operation_names(lowered.compile().as_text())
    jax.block_until_ready(grid_gradients(*args))
    began = time.perf_counter()
    jax.block_until_ready(grid_gradients(*args))
    seconds = time.perf_counter() - began
    events = operations(lambda: grid_gradients(*args))
    return seconds, events, names, experiment.lm.config


def operations(call) -> Counter:
    """Seconds of each operation of XLA in a call that returns JAX arrays."""
    import jax

    with tempfile.TemporaryDirectory() as place:
        with jax.profiler.trace(place):
            jax.block_until_ready(call())
        (found,) = Path(place).rglob('*.xplane.pb')
        data = jax.profiler.ProfileData.from_file(str(found))
    events: Counter = Counter()
    for plane in data.planes:
        for line in plane.lines:
            for event in line.events:
                op = dict(event.stats).get('hlo_op')
                # A loop, a call or a conditional holds other operations.
                if op and not re.match('while|call|conditional', op):
                    if not event.name.startswith('end: '):
                        events[op] += event.duration_ns / 1e9
    return events


def products(config) -> list[dict[str, Any]]:
    """Each kernel's two products of a gradient: x W and its own, y W^T.

    A decoder's layers see the whole grid, the vocabulary its targets.
    """
    import jax
    import jax.numpy as jnp

    from fedprompt_jax.models.sizes import param_shapes

    forward = jax.jit(jnp.matmul)
    backward = jax.jit(lambda y, kernel: y @ kernel.T)
    shapes = {
        path.removesuffix('/kernel'): (_ROW_LENGTH.value, *shape)
        for path, shape in param_shapes(config).items()
        if path.startswith('layers/') and path.endswith('/kernel')
    }
    vocabulary = config.embedding_width or config.width, config.vocab_size
    shapes['vocabulary'] = _TARGETS.value, 1, *vocabulary
    square, found = timing.gemm_flops(), []
    for name, (columns, layers, inputs, outputs) in shapes.items():
        tokens = _ROWS.value * columns
        kernel = jnp.ones((inputs, outputs), jnp.float32)
        row: dict[str, Any] = {'product': name}
        total = 0.0
        for way, call, size in (
            ('forward', forward, inputs),
            ('backward', backward, outputs),
        ):
            x = jnp.ones((tokens, size), jnp.float32)
            once = functools.partial(_wait, call, x, kernel)
            seconds = layers * timing.measure(once, REPEATS)['median_s']
            row[f'{way}_ms'] = 1e3 * seconds
            total += seconds
        flops = 4 * tokens * layers * inputs * outputs
        found.append(row | {'of_square': flops / total / square})
    return found


def _wait(call, *args) -> None:
    call(*args).block_until_ready()


def part_of(name: str) -> str:
    """The part of the model that an operation belongs to."""
    found = (part for part, rule in PARTS if re.search(rule, name))
    return next(found, 'other')


def table(rows: list[dict], seconds: float) -> str:
    """The same for people."""
    lines = [
        f'one gradient of {_ROWS.value} x {_ROW_LENGTH.value} tokens: '
        f'{1e3 * seconds:.0f} ms',
        f'{"":24} {"forward ms":>11} {"backward ms":>12} {"share":>7}',
    ]
    for row in rows:
        lines.append(
            f'{row["part"]:24} {row["forward_ms"]:11.1f} '
            f'{row["backward_ms"]:12.1f} {row["share"]:7.1%}'
        )
    return '\n'.join(lines)


def products_table(rows: list[dict[str, Any]]) -> str:
    """The same for people."""
    total = sum(row['forward_ms'] + row['backward_ms'] for row in rows)
    lines = [
        f'products alone: {total:.0f} ms',
        f'{"":24} {"forward ms":>11} {"backward ms":>12} {"of a square":>11}',
    ]
    for row in rows:
        lines.append(
            f'{row["product"]:24} {row["forward_ms"]:11.1f} '
            f'{row["backward_ms"]:12.1f} {row["of_square"]:11.0%}'
        )
    return '\n'.join(lines)


if __name__ == '__main__':
    children.start(main)
