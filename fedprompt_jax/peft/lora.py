"""LoRA: y = x W + (alpha / r) x a b in chosen linear layers.

Hu et al. (2022). A row has a single owner, whose a and b it is multiplied by.
"""

from collections.abc import Iterator
import dataclasses
from typing import Any

import flax.traverse_util
import jax.numpy as jnp
from ml_collections import config_dict
import numpy as np

from fedprompt_jax.bank import modules
from fedprompt_jax.bank.kind import Kind, ModelInfo, Params, Start


@dataclasses.dataclass(frozen=True)
class LoRA(Kind):
    """{'layers': {'attention': {'query': {'lora_a': [layers, in, r], ...

    Attributes:
      targets: the linear layers.
      rank: r.
      alpha: a numerator; the product is scaled by alpha / r.
      conv1d: whether HF's linear layers are stored (in, out), as in GPT-2.
    """

    targets: tuple[modules.Module, ...]
    rank: int
    alpha: float
    conv1d: bool = False

    one_owner = True

    def init(self, start: Start) -> Params:
        """a from U(-1 / sqrt(in), 1 / sqrt(in)) as in PEFT; b is zero."""
        flat = {}
        for m in self.targets:
            layers, bound = len(m.names), m.inputs**-0.5
            a = start.rng.uniform(-bound, bound, (layers, m.inputs, self.rank))
            flat[*m.path, 'lora_a'] = jnp.asarray(a, jnp.float32)
            flat[*m.path, 'lora_b'] = jnp.zeros((layers, self.rank, m.outputs))
        return flax.traverse_util.unflatten_dict(flat)

    def expand(self, params: Params) -> dict[str, Any]:
        flat = flax.traverse_util.flatten_dict(params)
        scaled = {
            path: x * (self.alpha / self.rank) if path[-1] == 'lora_b' else x
            for path, x in flat.items()
        }
        return flax.traverse_util.unflatten_dict(scaled)

    def to_hf(self, params: Params) -> tuple[dict[str, Any], dict[str, Any]]:
        config = {
            'peft_type': 'LORA',
            'target_modules': modules.for_peft(self.targets),
            'r': self.rank,
            'lora_alpha': self.alpha,
            'lora_dropout': 0.0,
            'bias': 'none',
            'fan_in_fan_out': self.conv1d,
        }
        return config, {
            name: params_of[layer].T
            for name, params_of, layer in self._places(params)
        }

    def from_hf(self, config: dict[str, Any], tensors) -> Params:
        rank, alpha = config.get('r'), config.get('lora_alpha')
        if (rank, alpha) != (self.rank, self.alpha):
            raise ValueError(
                f'The adapter has r={rank} and lora_alpha={alpha}; set '
                'config.lora.rank and config.lora.alpha so.'
            )
        params = self.init(_zeros())
        flat = {
            path: np.array(x)
            for path, x in flax.traverse_util.flatten_dict(params).items()
        }
        tree = flax.traverse_util.unflatten_dict(flat)
        for name, leaf, layer in self._places(tree):
            leaf[layer] = np.asarray(tensors[name]).T
        return flax.traverse_util.unflatten_dict(
            {path: jnp.asarray(x) for path, x in flat.items()}
        )

    def _places(self, params: Params) -> Iterator[tuple[str, Any, int]]:
        """PEFT's name of every tensor, the leaf it is in, and its layer."""
        flat = flax.traverse_util.flatten_dict(params)
        for m in self.targets:
            for part in ('A', 'B'):
                leaf = flat[*m.path, f'lora_{part.lower()}']
                for layer, name in enumerate(m.names):
                    whole = f'base_model.model.{name}.lora_{part}.weight'
                    yield whole, leaf, layer


def _zeros() -> Start:
    return Start(np.random.default_rng(0), jnp.zeros((1, 1)), lambda text: [0])


def make(config: config_dict.ConfigDict, info: ModelInfo) -> LoRA:
    """Makes the kind that config.lora describes."""
    c = config.lora
    targets = modules.find(info, c.targets, 'config.lora.targets')
    return LoRA(targets, c.rank, c.alpha, modules.is_conv1d(info, targets[0]))


def positions(config: config_dict.ConfigDict) -> int:
    """Positions that virtual tokens take."""
    del config
    return 0


def faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """What is wrong with config.lora beyond single values."""
    yield from modules.pattern_faults(config.lora.targets, 'lora.targets')
