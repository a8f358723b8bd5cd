"""The likeliest of an instance's choices: how it is answered without words.

A choice's log p is that of the tokens of config.data.target filled with it,
without an end: lm-eval's rule, and FedPepTAO's for decoders.
"""

from collections.abc import Sequence

import numpy as np

from fedprompt_jax.data.examples import Example
from fedprompt_jax.data.store import TokenStore

RULES = {
    'sum': 'sum over its tokens (lm-eval: acc)',
    'character': 'sum over its tokens per character (lm-eval: acc_norm)',
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
        that config.data.target adds is no character of theirs.
      tokens: how many tokens each has as a target, [k].
      rule: a key of RULES.
    """
    sizes = {
        'sum': [1] * len(texts),
        'character': [max(1, len(text)) for text in texts],
        'token': tokens,
    }
    return int(np.argmin(np.divide(losses, sizes[rule])))


def examples(store: TokenStore, owner: int, instance: int) -> list[Example]:
    """All whose loss scoring an instance asks for: target, then choices."""
    choices = store.choices(instance)
    return [
        store.example(owner, instance),
        *(store.example(owner, instance, target=c) for c in choices),
    ]
