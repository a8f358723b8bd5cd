"""IA3: keys, values and the MLP's hidden layer times a trained vector.

Liu et al. (2022), "Few-Shot Parameter-Efficient Fine-Tuning".
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
class IA3(Kind):
    """{'layers': {'attention': {'key': {'ia3_out': [layers, out]}}, ...

    Attributes:
      outputs: linear layers whose output is multiplied.
      inputs: linear layers whose input is.
      conv1d: whether HF's linear layers are stored (in, out), as in GPT-2.
    """

    outputs: tuple[modules.Module, ...]
    inputs: tuple[modules.Module, ...]
    conv1d: bool = False

    def init(self, start: Start) -> Params:
        """Ones: the bare model."""
        del start
        flat = {
            path: jnp.ones((len(m.names), size))
            for path, m, size in self._all()
        }
        return flax.traverse_util.unflatten_dict(flat)

    def expand(self, params: Params) -> dict[str, Any]:
        return dict(params)

    def to_hf(self, params: Params) -> tuple[dict[str, Any], dict[str, Any]]:
        both = [*self.outputs, *self.inputs]
        config = {
            'peft_type': 'IA3',
            'target_modules': modules.for_peft(both),
            'feedforward_modules': modules.for_peft(self.inputs),
            'fan_in_fan_out': self.conv1d,
        }
        flat = flax.traverse_util.flatten_dict(params)
        tensors = {}
        for path, m, size in self._all():
            shape = (1, size) if path[-1] == 'ia3_in' else (size, 1)
            for layer, name in enumerate(m.names):
                value = flat[path][layer].reshape(shape)
                tensors[f'base_model.model.{name}.ia3_l'] = value
        return config, tensors

    def from_hf(self, config: dict[str, Any], tensors) -> Params:
        del config
        flat = {
            path: jnp.stack(
                [
                    jnp.ravel(
                        np.asarray(tensors[f'base_model.model.{n}.ia3_l'])
                    )
                    for n in m.names
                ]
            )
            for path, m, _ in self._all()
        }
        return flax.traverse_util.unflatten_dict(flat)

    def _all(self) -> Iterator[tuple[tuple[str, ...], modules.Module, int]]:
        """Every leaf's path, its layer, and the vector's size."""
        for m in self.outputs:
            yield (*m.path, 'ia3_out'), m, m.outputs
        for m in self.inputs:
            yield (*m.path, 'ia3_in'), m, m.inputs


def make(config: config_dict.ConfigDict, info: ModelInfo) -> IA3:
    """Makes the kind that config.ia3 describes."""
    c = config.ia3
    outputs = modules.find(info, c.outputs, 'config.ia3.outputs')
    inputs = modules.find(info, c.inputs, 'config.ia3.inputs')
    return IA3(outputs, inputs, modules.is_conv1d(info, outputs[0]))


def positions(config: config_dict.ConfigDict) -> int:
    """Positions that virtual tokens take."""
    del config
    return 0


def faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """What is wrong with config.ia3 beyond single values."""
    for key in ('outputs', 'inputs'):
        yield from modules.pattern_faults(config.ia3[key], f'ia3.{key}')
