"""Bottleneck adapters behind attention and MLP, before the residual sums.

Houlsby et al. (2019), "Parameter-Efficient Transfer Learning for NLP", section
2.1 and figure 2; behind the MLP alone as in Pfeiffer et al. (2020), "MAD-X".
Norms stay frozen here, which Houlsby et al. train too.

A row has a single owner, as with LoRA: a token that gathered its owner's two
matrices would read 2 m numbers for each one that it computes with.

An encoder and its decoder both have adapters, behind self-attention and MLP;
cross-attention has none, as in Mahabadi et al. (2021), "Compacter". Where a
norm stands behind a part ('sandwich'), the adapter comes before that norm.
"""

from collections.abc import Iterator
import dataclasses
from typing import Any

import flax.traverse_util
import jax.numpy as jnp
from ml_collections import config_dict
import numpy as np

from fedprompt_jax.bank.kind import Kind, ModelInfo, Params, Start

# Where adapters stand: the names of the modules in models/stack.py.
PLACES = {
    'both': ('attention_adapter', 'mlp_adapter'),
    'mlp': ('mlp_adapter',),
}


@dataclasses.dataclass(frozen=True)
class Adapter(Kind):
    """{'layers': {'mlp_adapter': {'down': [layers, D, m], ...

    The leaves of an adapter are down [D, m], down_bias [m], up [m, D] and
    up_bias [D]; 'encoder' holds another 'layers' where there is one.

    Attributes:
      stacks: the tree of each stack's layers, with their number and D.
      width: m, of the bottleneck.
      activation: a key of models.layers.ACTIVATIONS.
      places: modules that an adapter stands in, see PLACES.
      scale: standard deviation of the first kernels, before their tails are
        cut.
    """

    stacks: tuple[tuple[tuple[str, ...], int, int], ...]
    width: int
    activation: str = 'gelu'
    places: tuple[str, ...] = PLACES['both']
    scale: float = 0.01

    one_owner = True

    def init(self, start: Start) -> Params:
        """Near the identity: kernels near zero, biases of zero (section 2.1).

        Kernels are normal, without what lies beyond two deviations (3.6).
        """
        flat = {}
        for path, layers, size in self.stacks:
            for place in self.places:
                for name, shape in (
                    ('down', (size, self.width)),
                    ('up', (self.width, size)),
                ):
                    kernel = truncated(start.rng, (layers, *shape))
                    flat[*path, place, name] = jnp.asarray(
                        self.scale * kernel, jnp.float32
                    )
                    bias = jnp.zeros((layers, shape[1]))
                    flat[*path, place, f'{name}_bias'] = bias
        return flax.traverse_util.unflatten_dict(flat)

    def expand(self, params: Params) -> dict[str, Any]:
        # The model finds the activation by the name of the dict.
        flat = flax.traverse_util.flatten_dict(params)
        named = {(*p[:-1], self.activation, p[-1]): x for p, x in flat.items()}
        return flax.traverse_util.unflatten_dict(named)

    def to_hf(self, params: Params) -> tuple[dict[str, Any], dict[str, Any]]:
        raise ValueError('HF PEFT has no bottleneck adapters.')

    def from_hf(self, config: dict[str, Any], tensors) -> Params:
        raise ValueError('An adapter of HF PEFT is no bottleneck adapter.')


def truncated(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers of N(0, 1), drawn again where they are beyond -2 or 2."""
    x = rng.normal(size=shape)
    while (beyond := np.abs(x) > 2).any():
        x[beyond] = rng.normal(size=beyond.sum())
    return x


def make(config: config_dict.ConfigDict, info: ModelInfo) -> Adapter:
    """Makes the kind that config.adapter describes."""
    c, model = config.adapter, info.config
    stacks: list[tuple[tuple[str, ...], int, int]] = [
        (('layers',), model.num_layers, model.width)
    ]
    if model.encoder:
        reader = model.encoder
        stacks.append((('encoder', 'layers'), reader.num_layers, reader.width))
    places = PLACES[c.places]
    return Adapter(tuple(stacks), c.width, c.activation, places, c.scale)


def positions(config: config_dict.ConfigDict) -> int:
    """Positions that virtual tokens take."""
    del config
    return 0


def faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """Nothing beyond single values."""
    del config
    yield from ()
