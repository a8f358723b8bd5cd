"""Blocks, their layers scanned, between embeddings and final hidden states.

Everything that differs between a packed row, a padded row, a prefill and one
step of decoding is in the arguments: positions, mask and past.
"""

from collections.abc import Sequence
import functools
from typing import Any, NamedTuple, Protocol

import flax.linen as nn
import jax
import jax.numpy as jnp

from fedprompt_jax.models import layers, relative, rotary
from fedprompt_jax.models.adapter import Adapter
from fedprompt_jax.models.attention import (
    Attention,
    CrossAttention,
    KeysValues,
    Memory,
    Written,
)
from fedprompt_jax.models.config import ModelConfig
from fedprompt_jax.models.kernels.choice import Kernel
from fedprompt_jax.models.layers import Places
from fedprompt_jax.models.reads import UNLIMITED, Reads, without

STATES = 'states'  # the collection of every layer's output


class Context(NamedTuple):
    """The inputs that all layers read besides hidden states.

    Attributes:
      turn: rotary tables of global and local layers, or None.
      mask: bool [2, R, L, M + L] of global and local layers, or Reads of the
        rows, leaves [2, R, L], for a kernel.
      bias: [R, H, L, M + L] of the scores, or None.
      places: of the L tokens.
      past_slot: int [R, M], slots of the past tokens, or None.
      memory: an encoder's output, or None.
    """

    turn: rotary.Table | None
    mask: jax.Array | Reads
    bias: jax.Array | None
    places: Places
    past_slot: jax.Array | None
    memory: Memory | None

    def below(self, past_places: Places | None) -> 'Context':
        """The context of layers that no token reads a prompt's slots in."""
        slot = self.places.slot
        if past_places is not None:
            slot = jnp.concatenate([past_places.slot, slot], axis=1)
        return self._replace(mask=without(self.mask, slot >= 0))

    def of(self, local) -> tuple[rotary.Table | None, jax.Array | Reads]:
        """Rotary table and mask of a layer; `local` is 0 or 1."""
        # If there is one mask, `local` is known without looking.
        one = len(jax.tree.leaves(self.mask)[0]) == 1
        both = (self.turn, self.mask)
        return jax.tree.map(lambda x: x[0 if one else local], both)


class Late(NamedTuple):
    """A prompt that enters at a layer in the middle.

    Attributes:
      layer: the first that reads it; below, slots are hidden from all tokens.
      rows: [R, L, D], the hidden states of slots there; elsewhere nonsense.
    """

    layer: int
    rows: jax.Array


class Block(nn.Module):
    """One layer: attention and MLP, with norms where the layout has them."""

    config: ModelConfig
    gather: Any = None  # a Gathering, see Stack
    kernel: Kernel | None = None

    @nn.compact
    def __call__(self, x, past, known, local, context: Context):
        """Returns x, this call's keys and values, and the memory's.

        past are those that earlier calls returned, in any number of parts;
        known are the memory's, or None.
        """
        c = self.config
        turn, mask = context.of(local)
        places, crossed = context.places, None

        def attention(y):
            y, new_kv = Attention(c, self.kernel, name='attention')(
                y, turn, mask, context.bias, past, places, context.past_slot
            )
            return Adapter(name='attention_adapter')(y, places.owner), new_kv

        def norm(name, y):
            y = layers.norm(c, name)(y)
            return y if self.gather is None else self.gather.states(y)

        def mlp(y):
            """The MLP behind its norm, where the layout has one there."""
            y = y if c.layout == 'post' else norm('mlp_norm', y)
            y = layers.MLP(c, name='mlp')(y, places.owner)
            return Adapter(name='mlp_adapter')(y, places.owner)

        if c.layout == 'parallel':
            y, new_kv = attention(norm('attention_norm', x))
            x = x + y + mlp(x)
        elif c.layout == 'post':
            y, new_kv = attention(x)
            x = norm('attention_norm', x + y)
            x = norm('mlp_norm', x + mlp(x))
        elif c.layout == 'sandwich':
            y, new_kv = attention(norm('attention_norm', x))
            x = x + norm('attention_out_norm', y)
            x = x + norm('mlp_out_norm', mlp(x))
        else:
            y, new_kv = attention(norm('attention_norm', x))
            x = x + y
            if context.memory is not None:
                cross = CrossAttention(c, name='cross_attention')
                y = norm('cross_attention_norm', x)
                y, crossed = cross(y, places.owner, context.memory, known)
                x = x + y
            x = x + mlp(x)
        if not self.is_initializing():
            self.sow(STATES, 'output', x)  # nothing, unless asked for
        return x, (new_kv, crossed)


class Gathering(Protocol):
    """Brings parameters together whose parts lie on several devices.

    Hashable, as the model is.
    """

    def __call__(self, variables: Any) -> Any:
        """A layer's variables, where it is at work."""

    def tables(self, base: Any) -> Any:
        """The parameters of a model, whose layers stay as they are."""

    def states(self, x: jax.Array) -> jax.Array:
        """Hidden states that parameters multiply, where those are at work."""

    def tokens_instead(self) -> 'Gathering':
        """The same for a call with few tokens, which brings them together."""


class Stack(nn.Module):
    """Layers, and what stands around them that is not the vocabulary.

    Attributes:
      config: sizes and parts of the model.
      remat: recompute each layer in the backward pass instead of storing its
        activations (less memory, a third more work).
      gather: for parameters whose parts lie on several devices, else None.
      kernel: computes the attention of packed rows; None: XLA does.
      remat_mlp: of these, recompute the hidden numbers of each layer's MLP
        alone, which are most of them (a sixth more work).
    """

    config: ModelConfig
    remat: bool = False
    gather: Gathering | None = None
    kernel: Kernel | None = None
    remat_mlp: bool = False

    def setup(self):
        c = self.config
        block = Block
        if self.gather is not None:
            block = nn.map_variables(block, 'params', self.gather)
        if self.remat or self.remat_mlp or self.gather is not None:
            # What was gathered is gathered again, not kept.
            block = nn.remat(block, prevent_cse=False, policy=self._saved())
        scanned = nn.scan(
            block,
            variable_axes={'params': 0, 'peft': 0, STATES: 0},
            split_rngs={'params': True},
            in_axes=(0, 0, 0, nn.broadcast),
            length=c.num_layers // c.repeats,
        )
        if c.repeats > 1:
            scanned = _repeated(scanned, c.repeats)
        if c.position_rows:
            self.embed_positions = nn.Embed(c.position_rows, c.width)
        if c.token_types:
            self.embed_types = nn.Embed(c.token_types, c.width)
        if c.embedding_norm:
            self.embedding_norm = layers.norm(c, None)
        if c.embedding_width:
            self.project_in = nn.Dense(c.width, use_bias=False)
            self.project_out = nn.Dense(c.embedding_width, use_bias=False)
        if c.relative_buckets:
            self.relative_bias = nn.Embed(c.relative_buckets, c.num_heads)
        self.layers = scanned(c, self.gather, self.kernel)
        if c.final_norm:
            self.final_norm = layers.norm(c, None)

    def hidden_states(
        self,
        x: jax.Array,
        places: Places,
        mask: jax.Array | Reads,
        past: Sequence[KeysValues | Written] = (),
        past_places: Places | None = None,
        late: Late | None = None,
    ) -> tuple[jax.Array, KeysValues]:
        """Final hidden states of input embeddings.

        Args:
          x: [R, L, E] input embeddings; E is D but for a few families.
          places: of the L tokens.
          mask: bool [R, L, M + L]: which past and present tokens each reads;
            or Reads of packed rows, which have no past.
          past: keys and values of earlier tokens, [layers, R, M_i, K, h]
            each, in any number of parts; M is the sum of the M_i.
          past_places: of the past tokens, or None where there are none.
          late: a prompt that enters at a later layer, or None.

        Returns:
          Hidden states [R, L, E] and the keys and values of the L tokens,
          [layers, R, L, K, h] each. (Unused, they cost nothing: XLA removes
          them.)
        """
        more = past, past_places, None, None, late
        return self.run(x, places, mask, *more)[:2]

    def run(
        self,
        x,
        places,
        mask,
        past,
        past_places,
        memory=None,
        known=None,
        late=None,
    ) -> tuple[jax.Array, KeysValues, KeysValues | None]:
        """hidden_states of a stack that may read an encoder's output.

        memory is a Memory; `known` its keys and values, [layers, R, S, K, h]
        each, if an earlier call has returned them as its last value.
        """
        c = self.config
        if c.embedding_width:
            x = self.project_in(x)
        if c.position_rows:
            x = x + self.embed_positions(places.position + c.position_offset)
        if c.token_types:
            x = x + self.embed_types.embedding[0].astype(x.dtype)
        if c.embedding_norm:
            x = self.embedding_norm(x)
        local = jnp.asarray(c.local_layers or [False] * c.num_layers, int)
        if isinstance(mask, Reads) and not self._has_kernel(x):
            mask = mask.mask(c.causal)
        context = self._context(places, mask, past_places, memory)
        inputs = past, known, local
        if late is None:
            n = c.repeats
            inputs = _cells(inputs, n) if n > 1 else inputs
            x, made = self.layers(x, *inputs, context)
            new_kv, crossed = _layers(made) if n > 1 else made
        else:
            below = context.below(past_places)
            x, (new_kv, crossed) = self._late(x, inputs, context, below, late)
        if c.final_norm:
            x = self.final_norm(x)
        x = x if self.gather is None else self.gather.states(x)
        x = self.project_out(x) if c.embedding_width else x
        return x, new_kv, crossed

    def _late(self, x, inputs, context: Context, below: Context, late: Late):
        """What the layers return, where a prompt enters before one of them.

        Nothing below depends on what is trained, so that JAX takes no
        gradient there.
        """
        block: Any = Block
        if self.gather is not None:
            block = nn.map_variables(block, 'params', self.gather)
        one = block(self.config, self.gather, self.kernel, parent=None)
        params = self.layers.variables['params']  # leaves [stored, ...]
        peft = self.layers.variables.get('peft', {})  # and [layers, ...]
        stored = self.config.num_layers // self.config.repeats

        # Two scans over slices would be handed copies of the layers. Here each
        # layer is read where it is, and read again in the backward pass.
        def layer(x, number, read: Context):
            kernels = jax.tree.map(lambda v: v[number % stored], params)
            trained, own = jax.tree.map(lambda v: v[number], (peft, inputs))
            variables = {'params': kernels, 'peft': trained}
            return one.apply(variables, x, *own, read)

        call = jax.checkpoint(layer, prevent_cse=False, policy=self._saved())
        numbers, split = jnp.arange(self.config.num_layers), late.layer
        x, under = jax.lax.scan(
            lambda x, i: call(x, i, below), x, numbers[:split]
        )
        is_slot = (context.places.slot >= 0)[..., None]
        x = jnp.where(is_slot, late.rows, x)
        x, over = jax.lax.scan(
            lambda x, i: call(x, i, context), x, numbers[split:]
        )
        both = jax.tree.map(lambda *v: jnp.concatenate(v), under, over)
        return x, both

    def _saved(self):
        """What the backward pass of a layer keeps where it computes again."""
        names = (layers.SAVED, layers.SAVED_OF_MLP)
        if self.remat or self.remat_mlp:
            names = () if self.remat else (layers.SAVED,)
        return jax.checkpoint_policies.save_only_these_names(*names)

    def _context(self, places, mask, past_places, memory) -> Context:
        """Masks and rotary tables of global layers and of local ones."""
        c = self.config
        positions = keys = places.position
        if past_places is not None:
            keys = jnp.concatenate([past_places.position, positions], axis=1)
        masks, kinds, bias = [mask], [c.rotary], None
        if any(c.local_layers):
            # The window is of positions, which count within an example,
            # whatever the columns.
            if isinstance(mask, Reads):
                sizes = UNLIMITED, c.window
                masks = [mask.within(positions, size) for size in sizes]
            else:
                back = positions[:, :, None] - keys[:, None, :]  # [R, L, S]
                masks.append(mask & (back < c.window))
            kinds.append(c.local_rotary or c.rotary)
        # One table a kind of layer, stacked: a layer picks its own by number.
        turns = [rotary.table(positions, c.head_dim, r) for r in kinds if r]
        stacked = (
            jax.tree.map(lambda *t: jnp.stack(t), *turns) if turns else None
        )
        if c.relative_buckets:
            rows = relative.bucket(
                positions,
                keys,
                c.relative_buckets,
                c.relative_distance,
                c.causal,
            )
            bias = jnp.moveaxis(self.relative_bias(rows), -1, 1)
        past_slot = None if past_places is None else past_places.slot
        both = jax.tree.map(lambda *x: jnp.stack(x), *masks)
        return Context(stacked, both, bias, places, past_slot, memory)

    def _has_kernel(self, x: jax.Array) -> bool:
        """Whether a kernel computes the attention of rows x [R, L, D]."""
        length = x.shape[1]
        return self.kernel is not None and self.kernel.serves(
            self.config, length, x.dtype
        )


def _repeated(scanned: Any, repeats: int) -> Any:
    """Scans a scan over stored layers `repeats` times.

    Parameters are closed over, so that every repetition reads the same and
    the backward pass keeps no copies of them. All else, trained parameters
    and what layers sow, is of each of the layers that a token passes.
    """
    outer = nn.scan(
        scanned,
        variable_broadcast='params',
        variable_axes={'peft': 0, STATES: 0},
        split_rngs={'params': False},
        in_axes=(0, 0, 0, nn.broadcast),
        length=repeats,
    )
    split = functools.partial(_cells, repeats=repeats)
    outer = nn.map_variables(outer, 'peft', trans_in_fn=split)
    return nn.map_variables(
        outer, STATES, trans_in_fn=split, trans_out_fn=_layers, mutable=True
    )


def _cells(tree: Any, repeats: int) -> Any:
    """Leaves [layers, ...] as [repeats, layers of a cell, ...]."""
    return jax.tree.map(lambda x: x.reshape(repeats, -1, *x.shape[1:]), tree)


def _layers(tree: Any) -> Any:
    """Leaves [repeats, layers of a cell, ...] as [layers, ...]."""
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), tree)
