"""Full fine-tuning: a copy of the whole model is trained, in f32.

The baseline that prompts are measured against. A bank holds a single owner:
every copy would be another model.
"""

from collections.abc import Iterator
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import config_dict

from fedprompt_jax.bank.kind import Kind, ModelInfo, Params, Start


@dataclasses.dataclass(frozen=True)
class Full(Kind):
    """The base's own tree; see kind.Kind."""

    is_full_model = True

    def init(self, start: Start) -> Params:
        """The model as it is."""
        return jax.tree.map(lambda x: x.astype(jnp.float32), start.base)

    def expand(self, params: Params) -> dict[str, Any]:
        return {'params': params}

    def to_hf(self, params: Params) -> tuple[dict[str, Any], dict[str, Any]]:
        raise ValueError('A whole model is no adapter: see models/export.py.')

    def from_hf(self, config: dict[str, Any], tensors) -> Params:
        raise ValueError('An adapter is no whole model: load it as one.')


def make(config: config_dict.ConfigDict, info: ModelInfo) -> Full:
    """Full fine-tuning, which has no settings."""
    del config, info
    return Full()


def positions(config: config_dict.ConfigDict) -> int:
    """Positions that virtual tokens take."""
    del config
    return 0


def faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """More than one client at once would be more than one model."""
    if config.model.quantization:
        yield (
            f'config.model.quantization={config.model.quantization!r}: '
            "integers are not trained; leave it '' for config.peft='full'."
        )
    asked = {
        'clients_per_round': config.clients_per_round,
        'personalization.clients': config.personalization.clients,
    }
    for key, count in asked.items():
        if count != 1:
            yield (
                f'config.{key}={count} must be 1 for '
                "config.peft='full': each client is a whole model."
            )
