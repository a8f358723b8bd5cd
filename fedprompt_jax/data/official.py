"""Shares the data's own splits out: `config.data.splits='official'`.

Clients are made of the official training data. Each gets a part of the official
validation and test data too, with the mixture of task types (for a
classification set: of labels) that its training data has, so that what it keeps
can be scored on data like its own.
"""

import dataclasses

import numpy as np

from fedprompt_jax.data import randomness
from fedprompt_jax.data.partitions import Clients
from fedprompt_jax.data.splits import SPLITS


def complete(
    split_of: np.ndarray, share: float, seed: int
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """The instances of training, validation and test.

    Data without an official validation split give a share of their training
    data in its place. Data without a test split are tested on their validation
    split, and give a share of their training data for validation: no prompt is
    chosen on what it is tested on.

    Args:
      split_of: int8 [I], index into SPLITS.
      share: of the training data, in (0, 1).
      seed: the run's seed.

    Returns:
      Instances int64 of each of SPLITS, and a sentence if one was replaced.

        >>> parts, notes = complete(np.array([0, 0, 0, 0, 2, 2]), 0.25, seed=0)
        >>> print({k: v.tolist() for k, v in parts.items()})
        {'train': [0, 2, 3], 'validation': [1], 'test': [4, 5]}
        >>> print(*notes)
        The data have no validation split: 1 training instances stand in.
    """
    parts = {
        name: np.flatnonzero(split_of == i) for i, name in enumerate(SPLITS)
    }
    lacking = [name for name in SPLITS[1:] if not len(parts[name])]
    if not lacking:
        return parts, ()
    if lacking == ['test']:
        parts['test'] = parts['validation']
    count = max(1, round(share * len(parts['train'])))
    count = min(count, len(parts['train']) - 1)  # one at least is trained on
    order = randomness.generator(seed, 'official validation').permutation(
        parts['train']
    )
    parts['validation'] = np.sort(order[:count])
    parts['train'] = np.sort(order[count:])
    note = f'The data have no {lacking[0]} split: '
    if lacking == ['test']:
        note += 'the validation split is the test, and '
    note += f'{count} training instances stand in'
    note += ' for validation.' if lacking == ['test'] else '.'
    return parts, (note,)


def deal(
    clients: Clients, kind_of: np.ndarray, instances: np.ndarray, seed: int
) -> Clients:
    """Deals instances to clients in proportion to what they train on.

    Of each kind of instances a client gets the share that it has of the
    training instances of this kind, rounded. A kind that nobody trains on goes
    to nobody.

    Args:
      clients: N training clients; `order` indexes `kind_of`.
      kind_of: int, the kind of every instance; those below 0 have none.
      instances: what is dealt, indices of `kind_of`.
      seed: the run's seed.

    Returns:
      N clients with the same numbers, disjoint, in a drawn order each.

    One client trains on twice as many of kind 0 as the other:

        >>> kind_of = np.array([0, 0, 0, 1, 0, 0, 0, 1, 1])
        >>> clients = Clients(np.array([0, 1, 2, 3]), np.array([0, 2, 4]), {})
        >>> dealt = deal(clients, kind_of, np.array([4, 5, 6, 7, 8]), seed=0)
        >>> print(*(np.sort(dealt[i]) for i in range(2)))
        [5 6] [4 7 8]
    """
    # 1. What clients train on: M pairs (kind, client), sorted, with counts.
    pairs = np.stack([kind_of[clients.order], clients.client_of])
    (kinds, owners), counts = np.unique(pairs, axis=1, return_counts=True)
    # 2. What there is to deal: of each kind one after the other, shuffled.
    rng = randomness.generator(seed, 'official shares')
    order = rng.permutation(instances)
    order = order[np.isin(kind_of[order], kinds[kinds >= 0])]
    order = order[np.argsort(kind_of[order], kind='stable')]
    # 3. Where each pair's part of its kind ends: [M].
    first = np.searchsorted(kinds, kinds)  # of the kind among the pairs
    before = np.concatenate([[0], np.cumsum(counts)])
    reached = before[1:] - before[first]
    last = np.searchsorted(kinds, kinds, side='right')
    total = before[last] - before[first]
    sorted_kinds = kind_of[order]
    start = np.searchsorted(sorted_kinds, kinds)
    there = np.searchsorted(sorted_kinds, kinds, side='right') - start
    ends = start + np.rint(reached * there / total).astype(np.int64)
    begins = np.where(np.arange(len(kinds)) == first, start, np.roll(ends, 1))
    # 4. The owner of each instance, and the instances by owner.
    owner = np.repeat(owners, ends - begins)
    return _shuffled(order, owner, len(clients), rng)


def shuffled(clients: Clients, seed: int) -> Clients:
    """The same clients, each with its instances in a drawn order.

    The first of them are then a sample of all, whatever made the clients.
    """
    rng = randomness.generator(seed, 'official order')
    made = _shuffled(clients.order, clients.client_of, len(clients), rng)
    return dataclasses.replace(made, dropped=clients.dropped)


def _shuffled(
    instances: np.ndarray,
    owner: np.ndarray,
    count: int,
    rng: np.random.Generator,
) -> Clients:
    """Instances [n] of owners [n] as clients, in a drawn order in each."""
    drawn = rng.permutation(len(instances))
    instances, owner = instances[drawn], owner[drawn]
    sizes = np.bincount(owner, minlength=count)
    grouped = instances[np.argsort(owner, kind='stable')]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return Clients(grouped, starts, {})
