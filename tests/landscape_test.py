"""The loss around a prompt: against JAX, NumPy and single evaluations."""

import json
import types

import jax
import jax.numpy as jnp
import matplotlib.figure
import numpy as np
import pytest

from configs import fedavg_adam
from fedprompt_jax.bank import flat
from fedprompt_jax.bank.owners import replicate
from fedprompt_jax.data.packing import Packer, Shape
from fedprompt_jax.experiment import build, measures
from fedprompt_jax.experiment.measures import landscape as measure_lib
from fedprompt_jax.federated import landscape
from fedprompt_jax.federated.landscape import Objective
from fedprompt_jax.federated.layers import lanczos
from fedprompt_jax.federated.packed import PackedSimulation
from fedprompt_jax.federated.vmapped import VmappedSimulation
from fedprompt_jax.report.figures import landscape as figure_lib
from fedprompt_jax.report.run import Run
from tests import plain
from tests.config_test import faults
from tests.tiny_run import Runs, info, results

COUNTS = (3, 2)  # examples of each client
MEASURED = {
    'measures': ('landscape',),
    'landscape__examples': 3,
    'landscape__points': 5,
    'landscape__clients': 1,
    'landscape__random': 1,
    'landscape__lanczos_steps': 4,
    'landscape__eigenvalues': 2,
}


@pytest.fixture(scope='module')
def small(model, lm):
    """A prompt of 3 tokens, 96 numbers, and two clients' examples."""
    rng = np.random.default_rng(3)
    examples = plain.random_examples(rng, COUNTS)
    params = {'prompt': plain.random_bank(rng, 1)['prompt'][0]}
    return model, lm.base, examples, params


def objectives(small):
    model, base, examples, params = small
    same = lambda tree: tree
    for simulation in (
        PackedSimulation(model, base, plain.PACKER, 'sequence', same),
        VmappedSimulation(model, base, 'sequence', same),
    ):
        yield Objective(simulation, examples, len(COUNTS), params, same)


def client_loss(small, params, client: int):
    """The mean over a client's examples, one at a time."""
    model, base, examples, _ = small

    def one(e):
        tokens = np.concatenate([e.query, e.target])
        rows = plain.logits(model, base, params, tokens)
        rows = rows[-len(e.target) - 1 : -1]
        log_p = jax.nn.log_softmax(rows)
        return -log_p[jnp.arange(len(e.target)), e.target].sum()

    mine = [one(e) for e in examples if e.owner == client]
    return sum(mine) / len(mine)


def mean_loss(small, params):
    return (client_loss(small, params, 0) + client_loss(small, params, 1)) / 2


def test_losses_and_gradient_are_those_of_one_client_at_a_time(small):
    params = small[3]
    vector = flat.vector_of(params)
    expected = [client_loss(small, params, c) for c in range(2)]
    grads = jax.grad(lambda p: mean_loss(small, p))(params)['prompt']
    for goal in objectives(small):
        np.testing.assert_allclose(goal.losses(vector), expected, rtol=1e-5)
        np.testing.assert_allclose(
            goal.gradient(vector), grads.ravel(), rtol=1e-3, atol=1e-5
        )


def test_losses_of_several_grids_add_up(small):
    """Rows for one example; and a prompt that is lost has no loss."""
    model, base, examples, params = small
    packer = Packer(plain.P, (Shape(32, 16, (1,)),))
    simulation = PackedSimulation(
        model, base, packer, 'sequence', lambda tree: tree
    )
    bank = replicate(params, 2)
    expected = [client_loss(small, params, c) for c in range(2)]
    found = simulation.losses(bank, examples)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    lost = {'prompt': bank['prompt'].at[1].set(np.nan)}
    found = simulation.losses(lost, examples)
    np.testing.assert_allclose(found, [expected[0], np.nan], rtol=1e-5)


def test_a_curve_is_its_single_evaluations(small):
    """Half of |P| along a direction, whatever that one's length."""
    params = small[3]
    center = flat.vector_of(params)
    direction = np.random.default_rng(0).normal(size=len(center))
    step = direction / np.linalg.norm(direction) * np.linalg.norm(center)
    at = np.array([-0.5, 0.0, 0.25])
    expected = [
        [
            client_loss(small, flat.tree_of(center + t * step, params), c)
            for c in range(2)
        ]
        for t in at
    ]
    for goal in objectives(small):
        for length in (1.0, 7.0):
            found = landscape.curve(goal, center, length * direction, at)
            np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_eigenvalues_are_those_of_the_full_hessian(small):
    params = small[3]
    center = flat.vector_of(params)
    shape = params['prompt'].shape

    def loss(vector):
        return mean_loss(small, {'prompt': vector.reshape(shape)})

    full = jax.jit(jax.hessian(loss))(jnp.float32(center))
    hessian = np.asarray(full, np.float64)
    values = np.linalg.eigvalsh((hessian + hessian.T) / 2)
    start = np.random.default_rng(1).normal(size=len(center))
    for goal in objectives(small):
        found = landscape.extremes(goal, center, start, 40, 5)
        scale = np.abs(values).max()
        assert np.abs(found.largest - values[::-1][:5]).max() < 1e-3 * scale
        assert np.abs(found.smallest - values[:5]).max() < 1e-3 * scale


class Quadratic:
    """Client c's loss is x^T A_c x / 2 of a prompt x; no model."""

    def __init__(self, matrices) -> None:
        self.matrices = jnp.asarray(matrices, jnp.float32)

    def losses(self, bank, examples):
        x = bank['x']
        return jnp.einsum('ci,cij,cj->c', x, self.matrices, x) / 2

    def gradients(self, bank, examples):
        grads = jnp.einsum('cij,cj->ci', self.matrices, bank['x'])
        return self.losses(bank, examples), {'x': grads}

    def hessian_products(self, bank, tangents, examples):
        return {'x': jnp.einsum('cij,cj->ci', self.matrices, tangents['x'])}


def test_a_quadratic_has_its_known_curvature():
    """The mean of diag(1 ... 9, -4) and diag(3 ... 11, 0): 2 ... 10, -2."""
    first = np.diag([*range(1, 10), -4.0])
    second = np.diag([*range(3, 12), 0.0])
    like = {'x': np.zeros(10, np.float32)}
    same = lambda tree: jax.tree.map(jnp.asarray, tree)
    goal = Objective(Quadratic([first, second]), [], 2, like, same)
    center = np.zeros(10)
    center[0] = 2.0
    rng = np.random.default_rng(0)
    found = landscape.extremes(goal, center, rng.normal(size=10), 10, 3)
    assert found.largest == pytest.approx([10, 9, 8], abs=1e-4)
    assert found.smallest == pytest.approx([-2, 2, 3], abs=1e-4)
    assert found.steps == 10
    assert max(found.largest_bounds + found.smallest_bounds) < 1e-3
    # Along the last axis from (2, 0, ...): 1/2 (first 2^2 + last (2 t)^2).
    axis = np.eye(10)[9]
    curve = landscape.curve(goal, center, axis, np.array([-0.5, 0.0, 1.0]))
    assert curve.tolist() == [[0.0, 6.0], [2.0, 6.0], [-6.0, 6.0]]
    assert goal.gradient(center)[0] == 4.0
    few = landscape.extremes(goal, center, rng.normal(size=10), 4, 3)
    values = np.array([2, 3, 4, 5, 6, 7, 8, 9, 10, -2])
    assert few.steps == 4
    for value, bound in zip(
        few.largest + few.smallest,
        few.largest_bounds + few.smallest_bounds,
        strict=True,
    ):
        assert np.abs(values - value).min() <= bound + 1e-4


def test_a_bound_is_the_residual():
    """|A y - value y| of the vector that Lanczos finds, in NumPy."""
    rng = np.random.default_rng(5)
    matrix = rng.normal(size=(30, 30))
    matrix = matrix + matrix.T
    start = rng.normal(size=30)
    found = lanczos.ritz(lambda v: jnp.float32(matrix) @ v, start, 6)
    krylov = [start]
    for _ in range(5):
        krylov.append(matrix @ krylov[-1])
    basis, _ = np.linalg.qr(np.array(krylov).T)
    values, vectors = np.linalg.eigh(basis.T @ matrix @ basis)
    pairs = basis @ vectors
    residuals = np.linalg.norm(matrix @ pairs - pairs * values, axis=0)
    np.testing.assert_allclose(found.values, values, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.bounds, residuals, rtol=1e-2, atol=1e-3)


def test_a_tree_is_its_vector():
    numbers = np.arange(8, dtype=np.float32)
    tree = {'a': numbers[:6].reshape(2, 3), 'b': numbers[6:]}
    vector = flat.vector_of(tree)
    assert vector.tolist() == [*range(8)]
    jax.tree.map(
        np.testing.assert_array_equal, flat.tree_of(vector, tree), tree
    )
    bank = jax.tree.map(lambda x: np.stack([x, 2 * x]), tree)
    assert flat.vectors_of(bank).tolist() == [
        vector.tolist(), (2 * vector).tolist()
    ]  # fmt: skip


# Whole runs.


@pytest.fixture(scope='module')
def runs(tmp_path_factory) -> Runs:
    return Runs(tmp_path_factory.mktemp('runs'))


@pytest.fixture(scope='module')
def whole(runs):
    """The folders of a run with the measure and of one without."""
    folders = runs.folder / 'with', runs.folder / 'without'
    runs.start(folders[0], **MEASURED)
    runs.start(folders[1])
    return folders


def record_of(folder) -> dict:
    return json.loads((folder / 'landscape.json').read_text())


def test_a_run_with_the_measure_is_the_same(whole):
    assert results(whole[0]) == results(whole[1])
    assert not (whole[1] / 'landscape.json').exists()
    assert 'landscape.json' in info(whole[0])['sha256']
    assert info(whole[0])['stage_1'] == info(whole[1])['stage_1']


def test_its_record(whole):
    record = record_of(whole[0])
    assert record['at'] == [-0.5, -0.25, 0.0, 0.25, 0.5]
    assert record['examples'] == 2 * 3 and len(record['clients']) == 2
    kinds = [line['direction'] for line in record['curves']]
    assert kinds == ['displacement', 'gradient', 'client', 'random']
    for line in record['curves']:
        assert line['losses'][2] == pytest.approx(record['loss'])
        assert (line['own'] is None) == (line['client'] is None)
    assert len(record['eigenvalues']['largest']) == 2
    assert record['gradient_over_prompt'] == pytest.approx(
        record['gradient_norm'] / record['prompt_norm']
    )


def test_the_measure_is_of_the_global_prompt_and_the_displacements(runs):
    """Of made-up prompts: against the objective at single places."""
    config = runs.config(**MEASURED | {'landscape__random': 0})
    folder, data = build.load_data(config, runs.folder / 'cache', runs.loaded)
    made = build.build(config, folder, data, runs.loaded)
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.2, (2, *made.params['prompt'].shape))
    bank = {'prompt': made.params['prompt'] + jnp.float32(noise)}
    state = types.SimpleNamespace(
        shared=made.params,
        rounds=7,
        clients=types.SimpleNamespace(bank=bank),
    )
    record = measure_lib.measure(made, state)
    goal = measure_lib.objective(made, made.params, [0, 1])
    trained = [set(ids.tolist()) for ids in data.held_out.train]
    texts = [
        [data.store.query(i).tolist() for i in sorted(ids)] for ids in trained
    ]
    assert all(e.query.tolist() in texts[e.owner] for e in goal.examples)
    center = flat.vector_of(made.params)
    losses, gradients = made.personal.gradients(
        replicate(made.params, 2), goal.examples
    )
    gradient = np.asarray(gradients['prompt'], np.float64).mean(axis=0).ravel()
    assert record['round'] == 7
    assert record['loss'] == pytest.approx(float(losses.mean()), rel=1e-5)
    norm = np.linalg.norm(center)
    assert record['prompt_norm'] == pytest.approx(norm)
    assert record['gradient_norm'] == pytest.approx(
        np.linalg.norm(gradient), rel=1e-4
    )
    moves = flat.vectors_of(bank) - center
    ways = {
        'displacement': moves.mean(axis=0),
        'client': moves[0],
        'gradient': -gradient,
    }
    assert len(record['curves']) == 3
    for line in record['curves']:
        way = ways[line['direction']]
        length = np.linalg.norm(way)
        assert line['length'] == pytest.approx(length / norm, rel=1e-4)
        there = goal.losses(center + 0.25 * norm * way / length)
        assert line['losses'][3] == pytest.approx(there.mean(), rel=1e-4)
        if line['own'] is not None:
            assert line['client'] == data.held_out.clients[0]
            assert line['own'][3] == pytest.approx(there[0], rel=1e-4)


def test_killed_before_the_measure_a_run_ends_the_same(
    runs, whole, tmp_path, monkeypatch
):
    path = tmp_path / 'run'

    class Killed(BaseException):
        pass

    def kill(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(measure_lib, 'measure', kill)
        with pytest.raises(Killed):
            runs.start(path, **MEASURED)
    assert not info(path).get('complete')
    runs.start(path, **MEASURED)
    assert results(path) == results(whole[0])
    assert record_of(path) == record_of(whole[0])
    # A complete run measures nothing.
    monkeypatch.setattr(measure_lib, 'measure', kill)
    assert not runs.start(path, **MEASURED)


def test_measures_may_change_between_starts(runs, whole, tmp_path):
    path = tmp_path / 'run'
    runs.start(path)
    assert not runs.start(path, landscape__points=9)  # which nothing reads
    runs.start(path, **MEASURED)
    assert record_of(path) == record_of(whole[0])
    assert info(path)['continued'][0]['from'] == 'measures'
    runs.start(path, **MEASURED | {'landscape__points': 3})
    assert len(record_of(path)['at']) == 3
    runs.start(path)
    assert not (path / 'landscape.json').exists()
    assert results(path) == results(whole[1])


def test_faults_of_a_config_are_sentences():
    config = fedavg_adam.get_config()
    config.measures = ('landscape', 'heterogeneity')
    config.landscape.points = 6
    config.heterogeneity.examples = 5
    odd, even = faults(config)
    assert odd.startswith('config.landscape.points=6 must be odd')
    assert even.startswith('config.heterogeneity.examples=5 must be even')
    for wrong in (('landscape', 'landscape'), ('flat',)):
        config.measures = wrong
        (told,) = faults(config)
        assert told.startswith(f'config.measures={wrong!r} must list some of')
    config.measures = ('landscape',)
    config.landscape.points, config.peft = 7, 'full'
    assert any(
        'several clients are several models' in f for f in faults(config)
    )
    config.measures = ()
    assert not any('config.measures' in f for f in faults(config))


def test_measures_are_found_by_name():
    assert measures.names() == ['heterogeneity', 'landscape']


def test_the_figure_shows_each_line(whole):
    figure = figure_lib.draw([Run(whole[0])])
    assert isinstance(figure, matplotlib.figure.Figure)
    record = record_of(whole[0])
    lines, values = figure.axes
    curve = lines.lines[0]
    np.testing.assert_allclose(curve.get_xdata(), record['at'])
    np.testing.assert_allclose(curve.get_ydata(), record['curves'][0]['losses'])
    assert len(lines.get_legend_handles_labels()[1]) == 4
    heights = sorted(p.get_xydata()[0, 1] for p in values.lines[:4])
    ends = record['eigenvalues']
    assert heights == pytest.approx(sorted(ends['largest'] + ends['smallest']))
    assert figure_lib.draw([Run(whole[1])]) is None
