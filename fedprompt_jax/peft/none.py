"""No trained parameters: the bare model."""

import dataclasses
from typing import Any, ClassVar

import jax.numpy as jnp

from fedprompt_jax.peft.kind import Params, Start


@dataclasses.dataclass(frozen=True)
class Nothing:
    """A bank of nothing; it still has a leading axis of owners."""

    slots: ClassVar[int] = 0
    first_position: ClassVar[int] = 0
    reads: ClassVar[bool] = False
    one_owner: ClassVar[bool] = False
    whole: ClassVar[bool] = False

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
