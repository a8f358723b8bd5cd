"""What a kind of trained parameters is to the rest of the project."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from fedprompt_jax.models.config import ModelConfig
from fedprompt_jax.models.names import Name

Params = dict[str, Any]  # a tree of f32 arrays: what one owner trains


class Start(NamedTuple):
    """The inputs from which a kind may make its first parameters.

    Attributes:
      rng: host randomness of (seed, purpose).
      embedding: [V, E], the base's input embedding of each token: an array,
        or models.input_embeddings.InputEmbeddings.
      encode: token ids of a text.
      base: the model's whole tree.
    """

    rng: np.random.Generator
    embedding: Any
    encode: Callable[[str], list[int]]
    base: Any = None


class ModelInfo(NamedTuple):
    """The frozen model as far as a kind has to know it.

    Attributes:
      config: its sizes.
      names: rules for its checkpoint's tensors, hence for module names.
      shapes: of its leaves, by path.
    """

    config: ModelConfig
    names: tuple[Name, ...]
    shapes: dict[str, tuple[int, ...]]


class Kind:
    """A kind of trained parameters; hashable, so that jit keeps it static.

    A subclass is a frozen dataclass. It overrides what differs from these
    defaults, with an attribute or a property, and has all the methods.

    Attributes:
      slots: P, virtual tokens before an owner's examples in a row.
      first_position: position of an example's first token.
      attends_to_text: whether virtual tokens attend to the text around them,
        as those of a prompt do; a prefix's keys and values do not depend on
        any text.
      one_owner: whether a row must not have tokens of several owners.
      reads_query: whether each example has a prompt of its own, which
        `prompts` makes from its query.
      pooling: of the embeddings of a query's tokens: 'mean' or 'max'.
      is_full_model: whether it is a whole model, of which a bank has one.
      enters_at: the layer at which a prompt becomes hidden states of the
        slots; None for a prompt of input embeddings.
    """

    attends_to_text = False
    one_owner = False
    reads_query = False
    pooling = 'mean'
    is_full_model = False

    @property
    def slots(self) -> int:
        return 0

    @property
    def first_position(self) -> int:
        return 0

    @property
    def enters_at(self) -> int | None:
        return None

    def init(self, start: Start) -> Params:
        """The parameters before any training."""
        raise NotImplementedError

    def expand(self, params: Params) -> dict[str, Any]:
        """Turns one owner's parameters into the tree that the model reads.

        'prompt' [P, E] are input embeddings of the slots, or [P, D] hidden
        states before the layer `enters_at`; 'params' is a whole model's tree;
        'generator' is what `prompts` reads; what remains is the Flax
        collection 'peft' of the model, leaves [layers, ...].
        """
        raise NotImplementedError

    def prompts(
        self,
        params: Any,
        pooled: jax.Array,
        embed: Callable[[jax.Array], jax.Array],
    ) -> jax.Array:
        """The prompts f32 [G, P, E] of the queries of one owner.

        Only where `reads_query`.

        Args:
          params: the owner's 'generator'.
          pooled: f32 [G, E], of the input embeddings of G queries.
          embed: input embeddings [..., E] of tokens int [...].
        """
        raise NotImplementedError

    def to_hf(self, params: Params) -> tuple[dict[str, Any], dict[str, Any]]:
        """adapter_config.json and tensors by name, as HF PEFT saves them.

        Raises:
          ValueError: PEFT has no such adapter.
        """
        raise NotImplementedError

    def from_hf(self, config: dict[str, Any], tensors) -> Params:
        """The parameters of such an adapter.

        Raises:
          ValueError: the adapter is of another kind.
        """
        raise NotImplementedError
