"""Answers that begin with a reference: lm-eval's exact match of `webqs`.

lm-eval asks whether a reference is the greedy continuation of the query, token
by token, and not what follows it: the answer to an open question may go on.
Here the answer is generated, and some first tokens of it must read as a
reference. The two differ only where the model writes a reference in other
tokens than the tokenizer cuts it into, or where it is longer than
config.evaluation.max_new_tokens.
"""

from collections.abc import Sequence

import numpy as np

from fedprompt_jax.models.tokenizer import Tokenizer


def begins(
    output: Sequence[int] | np.ndarray,
    references: Sequence[str],
    tokenizer: Tokenizer,
) -> bool:
    """Whether the first tokens of an output are one of the references.

    Upper case and punctuation count. 'Jamaican' does not begin with 'Jama'
    where it is one token.

    Args:
      output: int [t], generated behind a query, without an end token.
      references: texts, none of them blank.
      tokenizer: the model's.
    """
    starts = [output[:n] for n in range(1, len(output) + 1)]
    # The space that stands between a query and its answer is of neither.
    texts = {text.removeprefix(' ') for text in tokenizer.decode_batch(starts)}
    return not texts.isdisjoint(references)
