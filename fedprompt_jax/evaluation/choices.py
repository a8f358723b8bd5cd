"""The likeliest of an instance's choices: how it is answered without words.

A choice's log p is that of the tokens of config.data.target filled with it,
without an end: lm-eval's rule, and FedPepTAO's for decoders. A query is read
once for all its choices; see data/packing.py.

lm-eval's acc_norm divides by the characters of the choice alone, as Python's
len() counts them, without the space that stands before it; lm-eval 0.4.13 has
acc_bytes besides, which divides by the bytes (api/task.py, process_results).
The two differ where a choice is not ASCII.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from fedprompt_jax.data.examples import Example
from fedprompt_jax.data.store import TokenStore

RULES = {
    'sum': 'sum over its tokens (lm-eval: acc)',
    'character': 'sum over its tokens per character (lm-eval: acc_norm)',
    'byte': 'sum over its tokens per byte of UTF-8 (lm-eval: acc_bytes)',
    'token': 'mean over its tokens (FedPepTAO)',
}


def likeliest(
    losses: Sequence[float] | np.ndarray,
    texts: Sequence[str],
    tokens: Sequence[int],
    rule: str,
) -> int:
    """Index of the choice with the least loss; the first of equals.

    Args:
      losses: sum of -log p over each choice's tokens, [k].
      texts: the choices as the data have them, [k]: a space or a full stop
        that config.data.target adds is no character of theirs. An empty one
        has one character, so that no loss is divided by 0.
      tokens: how many tokens each has as a target, [k].
      rule: a key of RULES.
    """
    sizes = {
        'sum': [1] * len(texts),
        'character': [max(1, len(text)) for text in texts],
        'byte': [max(1, len(text.encode())) for text in texts],
        'token': tokens,
    }
    return int(np.argmin(np.divide(losses, sizes[rule])))


class Targets(NamedTuple):
    """Targets of one query, each of which is computed once.

    Attributes:
      kept: those that are no beginning of another one.
      parts: of each target that was asked for, which of `kept` begins with it,
        and how many of its tokens.
    """

    kept: list[np.ndarray]
    parts: list[tuple[int, int]]


def distinct(targets: Sequence[np.ndarray]) -> Targets:
    """Targets without those that others begin with.

    The right choice is the beginning of the target, which has an end token: its
    loss is a part of the target's.

        >>> yes, no = np.array([5, 6]), np.array([5, 7])
        >>> kept, parts = distinct([np.array([5, 6, 2]), yes, no])
        >>> print(*kept, parts)
        [5 6 2] [5 7] [(0, 3), (0, 2), (1, 2)]
    """
    kept: list[np.ndarray] = []
    places: list[int] = [0] * len(targets)
    begins: dict[tuple[int, ...], int] = {}  # beginning -> which of `kept`
    # Longest first, so that a beginning meets what it begins.
    for i in sorted(range(len(targets)), key=lambda i: -len(targets[i])):
        tokens = tuple(targets[i].tolist())
        if tokens not in begins:
            for size in range(1, len(tokens) + 1):
                begins.setdefault(tokens[:size], len(kept))
            kept.append(targets[i])
        places[i] = begins[tokens]
    return Targets(
        kept, [(p, len(t)) for p, t in zip(places, targets, strict=True)]
    )


def asked(store: TokenStore, instance: int) -> list[np.ndarray]:
    """The targets whose loss scoring an instance asks for, the right first.

    Choices follow; where they are, the target is that of the store.
    """
    return [store.target(instance), *store.choices(instance)]


def examples(
    store: TokenStore,
    owner: int,
    instance: int,
    holds: Callable[[Example], bool] = lambda example: True,
) -> list[Example]:
    """The examples by which an instance is scored: one, if a row holds it.

    Args:
      store: of the instance.
      owner: index into the bank.
      instance: of the store.
      holds: whether an example fits into a row. Targets that do not fit beside
        others read the query once more.
    """
    made: list[Example] = []
    for target in distinct(asked(store, instance)).kept:
        if made:
            longer = made[-1]._replace(more=(*made[-1].more, target))
            if holds(longer):
                made[-1] = longer
                continue
        made.append(store.example(owner, instance, target=target))
    return made
