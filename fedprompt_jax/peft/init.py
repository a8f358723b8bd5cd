"""How a soft prompt starts: one function a way, by its name in the config."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Start(NamedTuple):
    """What an initialiser may use.

    Attributes:
      rng: host randomness of (seed, purpose).
      length: P.
      embedding: [V, D] embedding table of the base.
      scale: config.prompt.scale.
      text_ids: tokens of config.prompt.text.
    """

    rng: np.random.Generator
    length: int
    embedding: jax.Array
    scale: float
    text_ids: list[int]

    @property
    def shape(self) -> tuple[int, int]:
        return self.length, self.embedding.shape[1]


def normal(start: Start) -> np.ndarray:
    """N(0, scale^2). Profit: N(0, 0.25), scale 0.5 (2310.04627, app. C)."""
    return start.rng.normal(0.0, start.scale, start.shape)


def uniform(start: Start) -> np.ndarray:
    """U(-scale, scale). Lester et al. (2021): scale 0.5."""
    return start.rng.uniform(-start.scale, start.scale, start.shape)


def vocabulary(start: Start) -> jax.Array:
    """Embeddings of P tokens drawn without replacement: "Random-Word"."""
    size = start.embedding.shape[0]
    ids = start.rng.choice(size, start.length, replace=False)
    return start.embedding[ids]


def text(start: Start) -> jax.Array:
    """Embeddings of the text's first P tokens, repeated where it is short."""
    return start.embedding[np.resize(start.text_ids, start.length)]


INITS: dict[str, Callable[[Start], np.ndarray | jax.Array]] = {
    'normal': normal,
    'uniform': uniform,
    'vocabulary': vocabulary,
    'text': text,
}


def initial_prompt(how: str, start: Start) -> dict[str, jax.Array]:
    """{'prompt': f32 [P, D]}: trained in f32 whatever the base is in."""
    return {'prompt': jnp.asarray(INITS[how](start), jnp.float32)}
