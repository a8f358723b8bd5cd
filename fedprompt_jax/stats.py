"""Prints what a partition looks like: Profit's Table 1 and Figure 6.

  python -m fedprompt_jax.stats --data=PATH [--client_size=1200] [--split=train]

PATH is a folder with `tasks/task*.json` (Super-NaturalInstructions), or
`embedded` for the corpus in the package.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
import dataclasses
import itertools
import json
import sys
from typing import Any

import numpy as np

from fedprompt_jax.data import heterogeneity, partitions, sni
from fedprompt_jax.data import splits as splits_lib

_TYPES_SHOWN = 10  # most types that are dropped, a line a type
# Figure 6's metadata, its column -> Task's attribute.
_METADATA = {
    'source': 'source',
    'domain': 'domains',
    'reasoning': 'reasoning',
    'in lang': 'input_language',
    'out lang': 'output_language',
}


@dataclasses.dataclass(frozen=True)
class Corpus:
    """The part of the data that the statistics read: no instance text."""

    tasks: tuple[sni.Task, ...]  # their instances left out
    sizes: np.ndarray  # int64 [num_tasks], instances of each
    listed: dict[str, tuple[str, ...]] | None  # an official split, if asked for


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; a fault in data or flags ends it with one line."""
    flags = vars(_parser().parse_args(argv))
    as_json = flags.pop('json')
    try:
        statistics = collect(**flags)
    except ValueError as e:
        sys.exit(f'error: {e}')
    print(json.dumps(statistics, indent=1) if as_json else _text(statistics))


def collect(
    data: str,
    splits: str = 'paper',
    partition: str = 'all',
    client_size: int = 1200,
    dirichlet_alpha: float = 1.0,
    seed: int = 0,
    split: str = 'train',
) -> dict[str, Any]:
    """Returns the split sizes, what was dropped, and a row per partition.

    Args:
      data: a folder of SNI tasks, or 'embedded'.
      splits: a rule of data/splits.py, or the name of a folder of lists.
      partition: a kind of data/partitions.py, or 'all'.
      client_size: instances of a client.
      dirichlet_alpha: concentration, for 'dirichlet' alone.
      seed: of splits and partitions.
      split: whose clients.

    Raises:
      ValueError: the data cannot be read or split, or leaves no client.
    """
    corpus = _read(data, splits)
    types = [t.task_type for t in corpus.tasks]
    assigned = splits_lib.assign_splits(
        [t.name for t in corpus.tasks], types, splits, seed, corpus.listed
    )
    chosen = assigned.split_of_task == splits_lib.SPLITS.index(split)
    task_of = np.repeat(np.flatnonzero(chosen), corpus.sizes[chosen])
    type_names, type_of_task = np.unique(types, return_inverse=True)
    type_of = type_of_task[task_of]
    kinds = partitions.KINDS if partition == 'all' else [partition]
    rows, small = [], {}
    for kind in kinds:
        clients = partitions.partition(
            kind,
            task_of,
            type_of,
            client_size,
            seed,
            dirichlet_alpha,
        )
        rows.append(_row(kind, clients, corpus.tasks, task_of, type_of))
        small = {str(type_names[t]): n for t, n in clients.dropped.items()}
    return {
        'split': split,
        'client_size': client_size,
        'seed': seed,
        'splits': _split_sizes(assigned, corpus.sizes),
        'dropped_tasks': {k: list(v) for k, v in assigned.dropped.items()},
        'types_too_small': small,
        'partitions': rows,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='python -m fedprompt_jax.stats',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('--data', required=True, help="a folder of SNI tasks, or 'embedded'")
    add('--partition', default='all', choices=('all', *partitions.KINDS))
    add('--client_size', type=int, default=1200, help='instances a client')
    add('--seed', type=int, default=0)
    add('--split', default='train', choices=splits_lib.SPLITS)
    add(
        '--splits',
        default='paper',
        help="'paper', 'random', or the name of a folder in PATH/splits",
    )
    add('--dirichlet_alpha', type=float, default=1.0)
    add('--json', action='store_true', help='print one JSON object')
    return parser


def _read(data: str, rule: str) -> Corpus:
    listed = None
    if rule not in splits_lib.RULES:
        listed = sni.read_splits(data, rule)
    tasks, sizes = [], []
    for task in _tasks(data):
        tasks.append(dataclasses.replace(task, instances=()))
        sizes.append(len(task.instances))
    return Corpus(tuple(tasks), np.asarray(sizes, np.int64), listed)


def _tasks(data: str) -> Iterable[sni.Task]:
    if data != 'embedded':
        return sni.iter_folder(data)
    from fedprompt_jax.data import corpus  # only where it is asked for

    return (sni.parse_task(n, raw) for n, raw in corpus.generate().items())


def _split_sizes(
    split: splits_lib.SplitAssignment, sizes: np.ndarray
) -> dict[str, dict[str, Any]]:
    return {
        name: {
            'types': list(split.types[name]),
            'tasks': int((split.split_of_task == i).sum()),
            'instances': int(sizes[split.split_of_task == i].sum()),
        }
        for i, name in enumerate(splits_lib.SPLITS)
    }


def _row(
    kind: str,
    clients: partitions.Clients,
    tasks: Sequence[sni.Task],
    task_of: np.ndarray,
    type_of: np.ndarray,
) -> dict[str, Any]:
    mean_kl = {
        'type': heterogeneity.kl_from_global(clients, type_of).mean(),
        'task': heterogeneity.kl_from_global(clients, task_of).mean(),
    }
    for column, field in _METADATA.items():
        values = [getattr(t, field) for t in tasks]
        _, weights = heterogeneity.label_weights(values)
        kl = heterogeneity.kl_from_global(clients, task_of, weights)
        mean_kl[column] = kl.mean()
    counts = heterogeneity.table1(clients, task_of, type_of)
    return {
        'partition': kind,
        'clients': counts.clients,
        'instances': counts.instances._asdict(),
        'tasks': counts.tasks._asdict(),
        'types': counts.types._asdict(),
        'mean_kl': {k: float(v) for k, v in mean_kl.items()},
    }


def columns(row: dict[str, Any]) -> dict[str, float]:
    """A row of `collect`'s 'partitions' as columns of numbers.

    Table 1: means over clients and their standard deviations ('sd'). Figure 6:
    'KL ' and a label -> mean KL(client || all clients), nats.
    """
    flat: dict[str, float] = {'clients': row['clients']}
    for key in ('instances', 'tasks', 'types'):
        flat[key] = row[key]['mean']
        flat[f'{key} sd'] = row[key]['sd']
    return flat | {f'KL {k}': kl for k, kl in row['mean_kl'].items()}


def _text(statistics: dict[str, Any]) -> str:
    return '\n'.join([*_split_lines(statistics), *_partition_lines(statistics)])


def _split_lines(statistics: dict[str, Any]) -> Iterator[str]:
    yield f'{"split":<11}{"types":>6}{"tasks":>7}{"instances":>11}'
    for name, size in statistics['splits'].items():
        yield '{:<11}{:>6}{:>7}{:>11,}'.format(
            name, len(size['types']), size['tasks'], size['instances']
        )
    for reason, names in statistics['dropped_tasks'].items():
        yield f'dropped: {len(names)} tasks, {reason}'
    small = statistics['types_too_small']
    for name, n in itertools.islice(small.items(), _TYPES_SHOWN):
        yield f'dropped: type {name}, {n} instances, too few for a client'
    if (more := len(small) - _TYPES_SHOWN) > 0:
        yield f'dropped: ... and {more:,} more types, too few for a client'


def _partition_lines(statistics: dict[str, Any]) -> Iterator[str]:
    rows = statistics['partitions']
    yield f'\n{statistics["split"]} clients, mean ± sd over clients:'
    yield '{:<11}{:>8}{:>16}{:>15}{:>13}'.format(
        'partition', 'clients', 'instances', 'tasks', 'types'
    )
    for r in rows:
        cells = [_mean_sd(r[k]) for k in ('instances', 'tasks', 'types')]
        yield '{:<11}{:>8,}{:>16}{:>15}{:>13}'.format(
            r['partition'], r['clients'], *cells
        )
    yield '\nmean over clients of KL(client || all clients), nats:'
    yield 'partition  ' + ''.join(f'{c:>10}' for c in rows[0]['mean_kl'])
    for r in rows:
        values = ''.join(f'{v:>10.4f}' for v in r['mean_kl'].values())
        yield f'{r["partition"]:<11}{values}'


def _mean_sd(x: dict[str, float]) -> str:
    return f'{x["mean"]:.1f} ± {x["sd"]:.1f}'


if __name__ == '__main__':
    main()
