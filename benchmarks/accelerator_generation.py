"""Greedy decoding and losses on a device; see accelerator.py."""

from collections.abc import Sequence

import numpy as np

from benchmarks import timing
from benchmarks.accelerator_session import Loaded, Row, Session, speed


def generation(
    session: Session, dtype: str, batches: Sequence[int]
) -> list[Row]:
    """Greedy decoding at each batch size, and losses of the same requests."""
    from fedprompt_jax.evaluation.generation import Query
    from fedprompt_jax.evaluation.scoring import Request
    from fedprompt_jax.experiment import build

    scale = session.scale
    ready = session.model(session.config(scale.round[0], dtype))
    evaluator = build.make_evaluator(
        ready.config, ready.lm, ready.model, ready.data, ready.devices
    )
    owners, bank = ready.config.clients_per_round, ready.bank()
    used = np.concatenate(
        [*ready.data.validation.local, *ready.data.held_out.local]
    )
    chosen = np.resize(used, scale.queries)
    rows = []
    for batch in batches:
        generator = evaluator.generator
        generator.batch_size = batch
        queries = [
            Query(n % owners, ready.data.store.query(int(i)))
            for n, i in enumerate(chosen)
        ]
        rows.append(decoding(session, ready, generator, bank, queries))
    requests = [Request(n % owners, int(i)) for n, i in enumerate(chosen)]
    times = timing.measure(
        lambda: evaluator.losses(bank, requests), scale.repeats
    )
    read = [ready.data.store.example(r.owner, r.instance) for r in requests]
    work = ready_work(ready, read)
    rows.append({'what': 'losses'} | speed(session, dtype, times, work))
    return rows


def decoding(session: Session, ready: Loaded, generator, bank, queries) -> Row:
    """Greedy decoding of queries; tokens are those that it writes."""
    from fedprompt_jax.evaluation.generation import batches
    from fedprompt_jax.planning import cost

    outputs: list[np.ndarray] = []

    def write():
        outputs[:] = generator(bank, queries)

    times = timing.measure(write, session.scale.repeats)
    # An output that ended has an end token besides; a longest one has not.
    most = generator.max_new_tokens
    written = sum(min(len(o) + 1, most) for o in outputs)
    lengths = sorted((len(q.tokens) for q in queries), reverse=True)
    fixed = generator.batch_size, generator.max_tokens, most
    sizes = batches(lengths, *fixed)
    base = leaves(ready)
    floor = sum(
        cost.decode_seconds(
            ready.lm.config,
            base,
            size,
            most,
            session.chip._replace(share=1.0),
            ready.config.model.dtype,
            {'data': 1, 'model': 1},
        )
        for size, _ in sizes
    )
    seconds = times['median_s']
    return {
        'what': f'decoding, batches of {generator.batch_size}',
        'seconds': seconds,
        'tokens_per_s': written / seconds,
        'compile_s': times['compile_s'],
        'floor_s': floor,
        'note': f'{len(queries) / seconds:.0f} queries/s, {len(sizes)} batches '
        f'of {len(set(sizes))} shapes',
    }


def leaves(ready: Loaded):
    """The base's leaves by path, as planning/cost.py takes them."""
    from fedprompt_jax.models.sizes import base_leaves

    return base_leaves(ready.lm.config, ready.config.model.dtype, '')


def ready_work(ready: Loaded, examples) -> Row:
    """The useful work of the losses of examples."""
    from fedprompt_jax.federated import ledger

    return ledger.compute(ready.model, [examples], training=False)
