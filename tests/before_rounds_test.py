"""Laws of what an algorithm does before its rounds, and of a second model."""

import json

import jax
import jax.numpy as jnp
from ml_collections import config_dict
import numpy as np
import optax
import pytest
from safetensors.numpy import load_file

from fedprompt_jax.bank.owners import replicate
from fedprompt_jax.data.packing import Shape
from fedprompt_jax.experiment import build
from fedprompt_jax.experiment.compilations import Compilations
from fedprompt_jax.federated import own_base
from fedprompt_jax.federated.packed import PackedSimulation
from fedprompt_jax.federated.vmapped import VmappedSimulation
from tests import extensions, plain, tiny
from tests.extensions.algorithms import warm_start
from tests.tiny_run import Runs, results

extensions.install()
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


@pytest.mark.parametrize('steps', [1, 2, 3, 4])
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
    auxiliary = build.make_auxiliary(config, data, made.devices, cache, section)
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


# Owners with a base of their own.


def on_device(tree):
    return jax.tree.map(jnp.asarray, tree)


@pytest.mark.parametrize('kind', ['packed', 'vmap'])
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
