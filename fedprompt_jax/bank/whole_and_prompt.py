"""A whole model and a prompt or prefix in it, of which either trains or both.

FedSP (arXiv 2311.06805) trains a client's auxiliary model under a prompt that
is kept ("alignment"), and then the prompt in a model that is kept. A bank
holds a single owner: every copy would be another model.
"""

from collections.abc import Callable
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from fedprompt_jax.bank.kind import Kind, Params, Start

TRAINS = ('model', 'prompt', 'both')


@dataclasses.dataclass(frozen=True)
class WholeAndPrompt(Kind):
    """{'model': the base's own tree in f32, 'prompt': those of `prompt`}.

    The part that is not trained has a gradient of zeros.

    Attributes:
      prompt: the kind of the prompt, such as Prefix; no whole model itself.
      trains: 'model', 'prompt' or 'both'.
    """

    prompt: Kind
    trains: str

    is_full_model = True

    def __post_init__(self):
        if self.trains not in TRAINS:
            raise ValueError(f'trains={self.trains!r} must be one of {TRAINS}.')
        if self.prompt.is_full_model:
            raise ValueError(f'{self.prompt} is a whole model, no prompt.')

    # All that says how rows are packed and read is the prompt's.
    attends_to_text = property(lambda self: self.prompt.attends_to_text)
    one_owner = property(lambda self: self.prompt.one_owner)
    reads_query = property(lambda self: self.prompt.reads_query)
    pooling = property(lambda self: self.prompt.pooling)
    slots = property(lambda self: self.prompt.slots)
    first_position = property(lambda self: self.prompt.first_position)
    enters_at = property(lambda self: self.prompt.enters_at)

    def init(self, start: Start) -> Params:
        """The model as it is, and a new prompt."""
        return {
            'model': jax.tree.map(lambda x: x.astype(jnp.float32), start.base),
            'prompt': self.prompt.init(start),
        }

    def expand(self, params: Params) -> dict[str, Any]:
        """The prompt's tree, and the model's as 'params'; see Kind.expand."""
        kept = {
            'model': ('prompt',),
            'prompt': ('model',),
            'both': (),
        }[self.trains]
        params = params | {k: jax.lax.stop_gradient(params[k]) for k in kept}
        return {
            **self.prompt.expand(params['prompt']),
            'params': params['model'],
        }

    def prompts(
        self,
        params: Any,
        pooled: jax.Array,
        embed: Callable[[jax.Array], jax.Array],
    ) -> jax.Array:
        return self.prompt.prompts(params, pooled, embed)

    def to_hf(self, params: Params) -> tuple[dict[str, Any], dict[str, Any]]:
        raise ValueError('A whole model is no adapter: see models/export.py.')

    def from_hf(self, config: dict[str, Any], tensors) -> Params:
        raise ValueError('An adapter is no whole model: load it as one.')
