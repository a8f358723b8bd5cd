"""A prefix: trained keys and values in every layer (P-tuning v2).

Liu et al. (2022), "P-Tuning v2"; FedPepTAO (arXiv 2310.15080) and FedSP
(2311.06805) train it. Optionally the keys and values come out of an MLP of a
trained embedding (Li and Liang 2021).
"""

from collections.abc import Iterator
import dataclasses
from typing import Any

import flax.traverse_util
import jax
import jax.numpy as jnp
from ml_collections import config_dict

from fedprompt_jax.bank.kind import Kind, ModelInfo, Params, Start

POSITIONS = ('shifted', 'kept')
ZERO_LAYERS = ('attended', 'absent')
_KEY = 'prompt_embeddings'


@dataclasses.dataclass(frozen=True)
class Prefix(Kind):
    """{'prefix': {'00': [P_0, 2, K, h], '01': ...}}; see kind.Kind.

    The second axis is key, value; a layer of length 0 has no entry. With an
    MLP {'embedding': [P, D], 'mlp': {'w1', 'b1', 'w2', 'b2'}}.

    Attributes:
      lengths: P of each layer.
      heads: K, key heads of the model.
      head_dim: h.
      shifted: real tokens come after the prefix (position P, as in HF PEFT
        and FedPepTAO), else they begin at position 0 (FedSP).
      scale: standard deviation of the first values.
      width: D, of the MLP's embedding.
      hidden: of the MLP; 0 for none.
      stack: the tree of the layers; an encoder's where there is one.
      zeros_absent: whether a layer whose keys and values are all zero has no
        prefix at all; else its zeros are attended to. Such a layer has no
        gradient, and stays as it is. All owners of a bank have it or none.
    """

    lengths: tuple[int, ...]
    heads: int
    head_dim: int
    shifted: bool = True
    scale: float = 0.02
    width: int = 0
    hidden: int = 0
    stack: tuple[str, ...] = ('layers',)
    zeros_absent: bool = False

    @property
    def slots(self) -> int:
        return max(self.lengths)

    @property
    def first_position(self) -> int:
        return self.slots if self.shifted else 0

    @property
    def _size(self) -> int:
        """Numbers of a slot over all layers, keys and values."""
        return len(self.lengths) * 2 * self.heads * self.head_dim

    def init(self, start: Start) -> Params:
        def normal(*shape, scale=self.scale):
            return jnp.asarray(start.rng.normal(0, scale, shape), jnp.float32)

        if not self.hidden:
            return {
                'prefix': {
                    f'{layer:02d}': normal(n, 2, self.heads, self.head_dim)
                    for layer, n in enumerate(self.lengths)
                    if n
                }
            }

        def uniform(n, *shape):  # torch.nn.Linear's
            values = start.rng.uniform(-(n**-0.5), n**-0.5, shape)
            return jnp.asarray(values, jnp.float32)

        width, hidden = self.width, self.hidden
        return {
            'embedding': normal(self.slots, width),
            'mlp': {
                'w1': uniform(width, width, hidden),
                'b1': uniform(width, hidden),
                'w2': uniform(hidden, hidden, self._size),
                'b2': uniform(hidden, self._size),
            },
        }

    def expand(self, params: Params) -> dict[str, Any]:
        stacked = self._stacked(params)  # [layers, P, 2, K, h]
        attention = {
            'prefix_key': stacked[:, :, 0],
            'prefix_value': stacked[:, :, 1],
        }
        if len(set(self.lengths)) > 1 or self.zeros_absent:
            lengths = jnp.array(self.lengths, jnp.int32)
            if self.zeros_absent:
                there = (stacked != 0).any(axis=(1, 2, 3, 4))
                lengths = jnp.where(there, lengths, 0)
            attention['prefix_length'] = lengths
        flat = {(*self.stack, 'attention', k): x for k, x in attention.items()}
        return flax.traverse_util.unflatten_dict(flat)

    def _stacked(self, params: Params) -> jax.Array:
        layers, shape = len(self.lengths), (2, self.heads, self.head_dim)
        if self.hidden:
            mlp = params['mlp']
            x = jnp.tanh(params['embedding'] @ mlp['w1'] + mlp['b1'])
            x = x @ mlp['w2'] + mlp['b2']
            return x.reshape(self.slots, layers, *shape).swapaxes(0, 1)
        rows = [
            params['prefix'].get(f'{i:02d}', jnp.zeros((0, *shape)))
            for i in range(layers)
        ]
        room = [(0, 0)] * 3
        return jnp.stack(
            [jnp.pad(r, [(0, self.slots - len(r)), *room]) for r in rows]
        )

    def to_hf(self, params: Params) -> tuple[dict[str, Any], dict[str, Any]]:
        """PEFT's prefix adapter, its MLP folded in as PEFT does on saving.

        Raises:
          ValueError: PEFT has no such prefix: layers differ in length or may
            have none, positions are kept, or the model has an encoder, whose
            layers PEFT gives none.
        """
        encoder = self.stack != ('layers',)
        uneven = len(set(self.lengths)) > 1 or self.zeros_absent
        if uneven or not self.shifted or encoder:
            raise ValueError(
                'HF PEFT has prefixes of one length in all layers of a '
                'decoder, with shifted positions, alone; this one cannot be '
                'written for it.'
            )
        config = {
            'peft_type': 'PREFIX_TUNING',
            'num_virtual_tokens': self.slots,
            'token_dim': self.heads * self.head_dim,
            'num_attention_heads': self.heads,
            'num_layers': len(self.lengths),
            'num_transformer_submodules': 1,
            'encoder_hidden_size': self.heads * self.head_dim,
            'prefix_projection': False,
        }
        rows = self._stacked(params).swapaxes(0, 1)  # [P, layers, 2, K, h]
        return config, {_KEY: rows.reshape(self.slots, self._size)}

    def from_hf(self, config: dict[str, Any], tensors) -> Params:
        if self.hidden:
            raise ValueError(
                'PEFT saves a prefix without its MLP; load it with '
                'config.prefix.mlp=0.'
            )
        rows = jnp.asarray(tensors[_KEY], jnp.float32)
        shape = (len(self.lengths), 2, self.heads, self.head_dim)
        layers = rows.reshape(len(rows), *shape).swapaxes(0, 1)
        return {'prefix': {f'{i:02d}': x for i, x in enumerate(layers)}}


def make(config: config_dict.ConfigDict, info: ModelInfo) -> Prefix:
    """Makes the kind that config.prefix describes."""
    c, reader = config.prefix, info.config.reader
    chosen = set(c.layers) or set(range(reader.num_layers))
    strange = sorted(chosen - set(range(reader.num_layers)))
    if strange:
        raise ValueError(
            f'config.prefix.layers has {strange}, but the model has layers 0 '
            f'to {reader.num_layers - 1}.'
        )
    return Prefix(
        tuple(c.length if i in chosen else 0 for i in range(reader.num_layers)),
        reader.num_kv_heads,
        reader.head_dim,
        c.positions == 'shifted',
        c.scale,
        reader.width,
        c.mlp,
        ('encoder', 'layers') if info.config.encoder else ('layers',),
        c.zero_layers == 'absent',
    )


def positions(config: config_dict.ConfigDict) -> int:
    """Positions that virtual tokens take."""
    c = config.prefix
    return c.length if c.positions == 'shifted' else 0


def faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """What is wrong with config.prefix beyond single values."""
    if config.prefix.mlp and config.prefix.layers:
        yield (
            f'config.prefix.mlp={config.prefix.mlp} makes the prefix of all '
            f'layers; config.prefix.layers={config.prefix.layers} must be ().'
        )
