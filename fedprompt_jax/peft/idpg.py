"""A soft prompt that a small network makes from each example's query.

Wu et al. (2022), "IDPG: An Instance-Dependent Prompt Generation Method" (arXiv
2204.04497): the single-layer S-IDPG of section 3.2, whose generator is a
perceptron of two layers, with W1 in R^{d x m} and W2 in R^{m x (t d)}:

    prompt = W2 gelu(W1 x + b1) + b2

x is the mean of the frozen input embeddings of the query's tokens. That is the
authors' variant with averaged GloVe vectors (`glove_encode` in their code), in
the model's own embeddings; their other x is a second pass of the whole model.
Tokens of the target are not read: that would tell the answer.

An example's prompt is its own, so it stands before every example, also in a
causal model; a row has a single owner, whose generator its examples share.
"""

from collections.abc import Iterator
import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import config_dict

from fedprompt_jax.bank.kind import Kind, ModelInfo, Params, Start


@dataclasses.dataclass(frozen=True)
class IDPG(Kind):
    """{'down', 'down_bias', 'up', 'prompt'}: W1, b1, W2 and b2.

    They are [E, m], [m], [m, P, E] and [P, E]. Where `up` is zero, `prompt` is
    a soft prompt of all examples.

    Attributes:
      length: P.
      hidden: m.
      scale: standard deviation of the first W1 and W2.
      bias: the first b2 is uniform in [-bias, bias].
    """

    length: int
    hidden: int
    scale: float = 0.02
    bias: float = 0.5

    attends_to_text = True
    one_owner = True
    reads_query = True

    @property
    def slots(self) -> int:
        return self.length

    @property
    def first_position(self) -> int:
        return self.length

    def init(self, start: Start) -> Params:
        """W1 and W2 are normal, b1 zero and b2 uniform, as in their code."""
        size, rng = start.embedding.shape[1], start.rng

        def normal(*shape):
            return jnp.asarray(rng.normal(0, self.scale, shape), jnp.float32)

        prompt = rng.uniform(-self.bias, self.bias, (self.length, size))
        return {
            'down': normal(size, self.hidden),
            'down_bias': jnp.zeros(self.hidden),
            'up': normal(self.hidden, self.length, size),
            'prompt': jnp.asarray(prompt, jnp.float32),
        }

    def expand(self, params: Params) -> dict[str, Any]:
        return {'generator': params}

    def prompts(self, params: Params, pooled: jax.Array, embed) -> jax.Array:
        del embed
        hidden = pooled @ params['down'] + params['down_bias']  # [G, m]
        hidden = nn.gelu(hidden, approximate=False)
        made = jnp.einsum('gm,mpe->gpe', hidden, params['up'])
        return made + params['prompt']

    def to_hf(self, params: Params) -> tuple[dict[str, Any], dict[str, Any]]:
        raise ValueError('HF PEFT has no prompts that are made from a query.')

    def from_hf(self, config: dict[str, Any], tensors) -> Params:
        raise ValueError('An adapter of HF PEFT is no generator of prompts.')


def make(config: config_dict.ConfigDict, info: ModelInfo) -> IDPG:
    """Makes the kind that config.idpg describes."""
    del info
    c = config.idpg
    return IDPG(c.length, c.hidden, c.scale, c.bias)


def positions(config: config_dict.ConfigDict) -> int:
    """Positions that virtual tokens take."""
    return config.idpg.length


def faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """Nothing beyond single values."""
    del config
    yield from ()
