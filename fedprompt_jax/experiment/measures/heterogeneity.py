"""How unlike clients are: their metadata, words, gradients and prompts.

Metadata, words and gradients are those of training clients, which is what
`config.data.partition` changes: in Profit the evaluated clients are cut alike
at every level. Prompts are those of the evaluated clients, since nobody else
personalizes.
"""

from collections.abc import Iterator, Sequence
import math
from typing import Any

from ml_collections import config_dict
import numpy as np

from fedprompt_jax import algorithms
from fedprompt_jax.bank.flat import vector_of, vectors_of
from fedprompt_jax.bank.owners import replicate
from fedprompt_jax.data import heterogeneity, vocabulary
from fedprompt_jax.data.partitions import Clients
from fedprompt_jax.data.randomness import generator
from fedprompt_jax.data.store import TokenStore
from fedprompt_jax.experiment.build import Experiment
from fedprompt_jax.federated import dispersion

# Fields of a task, as Profit's figure 6 names them.
METADATA = {
    'source': 'source',
    'domain': 'domains',
    'reasoning': 'reasoning',
    'input language': 'input_language',
    'output language': 'output_language',
}


def measure(experiment: Experiment, state: Any) -> dict[str, Any]:
    """What heterogeneity.json holds; see docs/measures.md.

    Args:
      experiment: its parts.
      state: of stage 2, after its last epoch.
    """
    config, data = experiment.config, experiment.data
    c = config.heterogeneity
    everybody = data.population
    rng = generator(config.seed, 'measured clients')
    chosen = np.sort(rng.permutation(len(everybody))[: c.clients])
    clients = everybody.take(chosen)
    mixed = generator(config.seed, 'shuffled clients')
    gradients = dispersion.of_gradients(
        _halves(experiment, state.shared, chosen, c.examples)
    )
    prompts = dispersion.of_prompts(
        vectors_of(state.clients.bank), vector_of(state.shared)
    )
    return {
        'training_clients': len(everybody),
        'measured_clients': len(clients),
        'examples': c.examples,
        'kl': divergences(
            data.store, everybody, vocabulary.shuffled(everybody, mixed)
        ),
        'vocabulary': _summary(
            *(
                vocabulary.jensen_shannon(
                    vocabulary.token_counts(data.store, part)
                )
                for part in (clients, vocabulary.shuffled(clients, mixed))
            )
        ),
        'gradients': gradients._asdict(),
        'prompts': prompts._asdict(),
    }


def divergences(
    store: TokenStore, clients: Clients, mixed: Clients
) -> dict[str, dict[str, float]]:
    """KL(client || all clients) in nats of each kind of metadata.

    A kind that no task has is left out.

    Args:
      store: tasks of the instances.
      clients: of the population.
      mixed: the same sizes, with instances drawn from all.
    """
    types = [task['categories'][0] for task in store.tasks]
    _, type_of = np.unique(types, return_inverse=True)
    kinds: dict[str, tuple[np.ndarray, np.ndarray | None]] = {
        'task': (store.task_of, None),
        'type': (type_of[store.task_of], None),
    }
    for name, field in METADATA.items():
        values = [task.get(field) or () for task in store.tasks]
        if any(values):
            weights = heterogeneity.label_weights(values)[1]
            kinds[name] = (store.task_of, weights)
    return {
        name: _summary(
            *(
                heterogeneity.kl_from_global(part, labels, weights)
                for part in (clients, mixed)
            )
        )
        for name, (labels, weights) in kinds.items()
    }


def _summary(values: np.ndarray, baseline: np.ndarray) -> dict[str, float]:
    """Mean and standard error over clients, and the mean of a baseline."""
    count = len(values)
    se = np.std(values, ddof=1) / math.sqrt(count) if count > 1 else math.nan
    return {
        'mean': float(np.mean(values)),
        'se': float(se),
        'shuffled': float(np.mean(baseline)),
    }


def _halves(
    experiment: Experiment, params: Any, clients: np.ndarray, count: int
) -> np.ndarray:
    """Gradients of two halves of each client's examples, f32 [C, 2, n].

    A client with fewer examples gives as many as make two equal halves; one
    with a single example is left out.
    """
    config, store = experiment.config, experiment.data.store
    drawn = []
    for client in clients:
        rng = generator(config.seed, 'measured examples', client)
        instances = rng.permutation(experiment.data.population[client])[:count]
        if len(instances) > 1:
            drawn.append(np.split(instances[: len(instances) // 2 * 2], 2))
    # As many owners at once as a round has: a client is two of them.
    each = max(1, config.clients_per_round // 2)
    # Without the other runs of a bank, of which each measures for itself.
    simulation = experiment.simulation.with_base(experiment.lm.base)
    bank = replicate(params, 2 * each)
    size = len(vector_of(params))
    parts = [np.zeros((0, 2, size), np.float32)]
    for group in _groups(drawn, each):
        examples = [
            store.example(2 * place + half, int(i))
            for place, halves in enumerate(group)
            for half, instances in enumerate(halves)
            for i in instances
        ]
        _, grads = simulation.gradients(bank, examples)
        found = vectors_of(grads).reshape(each, 2, size)
        parts.append(found[: len(group)])
    return np.concatenate(parts)


def _groups(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """Examples are cut into two halves, and there must be clients."""
    if algorithms.pooled(config.algorithm):
        yield (
            f'config.algorithm={config.algorithm!r} has one client, which is '
            "not unlike itself; leave 'heterogeneity' out of config.measures."
        )
    examples = config.heterogeneity.examples
    if examples % 2:
        yield (
            f'config.heterogeneity.examples={examples} must be even, since the '
            f"noise of a client's gradient is estimated from two halves; use "
            f'{examples + 1}.'
        )
