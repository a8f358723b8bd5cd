"""Does a device compute what the CPU computes? See accelerator.py."""

import numpy as np

from benchmarks.accelerator_session import Loaded, Row, Session


def parity(session: Session, kind: str, attention: str) -> list[Row]:
    """Differences of logits and gradients from those of the CPU in f32.

    The CPU's attention is XLA's.
    """
    import jax

    if fault := session.kernel_fault(attention):
        return [{'what': 'left out', 'note': fault}]
    scale = session.scale
    config = session.config(scale.round[0], 'float32', peft=kind)
    config.prefix.length = config.prompt.length
    config.model.attention = attention
    ready = session.model(config)
    grid = first_grid(ready, scale.parity_rows)
    host = jax.devices('cpu')[0]
    base, bank = ready.lm.base, ready.bank()
    given = ready.model, grid, bank
    by_xla = ready.model.with_kernel(None)
    exact = outputs(by_xla, grid, bank, base, host, 'highest')
    f32 = outputs(*given, base, session.device, 'highest')
    less = outputs(*given, base, session.device, 'default')
    half = jax.tree.map(lambda x: x.astype('bfloat16'), base)
    bf16 = outputs(*given, half, session.device, 'default')
    pairs = {
        'f32, to the CPU': (f32, exact),
        'f32 by default, to the CPU': (less, exact),
        'bf16, to f32': (bf16, f32),
    }
    return [
        {'what': f'{name}: {key}'} | errors(out[key], reference[key])
        for name, (out, reference) in pairs.items()
        for key in exact
    ]


def first_grid(ready: Loaded, rows: int):
    """The first rows of the first cohort's first grid."""
    import jax

    from fedprompt_jax.data.examples import token_weights

    simulation, (examples, *_) = ready.simulation(), ready.steps()
    weights = token_weights(examples, ready.config.loss)
    grid = simulation.packer.pack(examples, weights)[0]
    return jax.tree.map(lambda x: x[:rows], grid)


def outputs(
    model, grid, bank, base, device, precision: str
) -> dict[str, np.ndarray]:
    """Logits of a grid's targets [n, V], losses [C] and gradients [C, n].

    Of owners that have a target in the grid.
    """
    import jax

    from fedprompt_jax.bank.grid import grid_gradients
    from fedprompt_jax.bank.reading import target_states

    @jax.jit
    def logits_of(base, bank, grid):
        bound = model.bind(base, bank)
        return bound.logits(target_states(bound, grid))

    real = grid.target_owner >= 0
    here = np.unique(grid.target_owner[real])
    base, bank, grid = jax.device_put((base, bank, grid), device)
    with jax.default_matmul_precision(precision):
        logits = np.asarray(logits_of(base, bank, grid))[real]
        losses, grads = grid_gradients(model, base, bank, grid)
    found = {'logits': logits, 'losses': np.asarray(losses)[here]}
    leaves = [np.asarray(x)[here] for x in jax.tree.leaves(grads)]
    flat = [x.reshape(len(here), -1) for x in leaves]
    return found | {'gradients': np.concatenate(flat, axis=1)}


def errors(out: np.ndarray, reference: np.ndarray) -> Row:
    """Largest difference, and ||out - reference|| over ||reference||."""
    off = out.astype(np.float64) - reference
    largest = float(np.abs(off).max())
    relative = float(np.linalg.norm(off) / np.linalg.norm(reference))
    return {
        'largest_error': largest,
        'relative_error': relative,
        'note': f'largest {largest:.1e}, relative {relative:.1e}',
    }
