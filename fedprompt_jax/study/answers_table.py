"""Answers of methods beside each other, with the model that clients hold.

For runs whose answers are chosen or generated on an official test split, as
FedSP's studies have it: a line for each method, over seeds, and one for the
bare model.
"""

from collections.abc import Callable, Sequence
import math
from typing import Any

import numpy as np

from fedprompt_jax.evaluation import choices
from fedprompt_jax.report import canvas, records, summary
from fedprompt_jax.report.run import Run
from fedprompt_jax.study.methods import (
    Overrides,
    Spread,
    best_value,
    binomial,
    groups,
    spread,
)
from fedprompt_jax.study.outputs import Result

HEADER = (
    'task',
    'method',
    'runs',
    'accuracy',
    'per character',
    'over clients',
    'loss',
    "client's model M",
    'full / client',
    'MB once',
    'kB down',
    'kB up',
    'client TFLOP',
    'server TFLOP',
    's a round',
    's before',
)
BARE = 'zero-shot'


def table(
    results: Sequence[Result],
    task: Callable[[Overrides], str],
    method: Callable[[Overrides], str],
    tuned: str = '',
) -> list[list[str]]:
    """A header, then a line for each task's bare model and each method.

    Args:
      results: the runs.
      task: of a run.
      method: of a run.
      tuned: see methods.table.
    """
    lines, bare = [list(HEADER)], set()
    for (name, how), members in groups(results, task, method).items():
        chosen, value = best_value(members, tuned)
        runs = [r.run for r in chosen if r.run is not None]
        done = sum(r.run is not None for r in members)
        if runs and name not in bare:
            bare.add(name)
            cells = accuracies(runs[:1], 'bare')
            rest = ['–'] * (len(HEADER) - 3 - len(cells))
            lines.append([name, BARE, '1', *cells, *rest])
        how = f'{how}, {value:g}' if value is not None else how
        count = f'{done}/{len(members)}'
        if not runs:
            lines.append([name, how, count, *['–'] * (len(HEADER) - 3)])
            continue
        cells = [*accuracies(runs, 'global'), *costs(runs)]
        lines.append([name, how, count, *cells])
    return lines


def accuracies(runs: Sequence[Run], prompt: str) -> list[str]:
    """Accuracy, by character, over clients, and the loss; x 100 but the last.

    Args:
      runs: of several seeds.
      prompt: 'bare' or 'global'.
    """
    by_rule = [answered(run, prompt) for run in runs]
    cells = []
    for rule in ('as asked', 'character'):
        values = [100 * float(np.mean(found[rule])) for found in by_rule]
        errors = [
            binomial(v, len(found[rule]))
            for v, found in zip(values, by_rule, strict=True)
        ]
        cells.append(str(spread(values, errors)))
    rows = [
        row
        for run in runs
        for row in summary.table(run.rows)
        if row['prompt'] == prompt
    ]
    local = [row['local']['exact_match'] for row in rows]
    cells.append(str(spread([x.mean for x in local], [x.se for x in local])))
    losses = [row['global']['loss'].mean for row in rows]
    return [*cells, f'{np.mean(losses):.3f}' if losses else '–']


def answered(run: Run, prompt: str) -> dict[str, list[float]]:
    """Whether each test example was answered right, 1 or 0, by two rules.

    'as asked' is config.evaluation.choices; 'character' is lm-eval's acc_norm,
    NaN where answers are generated.
    """
    found: dict[str, list[float]] = {'as asked': [], 'character': []}
    for line in records.read_predictions(run.folder):
        if line['prompt'] != prompt:
            continue
        found['as asked'].append(line['exact_match'])
        texts = line.get('choices')
        right = math.nan
        if texts:
            losses = line['choice_losses']
            chosen = choices.likeliest(
                losses, texts, [1] * len(texts), 'character'
            )
            right = float(texts[chosen] in line['references'])
        found['character'].append(right)
    return found


def costs(runs: Sequence[Run]) -> list[str]:
    """What the method costs, the mean over runs; see HEADER."""
    found = np.array([_costs(run) for run in runs], float).mean(axis=0)
    formats = ('.1f', '.2f', '.1f', ',.1f', ',.1f', '.3f', '.3f', '.1f', '.0f')
    return [
        '–' if math.isnan(x) else format(x, how)
        for x, how in zip(found, formats, strict=True)
    ]


def _costs(run: Run) -> list[float]:
    full = run.info['parameters']['base']
    own, once = full, 0
    messages = records.read_json(run.folder, 'messages.json')
    if model := messages.get('down_once'):
        own = sum(math.prod(x['shape']) for x in model)
        once = sum(x['bytes'] for x in model)
    train, clients = run.stage('train'), run.config['clients_per_round']

    def a_client_s(key: str) -> float:
        return _mean([x[key] for x in train]) / clients

    seconds = [x['seconds'] for x in train]
    return [
        own / 1e6,
        full / own,
        once / 1e6,
        a_client_s('bytes_down') / 1e3,
        a_client_s('bytes_up') / 1e3,
        a_client_s('flops') / 1e12,
        _mean([x.get('server_flops', 0) for x in train]) / 1e12,
        float(np.median(seconds)) if seconds else math.nan,
        sum(x['seconds'] for x in run.stage('distill')),
    ]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def draw_size(results: Sequence[Result], size: Callable[[Overrides], Any]):
    """Accuracy, and closeness to the full model, against a model's size.

    Args:
      results: the runs.
      size: of a run, a number of layers.
    """
    by_size: dict[Any, list[Run]] = {}
    for result in results:
        if result.run is not None:
            run = result.run
            by_size.setdefault(size(result.overrides), []).append(run)
    if not by_size:
        return None
    figure = canvas.blank(10, 4.4)
    left, right = figure.subplots(1, 2)
    millions, accuracy, near = [], [], []
    for runs in by_size.values():
        millions.append(_costs(runs[0])[0])
        accuracy.append(global_accuracy(runs))
        near.append(
            np.mean([_closeness(run) for run in runs], axis=0)  # KL, agreement
        )
    left.errorbar(
        millions,
        [a.mean for a in accuracy],
        yerr=[np.nan_to_num(a.half) for a in accuracy],
        fmt='o',
        color=canvas.BLUE,
        capsize=2,
    )
    left.set_ylabel('accuracy x 100 of the full model with the prompt')
    agreement = [100 * n[1] for n in near]
    right.plot(millions, agreement, 's', color=canvas.VERMILLION)
    right.set_ylabel('answer tokens on which both models agree, %')
    for ax in (left, right):
        ax.set_xlabel("parameters of a client's model, millions")
    return figure


def global_accuracy(runs: Sequence[Run]) -> Spread:
    """Accuracy x 100 of the chosen global prompt, over seeds."""
    found = [answered(run, 'global')['as asked'] for run in runs]
    values = [100 * float(np.mean(x)) for x in found]
    errors = [binomial(v, len(x)) for v, x in zip(values, found, strict=True)]
    return spread(values, errors)


def _closeness(run: Run) -> tuple[float, float]:
    path = run.folder / 'distill.json'
    if not path.is_file():
        return math.nan, math.nan
    record = records.read_json(run.folder, path.name)
    return record.get('kl', math.nan), record.get('agreement', math.nan)
