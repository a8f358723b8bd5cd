"""The frozen model with a bank of trained parameters: what is called."""

from collections.abc import Sequence
import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fedprompt_jax.bank.kind import Kind
from fedprompt_jax.data.packing import Packer, Shape
from fedprompt_jax.models.attention import KeysValues, Memory
from fedprompt_jax.models.layers import Places
from fedprompt_jax.models.stack import Late
from fedprompt_jax.models.transformer import Transformer


class Bound(NamedTuple):
    """A model whose tokens say which owner's parameters they use.

    Attributes:
      transformer: the model.
      variables: 'params', and 'peft' if layers have trained parameters.
      prompt: [C, P, E] input embeddings of slots, or None; or their hidden
        states [C, P, D] before the layer `enters_at`.
      enters_at: that layer; None for input embeddings.
    """

    transformer: Transformer
    variables: dict[str, Any]
    prompt: jax.Array | None
    enters_at: int | None = None

    def hidden_states(
        self,
        tokens: jax.Array,
        places: Places,
        mask: jax.Array,
        past: Sequence[KeysValues] = (),
        past_places: Places | None = None,
    ) -> tuple[jax.Array, KeysValues]:
        """Transformer.hidden_states of tokens int [R, L] at their places."""
        x, late = self._embedded(tokens, places)
        more = past, past_places, late
        return self._apply('hidden_states', x, places, mask, *more)

    def encode(
        self, tokens: jax.Array, places: Places, mask: jax.Array
    ) -> jax.Array:
        """Transformer.encode of tokens int [R, L] at their places."""
        x, late = self._embedded(tokens, places)
        return self._apply('encode', x, places, mask, late)

    def decode(
        self,
        tokens: jax.Array,
        places: Places,
        mask: jax.Array,
        memory: Memory,
        *more,
    ) -> tuple[jax.Array, KeysValues, KeysValues | None]:
        """Transformer.decode of tokens int [R, L], none of them virtual."""
        x = self._apply('embed_tokens', tokens)
        return self._apply('decode', x, places, mask, memory, *more)

    def _embedded(
        self, tokens: jax.Array, places: Places
    ) -> tuple[jax.Array, Late | None]:
        """Input embeddings, an owner's own in its slots, or a late prompt."""
        x = self._apply('embed_tokens', tokens)
        if self.prompt is None or not self.prompt.shape[1]:
            return x, None
        # Negative indices would wrap around: what they read is discarded.
        owner = jnp.maximum(places.owner, 0)
        slot = jnp.maximum(places.slot, 0)
        rows = self.prompt[owner, slot].astype(x.dtype)  # [R, L, E]
        if self.enters_at is not None:
            return x, Late(self.enters_at, rows)
        return jnp.where((places.slot >= 0)[..., None], rows, x), None

    def logits(self, hidden: jax.Array) -> jax.Array:
        """Next-token logits f32 [..., V] of hidden states [..., E]."""
        return self._apply('logits', hidden)

    def _apply(self, method: str, *args) -> Any:
        return self.transformer.apply(self.variables, *args, method=method)


@dataclasses.dataclass(frozen=True)
class TunedModel:
    """A model and the kind of parameters that is trained in it.

    Hashable, so that jit keeps it static.
    """

    transformer: Transformer
    kind: Kind

    def packer(self, *shapes: Shape) -> Packer:
        """The packer of examples for this model into rows of `shapes`."""
        kind = self.kind
        return Packer(
            kind.slots,
            shapes,
            kind.first_position,
            kind.one_owner,
            self.transformer.config.reader.causal or not kind.attends_to_text,
        )

    def bind(self, base, bank) -> Bound:
        """The model under a bank.

        Args:
          base: the model's parameters.
          bank: trained parameters of C owners, leaves [C, ...].
        """
        trained = jax.vmap(self.kind.expand)(bank)  # leaves [C, ...]
        prompt = trained.pop('prompt', None)
        if 'params' in trained:  # of the only owner
            whole = trained.pop('params')
            base = jax.tree.map(lambda x, b: x[0].astype(b.dtype), whole, base)
        if self.transformer.gather is not None:
            base = self.transformer.gather.tables(base)
        # Leaves [C, layers, ...] become [layers, C, ...]: the scan over layers
        # gives each layer its slice.
        trained = jax.tree.map(lambda x: jnp.moveaxis(x, 1, 0), trained)
        variables = {'params': base, 'peft': trained}
        return Bound(self.transformer, variables, prompt, self.kind.enters_at)
