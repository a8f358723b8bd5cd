"""Late prompt tuning: a soft prompt that enters at a middle layer.

Liu et al. (2022), "Late Prompt Tuning" (2210.11292), section 3, without their
prompt generator ("LPT w/o PG"). Layers below are the bare model; there is no
gradient through them.

A row has the slots from its first layer on. Layers below hide them from all
tokens, and the layer where the prompt enters replaces their hidden states. In
a decoder the prompt does not depend on the text, and examples share it.
"""

from collections.abc import Iterator
import dataclasses
from typing import Any

import flax.traverse_util
import jax.numpy as jnp
from ml_collections import config_dict

from fedprompt_jax.bank.kind import Kind, ModelInfo, Params, Start


@dataclasses.dataclass(frozen=True)
class LatePrompt(Kind):
    """{'prompt': f32 [P, D]}; see bank/kind.py.

    Attributes:
      length: P.
      width: D, of hidden states.
      layers: of the model, of its encoder where there is one.
      enters: the first layer that reads the prompt.
      scale: standard deviation of the first values.
      shifted: whether real tokens come after the slots (position P): where
        positions turn keys or bias scores. Learned positions are added before
        the prompt enters, and real tokens keep theirs.
      stack: the tree of the layers.
    """

    length: int
    width: int
    layers: int
    enters: int
    scale: float = 0.5
    shifted: bool = True
    stack: tuple[str, ...] = ('layers',)

    attends_to_text = True

    @property
    def slots(self) -> int:
        return self.length

    @property
    def first_position(self) -> int:
        return self.length if self.shifted else 0

    def init(self, start: Start) -> Params:
        """N(0, scale^2)."""
        rows = start.rng.normal(0.0, self.scale, (self.length, self.width))
        return {'prompt': jnp.asarray(rows, jnp.float32)}

    def expand(self, params: Params) -> dict[str, Any]:
        at = jnp.arange(self.layers)
        nothing = jnp.zeros((self.layers, self.length, self.width))
        flat = {
            # Read where it enters alone.
            ('late_prompt',): nothing.at[self.enters].set(params['prompt']),
            ('late_enters',): (at == self.enters).astype(jnp.int32),
            # Layers below have no slots.
            ('attention', 'prefix_length'): jnp.where(
                at < self.enters, 0, self.length
            ).astype(jnp.int32),
        }
        return flax.traverse_util.unflatten_dict(
            {(*self.stack, *path): x for path, x in flat.items()}
        )

    def to_hf(self, params: Params) -> tuple[dict[str, Any], dict[str, Any]]:
        raise ValueError('HF PEFT has no prompt that enters at a later layer.')

    def from_hf(self, config: dict[str, Any], tensors) -> Params:
        raise ValueError('An adapter of HF PEFT is no late prompt.')


def make(config: config_dict.ConfigDict, info: ModelInfo) -> LatePrompt:
    """Makes the kind that config.lpt describes."""
    c, reader = config.lpt, info.config.reader
    layers = reader.num_layers
    return LatePrompt(
        c.length,
        reader.width,
        layers,
        min(layers - 1, round(c.depth * layers)),
        c.scale,
        not reader.position_rows,
        ('encoder', 'layers') if info.config.encoder else ('layers',),
    )


def positions(config: config_dict.ConfigDict) -> int:
    """Positions that virtual tokens take."""
    return config.lpt.length


def faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """A share of the layers is below 1."""
    if config.lpt.depth >= 1:
        yield (
            f'config.lpt.depth={config.lpt.depth} must be below 1: it is the '
            'share of the layers that do not read the prompt.'
        )
