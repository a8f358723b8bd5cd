"""FedPepTAO (2310.15080): the layers that matter travel, the others stay.

A prefix in every layer is trained by all devices. The layers that matter most
are averaged by the server, which corrects the mean with a control variate for
each device; a device keeps the others from round to round. What is read from
the paper, what from its code, and where they differ: docs/fedpeptao.md.
"""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import config_dict
import numpy as np
import optax

from fedprompt_jax.bank import owners
from fedprompt_jax.data.sampling import Cohort
from fedprompt_jax.federated import server
from fedprompt_jax.federated.algorithm import Algorithm, Metrics, Setup
from fedprompt_jax.federated.client import mean_later, num_steps
from fedprompt_jax.federated.later import Later
from fedprompt_jax.federated.layers import partial, scores, server_steps, stages
from fedprompt_jax.federated.layers.server_steps import Memory, Uploads
from fedprompt_jax.federated.ledger import both_ways
from fedprompt_jax.mesh import to_host
from fedprompt_jax.rules import Rule, number, one_of

FEDAVG = 'fedavg'  # any server optimizer on the mean of what has travelled
CONFIG = 'configs/fedpeptao/sst2.py'
KEYS = {
    'server': one_of(FEDAVG, *server_steps.STEPS),
    'momentum': Rule(
        lambda x: number(0).holds(x) and x < 1, 'at least 0 and below 1'
    ),
    'unselected': one_of('local', 'none'),
    'optimizer_state': one_of('reset', 'kept'),
    'score': one_of(*scores.MEASURES, scores.RANDOM),
    'order': one_of(*scores.ORDERS),
    'score_examples': number(2),
    'score_devices': number(1),
    'ratio': number(0, above=True, most=1),
    'estimate_ratio': one_of(True, False),
    'ratio_rounds': number(1),
    'lanczos_steps': number(2),
}


class State(server.ServerState):
    """FedAvg's, and what FedPepTAO's server keeps besides.

    Attributes:
      memory: control variate and momentum.
      flags: bool [entries], the layers that travel, see partial.py.
      scores: f32 [layers] of the model; 0 where they are not computed.
      share: f32 scalar, of the layers that travel, before it is rounded up.
    """

    memory: Memory
    flags: Any
    scores: jax.Array
    share: jax.Array


def make(setup: Setup) -> Algorithm:
    """Rounds in which devices train all layers and send some of them."""
    c, config = setup.config.fedpeptao, setup.config
    local_layers = c.unselected == 'local' and _some(c)
    corrected = c.server != FEDAVG
    kept_optimizer = c.optimizer_state == 'kept'

    def init() -> State:
        state = server.init(setup.params, setup.server_tx)
        share = 1.0 if c.estimate_ratio else c.ratio
        names = partial.entries(setup.params)
        zeros = optax.tree.zeros_like(setup.params)
        layers = setup.probe.num_layers if setup.probe else len(names)
        return State(
            **vars(state),
            memory=Memory(zeros, zeros, zeros),
            # Before the layers have scores, as many as will travel.
            flags=np.arange(len(names)) < scores.count(len(names), share),
            scores=jnp.zeros(layers),
            share=jnp.float32(share),
        )

    def client(state: State) -> dict[str, Any]:
        """What is kept for a device: its layers, variate and optimizer."""
        kept = {}
        if local_layers:
            kept['layers'] = partial.only(~state.flags, state.params)
        if corrected:
            kept['variate'] = optax.tree.zeros_like(state.params)
        if kept_optimizer:
            kept['optimizer'] = setup.client_tx.init(state.params)
        return kept

    def bank_of(state: State, clients: Any, count: int) -> Any:
        """What devices train from: layers of the server and their own."""
        bank = owners.replicate(state.params, count)
        if not local_layers:
            return bank
        return partial.join(state.flags, bank, clients['layers'])

    def round(state: State, clients: Any, cohort: Cohort):
        # 1. The cohort trains all its layers.
        start = bank_of(state, clients, len(cohort.clients))
        opt_state = setup.start_clients(start, state.round)
        if kept_optimizer:
            opt_state = setup.at_round(clients['optimizer'], state.round)
        local = setup.simulation.local_train(
            setup.client_tx, start, opt_state, cohort.steps
        )
        # 2. The server gets some of them. One bad layer drops the device.
        away = optax.tree.sub(start, local.bank)
        finite = owners.finite_owners(away)
        moved = partial.only(state.flags, away)
        moved = owners.select(finite, moved, jnp.nan)
        grads = partial.only(state.flags, local.first_grads)
        rows, more = {}, {}
        if corrected:
            steps = num_steps(cohort.steps, len(cohort.clients))  # K, [C]
            uploads = Uploads(
                moved,
                clients['variate'],
                finite,
                jnp.asarray(steps, jnp.float32),
                jnp.asarray(cohort.num_examples),
                jnp.float32(setup.client_rate(int(state.round))),
            )
            state, metrics, rows['variate'] = corrected_step(
                state, uploads, grads, cohort
            )
            more = _norms(state.memory, rows['variate'], finite)
        else:
            state, metrics = setup.server_step(state, moved, grads, cohort)
        # 3. The devices keep the others.
        if local_layers:
            rows['layers'] = partial.only(~state.flags, local.bank)
        if kept_optimizer:
            rows['optimizer'] = local.opt_state
        metrics |= local.metrics(finite) | more
        metrics['layers_sent'] = Later(_count, state.flags)
        metrics |= setup.simulation.compute(cohort.steps)
        return state, rows or None, metrics

    def corrected_step(
        state: State, uploads: Uploads, grads: Any, cohort: Cohort
    ) -> tuple[State, Metrics, Any]:
        """A server step with control variates; also the new variates."""
        step = server_steps.STEPS[c.server](
            state.params,
            state.memory,
            uploads,
            jnp.float32(setup.server_rate(int(state.round))),
            state.round == 0,
            jnp.float32(1 / setup.num_clients),
            setup.aggregate,
            c.momentum,
        )
        updates = optax.tree.sub(step.params, state.params)
        gradient = setup.mean(grads, cohort)
        metrics = server.norms(step.params, updates, gradient)
        state = state.replace(
            params=step.params, memory=step.memory, round=state.round + 1
        )
        return state, metrics, step.variates

    def prompts(state: State, clients: Any) -> Any:
        count = owners.num_owners(clients)
        return bank_of(state, clients, count)

    nothing = not (local_layers or corrected or kept_optimizer)
    return Algorithm(
        init,
        round,
        both_ways(lambda s: partial.sent(to_host(s.flags), s.params)),
        client=None if nothing else client,
        prompts=prompts if local_layers else None,
        stages=stages.before_rounds(setup, config.fedpeptao),
    )


def _some(c: config_dict.ConfigDict) -> bool:
    """Whether some layers may not travel."""
    return c.ratio != 1 or c.estimate_ratio


def _count(flags: Any) -> int:
    """How many of bool [entries] hold."""
    return int(to_host(flags).sum())


def _norms(memory: Memory, variates: Any, finite: jax.Array) -> Metrics:
    """How far the variates have grown, by names in metrics.jsonl."""
    each = owners.owner_norms(variates)
    return {
        'control_norm': optax.tree.norm(memory.control),
        'variate_norm': mean_later(each, finite),
        'momentum_norm': optax.tree.norm(memory.momentum),
    }


def faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """It takes a prefix apart by layers, and has a server step of its own."""
    c = config.fedpeptao
    some = _some(c)
    if some and config.peft != 'prefix':
        yield (
            f"config.peft={config.peft!r} must be 'prefix' for config."
            f'fedpeptao.ratio={c.ratio}: other kinds travel whole, with 1.0 '
            'and config.fedpeptao.estimate_ratio=False.'
        )
    if some and config.peft == 'prefix' and config.prefix.mlp:
        yield (
            f'config.prefix.mlp={config.prefix.mlp} must be 0 for config.'
            f'fedpeptao.ratio={c.ratio}: an MLP makes all layers at once.'
        )
    wanted = 'absent' if c.unselected == 'none' else 'attended'
    if some and config.prefix.zero_layers != wanted:
        yield (
            f'config.prefix.zero_layers={config.prefix.zero_layers!r} must be '
            f'{wanted!r} for config.fedpeptao.unselected={c.unselected!r}.'
        )
    if c.server != FEDAVG and config.server.optimizer != 'sgd':
        yield (
            f'config.server.optimizer={config.server.optimizer!r} must be '
            f"'sgd' for config.fedpeptao.server={c.server!r}, which has a "
            f'momentum of its own; another optimizer needs {FEDAVG!r}.'
        )
    if c.estimate_ratio and config.model.quantization:
        yield (
            f'config.model.quantization={config.model.quantization!r} must be '
            "'' for config.fedpeptao.estimate_ratio=True: the product of "
            'integers has no second derivative.'
        )
