"""The questions of cases.Implementation, answered by this project."""

import copy
import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.bank.reading import target_states
from fedprompt_jax.data.examples import Example
from fedprompt_jax.data.packing import Grid, Packer, Shape
from fedprompt_jax.evaluation.causal import prompt_cache
from fedprompt_jax.evaluation.generation import Generator, Query
from fedprompt_jax.federated.algorithm import Simulation
from fedprompt_jax.federated.packed import PackedSimulation
from fedprompt_jax.federated.vmapped import VmappedSimulation
from fedprompt_jax.models import source
from fedprompt_jax.models.layers import Places
from fedprompt_jax.models.transformer import Transformer
from fedprompt_jax.peft.prompt import Prompt
from tests.parity.cases import MAX_NEW_TOKENS


class Ours:
    """A model folder as this project computes it.

    Attributes:
      lm: the loaded model.
      transformer: its parts.
      simulation: 'packed' or 'vmap'; `gradients` differs by it alone.
    """

    def __init__(self, folder: Path, dtype: str = 'float32') -> None:
        # Else a GPU or TPU multiplies f32 numbers in fewer bits.
        jax.config.update('jax_default_matmul_precision', 'highest')
        self.lm = source.load(folder, dtype)
        self.transformer = Transformer(self.lm.config)
        self.simulation = 'packed'

    def model(self, bank: np.ndarray) -> TunedModel:
        """The model with prompts as long as the bank's [C, P, D]."""
        return TunedModel(self.transformer, Prompt(bank.shape[1]))

    def using(self, simulation: str) -> 'Ours':
        """The same model with another simulation."""
        other = copy.copy(self)
        other.simulation = simulation
        return other

    def logits(self, texts: list[np.ndarray]) -> list[np.ndarray]:
        """See cases.Implementation."""
        if self.lm.config.objective != 'causal_lm':  # padding would be read
            call = jax.jit(self.transformer.apply)
            params = {'params': self.lm.base}
            return [np.asarray(call(params, t[None]))[0] for t in texts]
        tokens = np.zeros((len(texts), max(map(len, texts))), np.int32)
        for row, text in zip(tokens, texts, strict=True):
            row[: len(text)] = text
        out = jax.jit(self.transformer.apply)({'params': self.lm.base}, tokens)
        return [
            np.asarray(x)[: len(t)] for x, t in zip(out, texts, strict=True)
        ]

    def gradients(
        self, bank: np.ndarray, examples: list[Example], loss: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """See cases.Implementation."""
        simulation = self.simulate(bank, examples, loss)
        losses, grads = simulation.gradients({'prompt': bank}, examples)
        return np.asarray(losses), np.asarray(grads['prompt'])

    def simulate(
        self, bank: np.ndarray, examples: list[Example], loss: str
    ) -> Simulation:
        """The simulation whose rows suit the examples."""
        model, base = self.model(bank), self.lm.base
        if self.simulation == 'vmap':
            return VmappedSimulation(model, base, loss, jax.device_put)
        packer = make_packer(model, examples)
        return PackedSimulation(model, base, packer, loss, jax.device_put)

    def greedy(
        self, bank: np.ndarray, examples: list[Example]
    ) -> list[np.ndarray]:
        """See cases.Implementation."""
        generator = Generator(
            self.model(bank),
            self.lm.base,
            eos_ids=self.lm.tokenizer.eos_ids,
            max_new_tokens=MAX_NEW_TOKENS,
            batch_size=4,
            place_rows=jax.device_put,
        )
        queries = [Query(e.owner, e.query) for e in examples]
        return generator({'prompt': jnp.asarray(bank)}, queries)

    def packed_logits(
        self, bank: np.ndarray, examples: list[Example]
    ) -> list[np.ndarray]:
        """[t, V] at each example's t targets, all examples in packed rows."""
        out = [np.zeros(0)] * len(examples)
        model = self.model(bank)
        packer = make_packer(model, examples)
        for grid in packer.pack(examples, [1.0] * len(examples)):
            logits = np.asarray(
                grid_logits(model, self.lm.base, {'prompt': bank}, grid)
            )
            for row, i in {
                (r, grid.target_number[r, k])
                for r, k in np.argwhere(grid.target_number >= 0)
            }:
                out[i] = logits[row, grid.target_number[row] == i]
        return out

    def cached_logits(
        self, bank: np.ndarray, examples: list[Example]
    ) -> list[np.ndarray]:
        """The same, token by token on cached keys and values."""
        model = self.model(bank)
        caches = prompt_cache(model, self.lm.base, {'prompt': bank})
        longest = max(e.num_tokens for e in examples)
        room = [(0, 0), (0, 0), (0, longest), (0, 0), (0, 0)]
        out = []
        for e in examples:
            cache = jax.tree.map(
                lambda x, e=e: jnp.pad(x[:, [e.owner]], room), caches
            )
            steps = []
            tokens = np.concatenate([e.query, e.target[:-1]])
            for place, token in enumerate(tokens, bank.shape[1]):
                logits, cache = one_step(
                    self.transformer, self.lm.base, token, place, cache
                )
                steps.append(np.asarray(logits))
            out.append(np.stack(steps)[e.target_index])
        return out


def make_packer(model: TunedModel, examples: list[Example]) -> Packer:
    """Rows for about three examples, two rows a grid."""
    length = model.kind.slots
    tokens = max(e.num_tokens for e in examples)
    targets = sum(len(e.target) for e in examples)
    shape = Shape(2 * length + 3 * tokens, targets, rows=(1, 2))
    return model.packer(shape)


@functools.partial(jax.jit, static_argnames='model')
def grid_logits(model: TunedModel, base, bank, grid: Grid) -> jax.Array:
    """[R, K, V] at the targets of a packed grid."""
    bound = model.bind(base, bank)
    return bound.logits(target_states(bound, grid))


@functools.partial(jax.jit, static_argnames='model')
def one_step(model: Transformer, base, token, place, cache):
    """Logits [V] after the token at a place, and the cache with it."""
    apply = functools.partial(model.apply, {'params': base})
    x = apply(jnp.full((1, 1), token), method='embed_tokens')
    slots = jnp.arange(cache[0].shape[2])
    hidden, own = apply(
        x,
        Places.plain(jnp.full((1, 1), place)),
        jnp.append(slots < place, True)[None, None],
        [cache],
        Places.plain(slots[None]),
        method='hidden_states',
    )
    cache = jax.tree.map(
        lambda c, x: c.at[:, :, place].set(x[:, :, 0]), cache, own
    )
    return apply(hidden, method='logits')[0, 0], cache
