"""Every client trains the global prompt on its own data (Profit, stage 2).

arXiv 2310.04627: section 3; observation 4 for the l2 penalty and averaging;
appendix for rows of the prompt that stay as they are.
"""

from collections.abc import Iterator
import functools
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
from ml_collections import config_dict
import optax

from fedprompt_jax.bank.owners import replicate
from fedprompt_jax.federated import optimizers, specs
from fedprompt_jax.federated.transformations import mask, pull_to_start
from fedprompt_jax.personalization import Answer, Method, Setup, Steps

ALL = 'all'  # rows of a prompt


@flax.struct.dataclass
class State:
    """The clients between two epochs.

    Attributes:
      bank: each client's prompt, leaves [C, ...].
      opt_state: state of each client's optimizer, leaves [C, ...].
    """

    bank: Any
    opt_state: Any


def make(setup: Setup) -> Method:
    """Fine-tuning with `config.personalization`'s optimizer, l2 and rows."""
    c = setup.config.personalization
    tx = optax.chain(
        pull_to_start(c.l2) if c.l2 else optax.identity(),
        optimizers.make(c.optimizer, c.learning_rate),
    )
    if c.rows != ALL:
        # Behind the optimizer too, which may decay weights without a gradient.
        rows = mask(functools.partial(flags_of, trained_rows(c.rows)))
        tx = optax.chain(rows, tx, rows)

    def init(params) -> State:
        bank = replicate(params, setup.num_clients)
        return State(bank, jax.vmap(tx.init)(bank))

    def epoch(state: State, steps: Steps):
        local = setup.simulation.local_train(
            tx, state.bank, state.opt_state, steps
        )
        return State(local.bank, local.opt_state), local

    def answers(state: State, params) -> list[Answer]:
        del params
        return [Answer('personalized', state.bank, alpha=1.0)]

    def last_answers(state: State, params) -> list[Answer]:
        # alpha = 0 and 1 are the global and the personalized prompt, whose
        # scores are there already.
        return [
            Answer('averaged', mix(alpha, state.bank, params), alpha)
            for alpha in c.alphas
            if alpha not in (0, 1)
        ]

    return Method(init, epoch, answers, last_answers)


def trained_rows(spec: str) -> slice:
    """The rows of a prompt that 'first(count=2)' or 'last(count=2)' names.

    Raises:
      ValueError: the text is no such call.
    """
    return specs.call(spec, _ROWS, 'choice of rows')


def _some(count: int) -> int:
    if not isinstance(count, int) or count < 1:
        raise ValueError(f'count={count!r} must be a whole number from 1 on')
    return count


_ROWS = {
    'first': lambda count: slice(_some(count)),
    'last': lambda count: slice(-_some(count), None),
}


def flags_of(rows: slice, params: Any) -> Any:
    """1 at these rows of each leaf [P, D], 0 at all others."""
    return jax.tree.map(lambda x: jnp.zeros_like(x).at[rows].set(1), params)


def faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """What is wrong with the trained rows and the alphas."""
    yield from _row_faults(config)
    alphas = config.personalization.alphas
    numbers = isinstance(alphas, (tuple, list)) and all(
        isinstance(a, (int, float)) and 0 <= a <= 1 for a in alphas
    )
    if not numbers or len(set(alphas)) < len(alphas):
        yield (
            f'config.personalization.alphas={alphas!r} must lie between 0 '
            '(the global prompt) and 1 (the personalized one), all different, '
            "such as '(0.25, 0.5)'."
        )


def _row_faults(config: config_dict.ConfigDict) -> Iterator[str]:
    spec = config.personalization.rows
    if spec == ALL:
        return
    try:
        rows = trained_rows(spec)
    except ValueError as error:
        yield f'config.personalization.rows={error} Or {ALL!r}.'
        return
    count = abs(rows.stop or rows.start)
    if config.peft != 'prompt' or count >= config.prompt.length:
        yield (
            f'config.personalization.rows={spec!r} needs config.peft='
            "'prompt' and fewer rows than config.prompt.length="
            f'{config.prompt.length}.'
        )


def mix(alpha: float, bank, params):
    """alpha * bank + (1 - alpha) * params for every owner (observation 4).

    Args:
      alpha: between 0 and 1.
      bank: leaves [C, ...].
      params: one owner's, leaves [...].
    """
    return jax.tree.map(lambda p, g: alpha * p + (1 - alpha) * g, bank, params)
