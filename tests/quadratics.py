"""A simulation to check by hand, and what algorithms are made of in tests."""

import importlib
import importlib.util

import jax
import jax.numpy as jnp
from ml_collections import config_dict
import numpy as np

from configs import fedavg_adam
from fedprompt_jax import algorithms
from fedprompt_jax.data.examples import Example
from fedprompt_jax.data.sampling import Cohort
from fedprompt_jax.experiment import stage_one
from fedprompt_jax.federated.algorithm import Algorithm
from fedprompt_jax.federated.client import present_owners, train


class Quadratics:
    """An example with the number v has the loss |params - v|^2 / 2."""

    def gradients(self, bank, examples):
        x = bank['prompt']
        losses, grads = jnp.zeros(len(x)), jnp.zeros_like(x)
        count = np.bincount([e.owner for e in examples], minlength=len(x))
        for e in examples:
            away = x[e.owner] - e.query[0]
            n = count[e.owner]
            losses = losses.at[e.owner].add((away**2).sum() / 2 / n)
            grads = grads.at[e.owner].add(away / n)
        return losses, {'prompt': grads}

    def local_train(self, tx, bank, opt_state, steps):
        return train(
            tx,
            bank,
            opt_state,
            steps,
            self.gradients,
            lambda step: present_owners(step, len(bank['prompt'])),
        )

    def compute(self, steps):
        return {'tokens': sum(map(len, steps)), 'flops': 0}


def number(owner: int, v: float) -> Example:
    """An example of the owner with the number v."""
    return Example(owner, np.array([v]), np.array([0], np.int32))


def numbers(*values, sizes=None, steps=1) -> Cohort:
    """A cohort of one example a client a step: its number."""
    sizes = np.array(sizes or [1] * len(values))
    step = [number(owner, v) for owner, v in enumerate(values)]
    return Cohort(np.arange(len(values)), sizes, [step] * steps)


def cohort(clients, batches, sizes=None) -> Cohort:
    """A cohort from the numbers of each client's batches.

    Args:
      clients: ids [C].
      batches: of each step, of each client: its numbers.
      sizes: examples of each client; all 1 if None.
    """
    steps = [
        [number(owner, v) for owner, row in enumerate(step) for v in row]
        for step in batches
    ]
    sizes = [1] * len(clients) if sizes is None else sizes
    return Cohort(np.array(clients), np.array(sizes), steps)


def start(value: float = 0.0) -> dict:
    """A prompt that is one number."""
    return {'prompt': jnp.full((1, 1), value)}


def scalar(state) -> float:
    """The number of a state's prompt."""
    return float(state.params['prompt'][0, 0])


def config_of(name: str, **changes) -> config_dict.ConfigDict:
    """The shipped config of an algorithm, or the base with its name."""
    path = algorithms.config_file(name).removesuffix('.py').replace('/', '.')
    shipped = importlib.util.find_spec(path)
    module = importlib.import_module(path) if shipped else None
    config = (module or fedavg_adam).get_config()
    with config.unlocked():
        config.algorithm = name
    config.update_from_flattened_dict(changes)
    return config


def make(
    name: str, simulation, params, num_clients: int = 10, **changes
) -> Algorithm:
    """The algorithm of a shipped config, with some of its keys changed."""
    config = config_of(name, **changes)
    return stage_one.make(
        stage_one.setup(config, simulation, params, num_clients)
    )


def run(algorithm: Algorithm, cohorts, kept=None) -> tuple:
    """State, kept trees by client, and metrics after rounds of cohorts."""
    state, kept, metrics = algorithm.init(), dict(kept or {}), {}
    for one in cohorts:
        state, kept, metrics = step(algorithm, state, kept, one)
    return state, kept, metrics


def step(algorithm: Algorithm, state, kept: dict, one: Cohort) -> tuple:
    """One round, with a dict in place of a store."""
    rows = None
    if algorithm.client is not None:
        never = algorithm.client(state)
        trees = [kept.get(int(c), never) for c in one.clients]
        rows = jax.tree.map(lambda *x: jnp.stack(x), *trees)
    state, rows, metrics = algorithm.round(state, rows, one)
    if rows is not None:
        for i, c in enumerate(one.clients.tolist()):
            kept = kept | {c: jax.tree.map(lambda x, i=i: x[i], rows)}
    return state, kept, metrics
