"""What FedPepTAO does before its rounds: how many layers, and which."""

from collections.abc import Sequence
import functools
from typing import Any

import jax
from jax.flatten_util import ravel_pytree
import jax.numpy as jnp
from ml_collections import config_dict
import numpy as np

from fedprompt_jax.bank.owners import replicate
from fedprompt_jax.data.examples import Example
from fedprompt_jax.data.randomness import generator
from fedprompt_jax.federated import server
from fedprompt_jax.federated.algorithm import (
    Metrics,
    Probe,
    Setup,
    StageBefore,
)
from fedprompt_jax.federated.later import Later
from fedprompt_jax.federated.layers import partial, scores, spectrum
from fedprompt_jax.federated.layers.lanczos import quadrature
from fedprompt_jax.mesh import to_host


def before_rounds(
    setup: Setup, c: config_dict.ConfigDict
) -> tuple[StageBefore, ...]:
    """The stages that the config asks for; none where all layers travel.

    Args:
      setup: of the algorithm.
      c: config.fedpeptao.
    """
    if c.ratio == 1 and not c.estimate_ratio:
        return ()
    if setup.probe is None:  # for a plan, which computes none of them
        names = (*(['layer_ratio'] if c.estimate_ratio else []), 'layers')
        return tuple(StageBefore(n, 0, _none, _none, _none) for n in names)
    ranked = layer_scores(setup, setup.probe, c)
    if not c.estimate_ratio:
        return (ranked,)
    return (layer_ratio(setup, setup.probe, c), ranked)


def layer_scores(
    setup: Setup, probe: Probe, c: config_dict.ConfigDict
) -> StageBefore:
    """Scores of layers, each device's weighted by its number of examples.

    A step reads the batches of a few devices: memory does not grow with their
    number.
    """
    config = setup.config
    devices = _scored_devices(config.seed, setup.num_clients, c.score_devices)
    drawn = c.score == scores.RANDOM

    @functools.cache
    def batches() -> list[list[Example]]:
        return [probe.batch(d, c.score_examples) for d in devices]

    @functools.cache
    def length() -> int:
        return max(e.num_tokens for batch in batches() for e in batch)

    def in_a_step() -> int:
        tokens = length() * c.score_examples
        return max(1, config.packing.max_tokens // tokens)

    def init(state: Any) -> jax.Array:
        return jnp.zeros(probe.num_layers)

    def step(total: jax.Array, number: int) -> tuple[jax.Array, Metrics]:
        each = in_a_step()
        chosen = slice(number * each, (number + 1) * each)
        found = _scores(
            probe, batches()[chosen], each, c.score_examples, length(), c.score
        )
        weights = [probe.num_examples(d) for d in devices[chosen]]
        return total + np.dot(weights, found), {'devices': len(found)}

    def finish(state: Any, total: jax.Array) -> Any:
        if drawn:
            rng = generator(config.seed, 'random layers')
            ranks = rng.permutation(probe.num_layers)
            values = np.zeros(probe.num_layers)
        else:
            examples = sum(probe.num_examples(d) for d in devices)
            values = to_host(total) / examples
            ranks = scores.ranking(values, c.order)
        candidates = partial.layers(state.params)
        share = float(state.share)
        chosen = scores.choose(ranks, candidates, share)
        flags = np.isin(candidates, chosen)
        params = state.params
        if c.unselected == 'none':  # a layer of zeros has no prefix
            params = partial.only(flags, params)
        return state.replace(
            flags=flags,
            scores=jnp.asarray(values, jnp.float32),
            params=params,
        )

    def record(state: Any) -> dict[str, Any]:
        candidates = partial.layers(state.params)
        flags = to_host(state.flags)
        values = to_host(state.scores).astype(float)
        ranks = scores.ranking(values, c.order)
        measured = {
            'order': c.order,
            'examples': c.score_examples,
            'devices': len(devices),
            'scores': values.tolist(),
            'ranking': ranks.tolist(),
        }
        return {
            'score': c.score,
            **({} if drawn else measured),
            'share': float(state.share),
            'layers': candidates,
            'chosen': [n for n, f in zip(candidates, flags, strict=True) if f],
        }

    steps = 0 if drawn else -(-len(devices) // in_a_step())
    settings = ('score', 'score_examples', 'score_devices')
    reads = {key: getattr(c, key) for key in settings}
    return StageBefore('layers', steps, init, step, finish, record, reads=reads)


def layer_ratio(
    setup: Setup, probe: Probe, c: config_dict.ConfigDict
) -> StageBefore:
    """The share of layers that is enough: a few rounds, then curvatures.

    Rounds of FedAvg with all layers; then, of each device of the last cohort,
    the spectrum of the Hessian of one batch's loss; see spectrum.py. A step is
    a round or a device.
    """
    config, rounds = setup.config, c.ratio_rounds

    def init(state: Any) -> Any:
        began = server.init(state.params, setup.server_tx)
        return began, jnp.zeros(config.clients_per_round)

    def step(inner: Any, number: int) -> tuple[Any, Metrics]:
        state, ratios = inner
        if number < rounds:
            state, metrics = _round(setup, state, probe.cohort(number))
            return (state, ratios), metrics
        place = number - rounds
        client = int(probe.cohort(rounds - 1).clients[place])
        batch = probe.batch(client, config.batch_size)
        found = quadrature(
            _product(setup, state.params, batch),
            generator(config.seed, 'lanczos', client).normal(
                size=_size(state.params)
            ),
            c.lanczos_steps,
        )
        ratio = spectrum.plateau(found)
        return (state, ratios.at[place].set(ratio)), {'ratio': ratio}

    def finish(state: Any, inner: Any) -> Any:
        mean = to_host(inner[1]).mean()
        # A share of nothing still sends a layer; see scores.count.
        return state.replace(share=jnp.float32(mean))

    def record(state: Any) -> dict[str, Any]:
        return {
            'share': float(state.share),
            'rounds': rounds,
            'devices': config.clients_per_round,
            'lanczos_steps': c.lanczos_steps,
        }

    steps = rounds + config.clients_per_round
    return StageBefore('layer_ratio', steps, init, step, finish, record)


def _none(*_: Any) -> Any:
    raise AssertionError('a stage without a probe computes nothing')


def _scored_devices(seed: int, population: int, most: int) -> list[int]:
    """All devices, or `most` of them, drawn, where there are more."""
    if population <= most:
        return list(range(population))
    rng = generator(seed, 'scored devices')
    return sorted(rng.choice(population, most, replace=False).tolist())


def _scores(
    probe: Probe,
    batches: Sequence[Sequence[Example]],
    devices: int,
    size: int,
    length: int,
    measure: str,
) -> np.ndarray:
    """Scores f64 [d, layers] of d devices by their batches.

    Args:
      probe: computes hidden states.
      batches: of d devices, at most `size` examples each.
      devices: d at most: all calls have rows for so many.
      size: rows of a device.
      length: tokens of a row.
      measure: a key of scores.MEASURES.
    """
    rows = [e for b in batches for e in (*b, *[b[0]] * (size - len(b)))]
    rows += [rows[0]] * (devices * size - len(rows))  # one program for all
    states = probe.layer_states(rows, length)  # [layers, n, S, D]
    # [layers, devices, B, B], of which a batch fills a corner.
    alike = scores.matrices(states, devices, measure)
    return np.array(
        [
            scores.device_scores(alike[:, i, : len(b), : len(b)], measure)
            for i, b in enumerate(batches)
        ]
    )


def _round(setup: Setup, state: Any, cohort: Any) -> tuple[Any, Metrics]:
    """A round of FedAvg with all layers."""
    start = replicate(state.params, len(cohort.clients))
    local = setup.simulation.local_train(
        setup.client_tx,
        start,
        setup.start_clients(start, state.round),
        cohort.steps,
    )
    moved = jax.tree.map(jnp.subtract, start, local.bank)
    mean = setup.mean(moved, cohort)
    params = jax.tree.map(jnp.subtract, state.params, mean)
    state = state.replace(params=params, round=state.round + 1)
    return state, {'loss': Later(np.nanmean, local.losses)}


def _product(setup: Setup, params: Any, batch: Sequence[Example]):
    """v -> the Hessian of a batch's loss at params, times v; flat f32 [n]."""
    _, tree_of = ravel_pytree(params)
    bank = replicate(params, 1)

    def product(vector: jax.Array) -> jax.Array:
        tangent = replicate(tree_of(vector), 1)
        made = setup.simulation.hessian_products(bank, tangent, batch)
        return ravel_pytree(made)[0]

    return product


def _size(params: Any) -> int:
    return sum(x.size for x in jax.tree.leaves(params))
