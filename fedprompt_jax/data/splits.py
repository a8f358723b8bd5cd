"""What goes to training, validation or test: task types, or clients."""

from collections.abc import Iterable, Mapping, Sequence
import dataclasses

import numpy as np

from fedprompt_jax.data import randomness

SPLITS = ('train', 'validation', 'test')  # split ids 0, 1, 2
DROPPED = -1
RULES = ('paper', 'random')  # for task types
CLIENTS = 'clients'  # all are partitioned first, then clients are split
WITHIN = 'within'  # no client is held out, but examples of each are
OFFICIAL = 'official'  # the data's own splits, dealt to the training clients
NO_LISTS = (*RULES, CLIENTS, WITHIN, OFFICIAL)  # other values name lists
OF_TRAINING_CLIENTS = (WITHIN, OFFICIAL)  # they are validated and scored

# Profit (arXiv 2310.04627), section 3, footnote 2. Appendix B lists Mathematics
# too, but excludes it a sentence earlier: 7 types, as the main text says.
PAPER_TEST_TYPES = (
    'Irony Detection',
    'Text Completion',
    'Explanation',
    'Overlap Extraction',
    'Question Generation',
    'Dialogue Act Recognition',
    'Gender Classification',
)
# Profit, appendix B.
PAPER_VALIDATION_TYPES = (
    'Answer Verification',
    'Information Extraction',
    'Dialogue Generation',
    'Commonsense Classification',
    'Word Relation Classification',
    'Answerability Classification',
    'Sentence Ordering',
)
# Profit, appendix B: type -> why it is left out.
PAPER_EXCLUDED_TYPES = {
    'Mathematics': 'its tokenizer cannot read numbers',
    'Punctuation Error Detection': 'too little data for one client',
    'Paper Review': 'too little data for one client',
    'Speaker Relation Classification': 'too little data for one client',
}


@dataclasses.dataclass(frozen=True, eq=False)
class SplitAssignment:
    """The split of each task, and the reason for every task that has none."""

    split_of_task: np.ndarray  # int8 [num_tasks]: index into SPLITS, or DROPPED
    types: dict[str, tuple[str, ...]]  # split -> its task types, sorted
    dropped: dict[str, tuple[str, ...]]  # reason -> task names

    def __str__(self) -> str:
        lines = []
        for i, split in enumerate(SPLITS):
            n = int((self.split_of_task == i).sum())
            types = self.types[split]
            lines.append(f'{split}: {n} tasks of {len(types)} types')
        for reason, names in self.dropped.items():
            lines.append(f'dropped: {len(names)} tasks, {reason}')
        return '\n'.join(lines)


def split_task_types(
    types: Sequence[str], rule: str, seed: int
) -> dict[str, tuple[str, ...]]:
    """Returns the task types of 'train', 'validation' and 'test'.

    Rule 'paper' is the paper's own lists (Profit, section 3 and appendix B),
    case not minded: its 7 test and 7 validation types, its 4 excluded types in
    no split, all others training. Where the data has none of the test
    (validation) types, a seeded tenth of the types no list claims, at least
    one, stands in. Rule 'random' draws a seeded tenth each, at least one, and
    excludes none.

    Args:
      types: the task types of the data, in any order, repeats allowed.
      rule: 'paper' or 'random'.
      seed: the run's seed; the order of `types` does not matter.

    Returns:
      Disjoint, sorted, none of them empty.

    Raises:
      ValueError: an unknown rule, or too few task types for three splits.
    """
    if rule not in RULES:
        raise ValueError(
            f"config.data.splits={rule!r}: needed 'paper' or 'random'."
        )
    split: dict[str, tuple[str, ...]] = {'validation': (), 'test': ()}
    rest = sorted(set(types))
    if rule == 'paper':
        rest = [t for t in rest if not _is_in(t, PAPER_EXCLUDED_TYPES)]
        split['validation'] = _listed(rest, PAPER_VALIDATION_TYPES)
        split['test'] = _listed(rest, PAPER_TEST_TYPES)
    rest = [t for t in rest if t not in split['validation'] + split['test']]
    tenth = _tenth(len(rest))
    shuffled = _shuffled(rest, seed)
    for key in ('test', 'validation'):
        if not split[key]:
            split[key], shuffled = shuffled[:tenth], shuffled[tenth:]
    split['train'] = shuffled
    if not all(split.values()):
        there = len(set(types))
        raise ValueError(
            f'config.data.splits={rule!r} leaves a split without a task'
            f' type: the data has {there} types, and training, validation and'
            ' test need one each'
            + ("; use 'random'." if there >= 3 and rule == 'paper' else '.')
        )
    return {k: tuple(sorted(split[k])) for k in SPLITS}


def assign_splits(
    task_names: Sequence[str],
    task_types: Sequence[str],
    rule: str,
    seed: int,
    listed: Mapping[str, Sequence[str]] | None = None,
) -> SplitAssignment:
    """Returns the split of every task.

    Args:
      task_names: [num_tasks].
      task_types: [num_tasks], each task's type.
      rule: as in `split_task_types`; not consulted where `listed` is given.
      seed: the run's seed.
      listed: an official split by task name (`sni.read_splits`). Its test list
        is the test split, excluded and unlisted tasks are dropped, and as it
        has no validation list, a seeded tenth of its training types is that.

    Raises:
      ValueError: an unknown rule, or a split would be empty.
    """
    if listed is not None:
        return _assign_listed(task_names, task_types, seed, listed)
    types = split_task_types(task_types, rule, seed)
    split_of_type = {t: i for i, k in enumerate(SPLITS) for t in types[k]}
    dropped: dict[str, list[str]] = {}
    for name, type_ in zip(task_names, task_types, strict=True):
        if type_ not in split_of_type:
            dropped.setdefault(_why_excluded(type_), []).append(name)
    ids = [split_of_type.get(t, DROPPED) for t in task_types]
    return _assignment(ids, types, dropped)


def split_clients(
    sizes: np.ndarray,
    num_validation: int,
    num_test: int,
    seed: int,
    client_size: int | None = None,
    num_clients: int | None = None,
) -> dict[str, np.ndarray]:
    """Returns the clients of 'train', 'validation' and 'test'.

    A seeded tenth each is held out, and never fewer than asked for. The two
    come from opposite ends of one shuffle, so that other settings of the one
    do not move the other. A client with one instance stays in training: its
    data cannot be cut in two.

    Args:
      sizes: int [N], instances of each client.
      num_validation: fewest validation clients.
      num_test: fewest test clients.
      seed: the run's seed.
      client_size: that the clients were made with; None where the data have
        the clients. It is for the error alone.
      num_clients: the same, where their number is given.

    Returns:
      Disjoint, sorted, none of them empty; together all N.

    Raises:
      ValueError: there are too few clients.
    """
    able = np.flatnonzero(np.asarray(sizes) >= 2)
    tenth = _tenth(len(sizes))
    validation, test = max(tenth, num_validation), max(tenth, num_test)
    if validation + test > len(able) or validation + test >= len(sizes):
        raise ValueError(
            f"config.data.splits='clients' holds out {validation} clients for"
            f' validation and {test} for test (a tenth each, or more where more'
            ' are asked for), and at least one must be left to train; there'
            f' are {len(sizes)} clients, {len(able)} of them with the two'
            ' instances that a held-out one needs. To mend it, '
            f'{_more_clients(len(sizes), len(able), client_size, num_clients)}.'
        )
    order = randomness.generator(seed, 'client split').permutation(able)
    held = {'validation': order[-validation:], 'test': order[:test]}
    out = np.concatenate(list(held.values()))
    train = np.setdiff1d(np.arange(len(sizes)), out)
    return {'train': train, **{k: np.sort(v) for k, v in held.items()}}


def _more_clients(
    num: int, num_able: int, client_size: int | None, num_clients: int | None
) -> str:
    """Says how to get more clients where they are too few to be split."""
    fixes = []
    if 2 * _tenth(num) <= min(num_able, num - 1):  # else it would not suffice
        fixes.append(
            'lower config.validation.clients or config.personalization.clients'
        )
    if num_clients is not None:
        fixes.append(f'use a larger config.data.num_clients than {num_clients}')
    elif client_size is None:
        fixes.append('add clients of two or more instances to the data')
    else:
        fixes.append('add data')
        fixes.append(
            f'use a smaller config.data.client_size than {client_size}'
        )
    return ', or '.join(fixes)


def _assign_listed(
    names: Sequence[str],
    types: Sequence[str],
    seed: int,
    listed: Mapping[str, Sequence[str]],
) -> SplitAssignment:
    list_of = {n: k for k, tasks in listed.items() for n in tasks}
    where = [list_of.get(n, 'unlisted') for n in names]
    train = sorted(
        {t for t, w in zip(types, where, strict=True) if w == 'train'}
    )
    validation = set(_shuffled(train, seed)[: _tenth(len(train))])
    ids = []
    dropped: dict[str, list[str]] = {}
    types_of: dict[str, set[str]] = {k: set() for k in SPLITS}
    for name, type_, at in zip(names, types, where, strict=True):
        if at not in ('train', 'test'):
            listing = 'the excluded list' if at == 'excluded' else 'no list'
            dropped.setdefault(f'in {listing}', []).append(name)
            ids.append(DROPPED)
            continue
        split = 'validation' if at == 'train' and type_ in validation else at
        types_of[split].add(type_)
        ids.append(SPLITS.index(split))
    if not all(types_of.values()):
        raise ValueError(
            f'the splits lists leave a split empty: of {len(names)} tasks,'
            f' {where.count("test")} are in the test list (needed 1) and those'
            f' in the training list have {len(train)} types (needed 2, one for'
            ' validation).'
        )
    by_split = {k: tuple(sorted(v)) for k, v in types_of.items()}
    return _assignment(ids, by_split, dropped)


def _assignment(
    ids: list[int],
    types: dict[str, tuple[str, ...]],
    dropped: dict[str, list[str]],
) -> SplitAssignment:
    return SplitAssignment(
        np.asarray(ids, np.int8),
        types,
        {k: tuple(v) for k, v in dropped.items()},
    )


def _tenth(n: int) -> int:
    return max(1, round(n / 10))


def _shuffled(types: Sequence[str], seed: int) -> tuple[str, ...]:
    order = randomness.generator(seed, 'task type split').permutation(
        len(types)
    )
    return tuple(types[i] for i in order)


def _is_in(type_: str, names: Iterable[str]) -> bool:
    return type_.casefold() in {n.casefold() for n in names}


def _listed(types: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    return tuple(t for t in types if _is_in(t, names))


def _why_excluded(type_: str) -> str:
    folded = {k.casefold(): (k, v) for k, v in PAPER_EXCLUDED_TYPES.items()}
    name, why = folded[type_.casefold()]
    return f'type {name}, which the paper excludes ({why})'
