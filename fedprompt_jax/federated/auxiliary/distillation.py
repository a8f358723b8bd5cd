"""Distillation: the auxiliary model learns the full model's last states.

FedSP (arXiv 2311.06805) does it once, at the server, with examples of the
server's own. Neither model has a prompt.
"""

from collections.abc import Sequence
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import config_dict
import numpy as np
import optax

from fedprompt_jax.bank.bare import Nothing
from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.bank.owners import replicate
from fedprompt_jax.bank.reading import states_at
from fedprompt_jax.data.examples import Example
from fedprompt_jax.data.packing import Shape
from fedprompt_jax.evaluation.closeness import Reader, closeness
from fedprompt_jax.federated import optimizers, schedules
from fedprompt_jax.federated.algorithm import (
    Excerpt,
    Metrics,
    Setup,
    StageBefore,
)
from fedprompt_jax.mesh import to_host
from fedprompt_jax.models.layers import Places
from fedprompt_jax.models.transformer import Transformer

NAME = 'distill'
# 'hidden': the mean squared error of the last hidden states (the released
# runs). 'full': half of it and of the cross-entropy with the full model's
# answer tokens, and half of the cross-entropy with the right ones.
OBJECTIVES = ('hidden', 'full')
WARMUP = 0.1  # share of the steps in which the learning rate rises
SAVES = 20  # checkpoints of the whole stage: each holds the model four times
_LENGTHS, _TARGETS = 32, 8  # a batch's sizes are multiples of these


class Batch(NamedTuple):
    """Plain rows of text.

    Attributes:
      tokens: int32 [n, S].
      lengths: int32 [n], real tokens of a row; the others come behind.
      index: int32 [n, K], the column that a target token is predicted from.
      label: int32 [n, K], the target tokens; -1 where there is none.
    """

    tokens: Any
    lengths: Any
    index: Any
    label: Any


def batch_of(examples: Sequence[Example], answers: bool = True) -> Batch:
    """The examples as rows; few lengths occur, so that few programs do.

    Without `answers` there are no target tokens.
    """
    tokens = _up(max(e.num_tokens for e in examples), _LENGTHS)
    targets = _up(max(e.num_target_tokens for e in examples), _TARGETS)
    n, targets = len(examples), targets if answers else 0
    made = Batch(
        np.zeros((n, tokens), np.int32),
        np.array([e.num_tokens for e in examples], np.int32),
        np.zeros((n, targets), np.int32),
        np.full((n, targets), -1, np.int32),
    )
    for row, e in enumerate(examples):
        made.tokens[row, : e.num_tokens] = e.tokens
        if answers:
            made.index[row, : e.num_target_tokens] = e.target_index
            made.label[row, : e.num_target_tokens] = e.target
    return made


def _up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


@functools.partial(jax.jit, static_argnames='transformer')
def last_states(transformer: Transformer, base: Any, batch: Batch) -> jax.Array:
    """Hidden states [n, S, E] behind the final norm; padding reads the text.

    Args:
      transformer: the model, a causal one.
      base: its parameters.
      batch: rows.
    """
    tokens = jnp.asarray(batch.tokens)
    position = jnp.broadcast_to(jnp.arange(tokens.shape[1]), tokens.shape)
    real = (position < batch.lengths[:, None])[:, None, :]
    mask = jnp.tril(jnp.broadcast_to(real, (*tokens.shape, tokens.shape[1])))
    if transformer.gather is not None:
        base = transformer.gather.tables(base)
    call = functools.partial(transformer.apply, {'params': base})
    x = call(tokens, method='embed_tokens')
    states: Any = call(x, Places.plain(position), mask, method='hidden_states')
    return states[0]


@functools.partial(jax.jit, static_argnames='transformer')
def target_logits(
    transformer: Transformer, base: Any, states: jax.Array, batch: Batch
) -> jax.Array:
    """Logits f32 [n, K, V] of the batch's target tokens.

    Args:
      transformer: the model.
      base: its parameters.
      states: of last_states.
      batch: rows.
    """
    if transformer.gather is not None:
        base = transformer.gather.tables(base)
    at = states_at(states, jnp.asarray(batch.index))
    logits: Any = transformer.apply({'params': base}, at, method='logits')
    return logits


def loss(
    transformer: Transformer,
    base: Any,
    batch: Batch,
    states: jax.Array,
    logits: jax.Array | None,
    padding: bool,
) -> jax.Array:
    """How far the auxiliary model is from the full one; f32 scalar.

    Args:
      transformer: the auxiliary model.
      base: its parameters.
      batch: rows.
      states: the full model's last_states.
      logits: its target_logits, for the objective 'full', else None.
      padding: whether padding counts, up to the longest row of the batch.
    """
    mine = last_states(transformer, base, batch)
    lengths = jnp.asarray(batch.lengths)
    counted = jnp.full_like(lengths, lengths.max()) if padding else lengths
    columns = jnp.arange(mine.shape[1])
    counts = columns < counted[:, None]  # [n, S]
    away = mine.astype(jnp.float32) - states.astype(jnp.float32)
    squares = jnp.mean(away**2, axis=-1)  # [n, S]
    error = (squares * counts).sum() / counts.sum()
    if logits is None:
        return error
    own = target_logits(transformer, base, mine, batch)
    there = jnp.asarray(batch.label) >= 0
    label = jnp.maximum(jnp.asarray(batch.label), 0)
    right = optax.softmax_cross_entropy_with_integer_labels(own, label)
    soft = optax.softmax_cross_entropy(own, jax.nn.softmax(logits))

    def mean(x):
        return jnp.where(there, x, 0).sum() / there.sum()

    return 0.5 * mean(right) + 0.5 * (error + mean(soft))


@functools.partial(
    jax.jit, static_argnames=('tx', 'transformer', 'as_base', 'padding')
)
def distill_step(tx, transformer, as_base, padding, params, opt_state, *full):
    """One optimizer step; `full` is a batch, and the full model's part."""

    def of(params):
        return loss(transformer, as_base(params), *full, padding)

    value, grads = jax.value_and_grad(of)(params)
    updates, opt_state = tx.update(grads, opt_state, params)
    return optax.apply_updates(params, updates), opt_state, value


def stage(
    setup: Setup, excerpt: Excerpt, c: config_dict.ConfigDict
) -> StageBefore:
    """The stage, whose state is the auxiliary model and its optimizer.

    Args:
      setup: of the algorithm, with examples of the server's.
      excerpt: the auxiliary model as it is cut out of the full one.
      c: config.fedsp.
    """
    rate, steps = c.distill_learning_rate, c.distill_steps
    tx = optimizers.make_scheduled(c.distill_optimizer, rate)
    factor = schedules.linear(steps, warmup=round(WARMUP * steps))

    def init(state: Any) -> Any:
        return state.model, tx.init(state.model)

    def step(inner: Any, number: int) -> tuple[Any, Metrics]:
        assert setup.server_batch is not None
        examples = setup.server_batch(number, c.distill_batch_size)
        full = c.distill_objective == 'full'
        batch = excerpt.place_rows(batch_of(examples, full))
        # The full model reads a batch once.
        states = last_states(excerpt.full, excerpt.base, batch)
        logits = None
        if full:
            logits = target_logits(excerpt.full, excerpt.base, states, batch)
        params, opt_state = inner
        now = {optimizers.RATE: rate * factor(number)}
        params, opt_state, value = distill_step(
            tx,
            excerpt.transformer,
            excerpt.as_base,
            c.distill_padding,
            params,
            optimizers.with_settings(opt_state, now),
            batch,
            states,
            logits,
        )
        return (params, opt_state), {'loss': value, **now}

    def finish(state: Any, inner: Any) -> Any:
        params = inner[0]
        near = measured(setup, excerpt, params, c.compare_examples)
        return state.replace(model=params, closeness=near)

    def record(state: Any) -> dict[str, Any]:
        kl, agreement, tokens = map(float, to_host(state.closeness))
        own, full = numbers(state.model), numbers(excerpt.base)
        measures = {
            'compared_tokens': int(tokens),
            'kl': kl,
            'agreement': agreement,
        }
        return {
            'objective': c.distill_objective,
            'steps': steps,
            'parameters': own,
            'parameters_of_full_model': full,
            'size_ratio': full / own,
            **(measures if c.compare_examples else {}),
        }

    save_every = max(setup.config.checkpoint.every, -(-steps // SAVES))
    return StageBefore(
        NAME, steps, init, step, finish, record, save_every, _reads(c)
    )


def _reads(c: config_dict.ConfigDict) -> dict[str, Any]:
    """The settings that decide about the auxiliary model and its training."""
    model = ('client_model', 'first_layer', 'num_layers')
    return {
        key: value
        for key, value in c.items()
        if key in model or key.startswith('distill_')
    }


def measured(
    setup: Setup, excerpt: Excerpt, params: Any, count: int
) -> jax.Array:
    """How close the auxiliary model is to the full one, f32 [3].

    On held-out examples: mean KL(full || auxiliary) in nats a target token, the
    share of target tokens of which both would say the same, and their number.

    Args:
      setup: its probe has held-out examples.
      excerpt: the full model, and the auxiliary one without parameters.
      params: of the auxiliary model.
      count: of examples, or all where there are fewer; 0 for zeros, which
        nothing is computed for.
    """
    if not count or setup.probe is None:
        return jnp.zeros(3)
    examples = setup.probe.held_out(count)
    longest = max(e.num_tokens for e in examples)
    targets = max(e.num_target_tokens for e in examples)
    rows = setup.config.batch_size
    shape = Shape(_up(longest, _LENGTHS), _up(targets, _TARGETS), (rows,))
    bank = replicate(Nothing().init(None), 1)
    full, other = (
        Reader(TunedModel(transformer, Nothing()), base, bank)
        for transformer, base in (
            (excerpt.full, excerpt.base),
            (excerpt.transformer, excerpt.as_base(params)),
        )
    )
    grids = full.model.packer(shape).pack(examples, [1.0] * len(examples))
    found = closeness(full, other, [excerpt.place_rows(g) for g in grids])
    return jnp.array(found, jnp.float32)


def numbers(tree: Any) -> int:
    """How many numbers a tree of arrays has."""
    return sum(x.size for x in jax.tree.leaves(tree))
