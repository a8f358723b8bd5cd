"""Laws of what an algorithm does before its rounds, and of a second model."""

import json
import shutil
import types

import jax
import jax.numpy as jnp
from ml_collections import config_dict
import numpy as np
import optax
import pytest
from safetensors.numpy import load_file

from fedprompt_jax import algorithms
from fedprompt_jax.bank.owners import replicate
from fedprompt_jax.data.packing import Shape
from fedprompt_jax.experiment import build, run_folder, scalars
from fedprompt_jax.experiment import run as run_lib
from fedprompt_jax.experiment.compilations import Compilations
from fedprompt_jax.experiment.last_loaded import LastLoaded
from fedprompt_jax.federated import own_base
from fedprompt_jax.federated.packed import PackedSimulation
from fedprompt_jax.federated.vmapped import VmappedSimulation
from fedprompt_jax.report import page
from tests import extensions, plain, tiny
from tests.exhaustive import beyond
from tests.tiny_run import Runs, results

extensions.install()
warm_start = algorithms.get('warm_start')
SHORT = {
    'algorithm': 'warm_start',
    'data__server_share': 0.2,
    'rounds': 2,
    'clients_per_round': 2,
    'validation__every': 0,
    'personalization__epochs': 1,
}


@pytest.fixture(scope='module')
def runs(tmp_path_factory) -> Runs:
    return Runs(tmp_path_factory.mktemp('runs'))


@pytest.fixture(scope='module')
def whole(runs):
    """The folder of an uninterrupted run."""
    path = runs.folder / 'whole'
    runs.start(path, **SHORT)
    return path


def lines(path, stage: str) -> list[dict]:
    text = (path / 'metrics.jsonl').read_text()
    found = map(json.loads, text.splitlines())
    return [line for line in found if line['stage'] == stage]


def test_a_stage_is_logged_step_by_step_before_the_first_round(whole):
    text = (whole / 'metrics.jsonl').read_text().splitlines()
    stages = [json.loads(line)['stage'] for line in text]
    assert stages[:5] == ['warm_start'] * 3 + ['train'] * 2
    found = lines(whole, 'warm_start')
    assert [line['step'] for line in found] == [1, 2, 3]
    assert all(line['loss'] > 0 and line['seconds'] > 0 for line in found)


@pytest.mark.parametrize('steps', [1, 3, 4])
def test_stopped_in_a_stage_or_after_it_the_run_is_the_same(runs, whole, steps):
    path = runs.folder / f'stopped {steps}'
    runs.start(path, stop=steps, **SHORT)
    assert len(lines(path, 'warm_start')) == min(steps, 3)
    assert len(lines(path, 'train')) == max(0, steps - 3)
    runs.start(path, **SHORT)
    assert results(path) == results(whole)


def test_a_stage_that_is_done_is_not_run_again(runs, monkeypatch):
    """Though the run was stopped before a round was saved."""
    path = runs.folder / 'done'
    runs.start(path, stop=3, **SHORT)

    def again(*args):
        raise AssertionError('a step was taken')

    monkeypatch.setattr(
        warm_start, 'StageBefore', lambda *a: _stage(*a[:3], again, a[4])
    )
    runs.start(path, stop=1, **SHORT)
    assert len(lines(path, 'train')) == 1


_stage = warm_start.StageBefore


def test_the_rounds_begin_where_the_stage_has_ended(runs):
    """Plain Optax on the server's batches, and then no round."""
    path = runs.folder / 'no rounds'
    runs.start(path, **SHORT | {'rounds': 0})
    config = runs.config(**SHORT)
    folder, data = build.load_data(config, runs.folder / 'cache', runs.loaded)
    made = build.build(config, folder, data, runs.loaded)
    tx = optax.adam(config.client.learning_rate, b1=0.99, b2=0.999, eps=1e-8)
    params, state = made.params, tx.init(made.params)
    for round in range(3):
        for step in build.server_steps(config, data, round):
            _, grads = made.simulation.gradients(replicate(params, 1), step)
            grads = jax.tree.map(lambda g: g[0], grads)
            updates, state = tx.update(grads, state)
            params = optax.apply_updates(params, updates)
    (saved,) = load_file(
        path / 'prompts' / 'global' / 'adapter_model.safetensors'
    ).values()
    np.testing.assert_allclose(saved, params['prompt'], atol=1e-5)


def test_without_examples_of_the_server_s_there_is_no_stage(runs):
    path = runs.folder / 'none'
    runs.start(path, **SHORT | {'data__server_share': 0.0})
    assert not lines(path, 'warm_start')
    assert not list((path / 'checkpoints').glob('before-*'))


def test_a_stage_that_turns_non_finite_leaves_its_checkpoint(runs, monkeypatch):
    path = runs.folder / 'diverges'
    runs.start(path, stop=1, **SHORT)

    def wild(state, number):
        bad = jax.tree.map(lambda x: x * jnp.nan, state)
        return bad, {'loss': jnp.nan}

    with monkeypatch.context() as patch:
        patch.setattr(
            warm_start, 'StageBefore', lambda *a: _stage(*a[:3], wild, a[4])
        )
        with pytest.raises(FloatingPointError, match="stage 'warm_start'"):
            runs.start(path, **SHORT)
    assert not lines(path, 'train')
    runs.start(path, **SHORT)
    assert len(lines(path, 'warm_start')) == 3


class Two:
    """The stage twice, as two stages; counts the steps of each."""

    def __init__(self, monkeypatch) -> None:
        self.taken = []
        made = warm_start.make

        def make(setup):
            algorithm = made(setup)
            (stage,) = algorithm.stages
            stages = [
                stage._replace(name=name, step=self.counted(name, stage.step))
                for name in ('first', 'second')
            ]
            return algorithm._replace(stages=stages)

        monkeypatch.setattr(warm_start, 'make', make)

    def counted(self, name, step):
        def call(state, number):
            self.taken.append((name, number))
            return step(state, number)

        return call


def test_of_two_stages_the_later_knows_what_the_earlier_has_made(
    runs, monkeypatch, tmp_path
):
    """Though the checkpoints of the earlier are lost."""
    two = Two(monkeypatch)
    whole = tmp_path / 'whole'
    runs.start(whole, **SHORT)
    every = [(name, i) for name in ('first', 'second') for i in range(3)]
    assert two.taken == every
    path = tmp_path / 'two'
    runs.start(path, stop=5, **SHORT)
    shutil.rmtree(path / 'checkpoints' / 'before-00-first')
    two.taken.clear()
    runs.start(path, **SHORT)
    assert two.taken == [('second', 2)]
    assert results(path) == results(whole)


def test_rounds_are_not_lost_because_a_stage_has_a_checkpoint(runs, tmp_path):
    """They are refused, as without stages."""
    path = tmp_path / 'damaged'
    runs.start(path, stop=5, **SHORT)
    for folder in (path / 'checkpoints' / 'train').iterdir():
        (folder / 'notes.json').write_text('{}')
    with pytest.raises(ValueError, match='No checkpoint of the run is whole'):
        runs.start(path, **SHORT)
    assert len(lines(path, 'train')) == 2


def test_trackers_place_the_lines_of_a_stage(whole):
    for line in lines(whole, 'warm_start'):
        assert scalars.axis(line) == {'step': line['step']}
        assert 'warm_start/step' not in scalars.scalars(line)
    page.write(whole)
    assert 'Every step: warm_start' in (whole / 'report.html').read_text()


# Another model over the same instances.


@pytest.fixture(scope='module')
def other(runs) -> dict:
    """The section of a wider model whose tokenizer splits otherwise."""
    folder = tiny.make_checkpoint(
        runs.folder / 'other', width=64, text=tiny.TEXT.upper() + tiny.TEXT
    )
    return runs.config().model.to_dict() | {'source': str(folder)}


def texts(tokenizer, steps) -> list:
    return [
        sorted((e.owner, tokenizer.decode(e.query.tolist())) for e in step)
        for step in steps
    ]


def test_another_model_reads_the_same_instances_in_its_own_tokens(runs, other):
    config, cache = runs.config(**SHORT), runs.folder / 'cache'
    folder, data = build.load_data(config, cache, runs.loaded)
    made = build.build(config, folder, data, runs.loaded, cache_dir=cache)
    section = config_dict.ConfigDict(other)
    others = {}
    auxiliary = build.make_auxiliary(
        config, data, made.devices, cache, others, LastLoaded(), section
    )
    assert {*others[section.source].fingerprints} == {'weights', 'tokens'}
    source = build.source.load(folder, jnp.float32)
    theirs = build.Tokenizer.from_folder(
        build.source.resolve(section.source, cache)
    )
    for round in (0, 1):
        ours, its = made.cohort(round), auxiliary.cohort(round)
        assert ours.clients.tolist() == its.clients.tolist()
        assert texts(source.tokenizer.backend, ours.steps) == texts(
            theirs.backend, its.steps
        )
        assert ours.steps[0][0].query.tolist() != its.steps[0][0].query.tolist()
    assert texts(
        source.tokenizer.backend, build.server_steps(config, data, 1)
    ) == texts(theirs.backend, auxiliary.server_steps(1))
    assert auxiliary.params['prompt'].shape[1] == 64
    bank = replicate(auxiliary.params, 2)
    losses, _ = auxiliary.simulation.gradients(bank, its.steps[0])
    assert np.isfinite(losses).all()


def test_a_run_resumes_with_the_other_model_that_it_began_with(tmp_path):
    def start(weights: str) -> None:
        other = build.OtherModel({'weights': weights, 'tokens': 't'}, ['w'])
        run = run_folder.RunFolder(tmp_path, {}, {})
        run.update_info(fingerprints={})
        experiment = types.SimpleNamespace(other_models={'small': other})
        run_lib._check_other_models(run, experiment)
        del run

    start('one')
    start('one')
    with pytest.raises(ValueError, match='begun with other models'):
        start('two')
    assert run_folder.read_object(tmp_path / 'run.json')['other_models'] == {
        'small': {'weights': 'one', 'tokens': 't'}
    }


# Owners with a base of their own.


def on_device(tree):
    return jax.tree.map(jnp.asarray, tree)


@pytest.mark.parametrize('kind', beyond(['packed'], ['packed', 'vmap']))
def test_owners_with_bases_of_their_own_are_each_alone(kind, model, lm):
    """Each as if it were the only client of a simulation on its base."""

    def simulation(base):
        if kind == 'vmap':
            return VmappedSimulation(model, base, 'sequence', on_device)
        packer = model.packer(Shape(64, 48, (4,)))
        return PackedSimulation(model, base, packer, 'sequence', on_device)

    rng = np.random.default_rng(0)
    bases = [
        jax.tree.map(lambda x, s=scale: x * s, lm.base)
        for scale in (1.0, 0.9, 1.1)
    ]
    steps = [
        plain.random_examples(rng, counts)
        for counts in ((2, 1, 3), (1, 0, 2), (0, 2, 1))
    ]
    bank = {
        'prompt': jnp.asarray(rng.normal(size=(3, plain.P, 32)), jnp.float32)
    }
    tx = optax.adam(0.01)
    opt_state = jax.vmap(tx.init)(bank)
    result = own_base.local_train(
        simulation(bases[0]), bases.__getitem__, tx, bank, opt_state, steps
    )
    assert np.isnan(result.losses[1, 1]) and np.isnan(result.losses[2, 0])
    for owner in range(3):
        # The whole cohort on this owner's base: the others do not matter.
        alone = simulation(bases[owner]).local_train(tx, bank, opt_state, steps)
        for ours, its in (
            (result.bank['prompt'], alone.bank['prompt']),
            (result.losses.T, alone.losses.T),
            (result.grad_norms.T, alone.grad_norms.T),
            (result.opt_state[0].mu['prompt'], alone.opt_state[0].mu['prompt']),
        ):
            np.testing.assert_allclose(ours[owner], its[owner], atol=2e-4)
    differ = simulation(bases[1]).local_train(tx, bank, opt_state, steps)
    assert np.abs(differ.losses[0] - result.losses[0])[[0, 2]].min() > 1e-3


def test_an_owner_without_a_batch_stays_as_it_is(model, lm):
    """And the first gradients are those of the cohort's first step."""
    packer = model.packer(Shape(64, 48, (4,)))
    simulation = PackedSimulation(model, lm.base, packer, 'sequence', on_device)
    rng = np.random.default_rng(1)
    steps = [
        plain.random_examples(rng, counts) for counts in ((2, 0, 0), (1, 2, 0))
    ]
    bank = plain.random_bank(rng, 3)
    tx = optax.adam(0.01)
    opt_state = jax.vmap(tx.init)(bank)
    args = tx, bank, opt_state, steps
    ours = own_base.local_train(simulation, lambda owner: lm.base, *args)
    theirs = simulation.local_train(*args)
    for a, b in zip(
        jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=2e-4)
    np.testing.assert_array_equal(ours.bank['prompt'][2], bank['prompt'][2])
    assert not np.any(ours.first_grads['prompt'][1:])


def test_a_simulation_with_another_base_compiles_nothing(model, lm):
    packer = model.packer(Shape(64, 48, (4,)))
    simulation = PackedSimulation(model, lm.base, packer, 'sequence', on_device)
    examples = plain.random_examples(np.random.default_rng(0), (2, 2))
    bank = {'prompt': jnp.zeros((2, plain.P, 32))}
    first, _ = simulation.gradients(bank, examples)
    half = jax.tree.map(lambda x: x / 2, lm.base)
    counted = Compilations()
    second, _ = simulation.with_base(half).gradients(bank, examples)
    assert counted.count == 0
    assert np.abs(np.asarray(first) - np.asarray(second)).min() > 0
