"""How unlike clients' words are: divergences of their token distributions."""

import numpy as np
from scipy.special import rel_entr

from fedprompt_jax.data.partitions import Clients
from fedprompt_jax.data.store import TokenStore


def token_counts(store: TokenStore, clients: Clients) -> np.ndarray:
    """How often each client has each token, queries and targets together.

    Args:
      store: tokens of the instances.
      clients: C clients over its instances.

    Returns:
      int64 [C, V], where V - 1 is the store's largest token.
    """
    size = store.largest_token + 1
    counts = np.zeros((len(clients), size), np.int64)
    for row, client in zip(counts, range(len(clients)), strict=True):
        texts = [
            part(int(i))
            for i in clients[client]
            for part in (store.query, store.target)
        ]
        row += np.bincount(np.concatenate(texts), minlength=size)
    return counts


def jensen_shannon(counts: np.ndarray) -> np.ndarray:
    """Jensen-Shannon divergence of each client from all clients, in nats.

    JS(p, q) = (KL(p || m) + KL(q || m)) / 2 with m = (p + q) / 2, where p is
    the distribution of the client's tokens and q that of all clients' tokens
    (Lin 1991). From 0 to log 2; its square root is scipy's `jensenshannon`.

        >>> same, other = [2, 2, 0], [0, 0, 4]
        >>> np.round(jensen_shannon(np.array([same, same])), 3).tolist()
        [0.0, 0.0]
        >>> np.round(jensen_shannon(np.array([same, other])), 3).tolist()
        [0.216, 0.216]

    Args:
      counts: int [C, V], at least one token a client.

    Returns:
      float64 [C].
    """
    whole = counts.sum(axis=0) / counts.sum()
    # A row at a time: a distribution over V tokens for each client is large.
    return np.array([_divergence(row / row.sum(), whole) for row in counts])


def _divergence(p: np.ndarray, q: np.ndarray) -> float:
    middle = (p + q) / 2
    both = rel_entr(p, middle).sum() + rel_entr(q, middle).sum()
    return max(0.0, float(both) / 2)  # below 0 by rounding only


def shuffled(clients: Clients, rng: np.random.Generator) -> Clients:
    """Clients of the same sizes whose instances are drawn from all of theirs.

    A divergence of small samples from the whole is above 0 even if all clients
    draw from the whole: that of these clients says by how much.

    Args:
      clients: C clients.
      rng: draws who gets what.
    """
    order = rng.permutation(clients.order)
    return Clients(order, clients.starts, clients.dropped)
