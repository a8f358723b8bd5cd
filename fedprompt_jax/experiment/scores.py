"""Local and global scores of prompts, as rows of tradeoff.csv."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fedprompt_jax.evaluation.anchors import WithoutModel
from fedprompt_jax.evaluation.routing import Router
from fedprompt_jax.evaluation.scoring import (
    Request,
    Scorer,
    Scores,
    mean_loss,
)
from fedprompt_jax.experiment.data import FederatedData
from fedprompt_jax.experiment.held_out import HeldOut
from fedprompt_jax.report.records import SPLITS
from fedprompt_jax.report.summary import SCORES, mean_of

# What scores prompts, or answers without a model.
PromptScorer = Scorer | WithoutModel | Router


def score_prompts(
    evaluator: PromptScorer,
    held_out: HeldOut,
    bank,
    shared: bool,
    loss: str,
    labels: dict[str, Any],
) -> tuple[list[dict], list[dict]]:
    """Scores each client's prompt on its own and on the common examples.

    A prompt that several clients share is computed once for each example.

    Args:
      evaluator: scores requests.
      held_out: the clients and their examples.
      bank: the prompts, leaves [C, ...].
      shared: whether all clients use the bank's first prompt; else client i
        uses prompt i.
      loss: a key of data.examples.LOSSES.
      labels: fields that all rows share: run, prompt, seed, epoch, alpha,
        lambda.

    Returns:
      Rows of tradeoff.csv, and lines of predictions.jsonl.
    """
    owners = [0 if shared else i for i in range(len(held_out.clients))]
    parts = [
        (client, name, split, [Request(owner, int(i)) for i in instances])
        for client, name, owner, local in zip(
            held_out.clients,
            held_out.names,
            owners,
            held_out.local,
            strict=True,
        )
        for split, instances in (
            ('local', local),
            ('global', held_out.common),
        )
    ]
    # Request -> its row in the scores: a request may be in several parts.
    place: dict[Request, int] = {}
    for *_, requests in parts:
        for request in requests:
            place.setdefault(request, len(place))
    splits: dict[Request, list[str]] = {}  # that a request is in
    for *_, split, requests in parts:
        for request in requests:
            splits.setdefault(request, []).append(split)
    scores = evaluator.score(bank, list(place), labels['prompt'])
    rows = [
        labels
        | {'client': int(client), 'client_name': name, 'split': split}
        | {'examples': held_out.examples[split]}
        | summary(scores, np.array([place[r] for r in requests]), loss)
        for client, name, split, requests in parts
    ]
    predictions = [
        labels
        | _whose_prompt(held_out, None if shared else request.owner)
        | ({} if shared else {'splits': splits[request]})
        | prediction(evaluator, scores, i, request.instance)
        for request, i in place.items()
    ]
    return rows, predictions


def means(rows: Sequence[dict]) -> dict[str, float]:
    """The means over clients of the final table, such as 'local_rouge_l'.

    Args:
      rows: of score_prompts.
    """
    return {
        f'{split}_{name}': mean_of(
            row[name] for row in rows if row['split'] == split
        ).mean
        for split in SPLITS
        for name in SCORES
    }


def _whose_prompt(held_out: HeldOut, owner: int | None) -> dict[str, Any]:
    """Id and, where the data have names, name of the client of a prompt."""
    if owner is None:
        client, name = None, None
    else:
        client, name = int(held_out.clients[owner]), held_out.names[owner]
    named = {'client_name': name} if any(held_out.names) else {}
    return {'client': client, **named}


def leading_metric(num_choices: Sequence[int] | np.ndarray) -> str:
    """The score that prompts are chosen by and that tables begin with.

    Args:
      num_choices: of each validation instance; 0 where its answer is text.

    Returns:
      'exact_match', which is accuracy, where all answers are chosen, else
      'rouge_l'.
    """
    chosen = np.asarray(num_choices) > 0
    return 'exact_match' if chosen.size and chosen.all() else 'rouge_l'


def selection(data: FederatedData) -> str:
    """The leading metric of a run, from its validation instances."""
    instances = np.concatenate(data.validation.local)
    return leading_metric(data.store.num_choices[instances])


def scored_instances(data: FederatedData, validated: bool) -> list[int]:
    """The store's instances that a run scores, sorted, each of them once.

    Args:
      data: the run's data.
      validated: whether the run has validation.
    """
    used = [*(data.validation.local if validated else ()), *data.held_out.local]
    used.append(data.held_out.common)
    return sorted({int(i) for instances in used for i in instances})


def summary(scores: Scores, chosen: np.ndarray, loss: str) -> dict[str, Any]:
    """Means over the chosen requests, and their number `n`.

    Args:
      scores: of all requests.
      chosen: int [n], positions of the requests in `scores`.
      loss: a key of data.examples.LOSSES.

    Returns:
      'rouge_l' and 'exact_match' x 100, 'loss' and 'n'.
    """
    return {
        'rouge_l': 100 * float(np.mean(scores.rouge_l[chosen])),
        'exact_match': 100 * float(np.mean(scores.exact_match[chosen])),
        'loss': mean_loss(scores, chosen, loss),
        'n': len(chosen),
    }


def prediction(
    evaluator: PromptScorer, scores: Scores, i: int, instance: int
) -> dict[str, Any]:
    """A line of predictions.jsonl: a request, its answer and its scores.

    Args:
      evaluator: has the store of texts.
      scores: of all requests.
      i: the position of the request in `scores`.
      instance: the request's instance in the store.
    """
    record = evaluator.store.record(instance)
    task = evaluator.store.tasks[evaluator.store.task_of[instance]]
    line = {
        'task': task['name'],
        'type': task['categories'][0],
        'id': record['id'],
        'input': record['input'],
        'prediction': scores.predictions[i],
        'references': record['outputs'],
        'rouge_l': float(scores.rouge_l[i]),
        'exact_match': float(scores.exact_match[i]),
        'loss': float(scores.loss[i]),
        'target_tokens': int(scores.target_tokens[i]),
        'output_tokens': int(scores.output_tokens[i]),
    }
    if 'choices' in record:
        losses = [float(x) for x in scores.choice_losses[i]]
        line |= {'choices': record['choices'], 'choice_losses': losses}
    return line | dict(scores.notes[i] if scores.notes else {})
