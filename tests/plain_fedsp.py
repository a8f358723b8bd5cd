"""FedSP's rounds in the plainest form: one example, one client, at a time.

It shares nothing with the package but the frozen model's forward pass: layers
are repeated by copying them, AdamW and the schedule are NumPy, and the turns
are written out as arXiv 2311.06805's released code has them.
"""

import functools
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


def loss(model, base, prompt, examples) -> jax.Array:
    """-log p a target token, over all targets of the examples."""
    total, tokens = jnp.float32(0), 0
    for e in examples:
        logits = plain_kinds.target_logits(model, base, prompt, e)
        log_p = jax.nn.log_softmax(logits)
        total -= log_p[jnp.arange(len(e.target)), e.target].sum()
        tokens += len(e.target)
    return total / tokens


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


def factor(round: float, rounds: int, warmup: int) -> float:
    """Of the learning rate: up in `warmup` rounds, then down to 0."""
    if round < warmup:
        return min(1.0, (round + 1) / warmup)
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
          rate: round, with its fraction -> factor of the learning rates.
          rates: of the auxiliary model, of a client's prompt, of the server.
        """
        self.depth = model.transformer.config.num_layers
        self.base, self.theta, self.prompt = base, theta, prompt
        self.make, self.rate, self.rates = make, rate, rates
        self.clients: dict[int, list[Any]] = {}
        self.server = make(prompt)
        of = functools.partial(loss, model)

        def small(theta, prompt, examples):
            return of(tiled(theta, self.depth), prompt, examples)

        self.by_theta = jax.grad(small)
        self.by_prompt = jax.grad(small, argnums=1)
        self.by_full = jax.grad(of, argnums=1)

    def round(self, number: int, clients, server) -> None:
        """A round; `clients` are (id, batches), `server` batches."""
        returned = []
        for client, batches in clients:
            theta, align, prompt_tx = self.clients.get(client) or [
                self.theta, self.make(self.theta), self.make(self.prompt),
            ]  # fmt: skip
            mine = self.prompt
            for s, batch in enumerate(batches):
                now = self.rate(number + s / len(batches)) * self.rates[0]
                theta = align.step(
                    theta, self.by_theta(theta, mine, batch), now
                )
            for s, batch in enumerate(batches):
                now = self.rate(number + s / len(batches)) * self.rates[1]
                grads = self.by_prompt(theta, mine, batch)
                mine = prompt_tx.step(mine, grads, now)
            self.clients[client] = [theta, align, prompt_tx]
            returned.append(mine)
        self.prompt = jax.tree.map(lambda *x: sum(x) / len(x), *returned)
        for s, batch in enumerate(server):
            now = self.rate(number + s / len(server)) * self.rates[2]
            grads = self.by_full(self.base, self.prompt, batch)
            self.prompt = self.server.step(self.prompt, grads, now)
