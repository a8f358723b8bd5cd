"""FFA-LoRA: of LoRA's two factors the first stays at random, b is trained.

Sun et al. (2024), "Improving LoRA in Privacy-preserving Federated Learning":
the mean of clients' products is then the product of their mean.
"""

import dataclasses
from typing import Any

import flax.traverse_util
import jax.numpy as jnp
from ml_collections import config_dict
import numpy as np

from fedprompt_jax.bank.kind import Kind, ModelInfo, Params, Start
from fedprompt_jax.peft import lora


@dataclasses.dataclass(frozen=True)
class FFALoRA(Kind):
    """{'layers': {'attention': {'query': {'lora_b': [layers, r, out]}, ...

    Attributes:
      whole_lora: LoRA with both factors.
      seed: of the first one, the same for all clients.
    """

    whole_lora: lora.LoRA
    seed: int = 0

    one_owner = True

    def init(self, start: Start) -> Params:
        flat = flax.traverse_util.flatten_dict(self.whole_lora.init(start))
        trained = {k: x for k, x in flat.items() if k[-1] == 'lora_b'}
        return flax.traverse_util.unflatten_dict(trained)

    def expand(self, params: Params) -> dict[str, Any]:
        return self.whole_lora.expand(self.both_factors(params))

    def to_hf(self, params: Params) -> tuple[dict[str, Any], dict[str, Any]]:
        return self.whole_lora.to_hf(self.both_factors(params))

    def from_hf(self, config: dict[str, Any], tensors) -> Params:
        raise ValueError(
            'The first factor of an adapter is not that of a seed.'
        )

    def both_factors(self, params: Params) -> Params:
        rng = np.random.default_rng(self.seed)
        start = Start(rng, jnp.zeros((1, 1)), lambda text: [])
        frozen = flax.traverse_util.flatten_dict(self.whole_lora.init(start))
        trained = flax.traverse_util.flatten_dict(params)
        return flax.traverse_util.unflatten_dict(frozen | trained)


def make(config: config_dict.ConfigDict, info: ModelInfo) -> FFALoRA:
    """What config.lora says."""
    return FFALoRA(lora.make(config, info), config.seed)


positions, faults = lora.positions, lora.faults
