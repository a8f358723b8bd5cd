"""The data of an experiment: token store, training population, test clients."""

import dataclasses
import hashlib
import json
from pathlib import Path

from ml_collections import config_dict
import numpy as np

from fedprompt_jax.data import partitions, sni, sources, splits, within
from fedprompt_jax.data.listing import listing
from fedprompt_jax.data.partitions import Clients
from fedprompt_jax.data.randomness import generator
from fedprompt_jax.data.store import TokenStore, open_store
from fedprompt_jax.data.tokenizing import Source, Template, Tokenizer
from fedprompt_jax.experiment import data_checks
from fedprompt_jax.experiment.config import raise_all
from fedprompt_jax.experiment.last_loaded import LastLoaded
from fedprompt_jax.models.config import ModelConfig


@dataclasses.dataclass(frozen=True, eq=False)
class HeldOut:
    """C clients, with examples that no prompt was trained on before.

    With config.data.splits='within' they are training clients, and only `local`
    was held out. Instances are indices of the token store.

    Attributes:
      clients: int64 [C] client ids, numbers within the split (those of the
        training population with 'within').
      names: [C] the names that the data give them, '' for clients that
        config.data.partition made.
      train: for each client, int64 instances for personalization.
      local: for each client, int64 instances for the local score.
      common: int64 instances for the global score, drawn evenly from all
        `local`.
    """

    clients: np.ndarray
    names: list[str]
    train: list[np.ndarray]
    local: list[np.ndarray]
    common: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class FederatedData:
    """All that an experiment reads.

    Attributes:
      store: tokens and texts of every instance.
      population: training clients, their instances as indices of the store.
      validation: clients that choose the prompt of stage 2 (`train` unused).
      held_out: clients of stage 2.
      description: what was split and dropped, in words.
      warnings: sentences that a reader of the results has to know.
    """

    store: TokenStore
    population: Clients
    validation: HeldOut
    held_out: HeldOut
    description: str
    warnings: list[str]

    @property
    def fingerprint(self) -> str:
        """The sha256 (hex) of who trains, validates and is scored on what.

        It follows the seed, the partition and the lists of splits, which lie
        beside the data and are not among the tokens.
        """
        parts = [self.population.order, self.population.starts]
        for held_out in (self.validation, self.held_out):
            parts += [held_out.clients, held_out.common]
            parts += [*held_out.train, *held_out.local]
        total = hashlib.sha256()
        for part in parts:
            total.update(b'%d ' % len(part))
            total.update(np.asarray(part, '<i8').tobytes())
        return total.hexdigest()

    @property
    def client_names(self) -> dict[str, dict[int, str]]:
        """Names of the scored clients by id; {} where they have none."""
        scored = {'validation': self.validation, 'held_out': self.held_out}
        return {
            key: dict(zip(part.clients.tolist(), part.names, strict=True))
            for key, part in scored.items()
            if any(part.names)
        }


def load(
    config: config_dict.ConfigDict,
    tokenizer: Tokenizer,
    model_config: ModelConfig,
    cache_dir: Path,
    loaded: LastLoaded,
) -> FederatedData:
    """Reads, splits and partitions the data as config.data says.

    Args:
      config: the checked config.
      tokenizer: the model's.
      model_config: the model's.
      cache_dir: the folder of token stores.
      loaded: what earlier runs of this process have opened.

    Raises:
      ValueError: the data is malformed, has too few clients, or an example
        is too long.
    """
    c = config.data
    source, store = loaded.get(
        'tokens',
        (_read_of(c), tokenizer.fingerprint, model_config.objective, cache_dir),
        lambda: _open(config, tokenizer, model_config, cache_dir),
    )
    dropped: dict[str, tuple[str, ...]] = {}
    if c.splits == splits.WITHIN:
        everybody = _all_clients(config, store)
        clients = within.cut(everybody, c.held_out_share, config.seed)
    elif c.splits == splits.CLIENTS:
        clients = _split_clients(config, store)
    else:
        split = _split(config, store)
        dropped = split.dropped
        clients = {
            name: _clients(config, store, split, name) for name in splits.SPLITS
        }
    raise_all(
        [
            *data_checks.too_few_clients(config, clients),
            *data_checks.too_long(
                config, store, clients, model_config.max_positions
            ),
            *data_checks.wordless(config, store, clients),
            *data_checks.beyond_the_table(
                store, tokenizer, model_config.vocab_size
            ),
        ]
    )
    v, p = config.validation, config.personalization
    hold_out = _held_out if c.splits != splits.WITHIN else _held_out_within
    validation = hold_out(
        clients, 'validation', config.seed, v.clients, 0, v.examples, 0
    )
    validation = _named(config, store, validation)
    held_out = hold_out(
        clients,
        p.split,
        config.seed,
        p.clients,
        p.train_examples,
        p.eval_examples,
        p.global_examples,
    )
    held_out = _named(config, store, held_out)
    return FederatedData(
        store,
        clients['train'],
        validation,
        held_out,
        _describe(store, dropped, clients),
        [
            *source.warnings,
            *data_checks.shrunk(config, held_out),
            *data_checks.truncated(store),
            *data_checks.merged(store),
        ],
    )


def _read_of(c: config_dict.ConfigDict) -> str:
    """The keys of config.data that tokens depend on, as JSON.

    Those left out say what is done with instances once they are read.
    """
    later = ('partition', 'dirichlet_alpha', 'client_size', 'held_out_share')
    return json.dumps({k: v for k, v in c.items() if k not in later})


def _open(
    config: config_dict.ConfigDict,
    tokenizer: Tokenizer,
    model_config: ModelConfig,
    cache_dir: Path,
) -> tuple[Source, TokenStore]:
    """Opens the source of the data and its token store."""
    c = config.data
    template = Template(
        c.template, c.separator, c.max_query, c.max_target, c.target
    )
    source = sources.get(c.source).open_source(c)
    store = open_store(
        source,
        tokenizer,
        template,
        cache_dir / 'tokens',
        model_config.objective,
    )
    return source, store


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
    more = p.clients if p.split == 'validation' else 0
    parts = splits.split_clients(
        clients.sizes,
        max(v.clients, more),
        p.clients,
        config.seed,
        None if of_data else c.client_size,
    )
    return {name: clients.take(parts[name]) for name in splits.SPLITS}


def _all_clients(config: config_dict.ConfigDict, store: TokenStore) -> Clients:
    """The clients of all data, as the data or config.data.partition say."""
    if config.data.partition == partitions.BY_CLIENT:
        return partitions.by_client(store.client_of)
    everything = np.arange(len(store))
    return _partition(config, store, everything, config.data.partition)


def _partition(
    config: config_dict.ConfigDict,
    store: TokenStore,
    instances: np.ndarray,
    kind: str,
) -> Clients:
    """Partitions instances [I] of the store; `order` indexes these I."""
    # int [tasks]: the number of each task's type.
    _, type_of_task = np.unique(
        [t['categories'][0] for t in store.tasks], return_inverse=True
    )
    c, task_of = config.data, store.task_of[instances]
    return partitions.partition(
        kind,
        task_of,
        type_of_task[task_of],
        c.client_size,
        config.seed,
        c.dirichlet_alpha,
    )


def _held_out(
    parts: dict[str, Clients],
    split: str,
    seed: int,
    num_clients: int,
    num_train: int,
    num_local: int,
    num_common: int,
) -> HeldOut:
    """Draws held-out clients, and cuts the instances of each in two.

    A client with fewer than num_train + num_local instances is cut in the same
    proportion.

    Args:
      parts: the clients of each split.
      split: the one to draw from.
      seed: config.seed.
      num_clients: C.
      num_train: most instances of a client for personalization.
      num_local: most instances of a client for its local score.
      num_common: instances of the global score.
    """
    population = parts[split]
    chosen = _draw(np.arange(len(population)), num_clients, seed)
    train, local = [], []
    for client in chosen:
        instances = population[client]
        order = generator(seed, 'held-out examples', client).permutation(
            instances
        )
        share = len(instances) * num_local // (num_train + num_local)
        # At least one to score, whatever the proportion.
        n = min(num_local, max(1, share))
        local.append(order[:n])
        train.append(order[n : n + num_train])
    return _with_common(chosen, train, local, num_common)


def _held_out_within(
    parts: dict[str, Clients],
    split: str,
    seed: int,
    num_clients: int,
    num_train: int,
    num_local: int,
    num_common: int,
) -> HeldOut:
    """Draws training clients, with examples that were held out of them.

    Clients have the same number in every part of `parts`; the arguments are
    those of _held_out.
    """
    with_examples = np.flatnonzero(parts[split].sizes)
    chosen = _draw(with_examples, num_clients, seed)
    train = [parts['train'][c][:num_train] for c in chosen]
    local = [parts[split][c][:num_local] for c in chosen]
    return _with_common(chosen, train, local, num_common)


def _draw(clients: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Draws `count` of the clients without replacement, sorted: [count]."""
    rng = generator(seed, 'held-out clients')
    return np.sort(clients[rng.choice(len(clients), count, replace=False)])


def _with_common(
    chosen: np.ndarray,
    train: list[np.ndarray],
    local: list[np.ndarray],
    num_common: int,
) -> HeldOut:
    """The clients, with a common set drawn evenly from all `local`."""
    # Every client gives its first `each` examples, and the first `more`
    # clients give one more.
    each, more = divmod(num_common, len(chosen))
    common = [ids[: each + (i < more)] for i, ids in enumerate(local)]
    names = [''] * len(chosen)
    return HeldOut(chosen, names, train, local, np.concatenate(common))


def _named(
    config: config_dict.ConfigDict, store: TokenStore, held_out: HeldOut
) -> HeldOut:
    """Held-out clients with their names, where the data have clients.

    A name is read from a client's scored instances: a client's number within
    its split is not its number in the store.
    """
    if config.data.partition != partitions.BY_CLIENT:
        return held_out
    numbers = [store.client_of[local[0]] for local in held_out.local]
    names = [store.client_names[number] for number in numbers]
    return dataclasses.replace(held_out, names=names)


def _describe(
    store: TokenStore,
    dropped: dict[str, tuple[str, ...]],
    clients: dict[str, Clients],
) -> str:
    """What was split, dropped and truncated, a line each.

    Args:
      store: tokens of every instance.
      dropped: reason -> names of the tasks that were left out for it.
      clients: the clients of each split.
    """
    lines = [f'{len(store)} instances of {len(store.tasks)} tasks']
    for name, part in clients.items():
        tasks = [store.tasks[t] for t in np.unique(store.task_of[part.order])]
        types = sorted({t['categories'][0] for t in tasks})
        lines.append(
            f'{name}: {len(part)} clients of {part.sizes.mean():.0f} ± '
            f'{part.sizes.std():.1f} instances, {len(tasks)} tasks of '
            f'{len(types)} types ({listing(types)})'
        )
        if part.dropped:
            lines.append(
                f'{name}: {len(part.dropped)} types have less than half a '
                f"client's instances and are left out "
                f'({sum(part.dropped.values())} instances)'
            )
    for reason, names in dropped.items():
        lines.append(f'left out: {len(names)} tasks, {reason}')
    t = store.truncated
    lines.append(
        f'truncated: {t["queries"]} queries, {t["targets"]} targets of '
        f'{len(store)}'
    )
    return '\n'.join(lines)
