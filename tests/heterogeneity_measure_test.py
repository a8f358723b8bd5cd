"""How unlike clients are: against NumPy, SciPy and one client at a time."""

import dataclasses
import itertools
import json
import types

import jax
import jax.numpy as jnp
import matplotlib.figure
import numpy as np
import pytest
from scipy.spatial import distance
import scipy.stats

from fedprompt_jax.bank.flat import vector_of
from fedprompt_jax.data import vocabulary
from fedprompt_jax.data.partitions import Clients
from fedprompt_jax.data.randomness import generator
from fedprompt_jax.experiment import build
from fedprompt_jax.experiment.measures import heterogeneity as measure_lib
from fedprompt_jax.federated import dispersion
from fedprompt_jax.report.figures import heterogeneity as figure_lib
from fedprompt_jax.report.run import Run
from tests.tiny_run import Runs, info, results

MEASURED = {
    'measures': ('heterogeneity',),
    'heterogeneity__clients': 3,
    'heterogeneity__examples': 4,
}


def clients_of(*parts) -> Clients:
    starts = np.cumsum([0, *map(len, parts)])
    return Clients(np.concatenate(parts), starts, {})


# Words.


def test_the_divergence_is_scipy_s():
    counts = np.random.default_rng(0).integers(0, 9, (4, 30))
    counts[:, 0] = 0  # a token of nobody
    found = vocabulary.jensen_shannon(counts)
    whole = counts.sum(axis=0)
    expected = [distance.jensenshannon(row, whole) ** 2 for row in counts]
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_identical_clients_have_no_divergence_and_it_is_below_log_2():
    counts = np.tile([3, 0, 5, 1], (4, 1))
    assert vocabulary.jensen_shannon(counts).tolist() == [0.0] * 4
    apart = np.eye(50, dtype=int) * 9  # 50 clients without a common token
    assert np.all(vocabulary.jensen_shannon(apart) < np.log(2))


def test_tokens_of_a_client_are_those_of_its_queries_and_targets():
    texts = {0: ([1, 1], [2]), 1: ([3], [1]), 2: ([2, 2, 2], [0])}
    store = types.SimpleNamespace(
        largest_token=4,
        query=lambda i: np.array(texts[i][0]),
        target=lambda i: np.array(texts[i][1]),
    )
    found = vocabulary.token_counts(store, clients_of([2, 0], [1]))
    assert found.tolist() == [[1, 2, 4, 0, 0], [0, 1, 0, 1, 0]]


def test_shuffled_clients_have_the_same_sizes_and_all_instances():
    clients = clients_of(np.arange(10), np.arange(10, 13), np.arange(13, 40))
    mixed = vocabulary.shuffled(clients, generator(0, 'test'))
    assert mixed.sizes.tolist() == clients.sizes.tolist()
    assert sorted(mixed.order) == list(range(40))
    assert any(set(mixed[i]) != set(clients[i]) for i in range(3))


# Dispersion.


def test_dispersion_of_gradients_is_its_definition():
    halves = np.random.default_rng(1).normal(1, 2, (5, 2, 7))
    found = dispersion.of_gradients(halves)
    each = [(a + b) / 2 for a, b in halves]
    mean = sum(each) / 5
    square = np.linalg.norm(mean) ** 2
    spread = [np.linalg.norm(g - mean) ** 2 for g in each]
    assert found.clients == 5
    assert found.norm == pytest.approx(square**0.5)
    assert found.dispersion == pytest.approx(np.mean(spread) / square)
    noise = np.mean([np.linalg.norm(a - b) ** 2 / 4 for a, b in halves])
    assert found.noise == pytest.approx(4 / 5 * noise / square)
    assert found.corrected == pytest.approx(
        (sum(spread) / 4 - noise) / (square - sum(spread) / 20)
    )
    pairs = itertools.combinations(each, 2)
    cosines = [1 - distance.cosine(a, b) for a, b in pairs]
    assert found.cosine == pytest.approx(np.mean(cosines))
    own = [1 - distance.cosine(a, b) for a, b in halves]
    assert found.cosine_halves == pytest.approx(np.mean(own))


def test_the_correction_finds_the_dispersion_behind_the_noise():
    """Gradients of known spread, seen through small samples of examples.

    |E g|^2 = 12; clients differ by a variance of 0.5 in each of 12 numbers, so
    that the dispersion is 6 / 12. A half has a noise of variance 1.
    """
    rng = np.random.default_rng(2)
    found = []
    for _ in range(1000):
        true = 1 + rng.normal(0, 0.5**0.5, (10, 1, 12))
        halves = true + rng.normal(0, 1, (10, 2, 12))
        found.append(dispersion.of_gradients(halves))
    corrected = [x.corrected for x in found]
    # A quotient of unbiased numbers: 3 % too large by theory.
    assert np.mean(corrected) == pytest.approx(0.515, abs=0.015)
    # Without it the noise of g_i, 6 / 12, comes on top, of a larger |g|.
    assert np.mean([x.dispersion for x in found]) > 0.75
    assert np.mean([x.noise for x in found]) == pytest.approx(0.41, abs=0.03)


def test_identical_clients_have_no_dispersion():
    one = np.random.default_rng(0).normal(size=9)
    found = dispersion.of_gradients(np.tile(one, (4, 2, 1)))
    assert found.dispersion == pytest.approx(0, abs=1e-12)
    assert (found.noise, found.corrected) == pytest.approx((0, 0), abs=1e-12)
    assert found.cosine == pytest.approx(1)
    assert found.cosine_halves == pytest.approx(1)
    start = np.ones(9)
    prompts = dispersion.of_prompts(np.tile(start + one, (4, 1)), start)
    assert prompts.dispersion == pytest.approx(0, abs=1e-12)
    assert prompts.cosine == pytest.approx(1)
    assert prompts.moved == pytest.approx(np.linalg.norm(one) / 3)


def test_dispersion_of_prompts_is_its_definition():
    rng = np.random.default_rng(3)
    start, moves = rng.normal(size=6), rng.normal(size=(4, 6))
    found = dispersion.of_prompts(start + moves, start)
    scale = np.linalg.norm(start)
    distances = np.linalg.norm(moves, axis=1)
    assert found.moved == pytest.approx(distances.mean() / scale)
    apart = np.linalg.norm(moves - moves.mean(axis=0), axis=1)
    assert found.dispersion == pytest.approx(apart.mean() / scale)
    pairs = itertools.combinations(moves, 2)
    cosines = [1 - distance.cosine(a, b) for a, b in pairs]
    assert found.cosine == pytest.approx(np.mean(cosines))


def test_clients_without_numbers_are_left_out_and_nothing_is_nan():
    halves = np.random.default_rng(1).normal(3, 1, (3, 2, 4))
    lost = np.concatenate([halves, np.full((1, 2, 4), np.nan)])
    assert dispersion.of_gradients(lost) == dispersion.of_gradients(halves)
    assert dispersion.of_prompts(lost[:, 0], np.ones(4)) == (
        dispersion.of_prompts(halves[:, 0], np.ones(4))
    )
    nothing = dispersion.of_gradients(halves[:0])
    assert nothing.clients == 0 and np.isnan(nothing[1:]).all()
    nobody = dispersion.of_prompts(halves[:0, 0], np.ones(4))
    assert nobody.clients == 0 and np.isnan(nobody[1:]).all()
    unmoved = dispersion.of_prompts(np.ones((3, 4)), np.ones(4))
    assert unmoved[:3] == (3, 0.0, 0.0) and np.isnan(unmoved.cosine)
    alone = dispersion.of_gradients(halves[:1])
    assert alone.dispersion == 0 and np.isnan(alone.corrected)


# Metadata.


def test_divergences_of_metadata_are_scipy_s():
    """Two clients of one task each; two tasks of one type."""
    tasks = [
        {'categories': ['a'], 'domains': ['x', 'y'], 'source': []},
        {'categories': ['a'], 'domains': ['x'], 'source': []},
        {'categories': ['b'], 'domains': [], 'source': []},
    ]
    task_of = np.repeat([0, 1, 2], 4)
    store = types.SimpleNamespace(tasks=tasks, task_of=task_of)
    clients = clients_of([0, 1, 4], [2, 3, 8], [5, 6, 7, 9, 10, 11])
    found = measure_lib.divergences(store, clients, clients)
    assert list(found) == ['task', 'type', 'domain']
    weights = {
        'task': np.eye(3),
        'type': np.array([[1, 0], [1, 0], [0, 1]]),
        'domain': np.array([[0, 0.5, 0.5], [0, 1, 0], [1, 0, 0]]),
    }
    for kind, rows in weights.items():
        labels = rows[task_of]  # [I, labels]
        whole = labels[clients.order].mean(axis=0)
        expected = [
            scipy.stats.entropy(labels[clients[i]].mean(axis=0), whole)
            for i in range(3)
        ]
        assert found[kind]['mean'] == pytest.approx(np.mean(expected))
        assert found[kind]['se'] == pytest.approx(scipy.stats.sem(expected))
        assert found[kind]['shuffled'] == found[kind]['mean']


# Of an experiment, and whole runs.


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


@pytest.fixture(scope='module')
def made(runs):
    config = runs.config(**MEASURED)
    folder, data = build.load_data(config, runs.folder / 'cache', runs.loaded)
    return build.build(config, folder, data, runs.loaded)


def state_of(made):
    """Stage 2 after prompts have moved by 1 and by 3 in each number."""
    start = made.params['prompt']
    bank = {'prompt': jnp.stack([start + 1, start + 3])}
    return types.SimpleNamespace(
        shared=made.params, clients=types.SimpleNamespace(bank=bank)
    )


def chosen(made) -> np.ndarray:
    """The training clients that are measured."""
    number = len(made.data.population)
    drawn = generator(0, 'measured clients').permutation(number)
    return np.sort(drawn[:3])


def test_gradients_are_those_of_each_half_alone(made, monkeypatch):
    """Three clients, of which two fit into a call."""
    seen = []
    monkeypatch.setattr(
        dispersion,
        'of_gradients',
        lambda halves: seen.append(halves) or dispersion.Gradients(*[0] * 7),
    )
    config = made.config.copy_and_resolve_references()
    config.clients_per_round = 5
    record = measure_lib.measure(
        dataclasses.replace(made, config=config), state_of(made)
    )
    (halves,) = seen
    assert halves.shape[:2] == (3, 2) == (record['measured_clients'], 2)
    alone = jax.tree.map(lambda x: x[None], made.params)
    for row, client in zip(halves, chosen(made), strict=True):
        instances = generator(0, 'measured examples', client).permutation(
            made.data.population[client]
        )[:4]
        for half, part in zip(row, (instances[:2], instances[2:]), strict=True):
            examples = [made.data.store.example(0, int(i)) for i in part]
            _, grads = made.simulation.gradients(alone, examples)
            np.testing.assert_allclose(
                half, vector_of(grads), rtol=1e-3, atol=1e-5
            )


def test_clients_with_the_same_examples_have_equal_gradients(made):
    """Three clients of four copies of one instance."""
    one = made.data.population[0][:1]
    same = Clients(np.tile(one, 12), np.arange(0, 13, 4), {})
    data = dataclasses.replace(made.data, population=same)
    record = measure_lib.measure(
        dataclasses.replace(made, data=data), state_of(made)
    )
    assert record['gradients']['dispersion'] < 1e-8
    assert record['gradients']['cosine'] == pytest.approx(1, abs=1e-5)
    assert record['vocabulary']['mean'] == 0.0
    assert {x['mean'] for x in record['kl'].values()} == {0.0}


def test_its_record(made):
    record = measure_lib.measure(made, state_of(made))
    start = np.asarray(made.params['prompt'], np.float64)
    scale = np.linalg.norm(start)
    step = start.size**0.5  # the length of a move by 1 in each number
    assert record['training_clients'] == len(made.data.population) > 3
    assert record['prompts']['moved'] == pytest.approx(2 * step / scale)
    assert record['prompts']['dispersion'] == pytest.approx(step / scale)
    assert record['prompts']['cosine'] == pytest.approx(1)
    assert record['gradients']['clients'] == 3
    for kind in ('task', 'type'):  # clients of one type each
        assert record['kl'][kind]['mean'] > record['kl'][kind]['shuffled']
    store, population = made.data.store, made.data.population
    counts = vocabulary.token_counts(store, population.take(chosen(made)))
    expected = vocabulary.jensen_shannon(counts)
    assert record['vocabulary']['mean'] == pytest.approx(expected.mean())
    assert record['vocabulary']['se'] == pytest.approx(
        scipy.stats.sem(expected)
    )
    assert record['vocabulary']['shuffled'] > 0


def test_a_run_with_the_measure_is_the_same(whole):
    first, second = whole
    assert results(first) == results(second)
    assert info(first)['stage_1'] == info(second)['stage_1']
    assert 'heterogeneity.json' in info(first)['sha256']
    assert not (whole[1] / 'heterogeneity.json').exists()


def test_the_figure_shows_each_measure(whole):
    figure = figure_lib.draw([Run(whole[0])])
    assert isinstance(figure, matplotlib.figure.Figure)
    record = json.loads((whole[0] / 'heterogeneity.json').read_text())
    left, right = figure.axes
    widths = [bar.get_width() for bar in left.patches]
    expected = [x['mean'] for x in record['kl'].values()]
    assert widths == pytest.approx([*expected, record['vocabulary']['mean']])
    marks = left.lines[-1].get_xdata()
    assert marks[-1] == pytest.approx(record['vocabulary']['shuffled'])
    last = right.patches[-1].get_width()
    assert last == pytest.approx(record['prompts']['dispersion'])
    assert figure_lib.draw([Run(whole[1])]) is None
