"""FedSP's rounds in the plainest form: one example, one client, at a time.

It shares nothing with the package but the frozen model's forward pass: layers
are repeated by copying them, AdamW and the schedule are NumPy, and the turns
are written out as arXiv 2311.06805's released code has them.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tests import plain_kinds

B1, B2 = 0.9, 0.999


def cut(base: Any, start: int, size: int) -> Any:
    """A model's parameters with some of its layers alone."""
    layers = jax.tree.map(lambda x: x[start : start + size], base['layers'])
    return {**base, 'layers': layers}


def tiled(params: Any, depth: int) -> Any:
    """The parameters of a model of `depth` layers that are copies."""
    times = depth // len(jax.tree.leaves(params['layers'])[0])
    layers = jax.tree.map(
        lambda x: jnp.concatenate([x] * times), params['layers']
    )
    return {**params, 'layers': layers}


def example_loss(model, base, prompt, parts, query: int) -> jax.Array:
    """-log p of an example's target, summed over its tokens.

    Args:
      model: the frozen model with the kind of the prompt.
      base: its parameters.
      prompt: P.
      parts: tokens, target_index and target of the example.
      query: length of its query.
    """
    logits = plain_kinds._target_logits(model, base, prompt, *parts, query)
    log_p = jax.nn.log_softmax(logits)
    target = parts[-1]
    return -log_p[jnp.arange(len(target)), target].sum()


def gradient(of):
    """(trees, examples) -> the gradient of a mean over all target tokens.

    Args:
      of: (tree, other trees, parts, query) -> summed loss of an example; the
        gradient is that by the first tree.
    """
    one = jax.jit(jax.grad(of), static_argnames='query')

    def mean(trees, examples):
        tokens = sum(len(e.target) for e in examples)
        grads = [
            one(
                *trees, (e.tokens, e.target_index, e.target), query=len(e.query)
            )
            for e in examples
        ]
        return jax.tree.map(lambda *g: sum(g) / tokens, *grads)

    return mean


class AdamW:
    """Decoupled weight decay (1711.05101), by leaves, in NumPy."""

    def __init__(self, params, eps: float, decay: float) -> None:
        self.eps, self.decay, self.count = eps, decay, 0
        self.m = jax.tree.map(lambda x: np.zeros(x.shape), params)
        self.v = jax.tree.map(lambda x: np.zeros(x.shape), params)

    def step(self, params, grads, rate: float):
        """The parameters after a step."""
        self.count += 1
        grads = jax.tree.map(lambda g: np.asarray(g, np.float64), grads)
        self.m = jax.tree.map(lambda m, g: B1 * m + (1 - B1) * g, self.m, grads)
        self.v = jax.tree.map(
            lambda v, g: B2 * v + (1 - B2) * g**2, self.v, grads
        )
        mean = 1 - B1**self.count
        square = 1 - B2**self.count

        def leaf(p, m, v):
            change = m / mean / (np.sqrt(v / square) + self.eps)
            return jnp.float32(p - rate * (change + self.decay * p))

        return jax.tree.map(leaf, params, self.m, self.v)


def factor(round: float, step: float, rounds: int, warmup: int) -> float:
    """Of the learning rate: up in `warmup` rounds, then down to 0.

    With as many steps a round it is transformers' linear schedule of all steps,
    one step ahead, so that the first rate is not 0.
    """
    if round < warmup:
        return (round + step) / warmup
    return 1 - (round - warmup) / (rounds - warmup)


class FedSP:
    """Server and clients.

    Attributes:
      prompt: P, the server's.
      clients: id -> [theta_a, its optimizer, the prompt's optimizer].
    """

    def __init__(self, model, base, theta, prompt, make, rate, rates) -> None:
        """Before the first round.

        Args:
          model: the frozen model with the kind of the prompt.
          base: its parameters, theta.
          theta: the auxiliary model's, theta_a.
          prompt: P.
          make: (parameters) -> an AdamW.
          rate: round with its fraction, part of a round that a step is ->
            factor of the learning rates.
          rates: of the auxiliary model, of a client's prompt, of the server.
        """
        self.depth = model.transformer.config.num_layers
        self.base, self.theta, self.prompt = base, theta, prompt
        self.make, self.rate, self.rates = make, rate, rates
        self.clients: dict[int, list[Any]] = {}
        self.server = make(prompt)
        depth = self.depth

        def by_theta(theta, prompt, parts, query):
            base = tiled(theta, depth)
            return example_loss(model, base, prompt, parts, query)

        def by_prompt(prompt, theta, parts, query):
            return by_theta(theta, prompt, parts, query)

        def by_full(prompt, base, parts, query):
            return example_loss(model, base, prompt, parts, query)

        self.by_theta, self.by_prompt, self.by_full = map(
            gradient, (by_theta, by_prompt, by_full)
        )

    def round(self, number: int, clients, server) -> None:
        """A round; `clients` are (id, batches), `server` batches."""
        returned = []
        for client, batches in clients:
            theta, align, prompt_tx = self.clients.get(client) or [
                self.theta, self.make(self.theta), self.make(self.prompt),
            ]  # fmt: skip
            mine = self.prompt
            for s, batch in enumerate(batches):
                n = len(batches)
                now = self.rate(number + s / n, 1 / n) * self.rates[0]
                grads = self.by_theta((theta, mine), batch)
                theta = align.step(theta, grads, now)
            for s, batch in enumerate(batches):
                n = len(batches)
                now = self.rate(number + s / n, 1 / n) * self.rates[1]
                grads = self.by_prompt((mine, theta), batch)
                mine = prompt_tx.step(mine, grads, now)
            self.clients[client] = [theta, align, prompt_tx]
            returned.append(mine)
        self.prompt = jax.tree.map(lambda *x: sum(x) / len(x), *returned)
        for s, batch in enumerate(server):
            n = len(server)
            now = self.rate(number + s / n, 1 / n) * self.rates[2]
            grads = self.by_full((self.prompt, self.base), batch)
            self.prompt = self.server.step(self.prompt, grads, now)
