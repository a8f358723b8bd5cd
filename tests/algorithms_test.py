"""Laws of the federated algorithms: their limits are each other and Optax."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fedprompt_jax import algorithms
from fedprompt_jax.algorithms import centralized, fedavg, fedsgd
from fedprompt_jax.bank.owners import finite_owners, mean_of_finite
from fedprompt_jax.data.sampling import Cohort
from fedprompt_jax.federated import aggregates, optimizers
from fedprompt_jax.federated.packed import PackedSimulation
from fedprompt_jax.federated.vmapped import VmappedSimulation
from tests import plain
from tests.quadratics import Quadratics, number, numbers, scalar, start

SGD = optax.sgd(1.0)


def run(module, setup, params, cohorts):
    algorithm = module.make(setup._replace(params=params))
    state = algorithm.init()
    for cohort in cohorts:
        state, _, metrics = algorithm.round(state, None, cohort)
    return state, metrics


@pytest.fixture(scope='module')
def packed(model, lm):
    return PackedSimulation(
        model, lm.base, plain.PACKER, 'sequence', plain.same
    )


def cohort_of(seed, counts, steps=1):
    rng = np.random.default_rng(seed)
    batches = [plain.random_examples(rng, counts) for _ in range(steps)]
    clients = np.arange(len(counts))
    return Cohort(clients, np.array(counts), batches)


def initial(seed=0):
    bank = plain.random_bank(np.random.default_rng(seed), 1)
    return jax.tree.map(lambda x: x[0], bank)


@pytest.mark.parametrize('aggregation', ['uniform', 'examples'])
def test_fedavg_of_one_sgd_step_is_fedsgd(aggregation, packed):
    cohort, params, eta = cohort_of(0, (3, 2, 1, 5, 2)), initial(), 0.3
    average, _ = run(
        fedavg,
        plain.setup(packed, optax.sgd(eta), SGD, aggregation),
        params,
        [cohort],
    )
    descent, _ = run(
        fedsgd,
        plain.setup(packed, SGD, optax.sgd(eta), aggregation),
        params,
        [cohort],
    )
    moved, expected = (
        optax.tree.sub(s.params, params) for s in (average, descent)
    )
    assert optax.tree.norm(expected) > 1e-3
    plain.assert_close(moved, expected, 1e-4)


def test_fedavg_of_one_client_is_plain_optax(packed, model, lm):
    cohort, params, tx = cohort_of(1, (4,), steps=3), initial(), optax.adam(0.1)
    expected, losses = plain.local_train(
        model, lm.base, tx, params, cohort.steps, 'sequence'
    )
    state, metrics = run(
        fedavg, plain.setup(packed, tx, SGD, 'uniform'), params, [cohort]
    )
    plain.assert_close(state.params, expected, 1e-4)
    assert metrics['loss'] == pytest.approx(np.mean(losses), rel=1e-4)
    assert metrics['loss_first_step'] == pytest.approx(losses[0], rel=1e-4)
    assert metrics['loss_last_step'] == pytest.approx(losses[-1], rel=1e-4)


@pytest.mark.parametrize('module', [fedsgd, centralized])
def test_fedsgd_of_one_client_is_plain_optax_with_one_state(
    module, packed, model, lm
):
    cohorts = [cohort_of(seed, (4,)) for seed in range(3)]
    params, tx = initial(), optax.adam(0.1, b1=0.9)
    expected, _ = plain.local_train(
        model,
        lm.base,
        tx,
        params,
        [c.steps[0] for c in cohorts],
        'sequence',
    )
    setup = plain.setup(packed, SGD, tx, 'uniform')
    state, _ = run(module, setup, params, cohorts)
    plain.assert_close(state.params, expected, 1e-4)
    assert int(state.opt_state[0].count) == int(state.round) == 3


def test_fedsgd_of_several_batches_is_fedsgd_of_one_large_batch():
    """Gradients at 0: -1, -3, -5, -7 of client 0; -2, -2, -20, -40 of 1."""
    batches = [
        [number(0, 1), number(0, 3), number(1, 2), number(1, 2)],
        [number(0, 5), number(0, 7), number(1, 20), number(1, 40)],
    ]
    cohort = Cohort(np.arange(2), np.array([4, 4]), batches)
    setup = plain.setup(Quadratics(), SGD, optax.sgd(0.5), 'uniform')
    several, metrics = run(fedsgd, setup, start(), [cohort])
    assert scalar(several) == 0.5 * (4 + 16) / 2
    assert float(metrics['client_grad_norm']) == (4 + 16) / 2
    squares = (1 + 9 + 25 + 49) / 4, (4 + 4 + 400 + 1600) / 4
    assert float(metrics['loss']) == sum(squares) / 2 / 2
    large = cohort._replace(steps=[[*batches[0], *batches[1]]])
    one, expected = run(fedsgd, setup, start(), [large])
    assert scalar(several) == scalar(one)
    for key, value in expected.items():
        assert float(metrics[key]) == float(value)


def test_only_centralized_pools_its_clients():
    pooled = {name for name in algorithms.names() if algorithms.pooled(name)}
    assert pooled == {'centralized'}


def test_a_pooled_client_weighs_every_example_the_same():
    """FedSGD weighted by examples on the clients = one client with all."""
    values = {0: [1, 2], 1: [9], 2: [4, 4, 7]}
    apart = [number(c, v) for c, own in values.items() for v in own]
    together = [e._replace(owner=0) for e in apart]
    sizes = np.array([2, 1, 3])
    setup = plain.setup(Quadratics(), SGD, optax.adam(0.1, b1=0.9), 'examples')
    many, _ = run(
        fedsgd, setup, start(), [Cohort(np.arange(3), sizes, [apart])] * 3
    )
    one = Cohort(np.arange(1), np.array([6]), [together])
    pooled, _ = run(centralized, setup, start(), [one] * 3)
    assert scalar(many) == pytest.approx(scalar(pooled), rel=1e-5)


@pytest.mark.parametrize(
    ('aggregation', 'gradient', 'displacement'),
    # Gradients at 0: -1 and -5; half of them after one step of rate 0.5.
    [('uniform', -3.0, -1.5), ('examples', -4.0, -2.0)],
)
def test_clients_are_averaged_as_aggregation_says(
    aggregation, gradient, displacement
):
    cohort = numbers(1, 5, sizes=[10, 30])
    setup = plain.setup(Quadratics(), optax.sgd(0.5), SGD, aggregation)
    state, metrics = run(fedsgd, setup, start(), [cohort])
    assert scalar(state) == -gradient
    assert float(metrics['predicted_change']) == -(gradient**2)
    state, metrics = run(fedavg, setup, start(), [cohort])
    assert scalar(state) == -displacement
    assert float(metrics['prompt_norm']) == abs(displacement)
    assert float(metrics['predicted_change']) == gradient * -displacement


def test_the_server_optimizer_is_optax_on_the_mean_displacement():
    """Adam with bias correction, written out, for three rounds."""
    eta, b1, b2, eps = 0.2, 0.5, 0.7, 0.1
    server_tx = optimizers.make(f'adam(b1={b1}, b2={b2}, eps={eps})', eta)
    setup = plain.setup(Quadratics(), optax.sgd(0.5), server_tx, 'uniform')
    x = m = v = 0.0
    for t in (1, 2, 3):
        gradient = 0.5 * (x - 3)  # x - y of the mean client
        m, v = b1 * m + (1 - b1) * gradient, b2 * v + (1 - b2) * gradient**2
        m_hat, v_hat = m / (1 - b1**t), v / (1 - b2**t)
        x -= eta * m_hat / (np.sqrt(v_hat) + eps)
    state, _ = run(fedavg, setup, start(), [numbers(1, 5)] * 3)
    assert scalar(state) == pytest.approx(x, rel=1e-5)


def test_clients_restart_their_optimizer_and_the_server_does_not():
    momentum = optax.sgd(0.1, momentum=0.9)
    restarting = plain.setup(Quadratics(), momentum, SGD, 'uniform')
    state, _ = run(fedavg, restarting, start(), [numbers(10)] * 2)
    assert scalar(state) == pytest.approx(1 + 0.1 * 9, rel=1e-5)
    keeping = plain.setup(Quadratics(), SGD, momentum, 'uniform')
    state, _ = run(fedsgd, keeping, start(), [numbers(10)] * 2)
    assert scalar(state) == pytest.approx(1 + 0.1 * (9 + 0.9 * 10), rel=1e-5)


@pytest.mark.parametrize('module', [fedavg, fedsgd])
def test_a_client_of_weight_zero_changes_nothing(module):
    setup = plain.setup(Quadratics(), optax.sgd(0.5), SGD, 'examples')
    with_it = numbers(1, 5, 100, sizes=[2, 3, 0])
    state, _ = run(module, setup, start(), [with_it])
    without = numbers(1, 5, sizes=[2, 3])
    expected, _ = run(module, setup, start(), [without])
    assert scalar(state) == pytest.approx(scalar(expected), rel=1e-6)


def test_every_leaf_of_an_owner_is_finite():
    """Else a client that diverged in one layer would be averaged."""
    bank = {
        'first': jnp.array([[1.0], [jnp.nan], [3.0]]),
        'second': jnp.array([[1.0], [2.0], [jnp.inf]]),
    }
    assert finite_owners(bank).tolist() == [True, False, False]
    mean = aggregates.uniform()(bank, np.ones(3))
    assert [float(x[0]) for x in jax.tree.leaves(mean)] == [1, 1]


def test_a_mean_leaves_out_who_has_no_batch():
    steps = np.array([[1.0, 2.0, 9.0], [3.0, np.nan, 9.0]])
    finite = np.array([True, True, False])
    assert mean_of_finite(steps, finite) == (1 + 2 + 3) / 3


def test_the_loss_of_fedsgd_is_that_of_the_clients_in_the_mean():
    class Given:
        def gradients(self, bank, examples):
            grads = jnp.array([[[1.0]], [[jnp.nan]]])
            return jnp.array([2.0, 5.0]), {'prompt': grads}

        def compute(self, steps):
            return {}

    setup = plain.setup(Given(), SGD, SGD, 'uniform')
    state, metrics = run(fedsgd, setup, start(), [numbers(1, 2)])
    assert scalar(state) == -1
    assert float(metrics['loss']) == 2
    assert float(metrics['client_grad_norm']) == 1


def test_a_mean_over_no_finite_owner_is_nan():
    bank = {'prompt': jnp.array([[1.0], [jnp.nan], [jnp.inf]])}
    one = aggregates.uniform()(bank, np.ones(3))
    assert float(one['prompt'][0]) == 1
    none = aggregates.examples()(bank, np.array([0, 1, 1]))
    assert np.isnan(none['prompt'][0])


@pytest.mark.parametrize('kind', ['packed', 'vmapped'])
@pytest.mark.parametrize('module', [fedavg, fedsgd])
def test_a_non_finite_client_is_dropped_and_counted(kind, module, poisonous):
    """One example whose embedding is NaN, in the rows of finite clients."""
    model, base = poisonous
    if kind == 'packed':
        packer = plain.PACKER
        simulation = PackedSimulation(
            model, base, packer, 'sequence', plain.same
        )
    else:
        simulation = VmappedSimulation(model, base, 'sequence', plain.same)
    setup = plain.setup(simulation, optax.adam(0.1), optax.sgd(0.5), 'examples')
    rng = np.random.default_rng(2)
    examples = plain.random_examples(rng, (2, 2, 2))
    poison = np.array([299, 299], np.int32)
    poisoned = [
        e._replace(query=poison) if e.owner == 1 else e for e in examples
    ]
    sizes = np.array([2, 2, 2])
    state, metrics = run(
        module,
        setup,
        initial(),
        [Cohort(np.arange(3), sizes, [poisoned, examples])],
    )
    assert int(metrics['clients_dropped']) == 1
    # The cohort without it: nothing of its own, and no weight.
    without = [e for e in examples if e.owner != 1]
    expected, others = run(
        module,
        setup,
        initial(),
        [Cohort(np.arange(3), np.array([2, 0, 2]), [without, without])],
    )
    assert int(others['clients_dropped']) == 0
    plain.assert_close(state.params, expected.params, 1e-5)
    for key in ('update_norm', 'predicted_change', 'prompt_norm'):
        assert float(metrics[key]) == pytest.approx(
            float(others[key]), rel=1e-4
        )
    if module is fedavg:
        assert metrics['loss'] == pytest.approx(others['loss'], rel=1e-4)


@pytest.mark.filterwarnings('ignore::RuntimeWarning')
@pytest.mark.parametrize('module', [fedavg, fedsgd])
def test_a_round_without_a_finite_client_is_nan(module, poisonous):
    """The caller stops on it: an average over nothing is never 0."""
    model, base = poisonous
    simulation = PackedSimulation(
        model, base, plain.PACKER, 'sequence', plain.same
    )
    poison = np.array([299], np.int32)
    step = [
        e._replace(query=poison)
        for e in plain.random_examples(np.random.default_rng(3), (1, 1, 1))
    ]
    cohort = Cohort(np.arange(3), np.ones(3, int), [step])
    setup = plain.setup(simulation, SGD, SGD, 'uniform')
    state, metrics = run(module, setup, initial(), [cohort])
    assert np.isnan(state.params['prompt']).all()
    assert int(metrics['clients_dropped']) == 3
    assert np.isnan(metrics['loss'])


def test_a_client_that_diverges_is_in_no_mean():
    """Its displacement overflows f32; its first loss and gradient do not."""
    setup = plain.setup(Quadratics(), optax.sgd(1e30), SGD, 'uniform')
    cohort = numbers(1, 5, 2**30)
    state, metrics = run(fedavg, setup, start(), [cohort])
    assert scalar(state) == pytest.approx(3e30)
    assert int(metrics['clients_dropped']) == 1
    assert float(metrics['loss']) == (1 + 25) / 2 / 2
    assert float(metrics['client_grad_norm']) == (1 + 5) / 2


@pytest.mark.filterwarnings('ignore::RuntimeWarning')
def test_a_huge_learning_rate_drops_every_client():
    setup = plain.setup(Quadratics(), optax.sgd(1e39), SGD, 'uniform')
    state, metrics = run(fedavg, setup, start(), [numbers(1, 5)])
    assert np.isnan(scalar(state))
    assert int(metrics['clients_dropped']) == 2
