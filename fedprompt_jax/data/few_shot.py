"""Queries with their task's definition and some solved examples before them.

The bare model answers them: what a language model can do that nobody tuned.
SNI's way (Wang et al. 2022, section 5): the definition, then as many of the
task's positive examples as are asked for and as there is room for. An example
is written as a query and its target are.
"""

import dataclasses

import numpy as np

from fedprompt_jax.data import template as template_lib
from fedprompt_jax.data.encoding import Encoder, QueryText, Template
from fedprompt_jax.data.store import TokenStore
from fedprompt_jax.data.tokenizing import Tokenizer

BETWEEN = '\n\n'  # stands after the definition and after each example


def with_examples(
    store: TokenStore,
    tokenizer: Tokenizer,
    template: Template,
    instances: np.ndarray,
    count: int,
) -> TokenStore:
    """The store with longer queries of some instances, and none of others.

    Args:
      store: tokens and texts of every instance; it is not changed.
      tokenizer: that of the store.
      template: how its queries were made; a longer one, too, has at most
        max_query tokens: where they do not suffice, examples are left out from
        the last one on, and then the end of the input.
      instances: those that will be read, int64 [n].
      count: the most examples of a query.

    Raises:
      ValueError: no task of these instances has such an example.
    """
    tasks = [store.tasks[t] for t in np.unique(store.task_of[instances])]
    if not any(task['positive_examples'] for task in tasks):
        raise ValueError(
            f'config.evaluation.few_shot={count} asks for solved examples, but '
            "no task that is scored has any (SNI's 'Positive Examples'); use 0."
        )
    encoder = Encoder(tokenizer, template, store.objective)
    queries = {}
    left = [int(i) for i in np.unique(instances)]
    for shown in range(count, -1, -1):
        texts = [_text(store, encoder, i, shown) for i in left]
        rows = encoder.encode_queries(texts)
        beyond = []
        for i, text, row in zip(left, texts, rows, strict=True):
            if len(row) > template.max_query and shown:
                beyond.append(i)
                continue
            where = f'instance {store.record(i)["id"]}'
            queries[i] = encoder.cut(where, text, row)
        left = beyond
    lengths = np.zeros(len(store), np.int64)
    lengths[list(queries)] = [len(row) for row in queries.values()]
    tokens = [np.array(queries[i], np.int32) for i in sorted(queries)]
    return dataclasses.replace(
        store,
        query_tokens=np.concatenate(tokens),
        query_starts=np.concatenate([[0], np.cumsum(lengths)]),
    )


def _text(
    store: TokenStore, encoder: Encoder, instance: int, count: int
) -> QueryText:
    """The query of an instance behind definition and `count` examples."""
    task = store.tasks[store.task_of[instance]]
    record = store.record(instance)
    definition = task['definition']
    before = [definition + BETWEEN] if definition else []
    for example in task['positive_examples'][:count]:
        solved = encoder.text('', example['input'])
        before = template_lib.join(
            before,
            solved.read,
            solved.spaces,
            template_lib.fill(encoder.target, output=example['output']),
            [BETWEEN],
        )
    return encoder.text('', record['input'], record.get('pair', ''), before)
