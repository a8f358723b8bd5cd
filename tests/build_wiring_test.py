"""Laws of build.build: what a config names is what stage 1 works with."""

from pathlib import Path

import jax
import numpy as np
import pytest

from fedprompt_jax.data.sampling import Cohort
from fedprompt_jax.experiment import build, train
from fedprompt_jax.experiment.clients import Clients
from fedprompt_jax.federated.vmapped import VmappedSimulation
from fedprompt_jax.models import source
from fedprompt_jax.peft.prompt import Prompt
from tests import recorders, tiny, tiny_run

OPTIMIZERS = {
    'client__optimizer': 'sgd',
    'client__learning_rate': 0.5,
    'server__optimizer': 'sgd',
    'server__learning_rate': 0.25,
}


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    return tiny_run.Runs(tmp_path_factory.mktemp('build'))


@pytest.fixture(scope='module')
def make(runs):
    """Changes of the config -> an Experiment on stand-ins."""

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
    start = experiment.algorithm.init()
    end, _, _ = experiment.algorithm.round(start, None, cohort)
    np.testing.assert_allclose(
        end.params['prompt'] - start.params['prompt'],
        np.full_like(start.params['prompt'], -rate * mean),
        rtol=1e-5,
    )


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
    train.train(
        experiment,
        run,
        recorders.NoCheckpoints(),
        recorders.NEVER,
        Clients(experiment, Path()),
    )
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


def members(cohort: Cohort) -> tuple:
    """All of a cohort as numbers that can be compared."""
    steps = [
        [(e.owner, *map(int, e.query), -1, *map(int, e.target)) for e in step]
        for step in cohort.steps
    ]
    return cohort.clients.tolist(), steps


def test_a_cohort_is_of_the_sizes_and_the_seed_of_the_config(make):
    sizes = {'clients_per_round': 3, 'local_steps': 2, 'batch_size': 4}
    experiment = make(**sizes, seed=5)
    cohort = experiment.cohort(1)
    assert len(cohort.clients) == 3 and len(cohort.steps) == 2
    for step in cohort.steps:
        assert sorted(e.owner for e in step) == [0] * 4 + [1] * 4 + [2] * 4
    assert members(experiment.cohort(1)) == members(cohort)
    assert members(experiment.cohort(2)) != members(cohort)


def test_who_is_in_a_cohort_depends_on_the_seed_of_the_config(make):
    def clients(seed):
        experiment = make(seed=seed)
        return [experiment.cohort(i).clients.tolist() for i in range(8)]

    assert clients(5) == clients(5) != clients(6)


@pytest.mark.parametrize('loss', ['sequence', 'token'])
def test_both_simulations_have_the_loss_and_the_model_of_the_config(make, loss):
    packed = make(loss=loss).simulation
    model, base, packer, own_loss, *_ = packed.args
    assert own_loss == loss
    plain = make(loss=loss, simulation='vmap', prompt__length=5)
    assert isinstance(plain.simulation, VmappedSimulation)
    assert plain.simulation.loss == loss
    assert (model.kind.length, plain.simulation.model.kind.length) == (3, 5)
    assert packer.prompt_length == 3
    assert base is plain.simulation.base  # loaded once


def test_a_scorer_has_the_limits_and_the_rule_of_the_config(make):
    experiment = make(
        evaluation__max_new_tokens=3,
        evaluation__batch_size=6,
        evaluation__choices='character',
        packing__max_tokens=512,
    )
    scorer = experiment.evaluator
    tokenizer, packer, generator, rule = scorer.args
    assert scorer.store is experiment.data.store
    assert tokenizer is experiment.lm.tokenizer
    assert (generator.max_new_tokens, generator.batch_size) == (3, 6)
    assert generator.max_tokens == 512
    assert generator.eos_ids == tuple(tokenizer.eos_ids)
    assert rule == 'character'
    assert packer.prompt_length == 3


def test_an_output_ends_at_each_of_the_end_tokens(make, tmp_path):
    """Chat models have several."""
    folder = tiny.make_checkpoint(tmp_path)
    tiny.edit_json(folder / 'generation_config.json', eos_token_id=[2, 7])
    _, _, generator, _ = make(model__source=str(folder)).evaluator.args
    assert set(generator.eos_ids) == {2, 7}


def test_a_model_is_loaded_again_where_it_is_another(make):
    first = make().lm
    assert make(prompt__length=7).lm is first

    def dtypes(**changes) -> set[str]:
        return {str(x.dtype) for x in jax.tree.leaves(make(**changes).lm.base)}

    assert dtypes(model__quantization='int8') == {'float32', 'int8'}
    assert dtypes() == {'float32'}
    assert dtypes(model__dtype='bfloat16') == {'bfloat16'}


def test_another_folder_is_another_model(runs, tmp_path):
    other = tiny.make_checkpoint(tmp_path, seed=1)
    cache = runs.folder / 'cache'
    for name in (runs.base.model.source, str(other)):
        config = runs.config(model__source=name)
        folder, _ = build.load_data(config, cache, runs.loaded)
        assert folder == Path(name)


@pytest.mark.parametrize(
    ('dtype', 'precision'), [('float32', 'highest'), ('bfloat16', None)]
)
def test_numbers_of_32_bits_are_multiplied_as_such(make, dtype, precision):
    """A GPU or TPU would round them to fewer."""
    before = jax.config.jax_default_matmul_precision
    try:
        make(model__dtype=dtype)
        assert jax.config.jax_default_matmul_precision == precision
    finally:
        jax.config.update('jax_default_matmul_precision', before)


@pytest.mark.parametrize('remat', [False, True])
@pytest.mark.parametrize('fsdp', [False, True])
def test_the_model_is_cut_and_computed_as_the_config_says(make, remat, fsdp):
    kind = 'pallas' if remat else 'auto'
    experiment = make(
        model__remat=remat, mesh__fsdp=fsdp, model__attention=kind
    )
    transformer = experiment.model.transformer
    assert transformer.remat == remat
    assert (transformer.kernel is not None) == (kind == 'pallas')
    assert (transformer.gather is not None) == fsdp


@pytest.mark.parametrize('scan', [False, True])
def test_steps_are_scanned_where_the_config_says_so(make, scan):
    *_, scans = make(packing__scan_steps=scan).simulation.args
    assert scans == scan


def test_a_prompt_of_a_text_begins_with_the_text(runs, tmp_path):
    """And not with what the tokenizer puts before every text."""
    tiny.add_bos(tiny.make_checkpoint(tmp_path))
    lm = source.load(tmp_path, 'float32')
    (words,) = lm.tokenizer.encode_batch(['the river'], False)
    assert len(lm.tokenizer.encode_batch(['the river'], True)[0]) > len(words)
    kind = Prompt(len(words), 'text', 1.0, 'the river')
    params = build.initial_params(runs.config(), lm, kind)
    expected = np.asarray(lm.base['embed']['embedding'])[np.array(words)]
    np.testing.assert_array_equal(params['prompt'], expected)
