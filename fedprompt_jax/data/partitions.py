"""Instances into clients: Profit's partitions, a Dirichlet one, equal shards.

Profit (arXiv 2310.04627), section 3 'Datasets' and Table 1. Everything works on
arrays: a million clients are two arrays, not a million objects.
"""

import dataclasses

import numpy as np

from fedprompt_jax.data import randomness

KINDS = ('high', 'medium', 'low', 'dirichlet')
BY_CLIENT = 'client'  # as the data say
IID = 'iid'  # equal shards of all instances


@dataclasses.dataclass(frozen=True, eq=False)
class Clients:
    """N clients, as instance indices grouped by client."""

    order: np.ndarray  # int64 [I_kept]: indices into the split's I instances
    starts: (
        np.ndarray
    )  # int64 [N + 1]: client i has order[starts[i]:starts[i+1]]
    dropped: dict[int, int]  # task type too small for a client -> its instances

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, i: int) -> np.ndarray:
        """The instance indices of client i, 0 <= i < N."""
        if not 0 <= i < len(self):
            raise IndexError(f'client {i} of {len(self)}')
        return self.order[self.starts[i] : self.starts[i + 1]]

    @property
    def sizes(self) -> np.ndarray:
        """Instances of each client, int64 [N]."""
        return np.diff(self.starts)

    def take(self, clients: np.ndarray) -> 'Clients':
        """These clients alone, in their order, at least one."""
        parts = [self[int(i)] for i in clients]
        starts = np.cumsum([0, *map(len, parts)], dtype=np.int64)
        return Clients(np.concatenate(parts), starts, self.dropped)

    @property
    def client_of(self) -> np.ndarray:
        """The client of each entry of `order`, int64 [I_kept]."""
        return np.repeat(np.arange(len(self)), self.sizes)


def partition(
    kind: str,
    task_of: np.ndarray,
    type_of: np.ndarray,
    client_size: int,
    seed: int,
    dirichlet_alpha: float = 1.0,
) -> Clients:
    """Returns the clients of one split's instances, disjoint and complete.

    A type of n instances is worth round(n / client_size) clients. A type worth
    none is dropped, in every kind alike, so that all kinds share the same
    instances and the same number of clients (3520 in Table 1). Sizes differ by
    at most one within a type (high, medium) or over all (low, dirichlet).

      high       within a type ordered by task, cut into adjacent chunks: a
                 client has one type and usually one task;
      medium     shuffled within the type, then cut: one type, many tasks;
      low        all shuffled, then cut: many types;
      dirichlet  a client's mixture of types is drawn from Dir(alpha * prior),
                 the prior being the types' shares of the instances, and its
                 instances from that mixture without replacement. Types that
                 have run out are left out of a mixture, so the last clients
                 take what the others left.

    Args:
      kind: one of KINDS.
      task_of: int [I], the task of each instance.
      type_of: int [I], the task type of each instance.
      client_size: instances a client should have (about 1200 in the paper).
      seed: the run's seed; 'high' does not depend on it.
      dirichlet_alpha: small is one type a client, large is like 'low'.

    Raises:
      ValueError: an unknown kind, alpha not above 0, or a client_size that is
        not positive or leaves no client.

    Eight instances of two types and three tasks, clients of two instances:

        >>> task_of = np.array([0, 1, 0, 1, 2, 2, 2, 2])
        >>> type_of = np.array([0, 0, 0, 0, 1, 1, 1, 1])
        >>> for kind in ('high', 'medium', 'low'):
        ...     clients = partition(kind, task_of, type_of, 2, seed=0)
        ...     print(f'{kind:7}', *(clients[i] for i in range(len(clients))))
        high    [0 2] [1 3] [4 5] [6 7]
        medium  [2 3] [0 1] [4 6] [7 5]
        low     [1 5] [0 4] [6 3] [2 7]
    """
    if kind not in KINDS:
        raise ValueError(
            f'config.data.partition={kind!r}: needed one of {", ".join(KINDS)}.'
        )
    type_of, task_of = np.asarray(type_of), np.asarray(task_of)
    sizes = np.bincount(type_of)  # [types]
    chunks = _chunks(sizes, client_size)  # [types]
    dropped = {
        int(t): int(sizes[t])
        for t in np.flatnonzero((chunks == 0) & (sizes > 0))
    }
    # Stable: within a type by task, within a task as they came.
    order = np.lexsort((task_of, type_of))
    order = order[chunks[type_of[order]] > 0]
    sizes = np.where(chunks > 0, sizes, 0)
    rng = randomness.generator(seed, f'partition {kind}')
    # high: neighbours are of one task. medium: of one type, in any order. low:
    # of any type. dirichlet: dealt from types in drawn proportions.
    if kind in ('medium', 'dirichlet'):
        order = rng.permutation(order)
        order = order[np.argsort(type_of[order], kind='stable')]
    if kind in ('high', 'medium'):
        starts = _cut_each(sizes, chunks)
    else:
        starts = _cut(len(order), int(chunks.sum()))
    if kind == 'low':
        order = rng.permutation(order)
    if kind == 'dirichlet':
        order = order[_deal(sizes, np.diff(starts), dirichlet_alpha, rng)]
    return Clients(order, starts, dropped)


def by_client(client_of: np.ndarray) -> Clients:
    """Returns the clients that the data themselves have.

    Args:
      client_of: int [I], whose each instance is; those below 0 are nobody's
        and left out.
    """
    order = np.argsort(client_of, kind='stable')
    order = order[client_of[order] >= 0]
    sizes = np.unique(client_of[order], return_counts=True)[1]
    return Clients(order, np.cumsum([0, *sizes], dtype=np.int64), {})


def iid(num_instances: int, num_clients: int, seed: int) -> Clients:
    """Equal shards of shuffled instances; sizes differ by at most one.

    FedSP (arXiv 2311.06805), released code: a random permutation is cut into
    as many parts as there are clients.

    Args:
      num_instances: I; `order` is a permutation of 0 ... I - 1.
      num_clients: N.
      seed: the run's seed.

    Raises:
      ValueError: there are more clients than instances.

        >>> clients = iid(7, 3, seed=0)
        >>> print(*(clients[i] for i in range(3)))
        [3 0] [1 2] [6 4 5]
    """
    if num_clients > num_instances:
        raise ValueError(
            f'config.data.num_clients={num_clients} is more than the '
            f'{num_instances} instances that are shared out; use at most '
            f'{num_instances}.'
        )
    order = randomness.generator(seed, 'partition iid').permutation(
        num_instances
    )
    return Clients(order, _cut(num_instances, num_clients), {})


def cut_shard(clients: Clients, share: float) -> tuple[Clients, np.ndarray]:
    """Takes a shard of shuffled instances for the server; `iid` has made them.

    The rest is shared out anew, so that clients are still of equal sizes: with
    a share of 1/11, the server and ten clients have shards of one size.

    Args:
      clients: N clients; each keeps one instance at least.
      share: of their instances, in (0, 1).

    Returns:
      The N clients without it, and its instances, sorted.

        >>> rest, server = cut_shard(iid(7, 2, seed=0), 1 / 3)
        >>> print(rest[0], rest[1], server)
        [1 2] [6 4 5] [0 3]
    """
    total, count = len(clients.order), len(clients)
    size = min(max(1, round(share * total)), total - count)
    if size < 1:
        raise ValueError(
            f'config.data.server_share={share:g} leaves no instance for the '
            f'server: there are {total}, one for each of the config.data.'
            f'num_clients={count}; use fewer clients, or 0.'
        )
    rest = Clients(
        clients.order[size:], _cut(total - size, count), clients.dropped
    )
    return rest, np.sort(clients.order[:size])


def cut_share(
    clients: Clients, share: float, seed: int
) -> tuple[Clients, np.ndarray]:
    """Takes a share of all clients' instances, at random, for the server.

    Args:
      clients: N clients; each keeps one instance at least.
      share: of their instances, in (0, 1).
      seed: the run's seed.

    Returns:
      The N clients without it, and its instances, sorted.

        >>> clients = Clients(np.arange(10), np.array([0, 5, 10]), {})
        >>> rest, server = cut_share(clients, 0.3, seed=0)
        >>> print(rest[0], rest[1], server)
        [0 2 3 4] [6 8 9] [1 5 7]
    """
    order = randomness.generator(seed, 'server share').permutation(
        len(clients.order)
    )
    taken = np.zeros(len(order), bool)
    taken[order[: max(1, round(share * len(order)))]] = True
    left = clients.sizes - np.bincount(
        clients.client_of, weights=taken, minlength=len(clients)
    ).astype(np.int64)
    # A client of which all were taken gets its first one back.
    taken[clients.starts[:-1][(left == 0) & (clients.sizes > 0)]] = False
    sizes = np.bincount(clients.client_of[~taken], minlength=len(clients))
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    rest = Clients(clients.order[~taken], starts, clients.dropped)
    return rest, np.sort(clients.order[taken])


def _chunks(sizes: np.ndarray, client_size: int) -> np.ndarray:
    """The number of clients that each task type makes, int64 [types]."""
    if client_size < 1:
        raise ValueError(
            f'config.data.client_size={client_size}: needed at least 1.'
        )
    chunks = np.rint(sizes / client_size).astype(np.int64)
    if not chunks.any():
        largest = int(sizes.max(initial=0))
        raise ValueError(
            f'config.data.client_size={client_size} leaves no client: the'
            f' largest task type has {largest} instances, and a client takes'
            f' more than half its size; use {2 * largest - 1} or less.'
        )
    return chunks


def _cut(n: int, chunks: int) -> np.ndarray:
    """Starts of `chunks` chunks of n whose sizes differ by at most one."""
    return np.arange(chunks + 1, dtype=np.int64) * n // chunks


def _cut_each(sizes: np.ndarray, chunks: np.ndarray) -> np.ndarray:
    """Starts of each type's chunks, the types standing one after the other."""
    type_of = np.repeat(np.arange(len(sizes)), chunks)  # [N], of each client
    first = np.cumsum(chunks) - chunks
    j = np.arange(len(type_of)) - first[type_of]  # number within the type
    offset = np.cumsum(sizes) - sizes
    starts = offset[type_of] + j * sizes[type_of] // chunks[type_of]
    return np.append(starts, sizes.sum()).astype(np.int64)


def _deal(
    type_sizes: np.ndarray,
    client_sizes: np.ndarray,
    alpha: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Returns positions in the pools (type after type), grouped by client."""
    if not alpha > 0:
        raise ValueError(
            f'config.data.dirichlet_alpha={alpha}: needed above 0 (1.0, say).'
        )
    # Client by client, as many of each type as its mixture asks for, while the
    # pools last.
    left = type_sizes[type_sizes > 0].astype(np.int64)  # a copy, drawn down
    prior = left / left.sum()
    counts = np.empty((len(client_sizes), len(left)), np.int32)  # [N, types]
    for i, size in enumerate(client_sizes):
        counts[i] = _draw(rng.dirichlet(alpha * prior), left, int(size), rng)
        left -= counts[i]
    clients = np.arange(len(client_sizes))
    # Of each place of the pools, type after type: whose it becomes, [I].
    client_of = np.concatenate([np.repeat(clients, c) for c in counts.T])
    return np.argsort(client_of, kind='stable')


def _draw(
    mixture: np.ndarray, left: np.ndarray, size: int, rng: np.random.Generator
) -> np.ndarray:
    """Returns how many of each type one client takes, at most what is left."""
    taken = np.zeros_like(left)
    while (need := size - taken.sum()) > 0:
        weights = np.where(taken < left, mixture, 0.0)
        if not weights.sum() > 0:  # all it wanted has run out: what is left
            weights = (left - taken).astype(float)
        wanted = rng.multinomial(need, weights / weights.sum())
        taken += np.minimum(wanted, left - taken)
    return taken
