"""The batches that the model will read: a sample of a run's, or assumed."""

from collections.abc import Sequence
import itertools
from pathlib import Path
from typing import NamedTuple

from ml_collections import config_dict
import numpy as np

from fedprompt_jax import algorithms
from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.data.examples import Example
from fedprompt_jax.data.packing import Packer
from fedprompt_jax.data.sampling import Pooled
from fedprompt_jax.experiment import build, packers

# Batches of each kind, where the data are absent, and most examples of them
# beyond the first batch.
ASSUMED, MOST = 6, 24_576


class Workload(NamedTuple):
    """The batches that the model will read: a sample of them, or assumed ones.

    Attributes:
      training: packer of stage 1.
      personalization: packer of stage 2, often the same.
      evaluation: packer of the evaluation's losses.
      cohorts: a sample of batches of one local step.
      round_steps: local steps of a round, on average.
      epochs: a sample of batches of one step of personalization.
      scored: a sample of batches that are scored; a request has an example
        for each of its choices.
      requests: number of requests in `scored`.
      queries: lengths, in tokens, of the queries in `scored` for which text is
        generated.
    """

    training: Packer
    personalization: Packer
    evaluation: Packer
    cohorts: Sequence[Sequence[Example]]
    round_steps: float
    epochs: Sequence[Sequence[Example]]
    scored: Sequence[Sequence[Example]]
    requests: int
    queries: Sequence[int]

    @property
    def packing(self) -> str:
        """The row shapes in words."""
        return packers.describe(
            self.training, self.personalization, self.evaluation
        )


def of_data(
    config: config_dict.ConfigDict, model: TunedModel, cache_dir: Path
) -> Workload:
    """Reads the data and packs a sample of them as the run would.

    Args:
      config: a checked one, whose data and model are on this machine.
      model: the model without its weights, and the kind of what is trained.
      cache_dir: converted models and token stores.
    """
    _, data = build.load_data(config, cache_dir)
    pooled = algorithms.pooled(config.algorithm)
    population = Pooled(data.population) if pooled else data.population
    scored, used = packers.evaluation_batches(config, model, data)
    writes = model.transformer.config.objective != 'masked_lm'
    queries = data.store.query_lengths[used]
    queries = queries[(data.store.num_choices[used] == 0) & writes]
    training = packers.of_training(config, model, data, population)
    rounds = packers.sampled_rounds(config, data, population)
    in_a_pass = sum(map(len, rounds)) / len(rounds)
    return Workload(
        training,
        packers.of_personalization(config, model, data, training),
        packers.of_evaluation(config, model, data),
        [step for steps in rounds for step in steps],
        config.local_steps or config.local_epochs * in_a_pass,
        packers.epoch_batches(config, data),
        scored,
        len(used),
        queries.tolist(),
    )


def assumed(
    config: config_dict.ConfigDict,
    model: TunedModel,
    query_tokens: int,
    target_tokens: int,
) -> Workload:
    """Makes batches of random lengths, gamma distributed around the means.

    Args:
      config: a checked one; longer lengths are cut at config.data.max_query
        and config.data.max_target.
      model: the model without its weights, and the kind of what is trained.
      query_tokens: mean tokens of a query, before they are cut.
      target_tokens: mean tokens of a target, before they are cut.
    """
    rng, c = np.random.default_rng(0), config.data
    objective = model.transformer.config.objective

    def batch(owners: int, each: int) -> list[Example]:
        def lengths(mean: int, most: int) -> np.ndarray:  # [owners, each]
            drawn = rng.gamma(1.5, mean / 1.5, (owners, each))
            return np.clip(np.rint(drawn).astype(int), 1, most)

        queries = lengths(query_tokens, c.max_query)
        targets = lengths(target_tokens, c.max_target)
        return [
            _blank(owner, q, t, objective)
            for owner in range(owners)
            for q, t in zip(queries[owner], targets[owner], strict=True)
        ]

    p, clients = config.personalization, config.clients_per_round
    count = max(1, min(ASSUMED, MOST // (clients * config.batch_size)))
    cohorts = [batch(clients, config.batch_size) for _ in range(count)]
    epochs = [batch(p.clients, p.batch_size) for _ in range(ASSUMED)]
    scored = [batch(packers.SLICE, 1) for _ in range(ASSUMED)]
    longest_of_all = _blank(0, c.max_query, c.max_target, objective)
    longest = longest_of_all.num_tokens, c.max_target
    training = packers.choose(config, model, cohorts, longest, training=True)
    evaluation = packers.choose(config, model, scored, longest, training=False)
    every = list(itertools.chain.from_iterable(scored))
    queries = [len(e.query) for e in every if objective != 'masked_lm']
    return Workload(
        training,
        training,
        evaluation,
        cohorts,
        packers.local_steps(config),
        epochs,
        scored,
        len(every),
        queries,
    )


def _blank(owner: int, query: int, target: int, objective: str) -> Example:
    """An example of these lengths in tokens, all of them 0."""
    at = None if objective == 'causal_lm' else np.full(target, query - 1)
    return Example(
        owner, np.zeros(query, np.int32), np.zeros(target, np.int32), at
    )
