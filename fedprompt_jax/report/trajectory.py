"""The trajectory of a run as arrays: clients x prompts x (local, global)."""

from collections.abc import Iterable, Sequence
import math
from typing import NamedTuple

import numpy as np

from fedprompt_jax.report.records import Row
from fedprompt_jax.report.run import Run
from fedprompt_jax.report.summary import label, last_epoch

ClientKey = tuple[str, int, int]  # run, seed, client


class Prompt(NamedTuple):
    """A prompt that was scored.

    Attributes:
      label: its word in tradeoff.csv.
      epoch: of personalization; 0 for a shared prompt.
      alpha: the weight of the personalized prompt in an averaged one, or None.
    """

    label: str
    epoch: int = 0
    alpha: float | None = None

    @property
    def name(self) -> str:
        """The prompt in words: 'global prompt', 'epoch 3', 'α = 0.5'."""
        if self.label == 'personalized':
            return f'epoch {self.epoch}'
        if self.alpha is not None:
            return f'α = {self.alpha:g}'
        return label(self.label)


BARE, GLOBAL = Prompt('bare'), Prompt('global')


class Trajectory(NamedTuple):
    """Scores of C clients at T prompts, of one run or of several.

    The prompts are, in this order: the bare model, where it was scored; other
    shared prompts that were asked for; the global prompt; the personalized
    prompt after each scored epoch; averaged prompts, if asked for.

    Attributes:
      prompts: T of them.
      scores: f64 [C, T, 2], (local, global), NaN where there is none. Scores
        are x 100.
      seeds: int [C], the seed of each client's run.
      clients: C of (run, seed, client id).
      names: C names of clients; '' where the data do not name them.
    """

    prompts: tuple[Prompt, ...]
    scores: np.ndarray
    seeds: np.ndarray
    clients: tuple[ClientKey, ...]
    names: tuple[str, ...]

    @property
    def bare(self) -> int | None:
        """The place of the bare model among the prompts, or None."""
        return self.prompts.index(BARE) if BARE in self.prompts else None

    @property
    def path(self) -> list[int]:
        """The places of the global prompt and of the scored epochs."""
        return self.places('global', 'personalized')

    def places(self, *labels: str) -> list[int]:
        """The places of the prompts with one of these labels."""
        return [i for i, p in enumerate(self.prompts) if p.label in labels]


def read(
    rows: Sequence[Row],
    metric: str,
    averaged: bool = False,
    others: Iterable[str] = (),
) -> Trajectory | None:
    """The trajectory of a run from its rows of tradeoff.csv.

    The rows may be those of several runs whose names differ. A prompt that one
    of the runs did not score is NaN for its clients.

    Args:
      rows: of read_tradeoff.
      metric: the score, 'rouge_l' or 'exact_match'.
      averaged: whether averages of the last prompts are prompts, too.
      others: labels of more shared prompts, such as 'initial'.

    Returns:
      None where no client personalized the global prompt.
    """
    last = last_epoch(rows, 'averaged')
    shared = ('bare', *others, 'global')
    scores: dict[ClientKey, dict[tuple[Prompt, str], float]] = {}
    names: dict[ClientKey, str] = {}
    found: set[Prompt] = set()
    for row in rows:
        prompt = _prompt(row, shared, last if averaged else None)
        if prompt is not None:
            client = row['run'], row['seed'], row['client']
            scores.setdefault(client, {})[prompt, row['split']] = row[metric]
            names[client] = row.get('client_name', '')
            found.add(prompt)
    if GLOBAL not in found or all(p.label != 'personalized' for p in found):
        return None
    order = (*shared, 'personalized', 'averaged')
    prompts = sorted(
        found, key=lambda p: (order.index(p.label), p.epoch, p.alpha or 0.0)
    )
    array = np.array(
        [
            [
                [of.get((p, split), math.nan) for split in ('local', 'global')]
                for p in prompts
            ]
            for of in scores.values()
        ]
    )
    return Trajectory(
        tuple(prompts),
        array,
        np.array([seed for _, seed, _ in scores]),
        tuple(scores),
        tuple(names[client] for client in scores),
    )


def of_runs(
    runs: Sequence[Run], metric: str, averaged: bool = False
) -> Trajectory | None:
    """As `read`, of several runs: a client is keyed by the name of its run."""
    rows = [row | {'run': run.name} for run in runs for row in run.rows]
    return read(rows, metric, averaged)


def paired(a: Trajectory, b: Trajectory) -> tuple[list[int], list[int]]:
    """The places in two trajectories of the clients that both have.

    Clients are the same if seed and id are. Of several runs of one seed in a
    trajectory, the first one's client is taken.
    """
    first, second = (
        {(seed, i): n for n, (_, seed, i) in reversed([*enumerate(t.clients)])}
        for t in (a, b)
    )
    both = [client for client in reversed(first) if client in second]
    return [first[c] for c in both], [second[c] for c in both]


def _prompt(
    row: Row, shared: Sequence[str], averaged_epoch: int | None
) -> Prompt | None:
    """The prompt of a row; None where it is not wanted."""
    if row['prompt'] in shared:
        return Prompt(row['prompt'])
    if row['prompt'] == 'personalized' and row['epoch'] > 0:
        return Prompt('personalized', row['epoch'])
    if row['prompt'] == 'averaged' and row['epoch'] == averaged_epoch:
        return Prompt('averaged', row['epoch'], row['alpha'])
    return None
