"""What holds of every federated algorithm, also of one that is added."""

import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import fedavg_adam
from fedprompt_jax import algorithms
from fedprompt_jax.data.examples import Example
from fedprompt_jax.data.sampling import Cohort
from fedprompt_jax.experiment import config as config_lib
from fedprompt_jax.experiment import one_round, stage_one
from fedprompt_jax.experiment.clients import Clients
from fedprompt_jax.experiment.compilations import Compilations
from fedprompt_jax.federated import ledger, prepared
from fedprompt_jax.federated.client import present_owners, train
from fedprompt_jax.federated.packed import PackedSimulation
from fedprompt_jax.federated.vmapped import VmappedSimulation
from fedprompt_jax.mesh import fetch
from tests import extensions, plain, quadratics, recorders
from tests.exhaustive import beyond

extensions.install()  # an algorithm from outside the package is one more
NAMES = algorithms.names()
# Those that differ most in what they keep and send.
SUITE = (
    'fedavg', 'scaffold', 'ditto', 'per_fedavg', 'fedpeptao', 'fedsp',
)  # fmt: skip
every_algorithm = pytest.mark.parametrize('name', beyond(SUITE, NAMES))
POPULATION = 4  # clients, of which a cohort has three
STEPS = 6  # batches of a round: whole local steps of two and of three
# Rates at which a few rounds move a prompt and do not lose it.
CALM = {
    'client.clip_norm': 0.0,
    'local_steps': STEPS,
    'client.optimizer': 'sgd',
    'client.learning_rate': 0.05,
    'server.optimizer': 'sgd',
    'server.learning_rate': 0.7,
}


# What needs more than a simulation has tests of its own.
SIMPLEST = {
    'fedsp': {
        'fedsp.client_model': 'full',
        'fedsp.turn': 'prompt',
        'fedsp.server_step': False,
    },
}


class Plain:
    """A loop over clients in plain JAX: nothing is packed or mapped."""

    def __init__(self, model, base) -> None:
        self._args = model, base

    def gradients(self, bank, examples):
        return plain.gradients(*self._args, bank, examples, 'sequence')

    def local_train(self, tx, bank, opt_state, steps):
        owners = len(jax.tree.leaves(bank)[0])
        present = functools.partial(present_owners, num_owners=owners)
        return train(tx, bank, opt_state, steps, self.gradients, present)

    def compute(self, steps):
        return ledger.compute(self._args[0], steps)


def rounds(name: str, count: int, counts=(2, 1, 3)) -> list[Cohort]:
    """Cohorts of a few of the clients, with ragged examples.

    Args:
      name: of the algorithm; pooled data are one client's.
      count: number of rounds.
      counts: examples of each client of the cohort in a step.
    """
    rng = np.random.default_rng(7)
    size = 1 if algorithms.pooled(name) else len(counts)
    return [
        Cohort(
            np.sort(rng.choice(POPULATION, size, replace=False)),
            np.array(counts[:size]),
            [plain.random_examples(rng, counts[:size]) for _ in range(STEPS)],
        )
        for _ in range(count)
    ]


def initial() -> dict:
    bank = plain.random_bank(np.random.default_rng(0), 1)
    return jax.tree.map(lambda x: x[0], bank)


def make(name: str, simulation, **changes):
    """The algorithm of the config of its name, at calm rates."""
    settings = CALM | SIMPLEST.get(name, {}) | changes
    return quadratics.make(name, simulation, initial(), POPULATION, **settings)


@pytest.fixture(scope='module')
def packed(model, lm):
    return PackedSimulation(
        model, lm.base, plain.PACKER, 'sequence', plain.same
    )


def close(one, other, relative=2e-4):
    """States, and what is kept, agree leaf by leaf."""
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        a, b = np.asarray(a, float), np.asarray(b, float)
        scale = max(1e-3, float(np.linalg.norm(b)))
        assert float(np.linalg.norm(a - b)) <= relative * scale


@every_algorithm
def test_keys_of_its_own_are_in_a_config_of_its_name(name):
    config, rules = quadratics.config_of(name), algorithms.get(name)
    rules = getattr(rules, 'KEYS', {})
    assert set(config.get(name, {})) == set(rules)
    config_lib.check(config, files=False)
    for key in rules:
        wrong = quadratics.config_of(name)
        with wrong.ignore_type():
            wrong[name][key] = 'nonsense'
        assert any(
            line.startswith(f"config.{name}.{key}='nonsense' must be ")
            for line in algorithms.faults(wrong)
        )
    if rules:
        config = fedavg_adam.get_config()
        config.algorithm = name
        (line,) = algorithms.faults(config)
        assert f'--config={algorithms.config_file(name)}' in line


@every_algorithm
def test_packed_is_vmapped_is_a_loop_over_clients(name, packed, model, lm):
    cohorts = rounds(name, 2)
    ends = [
        quadratics.run(make(name, simulation), cohorts)
        for simulation in (
            packed,
            VmappedSimulation(model, lm.base, 'sequence', plain.same),
            Plain(model, lm.base),
        )
    ]
    for state, kept, metrics in ends[1:]:
        close((ends[0][0], ends[0][1]), (state, kept))
        assert metrics['loss'] == pytest.approx(ends[0][2]['loss'], rel=1e-4)
    assert int(ends[0][0].round) == 2


@every_algorithm
def test_it_moves_what_clients_answer_with(name, packed):
    algorithm = make(name, packed)
    (cohort,) = rounds(name, 1)
    state, kept, _ = quadratics.run(algorithm, [cohort])
    client = int(cohort.clients[0])
    if algorithm.prompts is None:
        answer = state.params
    else:
        row = jax.tree.map(lambda x: x[None], kept[client])
        answer = jax.tree.map(lambda x: x[0], algorithm.prompts(state, row))
    assert jax.tree.structure(answer) == jax.tree.structure(initial())
    moved = optax.tree.norm(optax.tree.sub(answer, initial()))
    assert float(moved) > 1e-3


def test_clients_that_keep_a_prompt_answer_with_it(packed):
    (cohort,) = rounds('ditto', 1)
    for name in ('ditto', 'local'):
        algorithm = make(name, packed)
        state, kept, _ = quadratics.run(algorithm, [cohort])
        rows = jax.tree.map(lambda *x: jnp.stack(x), *kept.values())
        close(algorithm.prompts(state, rows), rows, 0.0)


@every_algorithm
def test_the_order_of_clients_changes_nothing(name, packed):
    cohorts = rounds(name, 2)

    def turned(cohort):
        size = len(cohort.clients)
        steps = [
            [e._replace(owner=size - 1 - e.owner) for e in step]
            for step in cohort.steps
        ]
        return Cohort(cohort.clients[::-1], cohort.num_examples[::-1], steps)

    algorithm = make(name, packed)
    state, kept, _ = quadratics.run(algorithm, cohorts)
    other, theirs, _ = quadratics.run(algorithm, map(turned, cohorts))
    close(state, other)
    assert kept.keys() == theirs.keys()
    for client, tree in kept.items():
        close(tree, theirs[client])


@every_algorithm
def test_what_a_client_keeps_does_not_depend_on_who_else_was_there(
    name, packed
):
    """Given the server's state, which all cohorts change."""
    algorithm = make(name, packed)
    if algorithm.client is None:
        assert quadratics.run(algorithm, rounds(name, 1))[1] == {}
        return
    before, cohort = rounds(name, 2)
    state, kept, _ = quadratics.run(algorithm, [before])
    _, together, _ = quadratics.step(algorithm, state, kept, cohort)
    for owner, client in enumerate(cohort.clients.tolist()):
        alone = Cohort(
            cohort.clients[[owner]],
            cohort.num_examples[[owner]],
            [
                [e._replace(owner=0) for e in step if e.owner == owner]
                for step in cohort.steps
            ],
        )
        _, apart, _ = quadratics.step(algorithm, state, kept, alone)
        close(together[client], apart[client])


@every_algorithm
def test_no_program_is_compiled_after_the_first_rounds(name, packed):
    """Nor for another learning rate, which is state."""
    algorithm = make(
        name,
        packed,
        **{'client.schedule': 'linear(end=0.1)', 'server.schedule': 'cosine'},
    )
    cohorts = rounds(name, 1) * 5
    # The second round begins with arrays that the first has made.
    state, kept, _ = quadratics.run(algorithm, cohorts[:2])
    compilations = Compilations()
    for cohort in cohorts[2:]:
        state, kept, _ = quadratics.step(algorithm, state, kept, cohort)
    assert compilations.count == 0


@every_algorithm
def test_its_tokens_and_bytes_are_those_of_the_plan(name, packed):
    algorithm = make(name, packed)
    (cohort,) = rounds(name, 1)
    state, kept, metrics = quadratics.run(algorithm, [cohort])
    # A prompt is read once a call: with every step, or once for all of them.
    least = packed.compute([cohort.examples])
    most = packed.compute(cohort.steps)
    for key in ('tokens', 'flops'):
        count = metrics[key] / algorithm.passes
        assert 0.9 * least[key] <= count <= 1.1 * most[key]
    config = quadratics.config_of(name, **CALM, **SIMPLEST.get(name, {}))
    exchange = stage_one.exchange(config, initial())
    assert exchange.passes == algorithm.passes
    assert ledger.traffic(exchange.sent, 3) == ledger.traffic(
        algorithm.sent(state), 3
    )
    each = ledger.tree_bytes(initial())
    assert ledger.tree_bytes(exchange.sent.up) <= 2 * each
    for tree in kept.values():
        assert ledger.tree_bytes(tree) == ledger.tree_bytes(exchange.kept)


@pytest.mark.parametrize(
    'name', [name for name in NAMES if not algorithms.pooled(name)]
)
def test_a_client_that_diverges_is_dropped_and_counted(name):
    """Its numbers overflow f32; the others' round is as if it were absent."""
    batches = [[[1.0], [5.0], [3e38]]] * STEPS
    with_it = quadratics.cohort([0, 1, 3], batches)
    without = quadratics.cohort([0, 1], [b[:2] for b in batches])
    algorithm = quadratics.make(
        name,
        quadratics.Quadratics(),
        quadratics.start(),
        POPULATION,
        **(CALM | SIMPLEST.get(name, {}) | {'client.learning_rate': 40.0}),
    )
    state, kept, metrics = quadratics.run(algorithm, [with_it])
    other, theirs, _ = quadratics.run(algorithm, [without])
    if name != 'fedsgd':
        assert int(metrics['clients_dropped']) == 1
        close(state, other)
    for client in theirs:
        close(kept[client], theirs[client])


def test_rounds_meet_clients_again():
    """Else nothing that is kept is ever read in these tests."""
    for name in NAMES:
        met = [c for x in rounds(name, 2) for c in x.clients.tolist()]
        assert len(set(met)) < len(met) or algorithms.pooled(name)


def prepared_cohort(simulation, algorithm, cohort, alone=False):
    return prepared.cohort(simulation, cohort, algorithm.takes, alone)


@every_algorithm
def test_prepared_batches_give_the_same_bits(name, packed):
    algorithm = make(name, packed)
    cohorts = rounds(name, 2)
    ready = [prepared_cohort(packed, algorithm, c) for c in cohorts]
    plainly = quadratics.run(algorithm, cohorts)
    ahead = quadratics.run(algorithm, ready)
    close(plainly[0], ahead[0], 0.0)
    close(plainly[1], ahead[1], 0.0)
    assert {k: float(v) for k, v in plainly[2].items()} == {
        k: float(v) for k, v in ahead[2].items()
    }


@every_algorithm
def test_a_client_that_is_lost_does_not_go_unnoticed(name, poisonous, tmp_path):
    """Its neighbours in a row end as if it had been alone from the start."""
    model, base = poisonous
    simulation = PackedSimulation(
        model, base, plain.PACKER, 'sequence', plain.same
    )
    algorithm = make(name, simulation)
    (drawn,) = rounds(name, 1)
    last = len(drawn.clients) - 1
    if not last:
        return  # it has no neighbours
    # The last client has no batch in that step, and is not poisoned by it.
    bad = Example(0, np.array([299], np.int32), np.array([7], np.int32))
    steps = [[bad, *(e for e in drawn.steps[0] if e.owner < last)]]
    steps += drawn.steps[1:]
    cohort = drawn._replace(steps=steps)
    experiment = types.SimpleNamespace(
        algorithm=algorithm,
        simulation=simulation,
        devices=recorders.Devices(),
        config=quadratics.config_of(name),
    )
    clients = Clients(experiment, tmp_path)
    done = one_round.compute(
        experiment,
        clients,
        algorithm.init(),
        prepared_cohort(simulation, algorithm, cohort),
    )
    rows = clients.take(algorithm.init(), cohort.clients)
    state, after, metrics = algorithm.round(algorithm.init(), rows, cohort)
    close(done.server, state)
    close(done.rows, fetch(clients.kept(rows, after)))
    assert done.metrics['clients_dropped'] == int(metrics['clients_dropped'])
