"""What each client's prompt is worth on every other client's examples.

The common set is drawn from the examples of all evaluated clients, and each
client's prompt answers it whole. The lines of predictions.jsonl therefore hold
a matrix, without a model: prompt of client i, examples of client j.
"""

from collections import Counter
from collections.abc import Iterator
import math
from typing import NamedTuple

import numpy as np

from fedprompt_jax.report import answers
from fedprompt_jax.report.run import Run
from fedprompt_jax.report.summary import score_names
from fedprompt_jax.tradeoff import bootstrap
from fedprompt_jax.tradeoff.bootstrap import Interval

NOTE = (
    'Gains are differences to the global prompt on the same examples of the '
    'common set, means over the clients whose prompts answer, with 95 % '
    'bootstrap intervals over these clients; the examples stay as they are. A '
    'client that is alone in its type counts across types only, and not in the '
    'difference.'
)


class Transfer(NamedTuple):
    """C clients, ordered by task type, then by number.

    Attributes:
      clients: int [C], their numbers.
      types: [C] the task type of most of a client's examples; '' where the run
        has not kept it.
      gain: f64 [C, C], row i is the prompt of client i and column j the common
        examples of client j: mean score x 100, less that of the global prompt.
        NaN for a prompt that is not finite.
    """

    clients: np.ndarray
    types: list[str]
    gain: np.ndarray


def read(run: Run, metric: str) -> Transfer | None:
    """The matrix of a run after its last epoch.

    None where clients trained no prompt, where there are fewer than two of
    them, or where an example of the common set belongs to none of them, as
    those of an official split.

    Args:
      run: whose predictions are read.
      metric: 'rouge_l' or 'exact_match'.
    """
    final = run.final_answers
    owner: dict[answers.Example, int] = {}
    kinds: dict[int, Counter[str]] = {}
    for line in final.own:
        if 'local' in line['splits']:
            owner.setdefault(answers.example_of(line), line['client'])
            counted = kinds.setdefault(line['client'], Counter())
            counted[line.get('type', '')] += 1
    common = [x for x in final.own if 'global' in x['splits']]
    if len(kinds) < 2 or not common:
        return None
    if not all(answers.example_of(line) in owner for line in common):
        return None
    type_of = {c: max(sorted(n), key=n.__getitem__) for c, n in kinds.items()}
    clients = sorted(type_of, key=lambda c: (type_of[c], c))
    place = {c: i for i, c in enumerate(clients)}
    gain, count = np.zeros((2, len(clients), len(clients)))
    for line in common:
        example = answers.example_of(line)
        at = place[line['client']], place[owner[example]]
        before = final.shared[example][metric]
        after = line[metric]
        gain[at] += math.nan if after is None else after - before
        count[at] += 1
    with np.errstate(invalid='ignore'):
        mean = 100 * gain / count  # NaN where client j has no common example
    return Transfer(np.array(clients), [type_of[c] for c in clients], mean)


class Kept(NamedTuple):
    """Mean gains of each client's prompt, f64 [C]; NaN where there is none.

    Attributes:
      own: on its own examples.
      within: on those of other clients of its type.
      across: on those of clients of other types.
    """

    own: np.ndarray
    within: np.ndarray
    across: np.ndarray


def kept(transfer: Transfer) -> Kept:
    """What prompts are worth at home, within their type, and across types.

    Each client's examples count alike, however many they are.
    """
    types = np.array(transfer.types)
    same = types[:, None] == types[None, :]
    itself = np.eye(len(types), dtype=bool)

    def mean(cells: np.ndarray) -> np.ndarray:
        there = cells & ~np.isnan(transfer.gain)
        total = np.where(there, transfer.gain, 0.0).sum(axis=1)
        with np.errstate(invalid='ignore'):
            return total / there.sum(axis=1)

    return Kept(mean(itself), mean(same & ~itself), mean(~same))


def interval(values: np.ndarray) -> Interval:
    """The mean of clients' values f64 [C], and its bootstrap interval.

    Clients whose value is NaN are left out, and counted as dropped.
    """
    points = np.repeat(values[:, None, None], 2, axis=2)  # [C, 1, 2]
    seeds = np.zeros(len(values), int)
    return bootstrap.interval(lambda x: x[:, 0, 0], points, seeds)


def table(run: Run) -> list[list[str]]:
    """A header, then the gain by whose examples they are; [] if there is none.

    Args:
      run: whose predictions are read.
    """
    found = read(run, run.selection)
    if found is None:
        return []
    gains = kept(found)
    name = score_names(run.selection)[run.selection]
    head = [
        'examples of',
        f'gain in {name} over the global prompt',
        '95 % interval',
        'clients',
    ]
    return [head, *_lines(gains, types_known=any(found.types))]


def _lines(gains: Kept, types_known: bool) -> Iterator[list[str]]:
    yield _line('the client itself', gains.own)
    if types_known:
        yield _line('other clients of its task type', gains.within)
        yield _line('clients of other task types', gains.across)
        yield _line(
            'difference: its type less others', gains.within - gains.across
        )
    else:
        yield _line('all other clients', gains.across)


def _line(words: str, values: np.ndarray) -> list[str]:
    x = interval(values)
    known = not math.isnan(x.low)
    return [
        words,
        '–' if math.isnan(x.estimate) else f'{x.estimate:+.2f}',
        f'{x.low:+.2f} to {x.high:+.2f}' if known else '–',
        f'{x.clients}',
    ]
