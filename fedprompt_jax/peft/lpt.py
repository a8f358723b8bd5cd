"""A late prompt: P trained hidden states that enter at a middle layer.

Liu et al. (2022), "Late Prompt Tuning" (arXiv 2210.11292), without their
prompt generator ("LPT w/o PG"): all of an owner's examples have one prompt.

Layers below compute without the prompt, so no gradient passes through them.
In their code (add_prompt_layer) the prompt is put before the hidden states,
behind 12 of RoBERTa-large's 24 layers.

Tokens keep the positions they have without a prompt. Where a table of learned
positions is added to the embeddings, they begin at 0, and the prompt has none.
Rotary and relative positions are read in every layer: the prompt is at 0 to P -
1 and tokens begin at P, which to the layers below is the same as at 0.
"""

from collections.abc import Iterator
import dataclasses
from typing import Any

import jax.numpy as jnp
from ml_collections import config_dict

from fedprompt_jax.bank.kind import Kind, ModelInfo, Params, Start


@dataclasses.dataclass(frozen=True)
class LatePrompt(Kind):
    """{'prompt': f32 [P, D]}; see bank/kind.py.

    Attributes:
      length: P.
      layer: the first layer that reads the prompt.
      width: D, of hidden states.
      learned: whether positions are a table that embeddings are added to.
      scale: standard deviation of the first values.
    """

    length: int
    layer: int
    width: int
    learned: bool = False
    scale: float = 0.5

    attends_to_text = True

    @property
    def slots(self) -> int:
        return self.length

    @property
    def first_position(self) -> int:
        return 0 if self.learned else self.length

    @property
    def enters_at(self) -> int:
        return self.layer

    def init(self, start: Start) -> Params:
        """N(0, scale^2); the authors draw tokens, or N(0, 1)."""
        prompt = start.rng.normal(0.0, self.scale, (self.length, self.width))
        return {'prompt': jnp.asarray(prompt, jnp.float32)}

    def expand(self, params: Params) -> dict[str, Any]:
        return {'prompt': params['prompt']}

    def to_hf(self, params: Params) -> tuple[dict[str, Any], dict[str, Any]]:
        raise ValueError('HF PEFT has no prompt that enters at a later layer.')

    def from_hf(self, config: dict[str, Any], tensors) -> Params:
        raise ValueError('An adapter of HF PEFT is no late prompt.')


def make(config: config_dict.ConfigDict, info: ModelInfo) -> LatePrompt:
    """Makes the kind that config.lpt describes."""
    c, reader = config.lpt, info.config.reader
    layer = round(c.depth * reader.num_layers)
    if layer == reader.num_layers:
        raise ValueError(
            f'config.lpt.depth={c.depth} leaves none of the '
            f'{reader.num_layers} layers above the prompt; lower it.'
        )
    learned = bool(reader.position_rows)
    return LatePrompt(c.length, layer, reader.width, learned, c.scale)


def positions(config: config_dict.ConfigDict) -> int:
    """Positions that virtual tokens take, but for learned ones."""
    return config.lpt.length


def faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """What is wrong with config.lpt beyond single values."""
    if config.lpt.depth >= 1:
        yield (
            f'config.lpt.depth={config.lpt.depth} must be below 1: it is the '
            'share of the layers that do not read the prompt.'
        )
