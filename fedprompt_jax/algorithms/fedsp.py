"""FedSP (2311.06805): the model stays at the server, a small one stands in.

Each client has an auxiliary model, made of a layer of the server's, and trains
a prompt in front of it; the prompts travel, and the server trains their mean in
front of its own model. What is read from the paper, what from its code, and
where they differ: docs/fedsp.md.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import config_dict
import numpy as np
import optax

from fedprompt_jax.bank import owners
from fedprompt_jax.data.sampling import Cohort
from fedprompt_jax.federated import optimizers, server
from fedprompt_jax.federated.algorithm import (
    Algorithm,
    Metrics,
    OneByOne,
    Setup,
    StageBefore,
)
from fedprompt_jax.federated.auxiliary import distillation, turn
from fedprompt_jax.federated.auxiliary.turn import Turns, Worked
from fedprompt_jax.federated.client import mean_later
from fedprompt_jax.federated.later import Later
from fedprompt_jax.federated.ledger import Sent
from fedprompt_jax.federated.prepared import STEPS
from fedprompt_jax.models import auxiliary
from fedprompt_jax.models.config import ModelConfig
from fedprompt_jax.rules import Rule, number, one_of

SHARED, CUT, FULL = 'shared', 'cut', 'full'
CONFIG = 'configs/fedsp/sciq.py'
SERVER_DATA = ONE_OWNER = True
ALONE = True  # of small models, each run has its own
KEYS: dict[str, Rule] = {
    'client_model': one_of(SHARED, CUT, FULL),
    'first_layer': number(0),
    'num_layers': number(1),
    'turn': one_of(*turn.ORDERS),
    'model_learning_rate': number(0, above=True),
    'optimizer_state': one_of('reset', 'kept'),
    'first_prompt': one_of('common', 'own'),
    'server_step': one_of(True, False),
    'mlp_up': one_of(True, False),
    'model_up': one_of(True, False),
    'distill_steps': number(0),
    'distill_batch_size': number(1),
    'distill_optimizer': Rule(
        lambda x: _is_optimizer(x), 'an optimizer of Optax, such as adamw()'
    ),
    'distill_learning_rate': number(0, above=True),
    'distill_objective': one_of(*distillation.OBJECTIVES),
    'distill_padding': one_of(True, False),
    'compare_examples': number(0),
}


def _is_optimizer(spec: Any) -> bool:
    try:
        optimizers.parse(spec)
    except (TypeError, ValueError):
        return False
    return True


class State(server.ServerState):
    """The prompt, and what the server's own training of it keeps.

    Attributes:
      model: the auxiliary model that a new client gets; None for none.
      closeness: f32 [3], of that model to the full one: KL, agreement, and on
        how many target tokens; 0 where it was not measured.
    """

    model: Any
    closeness: jax.Array


def make(setup: Setup) -> Algorithm:
    """Rounds of clients with small models, and a server with the full one."""
    c, turns = setup.config.fedsp, _turns(setup)
    excerpt = turns.excerpt
    to_client, to_server = _between(setup)

    def init() -> State:
        state = server.init(setup.params, setup.server_tx)
        model = excerpt.params if excerpt else None
        return State(**vars(state), model=model, closeness=jnp.zeros(3))

    def client(state: State) -> dict[str, Any]:
        """What a client keeps that was never seen."""
        return turns.first(state.model, to_client(state.params))

    def first_prompts(state: State, clients: np.ndarray) -> Any:
        """The prompts that clients begin with, leaves [C, ...]."""
        if c.first_prompt == 'own' and int(state.round) == 0:
            assert excerpt is not None
            fresh = [
                # What clients do not train is the server's.
                _with_mlp(excerpt.fresh(int(k)), state.params)
                for k in clients
            ]
            return jax.tree.map(lambda *x: jnp.stack(x), *fresh)
        return owners.replicate(to_client(state.params), len(clients))

    def round(state: State, clients: Any, cohort: Cohort):
        # 1. The clients' turns, at once or one after the other.
        everyone = _each if turns.trains_model else _together
        start = first_prompts(state, cohort.clients)
        worked = everyone(turns, state, clients, start, cohort)
        local = worked.prompt
        # 2. The mean of their prompts, each layer of it of what it stands for.
        given = owners.replicate(to_client(state.params), len(cohort.clients))
        changes = optax.tree.sub(local.bank, given)
        finite = owners.finite_owners(changes)
        mean = setup.mean(changes, cohort)
        params = to_server(optax.tree.add(to_client(state.params), mean))
        # 3. The server trains it in front of the full model.
        opt_state = state.opt_state
        more: Metrics = {}
        if c.server_step:
            params, opt_state, more = _server_part(setup, state, params)
        updates = optax.tree.sub(params, state.params)
        metrics = local.metrics(finite) | worked.cost | more
        if worked.aligned is not None:
            metrics['model_loss'] = mean_later(worked.aligned.losses, finite)
        gradient = setup.mean(local.first_grads, cohort)
        metrics |= {
            'prompt_norm': optax.tree.norm(params),
            'update_norm': optax.tree.norm(updates),
            # Of the clients' loss, which reads what to_client leaves.
            'predicted_change': optax.tree.vdot(gradient, to_client(updates)),
        }
        state = state.replace(
            params=params, opt_state=opt_state, round=state.round + 1
        )
        return state, worked.rows, metrics

    def sent(state: State) -> Sent:
        down = up = to_client(state.params)
        if turn.MLP in down and not c.mlp_up:
            up = {k: v for k, v in down.items() if k != turn.MLP}
        if c.model_up and excerpt:
            up = {'prompt': up, 'model': state.model}
        return Sent(down, up)

    stages: tuple[StageBefore, ...] = ()
    if excerpt and (c.distill_steps or c.compare_examples):
        stages = (distillation.stage(setup, excerpt, c),)
    return Algorithm(
        init,
        round,
        sent,
        client=client if turns.keeps_something else None,
        passes=2.0 if c.turn == turn.ALTERNATE else 1.0,
        stages=stages,
        sent_once=(lambda state: state.model) if excerpt else None,
        one_by_one=turns.trains_model,
        takes=() if turns.trains_model else (STEPS,),
    )


def _turns(setup: Setup) -> Turns:
    """What clients do in a round, as the config says it."""
    c, config = setup.config.fedsp, setup.config
    excerpt = None
    if c.client_model != FULL:
        assert setup.excerpt is not None
        repeated = c.client_model == SHARED
        alone = c.turn != turn.PROMPT
        excerpt = setup.excerpt(c.first_layer, c.num_layers, repeated, alone)
    rate, model_rate = config.client.learning_rate, c.model_learning_rate
    model_tx = optimizers.make_scheduled(config.client.optimizer, model_rate)
    if config.client.clip_norm:
        clip = optax.clip_by_global_norm(config.client.clip_norm)
        model_tx = optax.chain(clip, model_tx)
    prompt_tx, joint_tx = setup.client_tx, model_tx
    if turn.MLP in setup.params:
        prompt_tx, joint_tx = map(turn.without_mlp, (prompt_tx, joint_tx))
    return Turns(
        c.turn,
        prompt_tx,
        turn.align_optimizer(c.turn, model_tx, joint_tx, rate / model_rate),
        setup.client_rate,
        lambda round, step=1.0: (
            setup.client_rate(round, step) * model_rate / rate
        ),
        c.optimizer_state == 'kept',
        setup.simulation,
        excerpt,
    )


def _between(setup: Setup) -> tuple[Callable[[Any], Any], ...]:
    """The server's prompt as a client's, and a client's as the server's.

    They differ where a client's model has fewer layers: it gets the mean over
    the layers that one of its own stands for, and what it returns is repeated.
    """
    c = setup.config.fedsp
    if c.client_model != CUT:
        return lambda prompt: prompt, lambda prompt: prompt
    depth = len(setup.params['prefix'])
    return (
        lambda prompt: auxiliary.mean_over_layers(prompt, c.num_layers),
        lambda prompt: auxiliary.repeat_over_layers(prompt, depth),
    )


def _with_mlp(prompt: Any, server_prompt: Any) -> Any:
    """A prefix whose MLP, if it has one, is that of the server."""
    if turn.MLP not in prompt:
        return prompt
    return prompt | {turn.MLP: server_prompt[turn.MLP]}


def _together(
    turns: Turns, state: State, rows: Any, start: Any, cohort: Cohort
) -> Worked:
    """All clients at once: they train prompts alone."""
    number = int(state.round)
    worked = turns.work(state.model, rows, start, cohort.steps, number)
    return worked if turns.keeps_something else worked._replace(rows=None)


def _each(
    turns: Turns, state: State, rows: OneByOne, start: Any, cohort: Cohort
) -> Worked:
    """One client after the other: each has a model of its own."""
    found = []
    for place in range(len(cohort.clients)):
        mine = jax.tree.map(lambda x, i=place: x[i : i + 1], start)
        worked = turns.work(
            state.model,
            rows.take(place),
            mine,
            turn.batches_of(cohort.steps, place),
            int(state.round),
        )
        rows.put(place, worked.rows)
        # One client's model at a time is in memory.
        found.append(worked._replace(rows=None))
        del worked
    aligned = [w.aligned for w in found if w.aligned is not None]
    return Worked(
        None,
        turn.joined([w.prompt for w in found]),
        turn.joined(aligned) if aligned else None,
        {k: sum(w.cost[k] for w in found) for k in found[0].cost},
    )


def _server_part(
    setup: Setup, state: State, params: Any
) -> tuple[Any, Any, Metrics]:
    """The prompt after the server's steps in front of the full model."""
    number = int(state.round)
    steps = setup.server_steps(number)
    simulation = setup.server_simulation or setup.simulation
    local = turn.train(
        simulation,
        setup.server_tx,
        owners.replicate(params, 1),
        owners.replicate(state.opt_state, 1),
        steps,
        number,
        setup.server_rate,
    )
    params, opt_state = jax.tree.map(
        lambda x: x[0], (local.bank, local.opt_state)
    )
    cost = simulation.compute(steps)
    metrics = {
        'server_loss': Later(np.nanmean, local.losses),
        'server_tokens': cost['tokens'],
        'server_flops': cost['flops'],
    }
    return params, opt_state, metrics


def faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """Settings that exclude each other."""
    c, full = config.fedsp, config.fedsp.client_model == FULL
    if full and c.turn != turn.PROMPT:
        yield (
            f'config.fedsp.turn={c.turn!r} must be {turn.PROMPT!r} for '
            f"config.fedsp.client_model='full': that model stays as it is."
        )
    if full and c.first_prompt == 'own':
        yield (
            "config.fedsp.first_prompt='own' must be 'common' for "
            "config.fedsp.client_model='full': no model is sent in the place "
            'of the first prompt.'
        )
    if c.client_model == CUT and (config.peft != 'prefix' or config.prefix.mlp):
        yield (
            f'config.peft={config.peft!r} with config.prefix.mlp='
            f"{config.prefix.mlp} must be 'prefix' with 0 for "
            "config.fedsp.client_model='cut': the mean over layers is that of "
            'a prefix.'
        )
    if c.client_model == CUT and config.prefix.layers:
        yield (
            f'config.prefix.layers={config.prefix.layers} must be () for '
            "config.fedsp.client_model='cut', whose layers stand for all."
        )
    if config.peft == 'full':
        yield (
            "config.peft='full' must be another kind for config.algorithm="
            "'fedsp': what travels is a prompt."
        )
    if not full and config.model.quantization:
        yield (
            f'config.model.quantization={config.model.quantization!r} must be '
            "'' for config.fedsp.client_model="
            f'{c.client_model!r}, which is trained.'
        )
    if not full and c.distill_batch_size % config.mesh.data:
        yield (
            f'config.fedsp.distill_batch_size={c.distill_batch_size} must be a '
            f'multiple of config.mesh.data={config.mesh.data}, over which a '
            'batch is divided.'
        )
    readers = {
        'server_step': c.server_step,
        'distill_steps': 0 if full else c.distill_steps,
    }
    for key, value in readers.items():
        if value and not config.data.server_share:
            yield (
                f'config.fedsp.{key}={value} needs examples of the '
                "server's: set config.data.server_share, or "
                f'config.fedsp.{key}={type(value)()}.'
            )


def model_faults(
    config: config_dict.ConfigDict, model: ModelConfig
) -> Iterator[str]:
    """Why a model has no such part, where it has none."""
    c = config.fedsp
    if c.client_model == FULL:
        return
    repeated = c.client_model == SHARED
    if fault := auxiliary.fault(model, c.first_layer, c.num_layers, repeated):
        yield (
            f'config.fedsp.first_layer={c.first_layer}, '
            f'config.fedsp.num_layers={c.num_layers}: {fault}'
        )
