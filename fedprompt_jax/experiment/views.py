"""Both views of training clients, by round: global and own.

The global prompt is scored on the whole official test split, and each training
client's prompt on its part of the split. Where clients differ in their labels,
a method that keeps anything at a client looks better on the parts, for the skew
alone; so the global prompt is scored on the parts too, and a number of either
view says which it is. FedPepTAO (2310.15080) reports one of the two.
"""

import time
from typing import Any, NamedTuple

import numpy as np

from fedprompt_jax.bank.owners import replicate
from fedprompt_jax.data.examples import LOSSES
from fedprompt_jax.data.partitions import Clients as Parts
from fedprompt_jax.evaluation import agreement
from fedprompt_jax.evaluation.scoring import Request, Scores
from fedprompt_jax.experiment.build import Experiment
from fedprompt_jax.experiment.clients import Clients
from fedprompt_jax.experiment.run_folder import RunFolder

OWNERS = 16  # prompts that are on the devices at a time
STAGE = 'views'  # of its lines in metrics.jsonl


class Answers(NamedTuple):
    """The answers to n instances; classes are places among the choices.

    Attributes:
      chosen: int [n].
      right: int [n].
      loss: f64 [n], of the right answer.
      target_tokens: int [n], of the right answer.
    """

    chosen: np.ndarray
    right: np.ndarray
    loss: np.ndarray
    target_tokens: np.ndarray


def log(
    experiment: Experiment, run: RunFolder, clients: Clients, server: Any
) -> None:
    """Scores both views and logs one line.

    Args:
      experiment: its data have the test split and the clients' parts.
      run: where the line goes.
      clients: what they keep.
      server: the server's state.
    """
    began = time.perf_counter()
    views, metric = experiment.data.views, experiment.config.evaluation.metric
    assert views is not None
    split, parts = views
    # 1. The global prompt, on everything.
    bank = replicate(server.params, OWNERS)
    requests = [Request(0, int(i)) for i in split]
    scores = experiment.evaluator.score(bank, requests, 'global view')
    overall = _answers(experiment, requests, scores)
    place = {int(i): p for p, i in enumerate(split)}
    at = np.array([place[int(i)] for i in parts.order])
    shared = Answers(*(x[at] for x in overall))  # the same, client by client
    # 2. Each client's own prompt, on its part.
    own = shared
    if experiment.algorithm.prompts is not None:
        own = _own(experiment, clients, server, parts)
    constant = {}
    if not int(server.round):  # once: no training changes them
        constant = _majority(experiment, parts)
    run.log(
        stage=STAGE,
        round=int(server.round),
        **constant,
        **_summary(experiment, 'global', overall, metric),
        **_over_clients('global', parts, shared),
        **_summary(experiment, 'own', own, metric),
        **_over_clients('own', parts, own),
        examples=len(split),
        clients=int((parts.sizes > 0).sum()),
        seconds=time.perf_counter() - began,
    )


def _majority(experiment: Experiment, parts: Parts) -> dict[str, float]:
    """Accuracy x 100 of a constant answer: the most frequent in training.

    'majority_accuracy' is that of one answer for all, on the whole split;
    'own_majority_accuracy' has an answer for each client, on its part, and
    'own_majority_clients_accuracy' is the mean of that over clients.
    """
    population, store = experiment.data.population, experiment.data.store
    classes: dict[Any, int] = {}
    numbers = [
        classes.setdefault(store.record(int(i))['outputs'][0], len(classes))
        for i in population.order
    ]
    counts = np.zeros((len(population), len(classes)))
    np.add.at(counts, (population.client_of, np.array(numbers)), 1)
    names = list(classes)
    right = [store.record(int(i))['outputs'][0] for i in parts.order]
    whole = names[counts.sum(axis=0).argmax()]
    own = [names[n] for n in counts.argmax(axis=1)[parts.client_of]]
    hits = np.array([a == r for a, r in zip(own, right, strict=True)])
    return {
        'majority_accuracy': 100 * float(np.mean([whole == r for r in right])),
        'own_majority_accuracy': 100 * float(hits.mean()),
        **_means('own_majority', parts, hits),
    }


def _own(
    experiment: Experiment, clients: Clients, server: Any, parts: Parts
) -> Answers:
    """The answers of each client's own prompt, in the order of the parts."""
    found = []
    ids = np.arange(len(parts))
    for start in range(0, len(ids), OWNERS):
        some = ids[start : start + OWNERS]
        # As many prompts each time: one program serves all.
        held = np.resize(some, OWNERS)
        bank = clients.prompts(server, held)
        requests = [
            Request(owner, int(i))
            for owner, client in enumerate(some)
            for i in parts[int(client)]
        ]
        scores = experiment.evaluator.score(bank, requests, 'own view')
        found.append(_answers(experiment, requests, scores))
    return Answers(*map(np.concatenate, zip(*found, strict=True)))


def _answers(
    experiment: Experiment, requests: list[Request], scores: Scores
) -> Answers:
    """What was chosen; without choices, whether the text matches (1 or 0)."""
    store = experiment.data.store
    chosen, right = [], []
    for i, request in enumerate(requests):
        record = store.record(request.instance)
        choices = record.get('choices')
        if choices is None:
            chosen.append(int(scores.exact_match[i] == 1))
            right.append(1)
            continue
        chosen.append(choices.index(scores.predictions[i]))
        right.append(choices.index(record['outputs'][0]))
    return Answers(
        np.array(chosen), np.array(right), scores.loss, scores.target_tokens
    )


def _summary(
    experiment: Experiment, view: str, answers: Answers, metric: str
) -> dict[str, float]:
    """Pooled over all answers: accuracy and the metric x 100, and the loss."""
    both = {'accuracy': agreement.accuracy, 'score': agreement.METRICS[metric]}
    found = {
        f'{view}_{name}': 100 * function(answers.chosen, answers.right)
        for name, function in both.items()
    }
    mean = LOSSES[experiment.config.loss].mean
    loss = float(mean(answers.loss, answers.target_tokens))
    return found | {f'{view}_loss': loss}


def _over_clients(
    view: str, parts: Parts, answers: Answers
) -> dict[str, float]:
    """Mean over clients of their accuracy x 100, and its standard error."""
    return _means(view, parts, answers.chosen == answers.right)


def _means(name: str, parts: Parts, hits: np.ndarray) -> dict[str, float]:
    """The same of answers that are right or not, in the order of the parts."""
    sizes = parts.sizes
    sums = np.bincount(parts.client_of, 100.0 * hits, minlength=len(sizes))
    means = sums[sizes > 0] / sizes[sizes > 0]
    error = np.nan
    if len(means) > 1:
        error = means.std(ddof=1) / np.sqrt(len(means))
    return {
        f'{name}_clients_accuracy': float(means.mean()),
        f'{name}_clients_accuracy_se': float(error),
    }
