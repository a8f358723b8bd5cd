"""ATTEMPT: a prompt that is mixed, for each query, from prompts of other tasks.

Asai et al. (2022), "ATTEMPT: Parameter-Efficient Multi-task Tuning via
Attentional Mixtures of Soft Prompts" (arXiv 2205.11961), section 3.2, with the
sub-network of their code (`attn_method='sub'`). With source prompts P_1 ... P_t
and the target prompt P_(t+1), and maxima over tokens x^ and P^_j:

    h = LayerNorm(up silu(down x^))
    a = softmax over j of (P^_j h / T)
    prompt = P_(t+1) + sum over j of a_j P_j

T is a multiple of the width E, so that no prompt has all of the attention at
first: e E in the paper (2087 for E = 768).

The target prompt and the attention are trained, and sent; sources stay as they
are, and are not sent, unless config.attempt.train_sources says so. (The paper
initializes them by training on other tasks, and never changes them.)

x^ is over the query's tokens alone. An example's prompt is its own, so it
stands before every example, also in a causal model; a row has a single owner.
"""

from collections.abc import Iterator
import dataclasses
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import config_dict
import numpy as np

from fedprompt_jax.bank import hf_adapter
from fedprompt_jax.bank.kind import Kind, ModelInfo, Params, Start
from fedprompt_jax.data.randomness import generator
from fedprompt_jax.peft.prompt import Prompt

_EPSILON = 1e-5  # of the layer norm


class Sources:
    """Frozen prompts f32 [t, P, E]; equal where their numbers are.

    Hashable, so that the kind is.
    """

    def __init__(self, prompts: np.ndarray) -> None:
        self.prompts = np.asarray(prompts, np.float32)
        self._key = self.prompts.shape, self.prompts.tobytes()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sources) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


@dataclasses.dataclass(frozen=True)
class Attempt(Kind):
    """{'prompt': [P, E], 'down': [E, r], 'up': [r, E], 'norm_scale', ...

    'norm_scale' and 'norm_bias' are [E]; 'sources' [t, P, E] is there where
    they are trained.

    Attributes:
      length: P.
      hidden: r, between `down` and `up`.
      sources: prompts of other tasks, or None for the tokens' embeddings.
      tokens: int ids [t][P] whose embeddings are the sources.
      temperature: T / E.
      train_sources: whether clients train the sources too.
    """

    length: int
    hidden: int
    sources: Sources | None = None
    tokens: tuple[tuple[int, ...], ...] = ()
    temperature: float = float(np.e)
    train_sources: bool = False

    attends_to_text = True
    one_owner = True
    reads_query = True
    pooling = 'max'

    @property
    def slots(self) -> int:
        return self.length

    @property
    def first_position(self) -> int:
        return self.length

    def init(self, start: Start) -> Params:
        """The target prompt is of tokens; kernels are torch.nn.Linear's."""
        rng, (vocabulary, size) = start.rng, start.embedding.shape

        def linear(inputs, outputs):
            bound = inputs**-0.5
            kernel = rng.uniform(-bound, bound, (inputs, outputs))
            return jnp.asarray(kernel, jnp.float32)

        ids = rng.choice(vocabulary, self.length, replace=False)
        params = {
            'prompt': jnp.asarray(start.embedding[ids], jnp.float32),
            'down': linear(size, self.hidden),
            'up': linear(self.hidden, size),
            'norm_scale': jnp.ones(size),
            'norm_bias': jnp.zeros(size),
        }
        if self.train_sources:
            rows = self._frozen(lambda tokens: start.embedding[tokens])
            params['sources'] = jnp.asarray(rows, jnp.float32)
        return params

    def _frozen(self, embed) -> Any:
        """The sources [t, P, E] before any training."""
        if self.sources is not None:
            return self.sources.prompts
        return embed(np.array(self.tokens))

    def expand(self, params: Params) -> dict[str, Any]:
        return {'generator': params}

    def prompts(self, params: Params, pooled: jax.Array, embed) -> jax.Array:
        target = params['prompt'][None]  # [1, P, E]
        sources = params.get('sources')
        if sources is None:
            sources = jnp.asarray(self._frozen(embed))
        mixed = jnp.concatenate([sources, target])  # [t + 1, P, E]
        keys = mixed.max(axis=1)  # [t + 1, E]
        h = nn.silu(pooled @ params['down']) @ params['up']  # [G, E]
        h -= h.mean(axis=-1, keepdims=True)
        h *= jax.lax.rsqrt((h * h).mean(axis=-1, keepdims=True) + _EPSILON)
        h = h * params['norm_scale'] + params['norm_bias']
        scores = h @ keys.T / (self.temperature * pooled.shape[-1])
        attention = jax.nn.softmax(scores, axis=-1)  # [G, t + 1]
        return target + jnp.einsum('gt,tpe->gpe', attention, mixed)

    def to_hf(self, params: Params) -> tuple[dict[str, Any], dict[str, Any]]:
        raise ValueError('HF PEFT has no mixtures of prompts.')

    def from_hf(self, config: dict[str, Any], tensors) -> Params:
        raise ValueError('An adapter of HF PEFT is no mixture of prompts.')


def make(config: config_dict.ConfigDict, info: ModelInfo) -> Attempt:
    """Makes the kind that config.attempt describes; reads its sources.

    Raises:
      ValueError: a source is no prompt, or does not fit.
    """
    c, model = config.attempt, info.config
    width = model.embedding_width or model.width
    sources, tokens = None, []
    if c.sources:
        sources = Sources(
            np.stack([_read(f, c.length, width) for f in c.sources])
        )
    else:
        # Not of config.seed: runs of several seeds can be one bank.
        rng = generator(0, 'source prompts')
        tokens = [
            rng.choice(model.vocab_size, c.length, replace=False).tolist()
            for _ in range(c.count)
        ]
    return Attempt(
        c.length,
        c.hidden,
        sources,
        tuple(map(tuple, tokens)),
        c.temperature,
        c.train_sources,
    )


def _read(folder: str, length: int, width: int) -> np.ndarray:
    """The prompt f32 [P, E] of a folder that PEFT or a run has written."""
    key = f'config.attempt.sources has {folder!r}'
    try:
        params = hf_adapter.load(Path(folder), Prompt(length))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{key}, which is no folder of a prompt in HF PEFT's format "
            f'(PROMPT_TUNING): {error}'
        ) from error
    rows = np.asarray(params['prompt'])
    if rows.shape != (length, width):
        raise ValueError(
            f'{key}, a prompt of shape {rows.shape}; config.attempt.length='
            f'{length} and the model need {(length, width)}.'
        )
    return rows


def positions(config: config_dict.ConfigDict) -> int:
    """Positions that virtual tokens take."""
    return config.attempt.length


def faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """Nothing beyond single values."""
    del config
    yield from ()
