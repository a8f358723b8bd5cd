"""Faults of an experiment's data, and warnings about them, as sentences."""

import numpy as np

from fedprompt_jax import peft
from fedprompt_jax.data import label_skew, partitions, splits
from fedprompt_jax.data.listing import shortened
from fedprompt_jax.data.partitions import Clients
from fedprompt_jax.data.store import TokenStore

MANY = 0.05  # share of truncated texts above which a warning is due


def too_few_clients(config, clients: dict[str, Clients]) -> list[str]:
    """Faults: a split has fewer clients than the config needs of it."""
    requested = {
        'clients_per_round': ('train', config.clients_per_round),
        'validation.clients': ('validation', config.validation.clients),
        'personalization.clients': (
            config.personalization.split,
            config.personalization.clients,
        ),
    }
    c, fix = config.data, 'use at most that'
    numbers = {
        name: int((part.sizes > 0).sum()) for name, part in clients.items()
    }
    if c.partition in (label_skew.NAME, partitions.IID):
        fix += f', or a larger config.data.num_clients than {c.num_clients}'
    elif c.partition != partitions.BY_CLIENT:
        fix += f', or a smaller config.data.client_size than {c.client_size}'
    if c.splits == splits.CLIENTS:
        held = {k: len(clients[k]) for k in ('validation', 'test')}
        fix += ', or hold out fewer clients ({validation} are for validation, '
        fix += '{test} for test: config.validation.clients, '
        fix += 'config.personalization.clients)'
        fix = fix.format(**held)
    return [
        f'config.{key}={n} is more than the {numbers[split]} clients '
        f'of the {split} split; {fix}.'
        for key, (split, n) in requested.items()
        if n > numbers[split]
    ]


def too_long(
    config, store: TokenStore, used: np.ndarray, most: int
) -> list[str]:
    """The fault that an example may need more than `most` positions.

    Args:
      config: the checked config.
      store: tokens of every instance.
      used: the instances that are read.
      most: positions that the model was trained for.
    """
    queries, targets = store.query_lengths[used], store.scored_lengths[used]
    virtual = peft.get(config.peft).positions(config)
    new = config.evaluation.max_new_tokens
    longest = int(queries.max())
    # A causal model reads query and answer in one row, others the query alone.
    if store.objective == 'causal_lm':
        # Where an answer is chosen, none is generated.
        generated = np.where(store.num_choices[used], 0, new)
        longest = int((queries + np.maximum(targets, generated)).max())
    if virtual + longest <= most:
        return []
    return [
        f'The model was trained for {most} tokens, but there are {virtual} '
        f'virtual ones (config.{config.peft}.length), up to {queries.max()} '
        f'of a query (config.data.max_query={config.data.max_query}), and '
        f'{targets.max()} of a target (config.data.max_target='
        f'{config.data.max_target}) or {new} of an output '
        '(config.evaluation.max_new_tokens); lower the largest.'
    ]


def wordless(config, store: TokenStore, used: np.ndarray) -> list[str]:
    """The fault that the data ask a masked language model for free text."""
    if store.objective != 'masked_lm' or store.num_choices[used].all():
        return []
    return [
        f'config.model.source={config.model.source!r} is a masked language '
        'model, which answers by the likeliest of label words, but the data of '
        f'config.data.source={config.data.source!r} have free text; use '
        "'classification' or 'multiple_choice', or another model."
    ]


def unsolvable(config, store: TokenStore) -> list[str]:
    """The fault that a masked model would read the masks of solved examples."""
    if store.objective != 'masked_lm':
        return []
    return [
        f'config.evaluation.few_shot={config.evaluation.few_shot} shows solved '
        'examples, but a masked language model answers at every mask that it '
        'reads; use 0.'
    ]


def beyond_the_table(store: TokenStore, tokenizer, rows: int) -> list[str]:
    """The fault that a text has a token without a row in the model's table."""
    largest = store.largest_token
    if largest < rows:
        return []
    return [
        f'The token {tokenizer.backend.id_to_token(largest)!r} of a text has '
        f'id {largest}, but the model has embeddings for {rows} tokens alone: '
        'remove the token from the tokenizer, or use the model that was '
        'trained with it.'
    ]


def shrunk(config, held_out) -> list[str]:
    """Warnings where held-out clients have fewer examples than configured."""
    p = config.personalization
    lines = []
    for key, parts in (
        ('train_examples', held_out.train),
        ('eval_examples', held_out.local),
    ):
        sizes = [*map(len, parts)]
        least, requested = min(sizes), p[key]
        if least >= requested:
            continue
        name = shortened(held_out.names[sizes.index(least)])
        whose = f' ({name!r})' if name else ''
        lines.append(
            f'The smallest held-out client{whose} has {least} examples where '
            f'config.personalization.{key}={requested} asks for more than '
            f'{_instances_of_a_client(config.data)}.'
        )
    of_clients = config.data.splits != splits.OFFICIAL
    if of_clients and len(held_out.common) < p.global_examples:
        lines.append(
            f'The global score is over {len(held_out.common)} examples, not '
            f'config.personalization.global_examples={p.global_examples}: '
            'the clients have no more.'
        )
    return lines


def _instances_of_a_client(data) -> str:
    """The end of a sentence: what limits the examples of a client."""
    if data.partition == partitions.BY_CLIENT:
        return 'the data have of it'
    if data.splits == splits.OFFICIAL:
        return "its part of the data's own split has"
    sized = f'config.data.client_size={data.client_size}'
    if data.partition in (label_skew.NAME, partitions.IID):
        sized = f'config.data.num_clients={data.num_clients}'
    if data.splits == splits.WITHIN:
        share = f'config.data.held_out_share={data.held_out_share}'
        return f'{sized} with {share} leaves'
    return f'{sized} leaves'


def truncated(store: TokenStore) -> list[str]:
    """Warnings where many texts lost their end."""
    limit = {'queries': 'max_query', 'targets': 'max_target'}
    return [
        f'{n} of {len(store)} {what} are longer than config.data.'
        f'{limit[what]} and lost their end.'
        for what, n in store.truncated.items()
        if n > MANY * len(store)
    ]


def merged(store: TokenStore) -> list[str]:
    """A warning where queries and answers are joined by the tokenizer."""
    if not store.merged:
        return []
    return [
        f'The tokenizer joins {store.merged} answers to the end of their '
        'query: what is read is split otherwise than the whole text would be. '
        'A line break at the end of config.data.separator, or a space at the '
        'beginning of config.data.target, usually keeps them apart.'
    ]
