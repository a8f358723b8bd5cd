"""The frozen model with a bank of trained parameters: what is called."""

from collections.abc import Sequence
import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fedprompt_jax.bank.kind import Kind
from fedprompt_jax.bank.queries import Queries
from fedprompt_jax.bank.queries import pooled as pool
from fedprompt_jax.data.packing import Packer, Shape
from fedprompt_jax.mesh import Copies
from fedprompt_jax.models.attention import KeysValues, Memory, Written
from fedprompt_jax.models.grouped import one_group, take
from fedprompt_jax.models.kernels.choice import Kernel
from fedprompt_jax.models.layers import Places
from fedprompt_jax.models.reads import Reads
from fedprompt_jax.models.stack import Late
from fedprompt_jax.models.transformer import Transformer


class Bound(NamedTuple):
    """A model whose tokens say which owner's parameters they use.

    Attributes:
      transformer: the model.
      variables: 'params', and 'peft' if layers have trained parameters.
      prompt: [G, C, P, E] input embeddings of slots, of the C owners of each
        of G groups of rows, or None; or their hidden states [G, C, P, D]
        before the layer where the prompt enters.
      kind: of what is trained.
      generator: what a kind that reads the query makes prompts from, leaves
        [G, C, ...], or None.
      prompt_of: int [R, L], whose `prompt` stands in a slot; None where that
        is the owner's.
    """

    transformer: Transformer
    variables: dict[str, Any]
    prompt: jax.Array | None
    kind: Kind
    generator: Any = None
    prompt_of: jax.Array | None = None

    def with_queries(self, queries: Queries) -> 'Bound':
        """The model whose prompts are those of the queries.

        `prompt` is then [R, queries of a row, P, E], which `prompt_of` points
        into. It is the same model if its kind does not read queries.
        """
        if not self.kind.reads_query:
            return self
        x = self._apply('embed_tokens', queries.tokens)
        # [R, queries of a row, E]
        pooled = pool(x, queries, self.kind.pooling)

        def embed(tokens):
            return self._apply('embed_tokens', tokens).astype(jnp.float32)

        def of_row(generator, pooled):
            return self.kind.prompts(generator, pooled, embed)

        generators = jax.tree.map(
            lambda x: take(x, queries.owner), self.generator
        )
        return self._replace(
            prompt=jax.vmap(of_row)(generators, pooled),
            prompt_of=queries.example,
        )

    def hidden_states(
        self,
        tokens: jax.Array,
        places: Places,
        mask: jax.Array | Reads,
        past: Sequence[KeysValues | Written] = (),
        past_places: Places | None = None,
    ) -> tuple[jax.Array, KeysValues]:
        """Transformer.hidden_states of tokens int [R, L] at their places."""
        x, late = self._embedded(tokens, places)
        more = past, past_places, late
        return self._apply('hidden_states', x, places, mask, *more)

    def encode(
        self, tokens: jax.Array, places: Places, mask: jax.Array | Reads
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
        if self.prompt is None or not self.prompt.shape[2]:
            return x, None
        # Negative indices would wrap around: what they read is discarded.
        whose = places.owner if self.prompt_of is None else self.prompt_of
        owner = jnp.maximum(whose, 0)
        slot = jnp.maximum(places.slot, 0)
        rows = take(self.prompt, owner, slot).astype(x.dtype)  # [R, L, E]
        if self.kind.enters_at is not None:
            return x, Late(self.kind.enters_at, rows)
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

    Attributes:
      transformer: the model.
      kind: of what is trained.
      copies: gives each device that has rows of its own a copy of the bank;
        None where there is one device.
    """

    transformer: Transformer
    kind: Kind
    copies: Copies | None = None

    def for_few_tokens(self) -> 'TunedModel':
        """The model for calls that read less than its parameters.

        Of parameters whose parts lie on several devices, none is gathered: the
        tokens are sent to all parts.
        """
        gather = self.transformer.gather
        if gather is None:
            return self
        transformer = self.transformer.clone(gather=gather.tokens_instead())
        return dataclasses.replace(self, transformer=transformer)

    def packer(self, *shapes: Shape) -> Packer:
        """The packer of examples for this model into rows of `shapes`."""
        kind, causal = self.kind, self.transformer.config.reader.causal
        # A prompt whose states depend on no example stands once for many.
        shared = causal or not kind.attends_to_text
        return Packer(
            kind.slots,
            shapes,
            kind.first_position,
            kind.one_owner,
            shared and not kind.reads_query,
        )

    def with_kernel(self, kernel: Kernel | None) -> 'TunedModel':
        """The model with another kernel of attention; None: XLA computes it."""
        transformer = self.transformer.clone(kernel=kernel)
        return dataclasses.replace(self, transformer=transformer)

    def bind(self, base, bank) -> Bound:
        """The model under a bank.

        Args:
          base: the model's parameters.
          bank: trained parameters of C owners, leaves [C, ...].
        """
        return self.bind_groups(base, one_group(bank))

    def bind_rows(self, base, bank, rows: int) -> Bound:
        """The model under a bank that R rows read, on the devices of a mesh.

        Args:
          base: the model's parameters.
          bank: trained parameters of C owners, leaves [C, ...].
          rows: R, which may be cut over the devices.
        """
        if self.copies is None or self.kind.is_full_model:
            return self.bind(base, bank)
        return self.bind_groups(base, self.copies(bank, rows))

    def bind_groups(self, base, grouped) -> Bound:
        """The model under a bank for each group of rows, see grouped.py.

        Args:
          base: the model's parameters.
          grouped: trained parameters, leaves [G, C, ...].
        """
        # Leaves [G, C, ...].
        trained = jax.vmap(jax.vmap(self.kind.expand))(grouped)
        prompt = trained.pop('prompt', None)
        generator = trained.pop('generator', None)
        if 'params' in trained:  # of the only owner
            whole = trained.pop('params')
            base = jax.tree.map(
                lambda x, b: x[0, 0].astype(b.dtype), whole, base
            )
        if self.transformer.gather is not None:
            base = self.transformer.gather.tables(base)
        # Leaves [G, C, layers, ...] become [layers, G, C, ...]: the scan over
        # layers gives each layer its slice.
        trained = jax.tree.map(lambda x: jnp.moveaxis(x, 2, 0), trained)
        variables = {'params': base, 'peft': trained}
        return Bound(self.transformer, variables, prompt, self.kind, generator)
