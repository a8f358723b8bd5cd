"""One local step of a cohort, and the same by PyTorch; see accelerator.py."""

from collections import Counter
from collections.abc import Sequence
import importlib.util
import time

from benchmarks import children, cohort_step, timing
from benchmarks.accelerator_session import Loaded, Row, Session, speed


def cohort(
    session: Session,
    clients: int,
    dtype: str,
    remat: bool = False,
    most_tokens: int | None = None,
    simulation: str = 'packed',
    attention: str = 'auto',
    remat_mlp: bool = False,
) -> list[Row]:
    """One local step: training gradient and client update."""
    import jax

    from fedprompt_jax.federated import optimizers

    if fault := session.kernel_fault(attention):
        return [{'what': 'left out', 'note': fault}]
    config = session.config(clients, dtype, simulation=simulation)
    config.model.remat, config.model.remat_mlp = remat, remat_mlp
    config.model.attention = attention
    config.packing.max_tokens = most_tokens or session.scale.most_tokens
    ready = session.model(config)
    simulated, steps, bank = ready.simulation(), ready.steps(), ready.bank()
    tx = optimizers.make(config.client.optimizer, cohort_step.RATE)
    state = jax.vmap(tx.init)(bank)

    def step():
        local = simulated.local_train(tx, bank, state, steps)
        jax.block_until_ready(local.bank)

    times = timing.measure(step, session.scale.repeats)
    row = speed(session, dtype, times, simulated.compute(steps))
    rows = [{'what': 'step'} | row]
    if simulation == 'packed':
        rows += gradients(session, ready, simulated, steps[0])
        for key in ('floor_s', 'planned_s', 'temporary_gb'):
            rows[0][key] = rows[-1][key]
    return rows


def gradients(session: Session, ready: Loaded, simulated, examples):
    """Packing on the host, and the gradients alone, of grids that are there."""
    import jax

    from fedprompt_jax.bank.grid import grid_gradients
    from fedprompt_jax.data.examples import token_weights

    weights = token_weights(examples, ready.config.loss)
    began = time.perf_counter()
    grids = simulated.packer.pack(examples, weights)
    packing = time.perf_counter() - began
    bank = ready.bank()
    placed = [simulated.place_rows(grid) for grid in grids]

    def call():
        for grid in placed:
            out = grid_gradients(ready.model, simulated.base, bank, grid)
        jax.block_until_ready(out)

    times = timing.measure(call, session.scale.repeats)
    shapes = [(*g.tokens.shape, g.target_owner.shape[1]) for g in grids]
    largest = placed[max(range(len(grids)), key=lambda i: grids[i].tokens.size)]
    lowered = grid_gradients.lower(ready.model, simulated.base, bank, largest)
    memory = lowered.compile().memory_analysis()
    work = simulated.compute([examples])
    row = speed(session, ready.config.model.dtype, times, work)
    row |= planned(session, ready, shapes)
    row['temporary_gb'] = memory.temp_size_in_bytes / 1e9
    counts = Counter(shapes)
    row['note'] = ', '.join(
        f'{n} x {rows} rows of {length} tokens ({targets} targets)'
        for (rows, length, targets), n in counts.items()
    )
    host = {'what': 'packing on the host', 'seconds': packing}
    return [host, {'what': 'gradients alone'} | row]


def planned(session: Session, ready: Loaded, shapes: Sequence) -> Row:
    """The plan's seconds of grids, and the least that operations allow."""
    from fedprompt_jax.planning import cost

    model = ready.config.model
    work = [
        cost.gradient(
            ready.lm.config,
            *shape,
            remat=model.remat,
            remat_mlp=model.remat_mlp,
        )
        for shape in shapes
    ]
    chip, dtype = session.chip, model.dtype
    return {
        'planned_s': sum(cost.seconds(w, chip, dtype) for w in work),
        'floor_s': sum(w.flops for w in work) / chip.flops[dtype],
    }


def torch(session: Session, dtype: str, clients: int) -> list[Row]:
    """The step of `cohort` by HF PEFT, in a process of its own."""
    missing = [n for n in ('torch', 'peft') if not importlib.util.find_spec(n)]
    if missing:
        return [{'what': 'left out', 'note': f'no {" and no ".join(missing)}'}]
    ready = session.model(session.config(clients, dtype))
    work = ready.simulation().compute(ready.steps())
    form = {'bfloat16': 'peft_bf16', 'float32': 'peft_f32'}[dtype]
    given = {
        'clients': clients,
        'batch': session.scale.batch,
        'cohorts': 1,
        'repeats': session.scale.repeats,
        'prompt_length': ready.config.prompt.length,
        'model': children.MODEL.value,
        'data': children.DATA.value,
        'client_size': children.SIZE.value,
        'cache_dir': children.CACHE.value,
    }
    times = children.run(
        'benchmarks.cohort_step',
        form,
        [f'--{name}={value}' for name, value in given.items()],
        **children.TORCH,
    )
    return [{'what': 'step'} | speed(session, dtype, times, work)]
