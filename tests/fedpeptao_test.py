"""FedPepTAO's rounds against NumPy, its laws, and its configs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.fedpeptao import settings
from fedprompt_jax.algorithms import fedpeptao
from fedprompt_jax.data.examples import Example
from fedprompt_jax.data.sampling import Cohort
from fedprompt_jax.experiment import config as config_lib
from fedprompt_jax.experiment import stage_one
from fedprompt_jax.federated.client import present_owners, train
from fedprompt_jax.planning import plan
from tests import counts_test, numpy_algorithms, quadratics, tiny

LAYERS, POPULATION = 4, 6
SLOPES = np.array([1.0, 0.3, 2.0, 0.6])  # curvature of each layer
CHOSEN = np.array([True, True, False, False])  # before layers are scored
SIZES = {0: 3, 1: 7, 2: 2, 3: 5, 4: 4, 5: 6}
RATE, DECAY, CLIP, BETA = 0.04, 0.1, 1.0, 0.9
SERVER_RATE = {'fedavg': 0.7, 'fedpeptao': 0.9, 'fedpeptao_code': 0.05}
VARIANTS = sorted(SERVER_RATE)


class Layered:
    """An example with number v: sum over layers of slope (x_l - v)^2 / 2."""

    def gradients(self, bank, examples):
        names = sorted(bank['prefix'])
        x = jnp.stack([bank['prefix'][n] for n in names], axis=1)  # [C, L, 1]
        owners = len(x)
        count = np.bincount([e.owner for e in examples], minlength=owners)
        losses, grads = jnp.zeros(owners), jnp.zeros_like(x)
        for e in examples:
            away = x[e.owner, :, 0] - e.query[0]
            n = count[e.owner]
            loss = (SLOPES * away**2).sum() / 2 / n
            losses = losses.at[e.owner].add(loss)
            grads = grads.at[e.owner, :, 0].add(SLOPES * away / n)
        by_layer = {n: grads[:, i] for i, n in enumerate(names)}
        return losses, {'prefix': by_layer}

    def local_train(self, tx, bank, opt_state, steps):
        owners = len(jax.tree.leaves(bank)[0])
        return train(
            tx,
            bank,
            opt_state,
            steps,
            self.gradients,
            lambda step: present_owners(step, owners),
        )

    def compute(self, steps):
        return {'tokens': sum(map(len, steps)), 'flops': 0}


def tree(values) -> dict:
    """Numbers [layers] as a prefix of one number a layer."""
    return {
        'prefix': {
            f'{i:02d}': jnp.array([float(v)]) for i, v in enumerate(values)
        }
    }


def flat(params) -> np.ndarray:
    return np.array([float(params['prefix'][n][0]) for n in sorted(
        params['prefix']
    )])  # fmt: skip


START = [0.5, -0.4, 0.3, 1.1]


def make(variant='fedpeptao', simulation=None, **changes):
    """The algorithm on layered quadratics; half of the layers travel."""
    settled = {
        'fedpeptao.server': variant,
        'fedpeptao.momentum': BETA,
        'client.schedule': 'constant',
        'client.learning_rate': RATE,
        'server.learning_rate': SERVER_RATE[variant],
    }
    return quadratics.make(
        'fedpeptao',
        simulation or Layered(),
        tree(START),
        POPULATION,
        **(settled | changes),
    )


def rounds(count: int) -> list[tuple[Cohort, dict]]:
    """Cohorts of three ragged devices, and the same as batches of numbers."""
    rng = np.random.default_rng(3)
    made = []
    for _ in range(count):
        ids = np.sort(rng.choice(POPULATION, 3, replace=False))
        batches = {
            int(k): [
                (k - 2.0 + rng.normal(size=2)).round(3).tolist()
                for _ in range(1 + SIZES[int(k)] // 2)
            ]
            for k in ids
        }
        longest = max(map(len, batches.values()))
        steps = [
            [
                Example(owner, np.array([v]), np.array([0], np.int32))
                for owner, k in enumerate(ids)
                if step < len(batches[int(k)])
                for v in batches[int(k)][step]
            ]
            for step in range(longest)
        ]
        sizes = np.array([SIZES[int(k)] for k in ids])
        made.append((Cohort(ids, sizes, steps), batches))
    return made


def gradient(x, batch):
    return np.mean([SLOPES * (x - v) for v in batch], axis=0)


def in_numpy(variant, made, chosen=CHOSEN, server_rates=None, beta=BETA):
    return numpy_algorithms.fedpeptao(
        gradient,
        np.array(START),
        [batches for _, batches in made],
        SIZES,
        POPULATION,
        chosen,
        variant,
        server_rates or [SERVER_RATE[variant]] * len(made),
        RATE,
        DECAY,
        CLIP,
        beta,
    )


@pytest.fixture
def doubles():
    """In f32, 1 - 0.999 is wrong by 5e-5 of itself, and Adam divides by it."""
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize('variant', VARIANTS)
def test_five_rounds_are_those_of_numpy(variant, doubles):
    """AdamW, clipping, ragged devices, layers that stay, variates, momentum."""
    made = rounds(5)
    state, kept, _ = quadratics.run(make(variant), [c for c, _ in made])
    after = in_numpy(variant, made)

    def equal(params, expected):
        np.testing.assert_allclose(flat(params), expected, rtol=1e-6, atol=1e-6)

    equal(state.params, after.x)
    assert kept.keys() == after.own.keys()
    for client, row in kept.items():
        equal(row['layers'], after.own[client])
        if variant != 'fedavg':
            equal(row['variate'], after.c_of[client])
    if variant != 'fedavg':
        equal(state.memory.control, after.c)
        equal(state.memory.momentum, after.v)


def test_the_code_s_server_rate_falls_by_the_round(doubles):
    made = rounds(4)
    changes = {'server.schedule': 'exponential(decay=0.99, floor=0.002)'}
    algorithm = make('fedpeptao_code', **changes)
    state, _, _ = quadratics.run(algorithm, [c for c, _ in made])
    rates = [0.05 * 0.99**t for t in range(4)]
    after = in_numpy('fedpeptao_code', made, server_rates=rates)
    np.testing.assert_allclose(
        flat(state.params), after.x, rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize('variant', ['fedavg', 'fedpeptao'])
def test_with_all_layers_and_no_variates_it_is_fedavg(variant):
    """One round, in which all c_k are 0; beta = 0 and rate 1."""
    made = rounds(5 if variant == 'fedavg' else 1)
    changes = {'fedpeptao.ratio': 1.0, 'server.learning_rate': 1.0}
    changes['fedpeptao.momentum'] = 0.0
    ours = make(variant, **changes)
    fedavg = quadratics.make(
        'fedavg',
        Layered(),
        tree(START),
        POPULATION,
        **{
            'client.optimizer': 'adamw(weight_decay=0.1)',
            'client.learning_rate': RATE,
            'client.clip_norm': CLIP,
            'server.optimizer': 'sgd',
            'server.learning_rate': 1.0,
            'aggregation': 'examples',
        },
    )
    cohorts = [c for c, _ in made]
    state, _, _ = quadratics.run(ours, cohorts)
    other, _, _ = quadratics.run(fedavg, cohorts)
    np.testing.assert_allclose(
        flat(state.params), flat(other.params), rtol=1e-6
    )


def test_layers_that_stay_never_reach_the_server():
    algorithm = make()
    state, kept, _ = quadratics.run(algorithm, [c for c, _ in rounds(4)])
    values = flat(state.params)
    np.testing.assert_array_equal(values[2:], np.float32(START[2:]))
    assert (values[:2] != np.float32(START[:2])).all()
    sent = algorithm.sent(state)
    assert sorted(sent.down) == sorted(sent.up) == ['00', '01']
    rows = jax.tree.map(lambda *x: jnp.stack(x), *kept.values())
    bank = algorithm.prompts(state, rows)
    for i, client in enumerate(kept):
        one = flat(jax.tree.map(lambda x, i=i: x[i], bank))
        np.testing.assert_array_equal(one[:2], values[:2])
        np.testing.assert_array_equal(one[2:], flat(kept[client]['layers'])[2:])


def test_nothing_is_kept_where_nothing_is_asked_for():
    algorithm = make('fedavg', **{'fedpeptao.unselected': 'none'})
    assert algorithm.client is None and algorithm.prompts is None
    variates = make(**{'fedpeptao.unselected': 'none'}).client
    assert variates is not None
    assert set(variates(make().init())) == {'variate'}


def test_a_kept_optimizer_remembers():
    """Its second round goes on with the moments of the first."""
    (cohort, _), *_ = rounds(1)
    ends = {}
    for how in ('reset', 'kept'):
        algorithm = make('fedavg', **{'fedpeptao.optimizer_state': how})
        state, kept, _ = quadratics.run(algorithm, [cohort, cohort])
        ends[how] = flat(state.params)
        if how == 'kept':
            counts = [
                int(x)
                for row in kept.values()
                for path, x in jax.tree_util.tree_leaves_with_path(row)
                if 'count' in jax.tree_util.keystr(path)
            ]
            lengths = [1 + SIZES[int(k)] // 2 for k in cohort.clients]
            assert set(counts) == {2 * n for n in lengths}
    assert np.abs(ends['reset'] - ends['kept']).max() > 1e-4


def test_a_device_that_diverges_changes_nothing_else():
    (cohort, _), *_ = rounds(1)
    broken = Cohort(
        cohort.clients,
        cohort.num_examples,
        [
            [
                e._replace(query=np.array([np.nan])) if e.owner == 1 else e
                for e in step
            ]
            for step in cohort.steps
        ],
    )
    without = Cohort(
        cohort.clients[[0, 2]],
        cohort.num_examples[[0, 2]],
        [
            [
                e._replace(owner=e.owner // 2)
                for e in step
                if e.owner != 1
            ]
            for step in cohort.steps
        ],
    )  # fmt: skip
    for variant in VARIANTS:
        algorithm = make(variant)
        (state, _, metrics), (other, _, _) = (
            quadratics.run(algorithm, [c, c]) for c in (broken, without)
        )
        assert int(metrics['clients_dropped']) == 1
        np.testing.assert_allclose(
            flat(state.params), flat(other.params), rtol=1e-6
        )
        if variant != 'fedavg':
            np.testing.assert_allclose(
                flat(state.memory.control), flat(other.memory.control),
                rtol=1e-5,
            )  # fmt: skip


def test_norms_of_variates_are_logged():
    algorithm = make()
    state, kept, metrics = quadratics.run(algorithm, [c for c, _ in rounds(3)])
    control = np.linalg.norm(flat(state.memory.control))
    assert float(metrics['control_norm']) == pytest.approx(control, rel=1e-5)
    last = rounds(3)[-1][0].clients
    each = [np.linalg.norm(flat(kept[int(k)]['variate'])) for k in last]
    assert metrics['variate_norm'] == pytest.approx(np.mean(each), rel=1e-5)
    assert int(metrics['layers_sent']) == 2


@pytest.mark.parametrize(
    ('changes', 'key'),
    [
        ({'peft': 'prompt'}, 'config.peft'),
        ({'prefix.mlp': 4}, 'config.prefix.mlp'),
        ({'fedpeptao.unselected': 'none'}, 'config.prefix.zero_layers'),
        ({'server.optimizer': 'adam'}, 'config.server.optimizer'),
        ({'model.quantization': 'int8', 'fedpeptao.estimate_ratio': True},
         'config.model.quantization'),
    ],
)  # fmt: skip
def test_faults(changes, key):
    config = settings.config('sst2', 'quickstart')
    assert not list(fedpeptao.faults(config))
    config.update_from_flattened_dict(changes)
    (line,) = fedpeptao.faults(config)
    assert line.startswith(f'{key}=')


@pytest.mark.parametrize('scale', ['quickstart', *settings.MODELS])
@pytest.mark.parametrize('task', settings.TASKS)
def test_every_task_at_every_scale_is_a_config(task, scale):
    config_lib.check(settings.config(task, scale), files=False)


# The specification's table: numbers of all layers, and of half of them.
NUMBERS = [
    ('roberta_large', 983_040, 491_520),
    ('gpt2_large', 460_800, 230_400),
    ('open_llama_3b', 832_000, 416_000),
    ('open_llama_7b', 1_310_720, 655_360),
]


def model_of(scale: str) -> str:
    """The key of counts_test.CONFIGS."""
    name = scale.replace('_', '-')
    return name if name in counts_test.CONFIGS else scale


@pytest.mark.parametrize(('scale', 'everything', 'half'), NUMBERS)
def test_parameters_are_those_of_the_paper_s_models(scale, everything, half):
    """Those of the config's prefix, and those of its messages."""
    config = settings.config('sst2', scale)
    params = counts_test.params_of(model_of(scale), config)
    exchange = stage_one.exchange(config, params)
    count = lambda t: sum(x.size for x in jax.tree.leaves(t))
    assert count(params) == everything
    assert count(exchange.sent.down) == count(exchange.sent.up) == half


@pytest.mark.parametrize(('scale', 'everything', 'half'), NUMBERS)
def test_published_scales_are_planned(scale, everything, half, tmp_path):
    """From a config.json alone; a device keeps all layers and a variate."""
    tiny.write_json(
        tmp_path / 'config.json', counts_test.CONFIGS[model_of(scale)]
    )
    config = settings.config('sst2', scale)
    config.model.source = str(tmp_path)
    config.data.path = str(tmp_path / 'sst2')
    found = plan.plan(config, 'h100', 1, (30, 3), tmp_path / 'cache')
    assert found['trained'] == everything
    assert found['bytes_down'] == found['bytes_up'] == 4 * half
    assert found['bytes_kept'] == 2 * 4 * everything
    assert found['bytes_once'] == 0
    assert found['fits']
    (line,) = [x for x in found['assumed'] if 'before the rounds' in x]
    assert "the stage 'layers'" in line
