"""Laws of build.build: what a config names is what stage 1 works with."""

import jax.numpy as jnp
import numpy as np
import pytest

from fedprompt_jax.data.sampling import Cohort
from fedprompt_jax.experiment import build, train
from tests import recorders, tiny_run

OPTIMIZERS = {
    'client__optimizer': 'sgd',
    'client__learning_rate': 0.5,
    'server__optimizer': 'sgd',
    'server__learning_rate': 0.25,
}


@pytest.fixture(scope='module')
def make(tmp_path_factory):
    """Changes of the config -> an Experiment on stand-ins."""
    runs = tiny_run.Runs(tmp_path_factory.mktemp('build'))

    def make(**changes):
        config = runs.config(**OPTIMIZERS | changes)
        cache = runs.folder / 'cache'
        folder, data = build.load_data(config, cache, runs.loaded)
        with recorders.in_place():
            return build.build(config, folder, data, runs.loaded)

    return make


@pytest.mark.parametrize(
    ('algorithm', 'rate'), [('fedavg', 0.5 * 0.25), ('fedsgd', 0.25)]
)
@pytest.mark.parametrize(
    ('aggregation', 'mean'),
    [('uniform', (1 + 2) / 2), ('examples', (1 * 1 + 3 * 2) / 4)],
)
def test_clients_are_weighted_as_aggregation_says_at_the_rates_of_the_config(
    make, algorithm, rate, aggregation, mean
):
    experiment = make(algorithm=algorithm, aggregation=aggregation)
    examples = [experiment.data.store.example(c, c) for c in (0, 1)]
    cohort = Cohort(np.array([4, 7]), np.array([1, 3]), [examples])
    start = experiment.algorithm.init({'prompt': jnp.zeros((3, 2))})
    end, _ = experiment.algorithm.round(start, cohort)
    np.testing.assert_allclose(end.params['prompt'], -rate * mean, rtol=1e-6)


def test_the_initial_prompt_is_a_function_of_the_seed(make):
    """Else several seeds are one starting point."""
    first, again, other = (
        np.asarray(make(seed=seed).params['prompt']) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.isclose(first, other).any()


def rounds_of(experiment) -> list[dict]:
    """The logged lines of its rounds."""
    run = recorders.Run()
    train.train(experiment, run, recorders.NoCheckpoints(), recorders.NEVER)
    return [line for line in run.lines if line['stage'] == 'train']


def test_centralized_training_is_of_one_client_with_all_data_and_no_traffic(
    make,
):
    """Else the baseline is FedSGD under another name."""
    experiment = make(
        algorithm='centralized', clients_per_round=1, validation__every=0
    )
    assert experiment.pooled
    assert len(experiment.population) == 1
    everything = experiment.data.population.order
    np.testing.assert_array_equal(
        np.sort(experiment.population[0]), np.sort(everything)
    )
    cohort = experiment.cohort(0)
    assert cohort.num_examples.tolist() == [len(everything)]
    lines = rounds_of(experiment)
    assert len(lines) == 2
    assert {line['bytes_up'] + line['bytes_down'] for line in lines} == {0}


@pytest.mark.parametrize('algorithm', ['fedavg', 'fedsgd'])
def test_federated_training_sends_a_prompt_each_way_for_every_client(
    make, algorithm
):
    experiment = make(algorithm=algorithm, validation__every=0)
    assert not experiment.pooled
    assert len(experiment.population) == len(experiment.data.population) > 2
    expected = 2 * experiment.params['prompt'].nbytes
    for line in rounds_of(experiment):
        assert line['bytes_up'] == line['bytes_down'] == expected
