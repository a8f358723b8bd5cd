"""How close an auxiliary model comes to the full one, on held-out text.

FedSP (arXiv 2311.06805) trains prompts in a client's auxiliary model and reads
them in the server's: the closer the two predict, the more of what a client
learns is of use there.
"""

from collections.abc import Sequence
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.bank.reading import target_states
from fedprompt_jax.data.packing import Grid
from fedprompt_jax.models.token_loss import CHUNK


class Closeness(NamedTuple):
    """Of the distributions of target tokens by two models.

    Attributes:
      kl: KL(full || auxiliary) in nats, the mean over target tokens.
      agreement: share of target tokens at which the likeliest is the same.
      tokens: the number of target tokens.
    """

    kl: float
    agreement: float
    tokens: int


class Reader(NamedTuple):
    """A model with its parameters and the bank that it reads text under."""

    model: TunedModel
    base: Any
    bank: Any


def closeness(
    full: Reader, auxiliary: Reader, grids: Sequence[Grid]
) -> Closeness:
    """How close the auxiliary model's distributions are to the full model's.

    Args:
      full: the server's model.
      auxiliary: a client's; its kind has the slots and positions of the
        other's.
      grids: packed grids of held-out examples, for the packer of both.

    Raises:
      ValueError: the models cannot read the same grids, or there are none.
    """
    kinds = full.model.kind, auxiliary.model.kind
    packers = [(kind.slots, kind.first_position) for kind in kinds]
    if packers[0] != packers[1]:
        raise ValueError(
            f'the models read grids of {packers[0]} and {packers[1]} (slots, '
            'first position); give both prompts of one shape.'
        )
    if not grids:
        raise ValueError('there are no grids, so no token to compare at.')
    models = full.model, auxiliary.model
    trees = (full.base, full.bank), (auxiliary.base, auxiliary.bank)
    parts = [_sums(models, trees, grid) for grid in grids]
    kl, equal, tokens = (float(sum(x)) for x in zip(*parts, strict=True))
    return Closeness(kl / tokens, equal / tokens, int(tokens))


@functools.partial(jax.jit, static_argnames='models')
def _sums(models, trees, grid: Grid) -> tuple[jax.Array, ...]:
    """Sums over a grid's targets: of divergences, of agreements, of ones."""
    bounds = [m.bind(*tree) for m, tree in zip(models, trees, strict=True)]
    hidden = [target_states(bound, grid) for bound in bounds]  # [R, K, E] each
    is_target = jnp.asarray(grid.target_number) >= 0  # [R, K]

    def column(states):
        """Divergences and agreements [R] at one target of each row."""
        log_p, log_q = (
            jax.nn.log_softmax(bound.logits(x))  # [R, V]
            for bound, x in zip(bounds, states, strict=True)
        )
        kl = (jnp.exp(log_p) * (log_p - log_q)).sum(axis=-1)
        return kl, log_p.argmax(axis=-1) == log_q.argmax(axis=-1)

    # Both models' logits of some columns exist at once, and no others.
    columns = max(1, CHUNK // (2 * len(is_target)))
    by_column = [x.swapaxes(0, 1) for x in hidden]
    kl, equal = jax.lax.map(column, by_column, batch_size=columns)  # [K, R]
    target = is_target.T
    return (
        jnp.where(target, kl, 0.0).sum(),
        (target & equal).sum(),
        target.sum(),
    )
