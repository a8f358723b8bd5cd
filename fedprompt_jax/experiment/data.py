"""The data of an experiment: token store, training population, test clients."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import NamedTuple

from ml_collections import config_dict
import numpy as np

from fedprompt_jax.data import few_shot, partitions, sources, splits
from fedprompt_jax.data.listing import listing
from fedprompt_jax.data.partitions import Clients
from fedprompt_jax.data.store import TokenStore, open_store
from fedprompt_jax.data.tokenizing import Source, Template, Tokenizer
from fedprompt_jax.experiment import data_checks, populations
from fedprompt_jax.experiment import held_out as held_out_lib
from fedprompt_jax.experiment.config import raise_all
from fedprompt_jax.experiment.held_out import HeldOut, Wanted
from fedprompt_jax.experiment.last_loaded import LastLoaded
from fedprompt_jax.experiment.populations import Populations
from fedprompt_jax.models.config import ModelConfig


class Views(NamedTuple):
    """The official test data, as training clients are scored on them.

    Attributes:
      split: instances int64 of the whole test split.
      parts: of each training client, its part of it.
    """

    split: np.ndarray
    parts: Clients


@dataclasses.dataclass(frozen=True, eq=False)
class FederatedData:
    """All that an experiment reads.

    Attributes:
      store: tokens and texts of every instance.
      population: training clients, their instances as indices of the store.
      server: instances int64 that the server holds, and no client.
      validation: clients that choose the prompt of stage 2 (`train` unused).
      held_out: clients of stage 2.
      few_shot: the store with solved examples before the queries that stage 2
        scores; None where config.evaluation.few_shot is 0.
      views: None where config.evaluation.views_every is 0.
      description: what was split and dropped, in words.
      warnings: sentences that a reader of the results has to know.
    """

    store: TokenStore
    population: Clients
    server: np.ndarray
    validation: HeldOut
    held_out: HeldOut
    few_shot: TokenStore | None
    views: Views | None
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
            parts += _parts_of(held_out)
        if len(self.server):
            parts.append(self.server)
        return _digest(parts)

    @property
    def training_fingerprint(self) -> str:
        """The same of stage 1 alone: who trains and who chooses the prompt."""
        parts = [self.population.order, self.population.starts, self.server]
        return _digest([*parts, *_parts_of(self.validation)])

    @property
    def client_names(self) -> dict[str, dict[int, str]]:
        """Names of the scored clients by id; {} where they have none."""
        scored = {'validation': self.validation, 'held_out': self.held_out}
        return {
            key: dict(zip(part.clients.tolist(), part.names, strict=True))
            for key, part in scored.items()
            if any(part.names)
        }


def _parts_of(held_out: HeldOut) -> list[np.ndarray]:
    own = [*held_out.train, *held_out.local]
    return [held_out.clients, held_out.common, *own]


def _digest(parts: list[np.ndarray]) -> str:
    """The sha256 (hex) of arrays of integers and of their lengths."""
    total = hashlib.sha256()
    for part in parts:
        total.update(b'%d ' % len(part))
        total.update(np.asarray(part, '<i8').tobytes())
    return total.hexdigest()


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
    made = populations.make(config, store)
    clients = made.clients
    raise_all(
        [
            *data_checks.too_few_clients(config, clients),
            *data_checks.too_long(
                config, store, made.instances, model_config.max_positions
            ),
            *data_checks.wordless(config, store, made.instances),
            *data_checks.beyond_the_table(
                store, tokenizer, model_config.vocab_size
            ),
        ]
    )
    v, p, seed = config.validation, config.personalization, config.seed
    of_validation = Wanted('validation', v.clients, 0, v.examples, 0, seed)
    of_stage_2 = Wanted(
        p.split,
        p.clients,
        p.train_examples,
        p.eval_examples,
        p.global_examples,
        seed,
    )
    validation, held_out = (
        _named(config, store, _draw(c.splits, made, wanted))
        for wanted in (of_validation, of_stage_2)
    )
    solved, missing = _with_examples(
        config, tokenizer, model_config, store, held_out
    )
    return FederatedData(
        store,
        clients['train'],
        made.server,
        validation,
        held_out,
        solved,
        _views(config, made),
        _describe(store, made),
        [
            *source.warnings,
            *made.notes,
            *data_checks.shrunk(config, held_out),
            *data_checks.truncated(store),
            *data_checks.merged(store),
            *missing,
        ],
    )


def _read_of(c: config_dict.ConfigDict) -> str:
    """The keys of config.data that tokens depend on, as JSON.

    Those left out say what is done with instances once they are read.
    """
    later = (
        'partition',
        'dirichlet_alpha',
        'client_size',
        'num_clients',
        'size_alpha',
        'held_out_share',
        'server_share',
    )
    return json.dumps({k: v for k, v in c.items() if k not in later})


def _open(
    config: config_dict.ConfigDict,
    tokenizer: Tokenizer,
    model_config: ModelConfig,
    cache_dir: Path,
) -> tuple[Source, TokenStore]:
    """Opens the source of the data and its token store."""
    c = config.data
    source = sources.get(c.source).open_source(c)
    store = open_store(
        source,
        tokenizer,
        _template(c),
        cache_dir / 'tokens',
        model_config.objective,
    )
    return source, store


def _template(c: config_dict.ConfigDict) -> Template:
    return Template(
        c.template, c.separator, c.max_query, c.max_target, c.target
    )


def _with_examples(
    config: config_dict.ConfigDict,
    tokenizer: Tokenizer,
    model_config: ModelConfig,
    store: TokenStore,
    held_out: HeldOut,
) -> tuple[TokenStore | None, list[str]]:
    """The store that the bare model reads with solved examples, if asked for.

    Returns:
      The store, and a warning where examples are missing.

    Raises:
      ValueError: the data or the model have none.
    """
    count = config.evaluation.few_shot
    if not count:
        return None, []
    raise_all(data_checks.unsolvable(config, store))
    scored = np.concatenate([*held_out.local, held_out.common])
    # What is left of the positions after the longest answer.
    room = model_config.max_positions
    if store.objective == 'causal_lm':
        longest = int(store.scored_lengths[scored].max())
        room -= max(longest, config.evaluation.max_new_tokens)
    template = _template(config.data)
    template = dataclasses.replace(
        template, max_query=min(template.max_query, room)
    )
    longer, numbers = few_shot.with_examples(
        store, tokenizer, template, scored, count
    )
    return longer, few_shot.describe(numbers, count)


def _views(config: config_dict.ConfigDict, made: Populations) -> Views | None:
    """The test split and the clients' parts of it, if they are asked for."""
    if not config.evaluation.views_every:
        return None
    assert made.official is not None  # the config's check has seen to it
    return Views(made.official['test'], made.clients['test'])


def _draw(rule: str, made: Populations, wanted: Wanted) -> HeldOut:
    """Draws the clients that a stage scores, as config.data.splits says."""
    if rule in splits.OF_TRAINING_CLIENTS:
        return held_out_lib.training_clients(
            made.clients, wanted, made.official
        )
    return held_out_lib.held_out_clients(made.clients, wanted)


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


def _describe(store: TokenStore, made: Populations) -> str:
    """What was split, dropped and truncated, a line each."""
    lines = [f'{len(store)} instances of {len(store.tasks)} tasks']
    for name, part in made.clients.items():
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
    if len(made.server):
        lines.append(f'server: {len(made.server)} instances')
    for reason, names in made.dropped.items():
        lines.append(f'left out: {len(names)} tasks, {reason}')
    t = store.truncated
    lines.append(
        f'truncated: {t["queries"]} queries, {t["targets"]} targets of '
        f'{len(store)}'
    )
    return '\n'.join(lines)
