"""What a round costs: bytes sent, tokens read, floating-point operations."""

from collections.abc import Iterable
import math

import jax

from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.data.examples import Example
from fedprompt_jax.models.sizes import block_params, target_params


def tree_bytes(params) -> int:
    """Bytes of one owner's trained parameters, as they would be sent."""
    leaves = jax.tree.leaves(params)
    return sum(math.prod(x.shape) * x.dtype.itemsize for x in leaves)


def traffic(params, num_clients: int, pooled: bool) -> dict[str, int]:
    """Bytes of one round over all clients, in both directions.

    Every client receives the global prompt and sends one tree of its size (a
    prompt or a gradient). Pooled data has no clients to talk to.
    """
    each = 0 if pooled else tree_bytes(params) * num_clients
    return {'bytes_down': each, 'bytes_up': each}


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
        targets += sum(len(e.target) for e in examples)
    passes = 1
    if training:  # backward, and the gradient of weights where they train
        passes = 3 if model.kind.is_full_model else 2
    work = tokens * block_params(config) + targets * target_params(config)
    return {'tokens': tokens, 'flops': 2 * passes * work}
