"""No trained parameters: the bare model."""

import dataclasses
from typing import Any

import jax.numpy as jnp

from fedprompt_jax.bank.kind import Kind, Params, Start


@dataclasses.dataclass(frozen=True)
class Nothing(Kind):
    """A bank of nothing; it still has a leading axis of owners."""

    def init(self, start: Start | None) -> Params:
        del start
        return {'nothing': jnp.zeros(1)}

    def expand(self, params: Params) -> dict[str, Any]:
        del params
        return {}

    def to_hf(self, params: Params) -> tuple[dict[str, Any], dict[str, Any]]:
        raise ValueError('There is nothing to save of a bare model.')

    def from_hf(self, config: dict[str, Any], tensors) -> Params:
        raise ValueError('There is nothing to load into a bare model.')
