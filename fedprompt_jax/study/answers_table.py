"""Answers of methods beside each other, with the model that clients hold.

For runs whose answers are chosen or generated on an official test split, as
FedSP's studies have it: a line for each method, over seeds, and one for the
bare model.
"""

from collections.abc import Callable, Sequence
import math
from typing import Any, NamedTuple

import ml_dtypes  # noqa: F401 (numpy learns bfloat16 from it)
import numpy as np

from fedprompt_jax.data.examples import LOSSES
from fedprompt_jax.evaluation import choices
from fedprompt_jax.report import canvas, records, summary
from fedprompt_jax.report.run import Run
from fedprompt_jax.study.methods import (
    WIDE,
    Overrides,
    Spread,
    best_value,
    binomial,
    groups,
)
from fedprompt_jax.study.outputs import Result

HEADER = (
    'task',
    'method',
    'runs',
    'questions',
    'accuracy',
    'per character',
    'over clients',
    'loss',
    "client's model M",
    'full / client',
    'KL',
    'agreement %',
    'MB once',
    'kB down',
    'kB up',
    'client TFLOP',
    'server TFLOP',
    's a round',
    's before',
)
BARE = 'zero-shot'


class Answers(NamedTuple):
    """What was answered under a prompt of one run, question by question.

    Attributes:
      right: whether config.evaluation.choices finds the right answer.
      per_character: whether the sum of log p per character does: lm-eval's
        acc_norm; NaN where answers are generated.
      loss: of the right answer, nats.
      tokens: of it.
    """

    right: np.ndarray
    per_character: np.ndarray
    loss: np.ndarray
    tokens: np.ndarray


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
    """Questions, accuracy, by character, over clients, and the loss.

    Accuracies are x 100.

    Args:
      runs: of several seeds.
      prompt: 'bare' or 'global'.
    """
    found = [answered(run, prompt) for run in runs]
    rows = [
        row
        for run in runs
        for row in summary.table(run.rows)
        if row['prompt'] == prompt
    ]
    local = [row['local']['exact_match'] for row in rows]
    mean = LOSSES[runs[0].config['loss']].mean
    losses = [mean(a.loss, a.tokens) for a in found if len(a.loss)]
    return [
        f'{np.mean([len(a.right) for a in found]):.0f}',
        str(over_seeds([a.right for a in found])),
        str(over_seeds([a.per_character for a in found])),
        # Clients hold the same questions in all runs: no error is divided.
        str(
            Spread(
                float(np.mean([x.mean for x in local])),
                WIDE * float(np.mean([x.se for x in local])),
            )
        ),
        f'{np.mean(losses):.3f}' if losses else '–',
    ]


def over_seeds(right: Sequence[np.ndarray]) -> Spread:
    """Accuracy x 100 of several runs on the same questions.

    The error has two parts, that of the questions, which all runs share, and
    that of the seeds.

        >>> over_seeds([np.array([1.0, 0.0, 1.0, 0.0])])
        Spread(mean=50.0, half=49.0)

    Args:
      right: of each run, 1 or 0 for each question.
    """
    means = np.array([100 * np.mean(x) for x in right])
    mean, runs = float(np.mean(means)), len(means)
    questions = min(len(x) for x in right)
    square = binomial(mean, questions) ** 2
    if runs > 1:
        square += float(np.var(means, ddof=1)) / runs
    return Spread(mean, WIDE * math.sqrt(square))


def answered(run: Run, prompt: str) -> Answers:
    """The answers under 'bare' or 'global', in the order of the predictions."""
    lines: list[tuple[float, float, float, float]] = []
    for line in records.read_predictions(run.folder):
        if line['prompt'] != prompt:
            continue
        texts, per_character = line.get('choices'), math.nan
        if texts:
            chosen = choices.likeliest(
                line['choice_losses'], texts, [1] * len(texts), 'character'
            )
            per_character = float(texts[chosen] in line['references'])
        lines.append(
            (
                line['exact_match'],
                per_character,
                line['loss'],
                line['target_tokens'],
            )
        )
    return Answers(*np.array(lines, float).reshape(-1, 4).T)


def costs(runs: Sequence[Run]) -> list[str]:
    """What the method costs, the mean over runs; see HEADER."""
    found = np.array([_costs(run) for run in runs], float).mean(axis=0)
    formats = (
        '.1f', '.2f', '.2f', '.1f', '.1f', ',.1f', ',.1f', '.3f', '.3f',
        '.1f', '.0f',
    )  # fmt: skip
    return [
        '–' if math.isnan(x) else format(x, how)
        for x, how in zip(found, formats, strict=True)
    ]


def _costs(run: Run) -> list[float]:
    """In the order of HEADER; NaN where there is no such thing."""
    nan = math.nan
    full = run.info['parameters']['base']
    near = records.read_json(run.folder, 'distill.json')
    closeness = [near.get('kl', nan), 100 * near.get('agreement', nan)]
    before = sum(x['seconds'] for x in run.stage('distill'))
    if run.config['algorithm'] == 'centralized':
        # It has steps and no rounds, and no client.
        return [nan, nan, *closeness, *[nan] * 6, before]
    own = full
    once = full * np.dtype(run.config['model']['dtype']).itemsize
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
        *closeness,
        once / 1e6,
        a_client_s('bytes_down') / 1e3,
        a_client_s('bytes_up') / 1e3,
        a_client_s('flops') / 1e12,
        _mean([x.get('server_flops', 0) for x in train]) / 1e12,
        float(np.median(seconds)) if seconds else nan,
        before,
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
    millions, accuracy, agreement = [], [], []
    for runs in by_size.values():
        millions.append(_costs(runs[0])[0])
        answers = [answered(run, 'global').right for run in runs]
        accuracy.append(over_seeds(answers))
        agreement.append(np.mean([_costs(run)[3] for run in runs]))
    left.errorbar(
        millions,
        [a.mean for a in accuracy],
        yerr=[np.nan_to_num(a.half) for a in accuracy],
        fmt='o',
        color=canvas.BLUE,
        capsize=2,
    )
    left.set_ylabel('accuracy x 100 of the full model with the prompt')
    right.plot(millions, agreement, 's', color=canvas.VERMILLION)
    right.set_ylabel('answer tokens on which both models agree, %')
    for ax in (left, right):
        ax.set_xlabel("parameters of a client's model, millions")
    return figure
