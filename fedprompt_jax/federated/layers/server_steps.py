"""What FedPepTAO's server makes of a cohort's uploads (arXiv 2310.15080).

w are the server's parameters, w_k what device k has made of them in K_k steps
at the learning rate eta, c_k its control variate, c their mean over all N
devices. All of it is computed at the server, from what it knows: a device sends
w_k alone.

    fedpeptao        what the paper describes, with formulas that fit together:
                     w_k came about without correction, so the mean step is
                     corrected afterwards, as in SAGA
    fedpeptao_code   the released code to the letter, with what looks unintended
"""

from collections.abc import Callable
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from fedprompt_jax.bank.owners import per_owner, select, where


class Memory(NamedTuple):
    """What the server keeps from round to round, trees like its parameters.

    Attributes:
      control: c.
      momentum: v.
      previous: the last round's w - mean(w_k), which the released code reads.
    """

    control: Any
    momentum: Any
    previous: Any


class Uploads(NamedTuple):
    """What a cohort has sent, and what the server knows of it.

    Attributes:
      moved: w - w_k, leaves [C, ...].
      variates: c_k before the round, leaves [C, ...].
      finite: bool [C], devices that count.
      steps: f32 [C], K_k.
      counts: [C], examples of each device.
      rate: eta, a scalar.
    """

    moved: Any
    variates: Any
    finite: jax.Array
    steps: jax.Array
    counts: jax.Array
    rate: jax.Array


class Step(NamedTuple):
    """The result of a server step.

    Attributes:
      params: the next w.
      memory: the next c, v and previous.
      variates: the next c_k, leaves [C, ...]; as they were for devices that do
        not count.
    """

    params: Any
    memory: Memory
    variates: Any


# (w, memory, uploads, server learning rate, is it the first round?, 1 / N,
# aggregate, beta) -> step.
ServerStep = Callable[..., Step]


@functools.partial(jax.jit, static_argnames=('aggregate', 'beta'))
def fedpeptao(
    params: Any,
    memory: Memory,
    uploads: Uploads,
    rate: jax.Array,
    first: jax.Array,
    share: jax.Array,
    aggregate: Callable[[Any, jax.Array], Any],
    beta: float,
) -> Step:
    """The step whose parts fit together.

        g    = mean(w - w_k) + eta mean(K_k (c - c_k))
        v    <- beta v + (1 - beta) g,   w <- w - rate v
        c_k  <- (w - w_k) / (K_k eta),   c <- c + sum(changes of c_k) / N

    The correction reads the old c and c_k. A device that was in no cohort has
    c_k = 0, with which the correction is 0 on average over all devices.

    Args:
      params: w.
      memory: c, v and previous.
      uploads: of the cohort.
      rate: of the server; 1 with beta = 0 and no variates is FedAvg.
      first: not read.
      share: 1 / N, N devices in the population.
      aggregate: mean(bank, counts), see aggregates.py.
      beta: of the momentum, in [0, 1).
    """
    del first
    moved, old = uploads.moved, uploads.variates
    # 1. The mean step, corrected for who happens to be in the cohort.
    lag = jax.tree.map(jnp.subtract, memory.control, old)  # c - c_k, [C, ...]
    weight = uploads.steps * uploads.rate
    corrected = optax.tree.add(moved, _times(weight, lag))
    step = aggregate(_counted(uploads, corrected), uploads.counts)
    # 2. Momentum and move.
    momentum = jax.tree.map(
        lambda v, g: beta * v + (1 - beta) * g, memory.momentum, step
    )
    params = jax.tree.map(lambda w, v: w - rate * v, params, momentum)
    # 3. The variates of these devices, and their mean over all.
    new = where(uploads.finite, _times(1 / weight, moved), old)
    change = jax.tree.map(lambda a, b: (a - b).sum(axis=0), new, old)
    control = jax.tree.map(lambda c, d: c + share * d, memory.control, change)
    return Step(params, Memory(control, momentum, memory.previous), new)


@functools.partial(jax.jit, static_argnames=('aggregate', 'beta'))
def fedpeptao_code(
    params: Any,
    memory: Memory,
    uploads: Uploads,
    rate: jax.Array,
    first: jax.Array,
    share: jax.Array,
    aggregate: Callable[[Any, jax.Array], Any],
    beta: float,
) -> Step:
    """The step of the released code.

        d    = mean(w - w_k)
        c_k  <- c_k - c + (w - w_k) / (K_k eta)
        c    <- c + S / N sum(K_k changes of c_k) / sum(K_k)
        first round:  w <- w - d
        later:        for each device k, one after the other, on one buffer v:
                          v   <- beta v + (1 - beta) (previous - d) + c - c_k
                          u_k = w - d - rate v,   v_k = v
                      w <- mean(u_k),   v <- mean(v_k)
        previous <- d

    Args:
      params: w, and what follows as in fedpeptao.
      memory: c, v and previous.
      uploads: of the cohort, in the order of the loop.
      rate: of the server.
      first: whether this is the first round, a scalar.
      share: 1 / N.
      aggregate: mean(bank, counts).
      beta: of the momentum.
    """
    moved, old, finite = uploads.moved, uploads.variates, uploads.finite
    # 1. The variates, and their mean weighted by steps.
    slope = _times(1 / (uploads.steps * uploads.rate), moved)
    new = jax.tree.map(lambda k, c, s: k - c + s, old, memory.control, slope)
    new = where(finite, new, old)
    steps = jnp.where(finite, uploads.steps, 0.0)
    sampled = share * finite.sum() / steps.sum()
    change = _times(steps, optax.tree.sub(new, old))
    control = jax.tree.map(
        lambda c, d: c + sampled * d.sum(axis=0), memory.control, change
    )
    # 2. The plain mean, which is all that the first round takes.
    mean_move = aggregate(_counted(uploads, moved), uploads.counts)
    mean = optax.tree.sub(params, mean_move)
    difference = optax.tree.sub(memory.previous, mean_move)

    # 3. A device after the other on the same momentum.
    def device(v, at):
        c_k, counts = at
        moved_on = jax.tree.map(
            lambda v, d, c, k: beta * v + (1 - beta) * d + c - k,
            v, difference, control, c_k,
        )  # fmt: skip
        v = jax.tree.map(lambda a, b: jnp.where(counts, a, b), moved_on, v)
        return v, v

    _, momenta = jax.lax.scan(device, memory.momentum, (new, finite))
    devices = jax.tree.map(lambda w, v: w - rate * v, mean, momenta)
    moved_to, momentum = (
        aggregate(_counted(uploads, x), uploads.counts)
        for x in (devices, momenta)
    )
    params, momentum = jax.tree.map(
        lambda at_first, later: jnp.where(first, at_first, later),
        (mean, memory.momentum),
        (moved_to, momentum),
    )
    return Step(params, Memory(control, momentum, mean_move), new)


STEPS: dict[str, ServerStep] = {
    'fedpeptao': fedpeptao,
    'fedpeptao_code': fedpeptao_code,
}


def _times(weights: jax.Array, bank: Any) -> Any:
    """A bank times one number for each owner, weights [C]."""
    return jax.tree.map(lambda x: per_owner(weights, x) * x, bank)


def _counted(uploads: Uploads, bank: Any) -> Any:
    """The bank with NaN for devices that do not count: no mean takes them."""
    return select(uploads.finite, bank, jnp.nan)
