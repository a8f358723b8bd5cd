"""Cuts the examples of every client: `config.data.splits='within'`.

No client is held out, but examples of all clients are: what a training client
keeps can then be scored on examples of its own that nothing was trained on.
"""

import numpy as np

from fedprompt_jax.data import randomness
from fedprompt_jax.data.partitions import Clients
from fedprompt_jax.data.splits import SPLITS


def cut(clients: Clients, share: float, seed: int) -> dict[str, Clients]:
    """Returns the examples of each client for each of SPLITS.

    All three have the same N clients, under the same numbers, and the three
    parts of a client are disjoint and complete. Validation and test get half of
    the share each, rounded, and at least one example. A client with fewer than
    three has them all in training.

    Args:
      clients: N clients.
      share: of a client's examples that is held out, in (0, 1).
      seed: the run's seed.

    Two of ten examples are held out of each client:

        >>> clients = Clients(np.arange(20), np.array([0, 10, 20]), {})
        >>> parts = cut(clients, 0.2, seed=0)
        >>> for name, part in parts.items():
        ...     print(f'{name:10}', *(part[i] for i in range(2)))
        train      [0 1 2 3 5 4 9 7] [17 14 13 11 10 15 12 16]
        validation [8] [18]
        test       [6] [19]
    """
    sizes = clients.sizes
    # Of each client one after the other, in a drawn order: [I].
    drawn = randomness.generator(seed, 'within').permutation(len(clients.order))
    grouped = drawn[np.argsort(clients.client_of[drawn], kind='stable')]
    place = np.arange(len(grouped)) - np.repeat(clients.starts[:-1], sizes)
    held = np.maximum(1, np.rint(sizes * share / 2).astype(np.int64))
    held = np.minimum(held, (sizes - 1) // 2)  # one at least is trained on
    of_place = np.repeat(held, sizes)  # [I]
    first, second = place < of_place, place < 2 * of_place
    chosen = {'train': ~second, 'validation': second & ~first, 'test': first}
    return {
        name: _part(clients, grouped, chosen[name], sizes) for name in SPLITS
    }


def _part(
    clients: Clients, grouped: np.ndarray, chosen: np.ndarray, sizes: np.ndarray
) -> Clients:
    """Of each client the chosen places of `grouped`."""
    owner = np.repeat(np.arange(len(sizes)), sizes)[chosen]
    counts = np.bincount(owner, minlength=len(sizes))
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return Clients(clients.order[grouped[chosen]], starts, clients.dropped)
