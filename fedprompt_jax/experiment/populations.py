"""The clients of training, validation and test, as config.data says."""

import dataclasses
from typing import NamedTuple

from ml_collections import config_dict
import numpy as np

from fedprompt_jax.data import (
    label_skew,
    official,
    partitions,
    sni,
    splits,
    within,
)
from fedprompt_jax.data.partitions import Clients
from fedprompt_jax.data.store import TokenStore

NOBODY = np.empty(0, np.int64)  # no instance


class Populations(NamedTuple):
    """Who trains, and whose examples choose a prompt or score it.

    Attributes:
      clients: split -> its clients.
      dropped: reason -> names of the tasks that were left out for it.
      official: split -> its instances, int64; None where the data's own splits
        are not asked for.
      notes: sentences about what was done.
      server: instances int64 that the server holds, and no client.
    """

    clients: dict[str, Clients]
    dropped: dict[str, tuple[str, ...]]
    official: dict[str, np.ndarray] | None = None
    notes: tuple[str, ...] = ()
    server: np.ndarray = NOBODY

    @property
    def instances(self) -> np.ndarray:
        """All instances that somebody trains on or that may be scored."""
        whole = (self.official or {}).values()
        parts = [part.order for part in self.clients.values()]
        return np.concatenate([*parts, *whole, self.server])


def make(config: config_dict.ConfigDict, store: TokenStore) -> Populations:
    """Splits and partitions the instances of a store.

    Raises:
      ValueError: there are too few clients, types or instances.
    """
    made = _split_up(config, store)
    if not config.data.server_share:
        return made
    train, share = made.clients['train'], config.data.server_share
    if config.data.partition == partitions.IID:
        train, server = partitions.cut_shard(train, share)
    else:
        train, server = partitions.cut_share(train, share, config.seed)
    if not len(server):
        raise ValueError(
            f'config.data.server_share={share!r} leaves the server no example: '
            'clients keep one each. Use a larger share, or larger clients.'
        )
    return made._replace(clients=made.clients | {'train': train}, server=server)


def _split_up(config: config_dict.ConfigDict, store: TokenStore) -> Populations:
    c = config.data
    if c.splits == splits.WITHIN:
        everybody = _all_clients(config, store)
        clients = within.cut(everybody, c.held_out_share, config.seed)
        return Populations(clients, {})
    if c.splits == splits.OFFICIAL:
        return _official(config, store)
    if c.splits == splits.CLIENTS:
        return Populations(_split_clients(config, store), {})
    split = _split(config, store)
    clients = {
        name: _clients(config, store, split, name) for name in splits.SPLITS
    }
    return Populations(clients, split.dropped)


def _official(config: config_dict.ConfigDict, store: TokenStore) -> Populations:
    """Clients of the official training data, who share the other splits."""
    c = config.data
    if len(store.split_of) != len(store) or (store.split_of < 0).any():
        raise ValueError(
            f"config.data.splits='official': source={c.source!r} does not say "
            'of each instance which split it is in.'
        )
    parts, note = official.complete(
        store.split_of, c.held_out_share, config.seed
    )
    if c.partition == label_skew.NAME:
        return Populations(_skewed(config, store, parts), {}, parts, note)
    by_client = c.partition == partitions.BY_CLIENT
    if by_client:
        train = partitions.by_client(store.client_of[parts['train']])
    else:
        train = _partition(config, store, parts['train'], c.partition)
    train = dataclasses.replace(train, order=parts['train'][train.order])
    train = official.shuffled(train, config.seed)
    kind_of = store.client_of if by_client else _types(store)[store.task_of]
    clients = {'train': train} | {
        name: official.deal(train, kind_of, parts[name], config.seed)
        for name in splits.SPLITS[1:]
    }
    for name in splits.SPLITS[1:]:
        if not len(clients[name].order):
            raise ValueError(
                f"config.data.splits='official': the {name} split has no task "
                "type that the training data have; use 'paper', 'random' or "
                'lists of tasks, whose test clients are held out.'
            )
    return Populations(clients, {}, parts, note)


def _skewed(
    config: config_dict.ConfigDict,
    store: TokenStore,
    parts: dict[str, np.ndarray],
) -> dict[str, Clients]:
    """Clients of the same sizes and label priors in each of the parts."""
    c, label_of = config.data, _labels(store)
    skew = label_skew.draw(
        c.num_clients,
        int(label_of.max()) + 1,
        c.dirichlet_alpha,
        c.size_alpha,
        config.seed,
    )
    dealt = {
        name: label_skew.deal(label_of[part], skew, config.seed, name)
        for name, part in parts.items()
    }
    return {
        name: dataclasses.replace(clients, order=parts[name][clients.order])
        for name, clients in dealt.items()
    }


def _split(
    config: config_dict.ConfigDict, store: TokenStore
) -> splits.SplitAssignment:
    """Assigns tasks to the splits, by a rule or by the lists of a folder."""
    c = config.data
    listed = None
    if c.splits not in splits.RULES:
        listed = sni.read_splits(c.metadata or c.path, c.splits)
    return splits.assign_splits(
        [t['name'] for t in store.tasks],
        [t['categories'][0] for t in store.tasks],
        c.splits,
        config.seed,
        listed,
    )


def _clients(
    config: config_dict.ConfigDict,
    store: TokenStore,
    split: splits.SplitAssignment,
    name: str,
) -> Clients:
    """The clients of a split, from its tasks alone.

    Splits other than training are partitioned as 'high', as in Profit, C.3.
    """
    chosen = split.split_of_task[store.task_of] == splits.SPLITS.index(name)
    instances = np.flatnonzero(chosen)
    kind = config.data.partition if name == 'train' else 'high'
    try:
        clients = _partition(config, store, instances, kind)
    except ValueError as error:
        raise ValueError(f'The {name} split: {error}') from None
    # From indices of the split's instances to those of the store's.
    return dataclasses.replace(clients, order=instances[clients.order])


def _split_clients(
    config: config_dict.ConfigDict, store: TokenStore
) -> dict[str, Clients]:
    """The clients of each split, where whole clients are held out.

    All data are partitioned first; then the clients are split.
    """
    c, v, p = config.data, config.validation, config.personalization
    clients = _all_clients(config, store)
    of_data = c.partition == partitions.BY_CLIENT
    numbered = c.partition in (partitions.IID, label_skew.NAME)
    more = p.clients if p.split == 'validation' else 0
    parts = splits.split_clients(
        clients.sizes,
        max(v.clients, more),
        p.clients,
        config.seed,
        None if of_data else c.client_size,
        c.num_clients if numbered else None,
    )
    return {name: clients.take(parts[name]) for name in splits.SPLITS}


def _all_clients(config: config_dict.ConfigDict, store: TokenStore) -> Clients:
    """The clients of all data, as the data or config.data.partition say."""
    if config.data.partition == partitions.BY_CLIENT:
        return partitions.by_client(store.client_of)
    everything = np.arange(len(store))
    if config.data.partition == label_skew.NAME:
        return _skewed(config, store, {'all': everything})['all']
    return _partition(config, store, everything, config.data.partition)


def _partition(
    config: config_dict.ConfigDict,
    store: TokenStore,
    instances: np.ndarray,
    kind: str,
) -> Clients:
    """Partitions instances [I] of the store; `order` indexes these I."""
    c, task_of = config.data, store.task_of[instances]
    if kind == partitions.IID:
        return partitions.iid(len(instances), c.num_clients, config.seed)
    return partitions.partition(
        kind,
        task_of,
        _types(store)[task_of],
        c.client_size,
        config.seed,
        c.dirichlet_alpha,
    )


def _labels(store: TokenStore) -> np.ndarray:
    """The label of each instance, int [I], for partition 'dirichlet_label'.

    Label words are task types. Where all questions are of one type and have
    options of their own, the label is the place of the right option.

    Raises:
      ValueError: all instances have the same label.
    """
    types = _types(store)
    if types.max() > 0:
        return types[store.task_of]
    if not (store.num_choices > 0).all():
        raise ValueError(
            "config.data.partition='dirichlet_label': all instances are of one "
            'task type, and have no options whose places could be labels; use '
            "'iid', or 'low'."
        )
    records = (store.record(i) for i in range(len(store)))
    places = [r['choices'].index(r['outputs'][0]) for r in records]
    if len(set(places)) == 1:
        raise ValueError(
            "config.data.partition='dirichlet_label': the right option is at "
            f'place {places[0] + 1} in all instances, so that clients cannot '
            "differ in it; use 'iid', or 'low'."
        )
    return np.array(places)


def _types(store: TokenStore) -> np.ndarray:
    """The number of each task's type, int [tasks]."""
    types = [t['categories'][0] for t in store.tasks]
    return np.unique(types, return_inverse=True)[1]
