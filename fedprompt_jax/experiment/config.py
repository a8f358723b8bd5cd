"""Checks a config before anything is loaded; all faults in one error."""

from collections.abc import Iterator
import difflib
import math
from typing import Any

from ml_collections import config_dict

from fedprompt_jax import algorithms, peft, personalization
from fedprompt_jax.data import (
    label_skew,
    partitions,
    sources,
    splits,
    template,
)
from fedprompt_jax.data.examples import LOSSES
from fedprompt_jax.data.tables import answers
from fedprompt_jax.evaluation import agreement, choices
from fedprompt_jax.experiment import measures, trackers
from fedprompt_jax.federated import aggregates, optimizers, schedules
from fedprompt_jax.models import source
from fedprompt_jax.models.kernels import choice
from fedprompt_jax.models.layers import ACTIVATIONS
from fedprompt_jax.peft.adapter import PLACES
from fedprompt_jax.peft.prefix import POSITIONS, ZERO_LAYERS
from fedprompt_jax.peft.prompt import INITS
from fedprompt_jax.rules import number

SIMULATIONS = ('packed', 'vmap')
DTYPES = ('float32', 'bfloat16')
QUANTIZATIONS = ('', 'int8')


_COUNT, _POSITIVE, _RATE = number(0), number(1), number(0, above=True)

RULES = {
    'seed': _COUNT,
    'data.dirichlet_alpha': _RATE,
    'data.client_size': number(2),
    'data.num_clients': _POSITIVE,
    'data.size_alpha': _RATE,
    'data.held_out_share': _RATE,
    'data.server_share': _COUNT,
    'data.max_query': _POSITIVE,
    'data.max_target': _POSITIVE,
    'prompt.length': _POSITIVE,
    'prompt.scale': _RATE,
    'prefix.length': _POSITIVE,
    'prefix.scale': _RATE,
    'prefix.mlp': _COUNT,
    'lora.rank': _POSITIVE,
    'lora.alpha': _RATE,
    'adapter.width': _POSITIVE,
    'adapter.scale': _RATE,
    'lpt.length': _POSITIVE,
    'lpt.depth': _COUNT,
    'lpt.scale': _RATE,
    'idpg.length': _POSITIVE,
    'idpg.hidden': _POSITIVE,
    'idpg.scale': _RATE,
    'idpg.bias': _COUNT,
    'attempt.length': _POSITIVE,
    'attempt.count': _POSITIVE,
    'attempt.hidden': _POSITIVE,
    'attempt.temperature': _RATE,
    'rounds': _COUNT,
    'clients_per_round': _POSITIVE,
    'local_steps': _COUNT,
    'local_epochs': _COUNT,
    'client.clip_norm': _COUNT,
    'client_store.memory_gb': _COUNT,
    'batch_size': _POSITIVE,
    'client.learning_rate': _RATE,
    'server.learning_rate': _RATE,
    'validation.every': _COUNT,
    'validation.clients': _POSITIVE,
    'validation.examples': _POSITIVE,
    'personalization.clients': _POSITIVE,
    'personalization.train_examples': _POSITIVE,
    'personalization.eval_examples': _POSITIVE,
    'personalization.epochs': _COUNT,
    'personalization.batch_size': _POSITIVE,
    'personalization.learning_rate': _RATE,
    'personalization.l2': _COUNT,
    'personalization.every': _POSITIVE,
    'evaluation.few_shot': _COUNT,
    'evaluation.views_every': _COUNT,
    'evaluation.max_new_tokens': _POSITIVE,
    'evaluation.batch_size': _POSITIVE,
    'heterogeneity.clients': number(2),
    'heterogeneity.examples': number(2),
    'landscape.examples': _POSITIVE,
    'landscape.points': number(3),
    'landscape.span': _RATE,
    'landscape.clients': _COUNT,
    'landscape.random': _COUNT,
    'landscape.lanczos_steps': _POSITIVE,
    'landscape.eigenvalues': _POSITIVE,
    'packing.max_tokens': _POSITIVE,
    'mesh.data': _POSITIVE,
    'mesh.model': _POSITIVE,
    'checkpoint.every': _POSITIVE,
    'checkpoint.keep': _POSITIVE,
}

CHOICES = {
    'model.dtype': DTYPES,
    'model.quantization': QUANTIZATIONS,
    'model.attention': choice.KINDS,
    'data.source': tuple(sources.names()),
    'data.answers': ('', *answers.CONVENTIONS),
    'data.partition': (
        *partitions.KINDS,
        partitions.IID,
        label_skew.NAME,
        partitions.BY_CLIENT,
    ),
    'prompt.init': INITS,
    'prefix.positions': POSITIONS,
    'prefix.zero_layers': ZERO_LAYERS,
    'adapter.activation': tuple(ACTIVATIONS),
    'adapter.places': tuple(PLACES),
    'simulation': SIMULATIONS,
    'validation.by': ('score', 'loss'),
    'loss': tuple(LOSSES),
    'personalization.method': tuple(personalization.names()),
    'personalization.split': ('test', 'validation'),
    'evaluation.choices': tuple(choices.RULES),
    'evaluation.metric': tuple(agreement.METRICS),
}


def check(config: config_dict.ConfigDict, *, files: bool = True) -> None:
    """Raises ValueError with every fault of the config, a line a fault.

    Args:
      config: as configs/fedavg_adam.py makes it.
      files: also check that the data, the model and the packages of
        trackers are there.
    """
    faults = list(_faults(config))
    if files:
        faults += [
            f'config.model.source={config.model.source!r}: {fault}'
            for fault in source.check(config.model.source)
        ]
        if config.data.source in sources.names():
            faults += sources.get(config.data.source).faults(config)
        faults += trackers.faults(config)
    raise_all(faults)


def raise_all(faults: list[str]) -> None:
    """Raises ValueError with all faults, if there is any."""
    if faults:
        lines = ''.join(f'\n  - {fault}' for fault in faults)
        raise ValueError(f'The config has {len(faults)} fault(s):{lines}')


def lookup(config: config_dict.ConfigDict, key: str) -> Any:
    """The value at a dotted key."""
    for part in key.split('.'):
        config = config[part]
    return config


def _faults(c: config_dict.ConfigDict) -> Iterator[str]:
    for key, rule in RULES.items():
        by_client = c.data.partition == partitions.BY_CLIENT
        if key == 'data.client_size' and by_client:
            continue  # not read
        value = lookup(c, key)
        if not rule.holds(value):
            finite = '' if math.isfinite(value) else ' and finite'
            yield f'config.{key}={value!r} must be {rule.words}{finite}.'
    for key, words in CHOICES.items():
        yield from _not_among(key, lookup(c, key), words)
    yield from _not_among('algorithm', c.algorithm, algorithms.names())
    if c.algorithm in algorithms.names():
        yield from algorithms.faults(c)
    yield from _not_among('peft', c.peft, peft.names())
    if c.peft in peft.names():
        yield from peft.get(c.peft).faults(c)
    if c.personalization.method in personalization.names():
        yield from personalization.faults(c)
    yield from measures.faults(c)
    yield from template.faults(c.data.template, c.data.target)
    for key in ('client', 'server', 'personalization'):
        try:
            optimizers.parse(c[key].optimizer)
        except ValueError as error:
            yield f'config.{key}.optimizer={error}'
    for key in ('client', 'server'):
        try:
            schedules.make(c[key].schedule, c.rounds)
        except ValueError as error:
            yield f'config.{key}.schedule={error}'
    try:
        aggregates.make(c.aggregation)
    except ValueError as error:
        yield f'config.aggregation={error}'
    yield from _cross_faults(c)


def _not_among(key: str, value: Any, words) -> Iterator[str]:
    if value not in words:
        near = difflib.get_close_matches(str(value), words, 1)
        hint = f' (did you mean {near[0]!r}?)' if near else ''
        names = ', '.join(map(repr, words))
        yield f'config.{key}={value!r} must be one of {names}{hint}.'


def _cross_faults(c: config_dict.ConfigDict) -> Iterator[str]:
    """Faults that lie between two keys."""
    p = c.personalization
    most = p.clients * p.eval_examples
    official = c.data.splits == splits.OFFICIAL
    if official and p.global_examples < 1:
        yield (
            f'config.personalization.global_examples={p.global_examples} must '
            'be at least 1; a number above the size of the official split '
            'takes the whole split.'
        )
    if not official and not p.clients <= p.global_examples <= most:
        yield (
            f'config.personalization.global_examples={p.global_examples} must '
            f'be between clients={p.clients} and clients * eval_examples='
            f'{most}, since it is drawn evenly from their eval examples.'
        )
    if c.data.held_out_share >= 1:
        yield (
            f'config.data.held_out_share={c.data.held_out_share!r} must be '
            "below 1: a share of a client's examples is left to train on."
        )
    if c.data.server_share >= 1:
        yield (
            f'config.data.server_share={c.data.server_share!r} must be below '
            '1: the clients train on what the server does not hold.'
        )
    if bool(c.local_steps) == bool(c.local_epochs):
        yield (
            f'config.local_steps={c.local_steps} and config.local_epochs='
            f'{c.local_epochs}: one of them must be 0; a client takes so many '
            'steps a round, or so many passes over its examples.'
        )
    if c.packing.scan_steps and c.simulation != 'packed':
        yield (
            f'config.packing.scan_steps=True needs config.simulation='
            f"'packed', not {c.simulation!r}, which scans over the steps "
            'always; use False.'
        )
    if c.scale.startswith('paper'):
        meant = c.scale.removeprefix('paper').strip('-') or 'high'
        if c.data.partition != meant:
            yield (
                f'config.data.partition={c.data.partition!r} does not fit the '
                f"learning rates of scale {c.scale!r}; use the config's scale "
                f'paper-{c.data.partition} if there is one, or '
                '--config.scale=custom with learning rates of your own.'
            )
    if c.data.splits not in splits.NO_LISTS and c.data.path == 'embedded':
        yield (
            f'config.data.splits={c.data.splits!r} is no rule, and the '
            "embedded corpus has no lists of splits; use 'paper' or 'random'."
        )
    if c.data.partition == partitions.BY_CLIENT:
        yield from _by_client_faults(c.data)
    of_clients = (splits.CLIENTS, *splits.OF_TRAINING_CLIENTS)
    if c.data.partition == label_skew.NAME and c.data.splits not in of_clients:
        yield (
            "config.data.partition='dirichlet_label' needs config.data.splits="
            f"'official', 'within' or 'clients', not {c.data.splits!r}: its "
            'clients have instances of any label.'
        )
    if c.evaluation.views_every and not official:
        yield (
            f'config.evaluation.views_every={c.evaluation.views_every} needs '
            "config.data.splits='official', not "
            f'{c.data.splits!r}: it scores a test split of the data and each '
            "client's part of it."
        )


def _by_client_faults(data: config_dict.ConfigDict) -> Iterator[str]:
    if data.splits not in (splits.CLIENTS, *splits.OF_TRAINING_CLIENTS):
        yield (
            "config.data.partition='client' needs config.data.splits="
            f"'clients', 'within' or 'official', not {data.splits!r}: clients "
            'have tasks of any type.'
        )
    able = sources.with_clients()
    if data.source in sources.names() and data.source not in able:
        yield (
            "config.data.partition='client' needs a source whose instances "
            f'say whose they are ({", ".join(able)}), and '
            f'config.data.source={data.source!r} is none; use '
            f'{", ".join(map(repr, partitions.KINDS))}.'
        )
