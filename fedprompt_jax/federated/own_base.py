"""A cohort whose owners have a frozen model of their own each.

Owners share one call of the model where they share its frozen parameters. With
parameters of their own they are computed one after the other by one program,
and one owner's parameters are on the devices at a time.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from fedprompt_jax.bank.owners import num_owners
from fedprompt_jax.data.examples import Example
from fedprompt_jax.federated.algorithm import Simulation
from fedprompt_jax.federated.client import LocalResult


def local_train(
    simulation: Simulation,
    base_of: Callable[[int], Any],
    tx: optax.GradientTransformation,
    bank: Any,
    opt_state: Any,
    steps: Sequence[Sequence[Example]],
) -> LocalResult:
    """Simulation.local_train where owner c trains on the base base_of(c).

    Args:
      simulation: computes cohorts.
      base_of: owner -> frozen parameters, on the devices.
      tx: client optimizer, the same for all.
      bank: where each owner starts, leaves [C, ...].
      opt_state: state of `tx` of each owner, leaves [C, ...].
      steps: for each step, the batches of all owners together.
    """
    results = []
    for owner in range(num_owners(bank)):
        one_bank, one_state = jax.tree.map(
            lambda x, at=owner: x[at : at + 1], (bank, opt_state)
        )
        mine = [
            [e._replace(owner=0) for e in step if e.owner == owner]
            for step in steps
        ]
        has_batch = np.array([bool(step) for step in mine])
        zeros = jax.tree.map(jnp.zeros_like, one_bank)
        if not has_batch.any():
            none = jnp.full((len(steps), 1), jnp.nan)
            results.append(LocalResult(one_bank, one_state, none, none, zeros))
            continue
        local = simulation.with_base(base_of(owner)).local_train(
            tx, one_bank, one_state, [step for step in mine if step]
        )
        results.append(
            local._replace(
                losses=_spread(local.losses, has_batch),
                grad_norms=_spread(local.grad_norms, has_batch),
                # Those of the first step of the cohort.
                first_grads=local.first_grads if has_batch[0] else zeros,
            )
        )
    banks, states, losses, norms, grads = zip(*results, strict=True)
    return LocalResult(
        _joined(banks),
        _joined(states),
        jnp.concatenate(losses, axis=1),
        jnp.concatenate(norms, axis=1),
        _joined(grads),
    )


def _joined(trees: Sequence[Any]) -> Any:
    """Trees of one owner each, leaves [1, ...], as one: leaves [C, ...]."""
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *trees)


def _spread(values: jax.Array, has_batch: np.ndarray) -> jax.Array:
    """Values [n, 1] as [S, 1]: at the steps with a batch, NaN at the others."""
    spread = jnp.full((len(has_batch), 1), jnp.nan, values.dtype)
    return spread.at[np.flatnonzero(has_batch)].set(values)
