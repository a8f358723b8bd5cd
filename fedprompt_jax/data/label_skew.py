"""Clients that differ in size and in labels: partition 'dirichlet_label'.

FedPepTAO (arXiv 2310.15080), released code: N devices with sizes from
Dirichlet(5) and label priors from Dirichlet(alpha). The test data are dealt
with the same sizes and the same priors as the training data, so that a device
can be scored on data like its own. Of multiple choice, where each question has
options of its own, the label is the place of the right one.
"""

from typing import NamedTuple

import numpy as np

from fedprompt_jax.data import randomness
from fedprompt_jax.data.partitions import Clients

NAME = 'dirichlet_label'


class LabelSkew(NamedTuple):
    """How unlike N clients are.

    Attributes:
      shares: f64 [N] of all instances, sum 1.
      priors: f64 [N, labels], the label mixture that each client asks for.
    """

    shares: np.ndarray
    priors: np.ndarray


def draw(
    num_clients: int,
    num_labels: int,
    alpha: float,
    size_alpha: float,
    seed: int,
) -> LabelSkew:
    """Draws sizes from Dir(size_alpha) and label priors from Dir(alpha)."""
    rng = randomness.generator(seed, 'label skew')
    shares = rng.dirichlet(np.full(num_clients, size_alpha))
    priors = rng.dirichlet(np.full(num_labels, alpha), num_clients)
    return LabelSkew(shares, priors)


def sizes(shares: np.ndarray, total: int) -> np.ndarray:
    """Instances of each client, int64 [N]: rounded shares, at least one each.

    The largest client makes up for what rounding has left over or taken.

        >>> print(sizes(np.array([0.06, 0.34, 0.6]), 8))
        [1 3 4]
    """
    counts = np.maximum(1, np.rint(shares * total).astype(np.int64))
    step = np.sign(total - counts.sum())
    for _ in range(abs(int(total - counts.sum()))):
        counts[np.argmax(counts)] += step
    return counts


def deal(
    label_of: np.ndarray, skew: LabelSkew, seed: int, purpose: str
) -> Clients:
    """Deals instances to clients, one after the other, as FedPepTAO does.

    Repeat: pick any client that is not full; draw a label from its prior, of
    those labels that are left; give it an unused instance of the label. The
    last clients to be filled take what the others left.

    Args:
      label_of: int [I], the label of each instance, 0 ... labels - 1.
      skew: of the N clients, N at most I.
      seed: the run's seed.
      purpose: which instances these are, such as 'train'.

    Returns:
      N clients, disjoint and complete, each with its instances in a drawn
      order.

    Raises:
      ValueError: there are more clients than instances.

    Two clients, of which one asks for label 0 and the other for label 1:

        >>> skew = LabelSkew(np.array([0.5, 0.5]), np.eye(2))
        >>> clients = deal(np.array([0, 1, 0, 1]), skew, 0, 'train')
        >>> print(*(np.sort(clients[i]) for i in range(2)))
        [0 2] [1 3]
    """
    total, count = len(label_of), len(skew.shares)
    if count > total:
        raise ValueError(
            f'config.data.num_clients={count} is more than the {total} '
            f'instances of the {purpose} split; use at most {total}.'
        )
    rng = randomness.generator(seed, f'deal {purpose}')
    wanted = sizes(skew.shares, total)
    # What is left of each label, in a drawn order.
    drawn = rng.permutation(total)
    pools = [
        drawn[label_of[drawn] == label].tolist()
        for label in range(skew.priors.shape[1])
    ]
    open_clients = list(range(count))
    taken: list[list[int]] = [[] for _ in range(count)]
    for pick, chance in rng.random((total, 2)):
        place = int(pick * len(open_clients))
        client = open_clients[place]
        label = _label(skew.priors[client], [len(p) for p in pools], chance)
        taken[client].append(pools[label].pop())
        if len(taken[client]) == wanted[client]:
            open_clients[place] = open_clients[-1]
            open_clients.pop()
    starts = np.concatenate([[0], np.cumsum(wanted)]).astype(np.int64)
    return Clients(np.concatenate(taken).astype(np.int64), starts, {})


def _label(prior: np.ndarray, left: list[int], chance: float) -> int:
    """The label at `chance` in [0, 1) of a prior over the labels left."""
    there = np.array(left) > 0
    weights = np.where(there, prior, 0.0)
    if weights.sum() < 1e-12:  # it asks for nothing that is left
        weights = np.where(there, left, 0.0)
    ends = np.cumsum(weights)
    place = int(np.searchsorted(ends, chance * ends[-1], side='right'))
    return min(place, int(np.flatnonzero(weights)[-1]))
