"""Routers whose thresholds are fitted on validation clients, from records.

A run of the method 'router' keeps both prompts' confidences and scores for each
example. A threshold is fitted on the run of validation clients and applied to
that of test clients, whose scores have no part in the choice.

    query     the client's prompt answers where the mean log p of the query is
              higher under it by more than the threshold, in nats a token
    answer    likewise the mean log p of each prompt's own answer
    both      w · query + (1 − w) · answer, with w fitted too

The best threshold has the highest mean over clients of (local + global) / 2.
One threshold serves both, since a client cannot tell whose a query is.
"""

from collections.abc import Callable, Iterator, Sequence
import itertools
import math
from typing import Any, NamedTuple

import numpy as np

from fedprompt_jax.report import records
from fedprompt_jax.report.records import SPLITS
from fedprompt_jax.report.run import Run, leading_metric
from fedprompt_jax.study.outputs import Result
from fedprompt_jax.tradeoff import bootstrap
from fedprompt_jax.tradeoff.bootstrap import Interval

Overrides = dict[str, Any]
LABELS = ('routed_by_query', 'routed_by_answer')
WEIGHTS = tuple(i / 10 for i in range(11))  # of the query, in rule 'both'
RULES = {'query': (1.0,), 'answer': (0.0,), 'both': WEIGHTS}
TOLERANCE = 1e-9  # two mean scores x 100 nearer than this are equal
NAMES = ('global', 'personalized', 'router', 'genie')  # of points [C, T, 2]
HEADER = (
    'rule',
    'weight of query',
    'threshold',
    *SPLITS,
    *(f'{s}: share of the gap to the better prompt' for s in SPLITS),
    *(f'{s}: to the personalized prompt' for s in SPLITS),
    'clients',
    'seeds',
)


class Examples(NamedTuple):
    """What n examples say of both prompts; C clients of all seeds.

    Attributes:
      client: int [n], 0 ... C - 1.
      splits: bool [n, 2], whether it counts in the local and global score.
      query: f64 [n], own less shared mean log p; NaN where it is not computed.
      answer: f64 [n], likewise.
      own: f64 [n], the score of the client's prompt, x 100.
      shared: f64 [n], of the global prompt.
      seeds: int [C], the seed of each client.
    """

    client: np.ndarray
    splits: np.ndarray
    query: np.ndarray
    answer: np.ndarray
    own: np.ndarray
    shared: np.ndarray
    seeds: np.ndarray

    def difference(self, weight: float) -> np.ndarray:
        """w · query + (1 − w) · answer, f64 [n]; 0 where one is unknown."""
        parts = [
            w * x
            for w, x in ((weight, self.query), (1 - weight, self.answer))
            if w
        ]
        return np.nan_to_num(np.sum(parts, axis=0), nan=0.0)

    @property
    def weights(self) -> np.ndarray:
        """f64 [n, 2]: an example's weight in its client's mean scores."""
        clients = len(self.seeds)
        counts = np.zeros((clients, 2))
        np.add.at(counts, self.client, self.splits)
        return self.splits / np.maximum(1, counts)[self.client]


class Fitted(NamedTuple):
    """A rule with the values that were best.

    Attributes:
      weight: of the query's confidence.
      threshold: in nats a token.
      score: mean over clients of (local + global) / 2, where it was fitted.
    """

    weight: float
    threshold: float
    score: float


def read(runs: Sequence[Run], metric: str) -> Examples:
    """The examples of runs of several seeds, from their predictions.

    A client whose prompt is not finite is left out.

    Args:
      runs: each of another seed, with the method 'router'.
      metric: 'rouge_l' or 'exact_match'.

    Raises:
      ValueError: a run has no routed answers.
    """
    rows: list[list[float]] = []
    seeds: dict[tuple[int, int], int] = {}  # (run, client) -> seed
    for number, run in enumerate(runs):
        lines = list(_routed(run))
        dropped = {x['client'] for x in lines if x['rouge_l'] is None}
        kept = [x for x in lines if x['client'] not in dropped]
        if not kept:
            raise ValueError(
                f'{run.folder} has no routed answers; use '
                "config.personalization.method='router'."
            )
        for line in kept:
            key = number, line['client']
            seeds.setdefault(key, line['seed'])
            own, shared = (
                line['routing'][name] for name in ('personalized', 'global')
            )
            rows.append(
                [
                    list(seeds).index(key),
                    *(split in line['splits'] for split in SPLITS),
                    *(
                        _number(own[f'{rule}_log_p'])
                        - _number(shared[f'{rule}_log_p'])
                        for rule in ('query', 'answer')
                    ),
                    100 * own[metric],
                    100 * shared[metric],
                ]
            )
    table = np.array(rows, float)
    query, answer, mine, common = table[:, 3:].T
    return Examples(
        table[:, 0].astype(int),
        table[:, 1:3].astype(bool),
        query,
        answer,
        mine,
        common,
        np.array(list(seeds.values())),
    )


def fit(examples: Examples, rule: str) -> Fitted:
    """The weight and the threshold with the highest score; see above.

    Of equal scores the threshold nearest to 0, then the first weight.

    Args:
      examples: of validation clients.
      rule: a key of RULES.
    """
    found = [_fit_threshold(examples, weight) for weight in RULES[rule]]
    best = max(f.score for f in found)
    good = [f for f in found if f.score >= best - TOLERANCE]
    return min(good, key=lambda f: abs(f.threshold))


def _fit_threshold(examples: Examples, weight: float) -> Fitted:
    """The best of all thresholds that make a difference."""
    difference, share = examples.difference(weight), examples.weights
    share = share.sum(axis=1) / (2 * len(examples.seeds))  # [n]
    base = float(share @ examples.shared)
    gain = share * (examples.own - examples.shared)
    values, place = np.unique(difference, return_inverse=True)  # ascending
    at = np.bincount(place, gain, len(values))
    # What is gained where all differences from number k on take the client's
    # prompt, k = 0 (all) ... len(values) (none): thresholds between values.
    total = base + np.append(np.cumsum(at[::-1])[::-1], 0.0)
    edges = np.concatenate([[-np.inf], values, [np.inf]])
    thresholds = [
        0.0 if low <= 0 < high else (low + high) / 2
        for low, high in itertools.pairwise(edges)
    ]
    good = np.flatnonzero(total >= total.max() - TOLERANCE)
    k = min(good, key=lambda k: abs(thresholds[k]))
    return Fitted(weight, thresholds[k], float(total[k]))


def points(examples: Examples, own: np.ndarray) -> np.ndarray:
    """Scores f64 [C, 2] of clients, local and global.

    Args:
      examples: n of them.
      own: bool [n], whether the client's prompt answers.
    """
    scores = np.where(own, examples.own, examples.shared)
    found = np.zeros((len(examples.seeds), 2))
    np.add.at(found, examples.client, examples.weights * scores[:, None])
    return found


def scores(examples: Examples, fitted: Fitted) -> np.ndarray:
    """Scores f64 [C, T, 2] of the prompts in NAMES, the router's as fitted."""
    n = len(examples.client)
    routed = examples.difference(fitted.weight) > fitted.threshold
    better = examples.own >= examples.shared
    choices = (np.zeros(n, bool), np.ones(n, bool), routed, better)
    return np.stack([points(examples, own) for own in choices], axis=1)


def closed(split: str, base: str) -> Callable[[np.ndarray], np.ndarray]:
    """The share of the genie's gap that the router closes: a statistic.

    (router − base) / (genie − base), of means over clients. It is 0 for a
    router that is no better than the base, negative for a worse one, 1 for the
    genie, and NaN where the genie has no gap.

    Args:
      split: 'local' or 'global'.
      base: 'better' for the better of the global and the personalized prompt,
        by its mean; or a name of NAMES.

    Returns:
      A function of points f64 [B, T, 2] that returns f64 [B].
    """
    s = SPLITS.index(split)

    def statistic(points: np.ndarray) -> np.ndarray:
        of = dict(zip(NAMES, points[..., s].T, strict=True))
        start = of.get(base, np.maximum(of['global'], of['personalized']))
        gap = of['genie'] - start
        with np.errstate(divide='ignore', invalid='ignore'):
            share = (of['router'] - start) / gap
        return np.where(gap > TOLERANCE, share, np.nan)

    return statistic


def table(
    results: Sequence[Result],
    title: str,
    group: Callable[[Overrides], str],
    is_validation: Callable[[Overrides], bool],
) -> list[list[str]]:
    """A header, and of each group the prompts, the rules and the genie.

    Args:
      results: the runs, of validation and of test clients.
      title: of the column that names a group.
      group: overrides of a run -> its group's name.
      is_validation: whether a run's clients are validation clients.
    """
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(group(result.overrides), []).append(result)
    lines = [[title, *HEADER]]
    for name, members in groups.items():
        runs: tuple[list[Run], list[Run]] = ([], [])  # test, validation
        for r in members:
            if r.run is not None:
                runs[is_validation(r.overrides)].append(r.run)
        if all(runs):
            lines += [[name, *line] for line in _lines(*runs)]
        else:
            lines.append([name, *['–'] * len(HEADER)])
    return lines


def _lines(
    test: Sequence[Run], validation: Sequence[Run]
) -> Iterator[list[str]]:
    metric = leading_metric([*validation, *test])
    there, here = read(validation, metric), read(test, metric)
    has_query = not np.isnan(there.query).all()
    fitted = {
        f'{rule}, fitted': fit(there, rule)
        for rule in RULES
        if has_query or rule == 'answer'
    }
    plain = {
        f'{rule}, 0': Fitted(weight, 0.0, math.nan)
        for rule, (weight, *_) in RULES.items()
        if rule != 'both' and (has_query or rule == 'answer')
    }
    never = scores(here, Fitted(0.0, math.inf, math.nan))
    counts = [f'{len(here.seeds)}', f'{len(np.unique(here.seeds))}']
    for name in ('global', 'personalized', 'genie'):
        means = [
            _mean(never, here.seeds, NAMES.index(name), s) for s in range(2)
        ]
        yield [name, '–', '–', *map(_shown, means), *['–'] * 4, *counts]
    for name, values in (plain | fitted).items():
        of = scores(here, values)
        shares = [
            bootstrap.interval(closed(split, base), of, here.seeds)
            for base in ('better', 'personalized')
            for split in SPLITS
        ]
        means = [
            _mean(of, here.seeds, NAMES.index('router'), s) for s in range(2)
        ]
        yield [
            name,
            f'{values.weight:.1f}',
            f'{values.threshold:.4g}',
            *map(_shown, [*means, *shares]),
            *counts,
        ]


def _mean(of: np.ndarray, seeds: np.ndarray, at: int, split: int) -> Interval:
    return bootstrap.interval(lambda x: x[:, at, split], of, seeds)


def _shown(x: Interval) -> str:
    if math.isnan(x.estimate):
        return '–'
    if math.isnan(x.low):
        return f'{x.estimate:.2f}'
    return f'{x.estimate:.2f} [{x.low:.2f}, {x.high:.2f}]'


def _routed(run: Run) -> Iterator[dict[str, Any]]:
    """The lines of one label; those of the other say the same."""
    label = None
    for line in records.read_predictions(run.folder):
        if line['prompt'] in LABELS:
            label = label or line['prompt']
            if line['prompt'] == label:
                yield line


def _number(value: float | None) -> float:
    return math.nan if value is None else value
