"""The plain form of every kind of trained parameters: one example, no bank.

It shares nothing with the kinds: LoRA and IA3 are merged into the weights, a
prefix is past keys and values, a prompt is put before the embeddings.
"""

import functools

import flax.traverse_util
import jax
import jax.numpy as jnp

from fedprompt_jax.data.examples import Example
from fedprompt_jax.models.attention import Memory
from fedprompt_jax.models.layers import Places
from fedprompt_jax.models.stack import Stack
from fedprompt_jax.peft import ia3, lora
from fedprompt_jax.peft.prompt import Prompt


def target_logits(model, base, params, e: Example) -> jax.Array:
    """Logits [t, V] that one owner's example's targets are predicted from."""
    call = functools.partial(_target_logits, model)
    return jax.jit(call)(base, params, e.tokens, e.target_index, e.target)


def bare_logits(model, base, e: Example) -> jax.Array:
    """target_logits of a model that nothing was trained for."""
    return target_logits(model, base, {}, e)


def value_and_grad(model, base, params, e: Example):
    """Sum of -log p over an example's targets, and its gradient."""
    parts = e.tokens, e.target_index, e.target
    return _value_and_grad(model, base, params, *parts)


@functools.partial(jax.jit, static_argnames='model')
def _value_and_grad(model, base, params, tokens, at, target):
    def loss(params):
        logits = _target_logits(model, base, params, tokens, at, target)
        log_p = jax.nn.log_softmax(logits)
        return -log_p[jnp.arange(len(target)), target].sum()

    return jax.value_and_grad(loss)(params)


def _target_logits(model, base, params, tokens, at, target):
    kind, config = model.kind, model.transformer.config
    if isinstance(kind, lora.LoRA | ia3.IA3):
        base = merged(kind, base, params)
    call = functools.partial(model.transformer.apply, {'params': base})
    x = call(tokens[None], method='embed_tokens')
    first, past = 0, []
    if isinstance(kind, Prompt):
        x = jnp.concatenate([params['prompt'][None], x], axis=1)
        at = at + kind.slots
    elif kind.slots:
        first = kind.first_position
        flat = flax.traverse_util.flatten_dict(kind.expand(params))
        named = {path[-1]: leaf[:, None] for path, leaf in flat.items()}
        past = [(named['prefix_key'], named['prefix_value'])]
    reader = Stack(config.reader)
    n, before = x.shape[1], kind.slots if past else 0
    mask = jnp.ones((1, n, before + n), bool)
    mask = jnp.tril(mask, before) if config.reader.causal else mask
    hidden, _ = reader.apply(
        {'params': base['encoder'] if config.encoder else base},
        x,
        Places.plain(first + jnp.arange(n)[None]),
        mask,
        past,
        Places.plain(jnp.arange(before)[None]) if past else None,
        method='hidden_states',
    )
    if config.encoder:
        hidden = decoded(call, hidden, config.start_token, target)
        at = jnp.arange(len(target))
    return call(hidden, method='logits')[0, at]


def decoded(call, hidden, start: int, target) -> jax.Array:
    """The decoder's hidden states [1, t, D] over an encoder's [1, n, D]."""
    count = len(target)
    tokens = jnp.concatenate([jnp.array([start]), target[:-1]])
    owner = jnp.full((1, hidden.shape[1]), -1)
    memory = Memory(hidden, owner, jnp.ones((1, count, hidden.shape[1]), bool))
    x = call(tokens[None], method='embed_tokens')
    places = Places.plain(jnp.arange(count)[None])
    mask = jnp.tril(jnp.ones((1, count, count), bool))
    return call(x, places, mask, memory, method='decode')[0]


def merged(kind, base, params):
    """The base with LoRA's products or IA3's vectors in its weights."""
    flat = dict(flax.traverse_util.flatten_dict(base))
    trained = flax.traverse_util.flatten_dict(params)
    for *module, name in trained:
        kernel, bias = (*module, 'kernel'), (*module, 'bias')
        value = trained[*module, name]
        if name == 'lora_a':
            product = jnp.einsum(
                'lir,lro->lio', value, trained[*module, 'lora_b']
            )
            flat[kernel] = flat[kernel] + kind.alpha / kind.rank * product
        elif name == 'ia3_in':
            flat[kernel] = flat[kernel] * value[:, :, None]
        elif name == 'ia3_out':
            flat[kernel] = flat[kernel] * value[:, None, :]
            if bias in flat:
                flat[bias] = flat[bias] * value
    return flax.traverse_util.unflatten_dict(flat)
