"""Every client trains the global prompt on its own data (Profit, stage 2).

arXiv 2310.04627: section 3; observation 4 for the l2 penalty and averaging.
"""

from collections.abc import Iterator
from typing import Any

import flax.struct
import jax
from ml_collections import config_dict
import optax

from fedprompt_jax.bank.owners import replicate
from fedprompt_jax.federated import optimizers
from fedprompt_jax.federated.transformations import pull_to_start
from fedprompt_jax.personalization import Answer, Method, Setup, Steps


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
    """Fine-tuning with `config.personalization`'s optimizer, l2 and alphas."""
    c = setup.config.personalization
    tx = optax.chain(
        pull_to_start(c.l2) if c.l2 else optax.identity(),
        optimizers.make(c.optimizer, c.learning_rate),
    )

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


def faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """What is wrong with the alphas of the averaged prompts."""
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


def mix(alpha: float, bank, params):
    """alpha * bank + (1 - alpha) * params for every owner (observation 4).

    Args:
      alpha: between 0 and 1.
      bank: leaves [C, ...].
      params: one owner's, leaves [...].
    """
    return jax.tree.map(lambda p, g: alpha * p + (1 - alpha) * g, bank, params)
