"""Scores by task type, each with its metric in Super-NaturalInstructions.

The evaluation script of the benchmark (Wang et al. 2022, section 5.1;
compute_metrics.py of Tk-Instruct) gives exact match for the test categories
that are classification and ROUGE-L for the others, as means over examples. Of
types that it does not list we give ROUGE-L.
"""

from collections.abc import Iterable, Sequence
import math
from typing import Any

import numpy as np

from fedprompt_jax.report import answers
from fedprompt_jax.report.records import SPLITS
from fedprompt_jax.report.run import Run
from fedprompt_jax.report.summary import SCORES

SOURCE = 'sni'
EXACT_MATCH = (
    'Textual Entailment',
    'Cause Effect Classification',
    'Coreference Resolution',
    'Dialogue Act Recognition',
    'Answerability Classification',
    'Word Analogy',
)
ALL = 'all'
NOTE = (
    "By task type, each with the metric that Super-NaturalInstructions' own "
    'script takes for it, and ROUGE-L beside it (x 100): means over examples, '
    'after the last epoch. Local: each personalized prompt on its own '
    "client's examples; global: on the common set, mean over all clients' "
    'prompts. A global prompt is scored on the same examples.'
)


def metric_of(task_type: str) -> str:
    """'exact_match' or 'rouge_l', as the benchmark scores a task type.

    >>> metric_of('Word Analogy'), metric_of('Title Generation')
    ('exact_match', 'rouge_l')
    """
    listed = {name.casefold() for name in EXACT_MATCH}
    return 'exact_match' if task_type.casefold() in listed else 'rouge_l'


def table(run: Run) -> list[list[str]]:
    """A header, a line for each task type, and one for all; [] without types.

    Only runs on Super-NaturalInstructions have it, whose versions have kept the
    types.

    Args:
      run: whose predictions are read.
    """
    if run.config.get('data', {}).get('source') != SOURCE:
        return []
    final = run.final_answers
    by_type: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for line in final.own:
        if 'type' in line:
            parts = by_type.setdefault(line['type'], {s: [] for s in SPLITS})
            for split in line['splits']:
                if line['rouge_l'] is not None:  # of a client that was lost
                    parts[split].append(line)
    if not by_type:
        return []
    prompts = [
        f'{split}, {prompt} prompt'
        for split in SPLITS
        for prompt in ('global', 'personalized')
    ]
    lines = [
        [
            'task type',
            'metric',
            'local examples',
            *prompts,
            *(f'ROUGE-L: {p}' for p in prompts),
        ]
    ]
    for name, parts in sorted(by_type.items()):
        metric = metric_of(name)
        lines.append(
            [
                name,
                SCORES[metric],
                f'{len(parts["local"])}',
                *_cells(parts, final.shared, [metric]),
                *_cells(parts, final.shared, ['rouge_l']),
            ]
        )
    whole = {
        s: [x for parts in by_type.values() for x in parts[s]] for s in SPLITS
    }
    metrics = list(map(metric_of, by_type))
    lines.append(
        [
            ALL,
            'each its own',
            f'{len(whole["local"])}',
            *_cells(whole, final.shared, metrics),
            *_cells(whole, final.shared, ['rouge_l']),
        ]
    )
    return lines


def _cells(
    parts: dict[str, list[dict[str, Any]]],
    shared: dict[answers.Example, dict[str, Any]],
    metrics: Sequence[str],
) -> list[str]:
    """Means of both prompts, of each split.

    Args:
      parts: split -> lines of personalized prompts.
      shared: the global prompt's lines.
      metrics: one for all lines; of several each line has that of its type.
    """

    def score(line: dict[str, Any], of: dict[str, Any]) -> float:
        several = len(metrics) > 1
        value = of[metric_of(line['type']) if several else metrics[0]]
        return math.nan if value is None else 100 * value

    cells = []
    for split in SPLITS:
        lines = parts[split]
        before = (score(x, shared[answers.example_of(x)]) for x in lines)
        after = (score(x, x) for x in lines)
        cells += [_mean(before), _mean(after)]
    return cells


def _mean(values: Iterable[float]) -> str:
    found = list(values)
    return f'{np.mean(found):.2f}' if found else '–'
