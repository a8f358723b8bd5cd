"""How unlike clients are: Table 1 and Figure 6 of Profit (arXiv 2310.04627)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fedprompt_jax.data.partitions import Clients


class MeanSd(NamedTuple):
    """A mean over clients and its standard deviation (population, ddof 0)."""

    mean: float
    sd: float


class Table1(NamedTuple):
    """A row of Table 1: how many of each a client has, over all clients."""

    clients: int
    instances: MeanSd
    tasks: MeanSd
    types: MeanSd


def table1(
    clients: Clients, task_of: np.ndarray, type_of: np.ndarray
) -> Table1:
    """Returns the instances, distinct tasks and distinct types a client has.

    Args:
      clients: N clients over I instances.
      task_of: int [I].
      type_of: int [I].
    """
    return Table1(
        len(clients),
        _mean_sd(clients.sizes),
        _mean_sd(_distinct(clients, task_of)),
        _mean_sd(_distinct(clients, type_of)),
    )


def kl_from_global(
    clients: Clients, labels_of: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Returns KL(client || global) of a metadata label, in nats (Figure 6).

    KL_i = sum over labels l of p_i(l) log(p_i(l) / g(l)), where p_i is the
    label distribution of client i's instances and g that of all clients'.

    Args:
      clients: N clients over I instances.
      labels_of: int [I], the label of each instance; or, with `weights`, its
        category (its task, say).
      weights: float [categories, labels], rows summing to 1: how a category
        spreads over labels. For metadata with several values (domains), as
        `label_weights` makes it.

    Returns:
      float64 [N], not below 0; 0 where a client is like the whole.

    Raises:
      ValueError: a row of `weights` that is used does not sum to 1.
    """
    labels = np.asarray(labels_of)[clients.order]
    client, label, mass = _count(clients.client_of, labels)
    if weights is not None:
        client, label, mass = _spread(client, label, mass, weights)
    p = mass / clients.sizes[client]
    g = np.bincount(label, mass) / mass.sum()
    kl = np.bincount(client, p * np.log(p / g[label]), minlength=len(clients))
    return np.maximum(kl, 0.0)  # below 0 by rounding only


def label_weights(
    values: Sequence[Sequence[str]],
) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns the sorted labels and each item's weights over them.

    An item with k values gives each 1/k; one with none has the label 'none'.

    Args:
      values: [items], the values of each item (a task's domains, say).

    Returns:
      (labels, float64 [items, labels]).
    """
    filled = [tuple(dict.fromkeys(v)) or ('none',) for v in values]
    labels = tuple(sorted({v for item in filled for v in item}))
    index = {v: i for i, v in enumerate(labels)}
    weights = np.zeros((len(filled), len(labels)))
    for row, item in zip(weights, filled, strict=True):
        row[[index[v] for v in item]] = 1 / len(item)
    return labels, weights


def _mean_sd(x: np.ndarray) -> MeanSd:
    return MeanSd(float(np.mean(x)), float(np.std(x)))


def _distinct(clients: Clients, labels_of: np.ndarray) -> np.ndarray:
    """Distinct labels of each client, int64 [N]."""
    labels = np.asarray(labels_of)[clients.order]
    client, _, _ = _count(clients.client_of, labels)
    return np.bincount(client, minlength=len(clients))


def _count(
    client: np.ndarray, label: np.ndarray, mass: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sums mass (1 each where none) over equal (client, label) pairs."""
    num_labels = int(label.max(initial=0)) + 1
    pairs = client * num_labels + label
    if mass is None:
        pairs, mass = np.unique(pairs, return_counts=True)
    else:
        pairs, which = np.unique(pairs, return_inverse=True)
        mass = np.bincount(which, mass)
    return pairs // num_labels, pairs % num_labels, mass


def _spread(
    client: np.ndarray,
    category: np.ndarray,
    mass: np.ndarray,
    weights: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Turns (client, category, mass) into (client, label, mass)."""
    sums = weights[np.unique(category)].sum(axis=1)
    if not np.allclose(sums, 1.0):
        raise ValueError(
            f'weights: a row sums to {sums[np.abs(sums - 1).argmax()]}, needed'
            " 1; give an item without a label a label of its own, 'none'."
        )
    row, label = np.nonzero(weights)  # by row
    first = np.searchsorted(row, np.arange(len(weights)))
    many = np.bincount(row, minlength=len(weights))[category]
    entry = np.repeat(np.arange(len(category)), many)
    within = np.arange(len(entry)) - np.repeat(np.cumsum(many) - many, many)
    at = first[category[entry]] + within
    shares = mass[entry] * weights[row[at], label[at]]
    return _count(client[entry], label[at], shares)
