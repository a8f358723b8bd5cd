"""A soft prompt: P trained rows before the embeddings of the input.

Lester et al. (2021); Profit's only kind (arXiv 2310.04627, appendix A).
"""

from collections.abc import Iterator
import dataclasses
from typing import Any

import jax.numpy as jnp
from ml_collections import config_dict
import numpy as np

from fedprompt_jax.bank.kind import Kind, ModelInfo, Params, Start

INITS = ('normal', 'uniform', 'vocabulary', 'text')
_KEY = 'prompt_embeddings'


@dataclasses.dataclass(frozen=True)
class Prompt(Kind):
    """{'prompt': f32 [P, E]}; see bank/kind.py.

    Attributes:
      length: P.
      how: one of INITS.
      scale: of 'normal' and 'uniform'.
      text: of 'text'.
    """

    length: int
    how: str = 'normal'
    scale: float = 0.5
    text: str = ''

    attends_to_text = True

    @property
    def slots(self) -> int:
        return self.length

    @property
    def first_position(self) -> int:
        return self.length

    def init(self, start: Start) -> Params:
        """Trained in f32 whatever the base is in.

        normal: N(0, scale^2). Profit: N(0, 0.25), scale 0.5 (app. C).
        uniform: U(-scale, scale). Lester et al.: scale 0.5.
        vocabulary: input embeddings of P tokens drawn without replacement.
        text: those of a text's first P tokens, repeated if it is short: the
          model then reads the text.

        Raises:
          ValueError: the text has no token.
        """
        size, width = start.embedding.shape
        shape = self.length, width
        prompt: Any
        if self.how == 'normal':
            prompt = start.rng.normal(0.0, self.scale, shape)
        elif self.how == 'uniform':
            prompt = start.rng.uniform(-self.scale, self.scale, shape)
        elif self.how == 'vocabulary':
            ids = start.rng.choice(size, self.length, replace=False)
            prompt = start.embedding[ids]
        else:
            ids = np.resize(self._tokens(start), self.length)
            prompt = start.embedding[ids]
        return {'prompt': jnp.asarray(prompt, jnp.float32)}

    def _tokens(self, start: Start) -> list[int]:
        tokens = start.encode(self.text)
        if not tokens:
            raise ValueError(
                f'config.prompt.text={self.text!r} has no token for this '
                'model; give some words.'
            )
        return tokens

    def expand(self, params: Params) -> dict[str, Any]:
        return {'prompt': params['prompt']}

    def to_hf(self, params: Params) -> tuple[dict[str, Any], dict[str, Any]]:
        prompt = params['prompt']
        config = {
            'peft_type': 'PROMPT_TUNING',
            'num_virtual_tokens': prompt.shape[0],
            'token_dim': prompt.shape[1],
            'num_transformer_submodules': 1,
            'prompt_tuning_init': 'RANDOM',
        }
        return config, {_KEY: prompt}

    def from_hf(self, config: dict[str, Any], tensors) -> Params:
        del config
        return {'prompt': jnp.asarray(tensors[_KEY], jnp.float32)}


def make(config: config_dict.ConfigDict, info: ModelInfo) -> Prompt:
    """Makes the kind that config.prompt describes."""
    del info
    c = config.prompt
    return Prompt(c.length, c.init, c.scale, c.text)


def positions(config: config_dict.ConfigDict) -> int:
    """Positions that virtual tokens take."""
    return config.prompt.length


def faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """What is wrong with config.prompt beyond single values."""
    if config.prompt.init == 'text' and not config.prompt.text:
        yield "config.prompt.text='' must not be empty for prompt.init='text'."
