"""Queries with their task's definition and some solved examples before them.

The bare model answers them: what a language model can do that nobody tuned. As
SNI does (Wang et al. 2022, section 5): the definition, then as many of the
task's positive examples as are asked for and as there is room for. An example
is written as a query and its target are, without SNI's own cue words
("Positive Example 1 -"). Where the template has the definition, each example
and the query have it, and nothing stands before them.
"""

from collections import Counter
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
) -> tuple[TokenStore, Counter[int]]:
    """The store with longer queries of some instances, and none of others.

    Args:
      store: tokens and texts of every instance; it is not changed.
      tokenizer: that of the store.
      template: how its queries were made; a longer one, too, has at most
        max_query tokens: where they do not suffice, examples are left out from
        the last one on, and then the end of the input.
      instances: those that will be read, int64 [n].
      count: the most examples of a query.

    Returns:
      The store, and how many queries show so many examples; -1 for those that
      show none and have lost the end of their input.

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
    queries, numbers = {}, Counter[int]()
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
            task = store.tasks[store.task_of[i]]
            there = min(shown, len(task['positive_examples']))
            numbers[there if len(row) <= template.max_query else -1] += 1
            queries[i] = encoder.cut(where, text, row)
        left = beyond
    lengths = np.zeros(len(store), np.int64)
    lengths[list(queries)] = [len(row) for row in queries.values()]
    tokens = [np.array(queries[i], np.int32) for i in sorted(queries)]
    longer = dataclasses.replace(
        store,
        query_tokens=np.concatenate(tokens),
        query_starts=np.concatenate([[0], np.cumsum(lengths)]),
    )
    return longer, numbers


def describe(numbers: Counter[int], count: int) -> list[str]:
    """A sentence where queries show fewer examples than asked for; else []."""
    if set(numbers) <= {count}:
        return []
    parts = [
        f'{number} show {shown}'
        for shown, number in sorted(numbers.items(), reverse=True)
        if shown >= 0
    ]
    if cut := numbers.get(-1):
        parts.append(f'{cut} show none and lose the end of their input')
    return [
        f'few-shot: of {numbers.total()} queries {", ".join(parts)} instead of '
        f'{count} solved examples: tasks have fewer, or '
        'config.data.max_query has no room.'
    ]


def _text(
    store: TokenStore, encoder: Encoder, instance: int, count: int
) -> QueryText:
    """The query of an instance behind definition and `count` examples."""
    task = store.tasks[store.task_of[instance]]
    record = store.record(instance)
    inside = any('{definition}' in str(part) for part in encoder.query)
    definition = task['definition']
    before = [definition + BETWEEN] if definition and not inside else []
    for example in task['positive_examples'][:count]:
        solved = encoder.text(definition, example['input'])
        before = template_lib.join(
            before,
            solved.read,
            solved.spaces,
            template_lib.fill(encoder.target, output=example['output']),
            [BETWEEN],
        )
    pair = record.get('pair', '')
    return encoder.text(definition, record['input'], pair, before)
