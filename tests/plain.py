"""The plain form of everything: one client, one example, full logits.

Nothing here packs, pads or shares: it is what the fast forms must equal.
"""

from collections.abc import Iterator, Sequence
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from fedprompt_jax.data.examples import Example
from fedprompt_jax.data.packing import Packer, Shape
from fedprompt_jax.federated import aggregates
from fedprompt_jax.federated.algorithm import Setup
from fedprompt_jax.models.layers import Places

P = 3
PACKER = Packer(P, (Shape(64, 48, (8,)),))  # one program for many tests

# (query, target) tokens of random examples: few, since each is compiled.
SIZES = ((2, 1), (5, 3), (14, 6))


def random_examples(
    rng: np.random.Generator, counts: Sequence[int], vocab: int = 290
) -> list[Example]:
    """counts[c] examples of owner c, of ragged sizes, in a random order."""
    owners = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    sizes = [SIZES[i] for i in rng.integers(len(SIZES), size=len(owners))]
    return [
        Example(
            int(owner),
            rng.integers(5, vocab, q).astype(np.int32),
            rng.integers(5, vocab, t).astype(np.int32),
        )
        for owner, (q, t) in zip(owners, sizes, strict=True)
    ]


def random_bank(
    rng: np.random.Generator, owners: int, length: int = P, width: int = 32
):
    """Prompts of that many owners, N(0, 0.25)."""
    prompts = rng.normal(0, 0.5, (owners, length, width))
    return {'prompt': jnp.asarray(prompts, jnp.float32)}


@functools.partial(jax.jit, static_argnames='model')
def logits(model, base, params, tokens) -> jax.Array:
    """Logits [P + n, V] of one prompt and the n tokens behind it."""

    def call(method, *args):
        return model.transformer.apply({'params': base}, *args, method=method)

    x = jnp.concatenate([params['prompt'], call('embed_tokens', tokens)])
    n = len(x)
    mask = jnp.tril(jnp.ones((1, n, n), bool))
    places = Places.plain(jnp.arange(n)[None])
    hidden, _ = call('hidden_states', x[None], places, mask)
    return call('logits', hidden)[0]


@functools.partial(jax.jit, static_argnames=('model', 'num_targets'))
def _value_and_grad(model, base, params, tokens, num_targets):
    def total(params):
        rows = logits(model, base, params, tokens)[-num_targets - 1 : -1]
        log_p = jax.nn.log_softmax(rows)
        return -log_p[jnp.arange(num_targets), tokens[-num_targets:]].sum()

    return jax.value_and_grad(total)(params)


def example_loss(model, base, params, e: Example):
    """Sum of -log p over one example's targets, and its gradient."""
    tokens = np.concatenate([e.query, e.target])
    return _value_and_grad(model, base, params, tokens, len(e.target))


def client_loss(model, base, params, examples: Sequence[Example], loss: str):
    """Loss of one client by the words of data.examples.LOSSES."""
    parts = [example_loss(model, base, params, e) for e in examples]
    tokens = [len(e.target) for e in examples]
    if loss == 'sequence':
        scale = [1 / len(examples)] * len(examples)
    elif loss == 'example':
        scale = [1 / len(examples) / t for t in tokens]
    else:
        scale = [1 / sum(tokens)] * len(examples)
    weighted = [
        jax.tree.map(lambda x, w=w: w * x, p)
        for w, p in zip(scale, parts, strict=True)
    ]
    return functools.reduce(optax.tree.add, weighted)


def same(tree):
    """Places nothing anywhere."""
    return tree


def owners(bank) -> Iterator[tuple[int, dict]]:
    """Each owner and its params."""
    for c in range(len(jax.tree.leaves(bank)[0])):
        yield c, jax.tree.map(lambda x, c=c: x[c], bank)


def of(owner: int, examples: Sequence[Example]) -> list[Example]:
    """The owner's examples."""
    return [e for e in examples if e.owner == owner]


def gradients(model, base, bank, examples: Sequence[Example], loss: str):
    """Losses [C] and gradients like the bank; 0 for an absent owner."""
    losses, grads = [], []
    for c, params in owners(bank):
        own = of(c, examples)
        value, grad = (
            client_loss(model, base, params, own, loss)
            if own
            else (0.0, optax.tree.zeros_like(params))
        )
        losses.append(float(value))
        grads.append(grad)
    return np.array(losses), stack(grads)


def local_train(model, base, tx, params, steps, loss: str):
    """Plain Optax on one client: params after the steps, and the losses.

    A step without examples is no step.
    """
    state, losses = tx.init(params), []
    for examples in steps:
        if not examples:
            losses.append(np.nan)
            continue
        value, grads = client_loss(model, base, params, examples, loss)
        updates, state = tx.update(grads, state, params)
        params = optax.apply_updates(params, updates)
        losses.append(float(value))
    return params, losses


def stack(trees):
    """Trees of owners as a bank."""
    return jax.tree.map(lambda *x: jnp.stack(x), *trees)


def assert_owners_close(got, expected, relative: float):
    """Each owner's tree is within a relative Frobenius distance."""
    got, expected = (
        [np.asarray(x) for x in jax.tree.leaves(t)] for t in (got, expected)
    )
    for g, e in zip(got, expected, strict=True):
        assert g.shape == e.shape
        for c in range(len(e)):
            distance = np.linalg.norm(g[c] - e[c])
            assert distance <= relative * np.linalg.norm(e[c]), (c, distance)


def assert_close(got, expected, relative: float):
    """One owner's tree likewise."""
    lead = functools.partial(jax.tree.map, lambda x: jnp.asarray(x)[None])
    assert_owners_close(lead(got), lead(expected), relative)


def setup(
    simulation,
    client_tx,
    server_tx,
    aggregation='uniform',
    params=None,
    config=None,
    num_clients=10,
) -> Setup:
    """What an algorithm is made of, for a constant learning rate of 1."""
    return Setup(
        config=config,
        simulation=simulation,
        client_tx=client_tx,
        client_rate=lambda round: 1.0,
        server_tx=server_tx,
        server_rate=lambda round: 1.0,
        aggregate=aggregates.make(aggregation),
        num_clients=num_clients,
        params=params,
    )
