"""Algorithms against NumPy, and the algorithms that they become at limits."""

from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fedprompt_jax import algorithms
from fedprompt_jax.algorithms import fedavg
from fedprompt_jax.data.sampling import Cohort
from fedprompt_jax.experiment import stage_one
from fedprompt_jax.federated.packed import PackedSimulation
from fedprompt_jax.federated.transformations import pull_to_start
from tests import numpy_algorithms, plain, quadratics

POPULATION, RATE, SERVER_RATE = 5, 0.1, 0.7
CLIENTS = [(0, 2, 3), (1, 2, 4), (0, 1, 2)]  # client 2 is in every cohort
SGD = {
    'client.optimizer': 'sgd',
    'client.learning_rate': RATE,
    'server.optimizer': 'sgd',
    'server.learning_rate': SERVER_RATE,
    'local_steps': 6,
}


class OnQuadratics:
    """Rounds of numbers; the gradient of |x - v|^2 / 2 is x - mean(v)."""

    simulation, start = quadratics.Quadratics(), quadratics.start(0.5)
    tolerance = 1e-5

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.cohorts, self.rounds = [], []
        for clients in CLIENTS:
            values = rng.normal(size=(6, 3, 2)).round(2)
            self.cohorts.append(quadratics.cohort(clients, values))
            self.rounds.append({c: values[:, i] for i, c in enumerate(clients)})

    def x(self) -> np.ndarray:
        return np.array(self.start['prompt'], float)

    def gradient(self, x, batch):
        return x - np.mean(batch)


class OnTheModel:
    """Rounds of text; the gradient is that of a loop over examples."""

    tolerance = 1e-3

    def __init__(self, model, base) -> None:
        self.simulation = PackedSimulation(
            model, base, plain.PACKER, 'sequence', plain.same
        )
        self._args = model, base
        rng = np.random.default_rng(1)
        bank = plain.random_bank(rng, 1)
        self.start = jax.tree.map(lambda x: x[0], bank)
        self.cohorts, self.rounds = [], []
        for clients in CLIENTS:
            steps = [plain.random_examples(rng, (2, 1, 2)) for _ in range(6)]
            ids, sizes = np.array(clients), np.array((2, 1, 2))
            self.cohorts.append(Cohort(ids, sizes, steps))
            self.rounds.append(
                {
                    c: [plain.of(i, step) for step in steps]
                    for i, c in enumerate(clients)
                }
            )

    def x(self) -> np.ndarray:
        return np.array(self.start['prompt'], float)

    def gradient(self, x, batch):
        params = {'prompt': jnp.asarray(x, jnp.float32)}
        _, grads = plain.client_loss(*self._args, params, batch, 'sequence')
        return np.array(grads['prompt'], float)


@pytest.fixture(scope='module', params=['quadratics', 'model'])
def problem(request, model, lm):
    if request.param == 'quadratics':
        return OnQuadratics()
    return OnTheModel(model, lm.base)


def run(name, problem, cohorts=None, **changes):
    algorithm = quadratics.make(
        name, problem.simulation, problem.start, POPULATION, **(SGD | changes)
    )
    return quadratics.run(algorithm, cohorts or problem.cohorts)


def near(got, expected, problem):
    got = np.asarray(got['prompt'] if isinstance(got, dict) else got)
    scale = max(1e-2, np.linalg.norm(expected))
    assert np.linalg.norm(got - expected) <= problem.tolerance * scale


@pytest.mark.parametrize('option', ['I', 'II'])
def test_scaffold_is_its_definition(option, problem):
    x, c, kept = numpy_algorithms.scaffold(
        problem.gradient, problem.x(), problem.rounds, RATE, SERVER_RATE,
        POPULATION, option,
    )  # fmt: skip
    state, rows, metrics = run(
        'scaffold', problem, **{'scaffold.option': option}
    )
    near(state.params, x, problem)
    near(state.control, c, problem)
    assert rows.keys() == kept.keys()
    for client, row in rows.items():
        near(row, kept[client], problem)
    assert metrics['control_norm'] == pytest.approx(np.linalg.norm(c), rel=1e-3)


def test_ditto_is_its_definition(problem):
    x, kept = numpy_algorithms.ditto(
        problem.gradient, problem.x(), problem.rounds, RATE, SERVER_RATE,
        0.2, 0.6,
    )  # fmt: skip
    state, rows, _ = run(
        'ditto',
        problem,
        **{'ditto.strength': 0.6, 'ditto.learning_rate': 0.2},
    )
    near(state.params, x, problem)
    assert rows.keys() == kept.keys()
    for client, row in rows.items():
        near(row, kept[client], problem)


@pytest.mark.parametrize('variant', ['fo', 'hf'])
def test_per_fedavg_is_its_definition(variant, problem):
    x = numpy_algorithms.per_fedavg(
        problem.gradient, problem.x(), problem.rounds, RATE, SERVER_RATE,
        0.3, 0.01, variant,
    )  # fmt: skip
    state, _, _ = run(
        'per_fedavg',
        problem,
        **{
            'per_fedavg.variant': variant,
            'per_fedavg.inner_learning_rate': 0.3,
            'per_fedavg.delta': 0.01,
        },
    )
    near(state.params, x, problem)


@pytest.mark.parametrize(
    ('name', 'changes', 'text'),
    [
        (
            'scaffold',
            {'client.optimizer': 'adam'},
            "must be 'sgd' for config.scaffold.option='II'",
        ),
        ('per_fedavg', {'local_steps': 5}, 'must be a multiple of 2'),
        (
            'per_fedavg',
            {'per_fedavg.variant': 'hf', 'local_steps': 8},
            'must be a multiple of 3',
        ),
        (
            'per_fedavg',
            {'local_steps': 0, 'local_epochs': 1},
            'config.local_epochs=0',
        ),
    ],
)
def test_what_an_algorithm_cannot_use_is_a_sentence(name, changes, text):
    config = quadratics.config_of(name, **changes)
    (line,) = algorithms.faults(config)
    assert text in line
    changes = {'scaffold.option': 'I'} if name == 'scaffold' else {}
    config = quadratics.config_of(name, **changes)
    assert not list(algorithms.faults(config))


def test_fedprox_without_a_pull_is_fedavg():
    problem = OnQuadratics()
    expected, _, _ = run('fedavg', problem)
    state, _, _ = run('fedprox', problem, **{'fedprox.mu': 0.0})
    np.testing.assert_array_equal(state.params, expected.params)
    pulled, _, _ = run('fedprox', problem, **{'fedprox.mu': 1.0})
    assert quadratics.scalar(pulled) != quadratics.scalar(expected)


def proximal(problem, mus) -> np.ndarray:
    """x after FedProx's rounds, each with its mu, in NumPy."""
    x = problem.x()
    for mu, one in zip(mus, problem.rounds, strict=True):
        moves = []
        for batches in one.values():
            y = x.copy()
            for batch in batches:
                gradient = problem.gradient(y, batch)
                y = y - RATE * (gradient + mu * (y - x))
            moves.append(y - x)
        x = x + SERVER_RATE * np.mean(moves, axis=0)
    return x


def test_a_pull_that_decays_by_round_is_a_setting_of_the_client_optimizer():
    """FedProx with mu 0.8, 0.4, 0.2: no array is closed over."""
    problem, mus = OnQuadratics(), [0.8, 0.4, 0.2]
    setups = []

    def make(setup):
        setups.append(setup)
        return fedavg.make(setup)

    config = quadratics.config_of('fedavg', **SGD)
    with mock.patch.object(algorithms, 'get') as get:
        get.return_value.make = make
        stage_one.make(
            stage_one.setup(config, problem.simulation, problem.start, 5)
        )
    (setup,) = setups
    pull = optax.inject_hyperparams(pull_to_start)(strength=9.0)
    decaying = setup._replace(
        client_tx=optax.chain(pull, setup.client_tx),
        client_settings=lambda round: {'strength': mus[round]},
    )
    state, _, _ = quadratics.run(fedavg.make(decaying), problem.cohorts)
    near(state.params, proximal(problem, mus), problem)


def test_fedprox_is_sgd_on_the_loss_and_the_pull():
    problem, mu = OnQuadratics(), 0.8
    state, _, _ = run('fedprox', problem, **{'fedprox.mu': mu})
    near(state.params, proximal(problem, [mu] * 3), problem)


@pytest.mark.parametrize('option', ['I', 'II'])
def test_scaffold_with_zero_variates_is_fedavg(option):
    """As in the first round, in which all of them are zero."""
    problem = OnQuadratics()
    first = problem.cohorts[:1]
    expected, _, _ = run('fedavg', problem, first)
    state, _, _ = run('scaffold', problem, first, **{'scaffold.option': option})
    assert quadratics.scalar(state) == quadratics.scalar(expected)
    expected, _, _ = run('fedavg', problem)
    state, _, _ = run('scaffold', problem, **{'scaffold.option': option})
    assert quadratics.scalar(state) != quadratics.scalar(expected)


def test_the_variate_of_all_clients_is_the_mean_of_theirs():
    problem = OnQuadratics()
    state, rows, _ = run('scaffold', problem)
    total = sum(float(row['prompt'].sum()) for row in rows.values())
    assert float(state.control['prompt'].sum()) == pytest.approx(
        total / POPULATION, rel=1e-5
    )


def test_ditto_without_a_pull_is_local_training():
    problem = OnQuadratics()
    first = problem.cohorts[:1] * 3
    _, expected, _ = run('local', problem, first)
    _, rows, _ = run(
        'ditto',
        problem,
        first,
        **{'ditto.strength': 0.0, 'ditto.learning_rate': RATE},
    )
    for client, row in rows.items():
        near(row, np.asarray(expected[client]['prompt']), problem)


def test_ditto_with_a_large_pull_stays_at_the_global_prompt():
    """The fixed point of v is (mean + strength x) / (1 + strength)."""
    problem = OnQuadratics()
    cohort = problem.cohorts[0]._replace(steps=problem.cohorts[0].steps * 4)
    strength = 400.0
    _, rows, _ = run(
        'ditto',
        problem,
        [cohort],
        **{
            'ditto.strength': strength,
            'ditto.learning_rate': 1 / (1 + strength),
        },
    )
    for row in rows.values():
        assert float(row['prompt'][0, 0]) == pytest.approx(0.5, abs=0.01)


def test_the_global_prompt_of_ditto_is_fedavg_s():
    problem = OnQuadratics()
    expected, _, _ = run('fedavg', problem)
    state, _, _ = run('ditto', problem)
    assert quadratics.scalar(state) == quadratics.scalar(expected)


def test_reptile_moves_a_share_of_the_mean_of_what_clients_moved():
    problem = OnQuadratics()
    first = problem.cohorts[:1]
    whole, _, _ = run('fedavg', problem, first, **{'server.learning_rate': 1.0})
    state, _, _ = run(
        'reptile', problem, first, **{'server.learning_rate': 0.3}
    )
    moved = quadratics.scalar(state) - 0.5
    assert moved == pytest.approx(0.3 * (quadratics.scalar(whole) - 0.5))


def test_local_training_is_optax_on_what_each_client_keeps():
    problem = OnQuadratics()
    state, rows, _ = run('local', problem)
    assert quadratics.scalar(state) == 0.5  # nothing is learnt from anybody
    expected = {}
    for one in problem.rounds:
        for client, batches in one.items():
            y = expected.get(client, problem.x())
            for batch in batches:
                y = y - RATE * problem.gradient(y, batch)
            expected[client] = y
    assert rows.keys() == expected.keys()
    for client, row in rows.items():
        near(row, expected[client], problem)


def test_per_fedavg_with_a_tiny_inner_step_is_fedavg_on_the_second_batches():
    problem = OnQuadratics()
    halves = [c._replace(steps=c.steps[1::2]) for c in problem.cohorts]
    expected, _, _ = run('fedavg', problem, halves)
    state, _, _ = run(
        'per_fedavg', problem, **{'per_fedavg.inner_learning_rate': 1e-9}
    )
    assert quadratics.scalar(state) == pytest.approx(
        quadratics.scalar(expected), rel=1e-5
    )


def test_a_schedule_sets_the_rate_of_each_round_on_both_sides():
    problem = OnQuadratics()
    changes = {
        'rounds': 3,
        'client.schedule': 'linear(end=0.1)',
        'server.schedule': 'exponential(decay=0.5)',
    }
    x = problem.x()
    for number, one in enumerate(problem.rounds):
        rate = RATE * (0.1 + 0.9 * (1 - number / 3))
        moves = []
        for batches in one.values():
            y = x.copy()
            for batch in batches:
                y = y - rate * problem.gradient(y, batch)
            moves.append(y - x)
        x = x + SERVER_RATE * 0.5**number * np.mean(moves, axis=0)
    state, _, _ = run('fedavg', problem, **changes)
    near(state.params, x, problem)
    # SCAFFOLD divides a client's displacement by the rate of its round.
    _, rows, _ = run('scaffold', problem, problem.cohorts[:1], **changes)
    for client, batches in problem.rounds[0].items():
        y = problem.x()
        for batch in batches:
            y = y - RATE * problem.gradient(y, batch)
        near(rows[client], (problem.x() - y) / (6 * RATE), problem)


def test_clipping_is_of_each_client_s_gradient():
    problem = OnQuadratics()
    cohort = quadratics.cohort([0, 1], [[[100.0], [0.6]]])
    state, _, _ = run(
        'fedavg',
        problem,
        [cohort],
        **{'client.clip_norm': 0.2, 'server.learning_rate': 1.0},
    )
    # Gradients -99.5 and -0.1 become -0.2 and -0.1.
    assert quadratics.scalar(state) == pytest.approx(0.5 + RATE * 0.15)


def test_server_adam_is_fedadam_with_bias_correction():
    problem, (b1, b2, eps) = OnQuadratics(), (0.9, 0.99, 1e-3)
    x, m, v = problem.x(), 0.0, 0.0
    for t, one in enumerate(problem.rounds, start=1):
        ends = []
        for batches in one.values():
            y = x.copy()
            for batch in batches:
                y = y - RATE * problem.gradient(y, batch)
            ends.append(y)
        delta = x - np.mean(ends, axis=0)
        m, v = b1 * m + (1 - b1) * delta, b2 * v + (1 - b2) * delta**2
        x = x - 0.1 * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
    changes = {
        'client.learning_rate': RATE,
        'local_steps': 6,
        'server.learning_rate': 0.1,
    }
    algorithm = quadratics.make(
        'fedavg',
        problem.simulation,
        problem.start,
        **changes,
        **{
            'client.optimizer': 'sgd',
            'server.optimizer': f'adam(b1={b1}, b2={b2}, eps={eps})',
        },
    )
    state, _, _ = quadratics.run(algorithm, problem.cohorts)
    assert optax.tree.norm(state.params) == pytest.approx(
        float(np.abs(x).sum()), rel=1e-4
    )
