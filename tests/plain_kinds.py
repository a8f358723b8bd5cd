"""The plain form of every kind of trained parameters: one example, no bank.

It shares nothing with the kinds: LoRA and IA3 are merged into the weights, a
prefix is past keys and values, as long as each layer's, a prompt is put before
the embeddings, a late one before the hidden states that are read without it.
Adapters are put behind the modules of one layer after the other.
"""

import dataclasses
import functools

import flax.linen as nn
import flax.traverse_util
import jax
import jax.numpy as jnp

from fedprompt_jax.data.examples import Example
from fedprompt_jax.models.attention import Attention, Memory
from fedprompt_jax.models.layers import MLP, Places
from fedprompt_jax.models.stack import Stack
from fedprompt_jax.peft import ia3, lora
from fedprompt_jax.peft.adapter import Adapter
from fedprompt_jax.peft.attempt import Attempt
from fedprompt_jax.peft.idpg import IDPG
from fedprompt_jax.peft.lpt import LatePrompt
from fedprompt_jax.peft.prefix import Prefix
from fedprompt_jax.peft.prompt import Prompt


def target_logits(model, base, params, e: Example) -> jax.Array:
    """Logits [t, V] that one owner's example's targets are predicted from."""
    parts = e.tokens, e.target_index, e.target
    return _jitted_logits(model, base, params, *parts, len(e.query))


def bare_logits(model, base, e: Example) -> jax.Array:
    """target_logits of a model that nothing was trained for."""
    return target_logits(model, base, {}, e)


def value_and_grad(model, base, params, e: Example):
    """Sum of -log p over an example's targets, and its gradient."""
    parts = e.tokens, e.target_index, e.target
    return _value_and_grad(model, base, params, *parts, len(e.query))


@functools.partial(jax.jit, static_argnames=('model', 'query'))
def _value_and_grad(model, base, params, tokens, at, target, query):
    def loss(params):
        parts = tokens, at, target, query
        logits = _target_logits(model, base, params, *parts)
        log_p = jax.nn.log_softmax(logits)
        return -log_p[jnp.arange(len(target)), target].sum()

    return jax.value_and_grad(loss)(params)


@functools.partial(jax.jit, static_argnames=('model', 'query'))
def _jitted_logits(model, base, params, tokens, at, target, query):
    return _target_logits(model, base, params, tokens, at, target, query)


def _target_logits(model, base, params, tokens, at, target, query):
    kind, config = model.kind, model.transformer.config
    if isinstance(kind, lora.LoRA | ia3.IA3):
        base = merged(kind, base, params)
    call = functools.partial(model.transformer.apply, {'params': base})
    x = call(tokens[None], method='embed_tokens')
    first, past = 0, [jnp.zeros((0, 2, 1, 1))] * config.reader.num_layers
    if isinstance(kind, Prompt | IDPG | Attempt):
        prompt = params.get('prompt')
        if not isinstance(kind, Prompt):
            prompt = prompt_of_query(kind, params, x[0, :query], call)
        x = jnp.concatenate([prompt[None], x], axis=1)
        at = at + kind.length
    elif isinstance(kind, Prefix):
        first = max(kind.lengths) if kind.shifted else 0
        past = prefix_rows(kind, params)
    stack = base['encoder'] if config.encoder else base
    if isinstance(kind, LatePrompt):
        prompt = params['prompt']
        hidden = read_late(config.reader, stack, x, prompt, kind.layer)
        at = at + kind.length
    elif isinstance(kind, Adapter):
        trained = params.get('encoder', params)
        hidden = read_adapted(config.reader, stack, x, trained, kind)
    else:
        hidden = read(config.reader, stack, x, first, past)
    if config.encoder:
        if isinstance(kind, Adapter):
            parts = hidden, config, base, params, target, kind
            hidden = decoded_adapted(call, *parts)
        else:
            hidden = decoded(call, hidden, config.start_token, target)
        at = jnp.arange(len(target))
    return call(hidden, method='logits')[0, at]


def prompt_of_query(kind, params, query, call) -> jax.Array:
    """The prompt [P, E] that the embeddings [q, E] of a query give."""
    p = params
    if isinstance(kind, IDPG):
        hidden = jax.nn.gelu(
            query.mean(axis=0) @ p['down'] + p['down_bias'], approximate=False
        )
        rows = p['up'].reshape(len(hidden), -1).T @ hidden
        return p['prompt'] + rows.reshape(p['prompt'].shape)
    sources = p.get('sources')
    if sources is None:
        tokens = jnp.array(kind.tokens)
        sources = call(tokens, method='embed_tokens')
        if kind.sources is not None:
            sources = kind.sources.prompts
    every = [*sources, p['prompt']]
    h = jax.nn.silu(query.max(axis=0) @ p['down']) @ p['up']
    h = (h - h.mean()) / jnp.sqrt(h.var() + 1e-5)
    h = h * p['norm_scale'] + p['norm_bias']
    width = kind.temperature * len(h)
    scores = jnp.array([x.max(axis=0) @ h / width for x in every])
    shares = jnp.exp(scores) / jnp.exp(scores).sum()
    return p['prompt'] + sum(a * x for a, x in zip(shares, every, strict=True))


def prefix_rows(kind: Prefix, params) -> list[jax.Array]:
    """Keys [P_i, K, h] at 0 and values at 1 of the second axis, by layer."""
    shape, layers = (2, kind.heads, kind.head_dim), len(kind.lengths)
    if kind.hidden:
        mlp = params['mlp']
        x = jnp.tanh(params['embedding'] @ mlp['w1'] + mlp['b1'])
        parts = jnp.split(x @ mlp['w2'] + mlp['b2'], layers, axis=1)
        return [part.reshape(-1, *shape) for part in parts]
    nothing = jnp.zeros((0, *shape))
    rows = params['prefix']
    return [rows.get(f'{layer:02d}', nothing) for layer in range(layers)]


def read(config, params, x, first: int, past) -> jax.Array:
    """Hidden states [1, n, E] behind past rows [P_i, 2, K, h] of each layer.

    The tokens begin at position `first`. Layers whose past differs in length
    are called one by one.
    """
    if len({len(rows) for rows in past}) == 1:
        stacked = jnp.stack(past)  # [layers, P, 2, K, h]
        return read_all(config, params, x, first, stacked)
    for i, (one, layer) in enumerate(layers_of(config, params)):
        x = read_all(one, layer, x, first, past[i][None])
    return x


def layers_of(config, params):
    """Each layer as a model of one, of which only the first embeds."""
    for i in range(config.num_layers):
        last = i + 1 == config.num_layers
        one = dataclasses.replace(
            config,
            num_layers=1,
            local_layers=config.local_layers[i : i + 1],
            final_norm=config.final_norm and last,
        )
        if i:
            one = dataclasses.replace(
                one, position_rows=0, token_types=0, embedding_norm=False
            )
        layer = jax.tree.map(lambda w, i=i: w[i : i + 1], params['layers'])
        yield one, params | {'layers': layer}


def read_late(config, params, x, prompt, layer: int) -> jax.Array:
    """Hidden states of a prompt and the text that it joins at a layer."""
    nothing = jnp.zeros((1, 0, 2, 1, 1))
    for i, (one, of_one) in enumerate(layers_of(config, params)):
        if i == layer:
            x = jnp.concatenate([prompt[None], x], axis=1)
        # Of relative and rotary positions, those of a text alone are the same.
        x = read_all(one, of_one, x, 0, nothing)
    return x


def read_adapted(config, params, x, trained, kind: Adapter) -> jax.Array:
    """Hidden states of a text, with an adapter behind parts of each layer."""
    nothing = jnp.zeros((1, 0, 2, 1, 1))
    for i, (one, layer) in enumerate(layers_of(config, params)):
        with nn.intercept_methods(adapting(kind, trained['layers'], i)):
            x = read_all(one, layer, x, 0, nothing)
    return x


def adapting(kind: Adapter, trained, layer: int):
    """Puts a layer's adapters behind its attention and its MLP."""
    act = {'relu': nn.relu, 'gelu': lambda x: nn.gelu(x, approximate=False)}

    def adapted(y, part):
        w = {k: v[layer] for k, v in trained.get(f'{part}_adapter', {}).items()}
        if not w:
            return y
        hidden = act[kind.activation](y @ w['down'] + w['down_bias'])
        return y + hidden @ w['up'] + w['up_bias']

    def interceptor(call, args, kwargs, context):
        out = call(*args, **kwargs)
        if context.method_name != '__call__':
            return out
        if isinstance(context.module, Attention):
            return adapted(out[0], 'attention'), out[1]
        return adapted(out, 'mlp') if isinstance(context.module, MLP) else out

    return interceptor


def read_all(config, params, x, first: int, past) -> jax.Array:
    """The same, past rows being [layers, P, 2, K, h]."""
    n, before = x.shape[1], past.shape[1]
    mask = jnp.ones((1, n, before + n), bool)
    mask = jnp.tril(mask, before) if config.causal else mask
    past = past[:, None]  # a single row
    return Stack(config).apply(
        {'params': params},
        x,
        Places.plain(first + jnp.arange(n)[None]),
        mask,
        [(past[:, :, :, 0], past[:, :, :, 1])] if before else [],
        Places.plain(jnp.arange(before)[None]) if before else None,
        method='hidden_states',
    )[0]


def decoded(call, hidden, start: int, target) -> jax.Array:
    """The decoder's hidden states [1, t, D] over an encoder's [1, n, D]."""
    x, places, mask, memory = decoder_inputs(call, hidden, start, target)
    return call(x, places, mask, memory, method='decode')[0]


def decoded_adapted(call, hidden, config, base, params, target, kind):
    """The same with adapters, layer by layer."""
    inputs = decoder_inputs(call, hidden, config.start_token, target)
    x, places, mask, memory = inputs
    for i, (one, layer) in enumerate(layers_of(config, base)):
        with nn.intercept_methods(adapting(kind, params['layers'], i)):
            x = Stack(one).apply(
                {'params': layer}, x, places, mask, (), None, memory,
                method='run',
            )[0]  # fmt: skip
    return x


def decoder_inputs(call, hidden, start: int, target):
    """Embeddings of the start token and targets, their places and masks."""
    count = len(target)
    tokens = jnp.concatenate([jnp.array([start]), target[:-1]])
    owner = jnp.full((1, hidden.shape[1]), -1)
    memory = Memory(hidden, owner, jnp.ones((1, count, hidden.shape[1]), bool))
    x = call(tokens[None], method='embed_tokens')
    places = Places.plain(jnp.arange(count)[None])
    mask = jnp.tril(jnp.ones((1, count, count), bool))
    return x, places, mask, memory


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
