"""What a round costs: bytes sent, tokens read, floating-point operations."""

import collections
from collections.abc import Callable, Iterable
import math
from typing import Any, NamedTuple

import jax

from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.data.examples import Example
from fedprompt_jax.models.sizes import block_params, target_params


class Sent(NamedTuple):
    """What one client and the server send each other in a round.

    Attributes:
      down: the tree that a client of the cohort gets; None for nothing.
      up: the tree that it returns.
    """

    down: Any
    up: Any


def both_ways(part: Callable[[Any], Any]) -> Callable[[Any], Sent]:
    """A `sent` of the same tree in both directions: part(server state)."""
    return lambda state: Sent(part(state), part(state))


def tree_bytes(tree) -> int:
    """Bytes of a tree of arrays or shapes, as it would be sent."""
    leaves = jax.tree.leaves(tree)
    return sum(math.prod(x.shape) * x.dtype.itemsize for x in leaves)


def traffic(sent: Sent, num_clients: int) -> dict[str, int]:
    """Bytes of one round over all clients, in both directions."""
    return {
        'bytes_down': tree_bytes(sent.down) * num_clients,
        'bytes_up': tree_bytes(sent.up) * num_clients,
    }


def listing(tree) -> list[dict[str, Any]]:
    """Name, shape, dtype and bytes of each array of a message.

        >>> import numpy as np
        >>> listing({'a': {'b': np.zeros((2, 3), np.float32)}})
        [{'name': 'a/b', 'shape': [2, 3], 'dtype': 'float32', 'bytes': 24}]

    Args:
      tree: of arrays or of shapes; None for no message.
    """
    return [
        {
            'name': jax.tree_util.keystr(path, simple=True, separator='/'),
            'shape': list(leaf.shape),
            'dtype': str(leaf.dtype),
            'bytes': tree_bytes(leaf),
        }
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    ]


def slowest_share(steps: Iterable[Iterable[Example]]) -> float:
    """The share of a round's tokens that its busiest client reads.

    Devices of a real federation work side by side, and the slowest one says
    how long a round takes: about this share of a simulated round's seconds.
    """
    tokens: collections.Counter[int] = collections.Counter()
    for examples in steps:
        for e in examples:
            tokens[e.owner] += e.num_tokens
    return max(tokens.values()) / tokens.total()


def compute(
    model: TunedModel,
    steps: Iterable[Iterable[Example]],
    training: bool = True,
) -> dict[str, int]:
    """Real tokens, and the floating-point operations that they need.

    Two operations a multiply-add, N block parameters a token forward, as many
    again backward: a frozen model has no weight gradients (a trained one
    does: as many a third time). Logits, and a decoder that reads an encoder,
    exist for target tokens alone. A prompt counts once per (owner, step), or
    per example where it reads the text. Attention scores, padding and
    repeated prompts are not counted: this is the useful work.

    Args:
      model: the language model and what is trained.
      steps: the examples of each call of the model.
      training: forward and backward, else forward alone.
    """
    tokens = targets = 0
    packer, config = model.packer(), model.transformer.config
    for examples in steps:
        examples = list(examples)
        owners = {e.owner for e in examples}
        prompts = len(owners if packer.shared else examples)
        tokens += sum(e.num_tokens for e in examples)
        tokens += packer.prompt_length * prompts
        targets += sum(e.num_target_tokens for e in examples)
    passes = 1
    if training:  # backward, and the gradient of weights where they train
        passes = 3 if model.kind.is_full_model else 2
    work = tokens * block_params(config) + targets * target_params(config)
    return {'tokens': tokens, 'flops': 2 * passes * work}
